# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fleet for the tests of a file; what a test breaks, it repairs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.netns.fleet import Fleet, by_iptables


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Three nodes on which all is well."""
    made = Fleet(by_iptables)
    yield made
    made.close()
