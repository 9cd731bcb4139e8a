# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom: a table of a few nodes, and a grid of blocks of many. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import math
from typing import Any

from .._reachability import checks
from . import nodes

TABLE_NODES = 10  # more columns with names do not fit a page
BLOCKS = 50  # a side of the grid
CELL = 14  # pixels
LABEL = 150  # pixels of a row's name
LABEL_LETTERS = 22
TITLES = 400  # failed blocks with a text of their own


def matrix(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``{"kind": "table", …}`` or ``{"kind": "grid", …}``, see :func:`_table` and :func:`_grid`."""
    names = list(cluster["nodes"])
    return (_table if len(names) <= TABLE_NODES else _grid)(cluster, names, failures)


def _table(cluster: dict[str, Any], names: list[str], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``{"columns": [{"name", "outside"}], "rows": [{"name", "cells": [{"state", "text"}]}]}``."""
    outside = sorted({target["name"] for node in names for target in checks.outside_of(cluster, node)})
    failed: dict[tuple[str, bool, str], set[str]] = collections.defaultdict(set)
    for failure in failures:
        failed[failure["from"], failure["kind"] == "outside", failure["to"]].add(failure["kind"])
    columns = [(name, False) for name in names] + [(name, True) for name in outside]
    rows = []
    for name in names:
        made = {(check["kind"] == "outside", check["to"]) for check in checks.checks_of(cluster, name)}
        cells = [_cell((is_outside, to) in made, failed[name, is_outside, to]) for to, is_outside in columns]
        rows.append({"name": name, "cells": cells})
    return {"kind": "table", "columns": [{"name": to, "outside": out} for to, out in columns], "rows": rows}


def _cell(made: bool, kinds: set[str]) -> dict[str, str]:
    if not made:
        return {"state": "untried", "text": "–"}
    if not kinds:
        return {"state": "ok", "text": "ok"}
    (kind, *others) = kinds
    return {"state": "fail", "text": "FAIL %s" % kind if kind in ("pod", "node") and not others else "FAIL"}


def _grid(cluster: dict[str, Any], names: list[str], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the grid as paths and rectangles in pixels.

    A row is a block of nodes that connections are made from, a column one that they are made to, the last column what
    is outside. ``{"block": nodes of a side, "width", "height", "ok": path, "some": path, "all": path, "rows": [{"y",
    "text"}], "columns": [{"x", "text"}], "failed": [{"x", "y", "text"}], "untold", "shapes"}``. Beyond TITLES, failed
    cells have no text, and *untold* is true; *shapes* are those of one cell of each kind.
    """
    block = math.ceil(len(names) / BLOCKS)
    side = math.ceil(len(names) / block)
    made, failed = _counts(cluster, names, failures, block, side)
    paths: dict[str, list[str]] = {state: [] for state in _SHAPES}
    texts: list[dict[str, Any]] = []
    for cell in sorted(made):
        state = "all" if failed[cell] >= made[cell] else "some" if failed[cell] else "ok"
        x, y = _x(cell[1], side), _y(cell[0])
        paths[state].append(_SHAPES[state] % (x, y))
        if state != "ok" and len(texts) < TITLES:
            ends = (_range(names, cell[0], block), _range(names, cell[1], block) if cell[1] < side else "outside")
            text = "%s → %s: %d of %d failed" % (*ends, failed[cell], made[cell])
            texts.append({"x": x, "y": y, "text": text})
    step = max(1, math.ceil(side / 10))
    columns = [{"x": _x(index, side), "text": str(index * block + 1)} for index in range(0, side, step)]
    return {
        "kind": "grid",
        "block": block,
        "cell": CELL,
        "label": LABEL - 6,
        "width": _x(side, side) + CELL * 3,
        "height": _y(side),
        **{state: "".join(path) for state, path in paths.items()},
        "rows": [{"y": _y(index), "text": _row_label(names, index, block)} for index in range(side)],
        "columns": [*columns, {"x": _x(side, side), "text": "outside"}],
        "failed": texts,
        "shapes": {state: path % (0, 0) for state, path in _SHAPES.items()},
        "untold": len(texts) < len(paths["some"]) + len(paths["all"]),
    }


# A dot, a triangle and a full square: told apart without their colours.
_SHAPES = {"ok": "M%d %dm4 4h5v5h-5z", "some": "M%d %dm1 12v-11l11 11z", "all": "M%d %dm1 1h12v12h-12z"}


def _x(column: int, side: int) -> int:
    """Return where a *column* begins; that of the outside stands a little apart."""
    return LABEL + CELL * column + (CELL if column == side else 0)


def _y(row: int) -> int:
    return CELL * (row + 1) + 4


def _counts(
    cluster: dict[str, Any], names: list[str], failures: list[dict[str, Any]], block: int, side: int
) -> tuple[collections.Counter[tuple[int, int]], collections.Counter[tuple[int, int]]]:
    """Return how many connections of each (row, column) were made and how many failed, two Counters.

    A pod's and a node's own connection to one pod are counted apart, and so are address families.
    """
    position = {name: number // block for number, name in enumerate(names)}
    made: collections.Counter[tuple[int, int]] = collections.Counter()
    failed: collections.Counter[tuple[int, int]] = collections.Counter()
    for name in names:
        for peer in checks.peers_of(cluster, name):
            made[position[name], position[peer]] += 2 * len(cluster["families"])
        made[position[name], position[name]] += len(cluster["families"])
        outside = len(checks.outside_of(cluster, name))
        if outside:
            made[position[name], side] += outside
    for failure in failures:
        column = side if failure["kind"] == "outside" else position[failure["to"]]
        failed[position[failure["from"]], column] += 1
    return made, failed


def _range(names: list[str], index: int, block: int) -> str:
    members = names[index * block : (index + 1) * block]
    return members[0] if len(members) == 1 else "%s … %s" % (members[0], members[-1])


def _row_label(names: list[str], index: int, block: int) -> str:
    number = "" if block == 1 else "%d " % (index * block + 1)
    return number + nodes.shortened(names[index * block], LABEL_LETTERS - len(number))
