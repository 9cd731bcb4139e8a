# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architecture.md names files and rooms that there are, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# A path of the project's has a slash, and begins with none as a node's would.
NAMED = sorted(set(re.findall(r"`([A-Za-z_.][\w.-]*/[\w./-]*)`", PAGE)))
TREES = ("plugins/module_utils", "plugins/plugin_utils", "files/humanz_cni", "files/host_network")
ROOMS = sorted(str(path.parent.relative_to(ROOT)) for tree in TREES for path in (ROOT / tree).glob("*/__init__.py"))


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_is_there(name: str) -> None:
    assert (ROOT / name).exists()
    assert (ROOT / name).is_dir() or not name.endswith("/")


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_says_what_each_room_is_for(room: str) -> None:
    assert f"\n| `{room}/` | " in PAGE
