# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the predecessors' defects: each of them is in it once, with a test that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "tests" / "defects-of-predecessors.md"
_ROW = re.compile(r"^\| ([HAMD]-\d\d) \| [^|]+ \| [^|]+ \| `([^`]+)::(\w+)` \|$", re.MULTILINE)
ROWS = _ROW.findall(TABLE.read_text(encoding="utf-8"))


def test_each_defect_has_its_row() -> None:
    counts = {"H": 26, "A": 18, "M": 20, "D": 15}

    assert [row[0] for row in ROWS] == [
        f"{system}-{number:02}" for system, count in counts.items() for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(("path", "name"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_its_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))

    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
