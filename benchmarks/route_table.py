# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long node_routes takes to apply a table of 1,000 and of 5,000 routes, beside ``ip -batch`` alone, interleaved.

    python -m benchmarks.route_table [--count 10]

Needs root. Everything happens on a throw-away node. What is measured is the step that changes the kernel and the state
file, within a module that has started; the whole module, with reading, checking and proving, and a run that finds
nothing to do are shown beside it. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys

from tests.support import IN_CHECKOUT
from tests.support.netns.node import PYTHON, Node

TARGET = 2.0
SIZES = (1000, 5000)
BATCH = """
import subprocess, sys, time
text = sys.stdin.read()
started = time.perf_counter()
subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True)
print(time.perf_counter() - started)
"""


def table(size: int) -> list[dict[str, str]]:
    """Return so many routes."""
    return [
        {"dst": "100.%d.%d.0/24" % (64 + number // 250, number % 250), "via": "200.0.0.%d" % (20 + number % 200)}
        for number in range(size)
    ]


def flush(node: Node) -> None:
    node.run("sh", "-c", "ip route flush proto 217; rm -rf /etc/humanz-cni")


def measure(node: Node, size: int, count: int) -> dict[str, float]:
    """Return the median seconds of *count* runs of each candidate, each on a node without the routes."""
    routes = table(size)
    figures: dict[str, list[float]] = {}
    lines = "\n".join(f"route add {route['dst']} via {route['via']} proto 217" for route in routes)
    for _round in range(count):
        flush(node)
        figures.setdefault("ip -batch", []).append(float(node.run(PYTHON, "-c", BATCH, input=lines).stdout))
        flush(node)
        # The second time, there is nothing to do.
        done = node.run(
            *IN_CHECKOUT, PYTHON, "-m", "tests.support.netns.apply_driver", input=json.dumps([routes, routes])
        ).stdout.splitlines()
        first, second = map(json.loads, done)
        if (first["added"], second["apply"]) != (size, 0):
            raise RuntimeError("the routes were not applied once: %s" % done)
        figures.setdefault("applied", []).append(first["apply"])
        figures.setdefault("read, checked, applied, proven", []).append(first["all"])
        figures.setdefault("nothing to do", []).append(second["all"])
    return {name: statistics.median(seconds) for name, seconds in figures.items()}


def main() -> None:
    """Measure and print the table; exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10, help="runs of each candidate (default 10)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    node, neighbour = Node(), Node()
    missed = False
    try:
        node.wire("enp8s0", neighbour, "lan")
        node.ip("addr add 200.0.0.10/24 dev enp8s0")
        for size in SIZES:
            medians = measure(node, size, arguments.count)
            for name, seconds in medians.items():
                print(
                    "%5d routes: %-32s %8.1f ms %6.2f x" % (size, name, seconds * 1000, seconds / medians["ip -batch"])
                )
            missed |= medians["applied"] > TARGET * medians["ip -batch"]
    finally:
        node.close()
        neighbour.close()
    print("the target is that routes are applied in at most %.1f times what ip -batch takes" % TARGET)
    sys.exit(missed)


if __name__ == "__main__":
    main()
