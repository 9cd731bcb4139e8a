# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the machine's own /etc/humanz-cni out of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._shared import directories


@pytest.fixture(autouse=True)
def _own_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(directories, "OWN_DIRECTORY", str(tmp_path / "own"))
    monkeypatch.setattr(directories, "RECORD", str(tmp_path / "own" / "directories"))
