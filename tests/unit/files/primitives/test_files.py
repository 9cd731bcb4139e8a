# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files and directories."""

from __future__ import annotations

import posix
from pathlib import Path

import pytest

from humanz_cni.primitives import files


def test_a_directory_is_made_with_what_leads_to_it(tmp_path: Path) -> None:
    files.make_directory(str(tmp_path / "a" / "b" / "c"), 0o755)

    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_directory_that_another_call_makes_meanwhile_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first ADDs of a node several find that the parent is missing."""
    wanted = tmp_path / "a" / "b"
    mkdir = posix.mkdir

    def make_both(path: str, mode: int) -> None:
        mkdir(path, mode)
        if path == str(wanted.parent):
            mkdir(str(wanted), mode)

    monkeypatch.setattr(posix, "mkdir", make_both)

    files.make_directory(str(wanted), 0o755)

    assert wanted.is_dir()
