# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node_routes task beside a loop of ``ip route replace`` tasks: the same routes, inventory and node, interleaved.

    python -m benchmarks.node_routes [--routes 200] [--count 20]

Needs root. Everything happens on a throw-away node. Figures are medians over whole runs of ansible-playbook, in
seconds; machines differ, so only the ratio means anything. The full run takes about ten minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

TARGET = 25


def tasks(routes: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Return the task that each candidate runs, by its name."""
    command = "ip route replace {{ item.dst }} via {{ item.via }} proto 217"
    return {
        "no routes (floor)": {"ansible.builtin.command": {"argv": ["true"]}},
        "node_routes": {"humanz.cni.node_routes": {"routes": routes}},
        "loop of ip route replace": {"ansible.builtin.command": {"cmd": command}, "loop": routes},
    }


def measure(node: Node, playbook: Playbook, routes: list[dict[str, str]], count: int) -> dict[str, list[float]]:
    """Return the seconds of *count* runs of each candidate, in turn, each on a node without the routes."""
    figures: dict[str, list[float]] = {name: [] for name in tasks(routes)}
    for number in range(count):
        for name, task in tasks(routes).items():
            node.run("sh", "-c", "ip route flush proto 217; rm -rf /etc/humanz-cni")
            started = time.perf_counter()
            playbook.run(task)
            figures[name].append(time.perf_counter() - started)
            made = len(node.ip("route show proto 217").splitlines())
            if made != (0 if "floor" in name else len(routes)):
                raise RuntimeError("%s made %d routes" % (name, made))
        print("round %d of %d" % (number + 1, count), file=sys.stderr, flush=True)
    return figures


def main() -> None:
    """Measure and print the table; exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=int, default=200, help="routes of the node (default 200)")
    parser.add_argument("--count", type=int, default=20, help="runs of each candidate (default 20)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    routes = [
        {"dst": "100.%d.%d.0/24" % (100 + number // 250, number % 250), "via": "200.0.0.%d" % (20 + number % 200)}
        for number in range(arguments.routes)
    ]
    node, neighbour = Node(), Node()
    try:
        node.wire("enp8s0", neighbour, "lan")
        node.ip("addr add 200.0.0.10/24 dev enp8s0")
        with tempfile.TemporaryDirectory() as directory:
            figures = measure(node, Playbook(Path(directory), node), routes, arguments.count)
    finally:
        node.close()
        neighbour.close()
    medians = {name: statistics.median(seconds) for name, seconds in figures.items()}
    for name, seconds in medians.items():
        print("%-26s %8.2f s %8.1f x" % (name, seconds, seconds / medians["node_routes"]))
    ratio = medians["loop of ip route replace"] / medians["node_routes"]
    print("%d routes: one task is %.1f times as fast as the loop; the target is %d" % (len(routes), ratio, TARGET))
    sys.exit(ratio < TARGET)


if __name__ == "__main__":
    main()
