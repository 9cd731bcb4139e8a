# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the map of the rooms, docs/architecture.dot, with its picture and with what the code imports.

Needs Graphviz, and on PYTHONPATH ansible_collections, files/ and files/host_network/.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import grimp

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "architecture.dot"
PICTURE = SOURCE.with_suffix(".svg")
PLUGINS = "ansible_collections.humanz.cni.plugins"
FILES = ("humanz_cni", "healing")
# All that these have in them must be on the map.
DRAWN_WHOLE = (f"{PLUGINS}.module_utils", f"{PLUGINS}.plugin_utils", "humanz_cni")

Arrows = set[tuple[str, str]]


def drawing(output: str) -> str:
    """Return the map in one of Graphviz's formats."""
    command = ["dot", f"-T{output}", str(SOURCE)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def words(svg: str) -> list[str]:
    """Return all names and labels of a picture; where they stand depends on Graphviz's release and the fonts."""
    return sorted(re.findall(r"<(?:title|text)[^>]*>([^<]*)<", svg))


def drawn() -> tuple[set[str], Arrows]:
    """Return the modules of the map, by their full names, and its solid arrows, each from who imports to what."""
    graph = json.loads(drawing("json0"))
    names = {thing["_gvid"]: thing["name"] for thing in graph["objects"] if "nodes" not in thing}
    modules = {
        number: name if name.partition(".")[0] in FILES else f"{PLUGINS}.{name}"
        for number, name in names.items()
        if not name.startswith("cluster_")
    }
    arrows = {(modules[e["tail"]], modules[e["head"]]) for e in graph["edges"] if e.get("style") != "dashed"}
    return set(modules.values()), arrows


def imported(graph: grimp.ImportGraph, modules: set[str]) -> Arrows:
    """Return which of *modules* import which, without the arrows that follow from others."""
    below: dict[str, set[str]] = {module: set() for module in modules}
    for one, other in permutations(modules, 2):
        if graph.direct_import_exists(importer=one, imported=other, as_packages=True):
            below[one].add(other)
    return {
        (one, other)
        for one, others in below.items()
        for other in others
        if not any(other in reached(between, below) for between in others - {other})
    }


def reached(start: str, below: dict[str, set[str]]) -> set[str]:
    """Return all that *start* imports, and what these import."""
    found: set[str] = set()
    wanted = {start}
    while wanted:
        module = wanted.pop()
        wanted |= below[module] - found
        found |= below[module]
    return found


def faults() -> list[str]:
    """Return what is wrong with the map and its picture."""
    found = []
    if words(PICTURE.read_text(encoding="utf-8")) != words(drawing("svg")):
        found.append(f"{PICTURE.name}: is not what dot -Tsvg docs/{SOURCE.name} -o docs/{PICTURE.name} makes")
    graph = grimp.build_graph(PLUGINS, *FILES, exclude_type_checking_imports=False, cache_dir=None)
    modules, arrows = drawn()
    found += [f"{module}: is on the map, but not in the code" for module in modules - graph.modules]
    children = {module for tree in DRAWN_WHOLE for module in graph.find_children(tree)}
    found += [f"{module}: is not on the map" for module in children - modules]
    imports = imported(graph, modules & graph.modules)
    found += [f"{one} -> {other}: is an import without an arrow" for one, other in imports - arrows]
    found += [
        f"{one} -> {other}: is an arrow without an import, or follows from others" for one, other in arrows - imports
    ]
    return sorted(found)


def main() -> int:
    found = faults()
    for line in found:
        print(line.replace(f"{PLUGINS}.", ""), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
