# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says at the head of the run which Pythons are there."""

from __future__ import annotations

from tests.support.environments import PYTHONS, SUPPORTED


def pytest_report_header() -> list[str]:
    """Name what is proven for nodes, and what is not."""
    missing = [f"3.{minor}" for minor in SUPPORTED if minor not in PYTHONS]
    lines = ["Pythons of nodes: " + ", ".join(f"3.{minor}" for minor in PYTHONS)]
    return lines + (["not proven, as they are not on this machine: " + ", ".join(missing)] if missing else [])
