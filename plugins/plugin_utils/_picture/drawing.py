# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything of the drawing stands: networks as panels, and the nodes on them as boxes or, if many, tiles. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import math
from typing import Any

from . import nodes as picture_nodes

BOXES = 48  # nodes; more are tiles
PANELS = 24  # networks; the nodes of more are together in the last panel
LABELS = 200  # tiles that name their node when they are pointed at
WIDTHS = {"wide": 1040, "narrow": 340}  # pixels
BOX_WIDTH = 240
LETTERS = {"name": 22, "line": 32}
LINE, HEAD, GAP, SPINE, INSET, TILE = 17, 40, 14, 18, 36, 16

# Each state's shape.
_TILES = {
    "well": "M%d %dm3 3h9v9h-9z",
    "affected": "M%d %dm1 8l6.5 -6.5l6.5 6.5l-6.5 6.5z",
    "attention": "M%d %dm1 14l6.5 -13l6.5 13z",
    "failing": "M%d %dm1 1h13v13h-13z",
    "silent": "M%d %dm1 7.5a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0 -13 0z",
}


def drawings(segments: list[dict[str, Any]], crossing: str) -> dict[str, dict[str, Any]]:
    """Return the drawing for a page of each width of WIDTHS.

    :param segments: those of ``nodes.segments``.
    :param crossing: what stands between two networks, a text.
    :returns: ``{NAME: {"width", "height", "panels": [panel], "crossings": [{"y", "text"}], "shapes": {STATE: path} if
        nodes are tiles}}``; a panel has "y",
        "width", "height", "cidr", "count", "wires", a path, and either "boxes" or "tiles", a path for each state, and
        "labels" of those that are not well.
    """
    segments = _merged(segments)
    boxes = sum(len(segment["nodes"]) for segment in segments) <= BOXES
    return {name: _drawing(segments, crossing, width, boxes) for name, width in WIDTHS.items()}


def _merged(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(segments) <= PANELS:
        return segments
    rest = segments[PANELS - 1 :]
    nodes = [node for segment in rest for node in segment["nodes"]]
    return segments[: PANELS - 1] + [{"cidr": "%d more networks" % len(rest), "nodes": nodes}]


def _drawing(segments: list[dict[str, Any]], crossing: str, width: int, boxes: bool) -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    crossings: list[dict[str, Any]] = []
    y = 1
    for segment in segments:
        if panels:
            crossings.append({"y": y, "text": crossing})
            y += 46
        panel = (_boxes if boxes else _tiles)(segment["nodes"], width)
        panel.update(y=y, width=width - 2, cidr=segment["cidr"], count=len(segment["nodes"]))
        panels.append(panel)
        y += panel["height"]
    shapes = {} if boxes else {state: path % (0, 0) for state, path in _TILES.items()}
    return {"width": width, "height": y + 1, "panels": panels, "crossings": crossings, "spine": SPINE, "shapes": shapes}


def _boxes(nodes: list[dict[str, Any]], width: int) -> dict[str, Any]:
    """Return the part of a panel with a box for each node, which hangs on a wire."""
    columns = max(1, (width - INSET) // (BOX_WIDTH + GAP))
    box_width = (width - INSET - GAP * columns) // columns
    height = LINE * (1 + max(len(_lines(node)) for node in nodes)) + 12
    rows = math.ceil(len(nodes) / columns)
    boxes, wires = [], ["M%d %dV%d" % (SPINE, HEAD - 8, HEAD + (rows - 1) * (height + 2 * GAP))]
    for number, node in enumerate(nodes):
        row, column = divmod(number, columns)
        x, top = INSET + column * (box_width + GAP), HEAD + row * (height + 2 * GAP)
        middle = x + box_width // 2
        wires.append("M%d %dH%dV%d" % (SPINE if not column else middle - box_width - GAP, top, middle, top + GAP))
        boxes.append(_box(node, x, top + GAP, box_width, height))
    return {
        "height": HEAD + rows * (height + 2 * GAP),
        "wires": "".join(wires),
        "boxes": boxes,
        "tiles": {},
        "labels": [],
    }


def _box(node: dict[str, Any], x: int, y: int, width: int, height: int) -> dict[str, Any]:
    lines = [{"y": LINE * (index + 2) + 2, "text": line} for index, line in enumerate(_lines(node))]
    state = picture_nodes.STATES[node["state"]]
    return {
        "node": node,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "mark": state["mark"],
        "label": state["label"],
        "name": picture_nodes.shortened(node["name"], LETTERS["name"]),
        "lines": lines,
    }


def _lines(node: dict[str, Any]) -> list[str]:
    """Return what a box says below the node's name."""
    lines = ["next hop %s" % address for address in node["node_ips"]]
    lines += ["pods %s" % cidr for cidr in node["pod_cidrs"]]
    return [picture_nodes.shortened(line, LETTERS["line"]) for line in lines]


def _tiles(nodes: list[dict[str, Any]], width: int) -> dict[str, Any]:
    """Return the part of a panel with a tile for each node: one path for each state, and labels of those not well."""
    columns = (width - INSET - GAP) // TILE
    paths, labels = dict.fromkeys(_TILES, ""), list[dict[str, Any]]()
    for number, node in enumerate(nodes):
        row, column = divmod(number, columns)
        x, y = INSET + column * TILE, HEAD + row * TILE
        paths[node["state"]] += _TILES[node["state"]] % (x, y)
        if node["state"] != "well" and len(labels) < LABELS:
            labels.append({"x": x, "y": y, "node": node, "label": picture_nodes.STATES[node["state"]]["label"]})
    height = HEAD + math.ceil(len(nodes) / columns) * TILE + GAP
    wires = "M%d %dV%d" % (SPINE, HEAD - 8, height - GAP - TILE // 2)
    return {"height": height, "wires": wires, "boxes": [], "tiles": paths, "labels": labels, "size": TILE}
