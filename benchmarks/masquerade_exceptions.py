# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs that each node's own address is excepted from MASQUERADE, with addresses that share no prefix.

    python -m benchmarks.masquerade_exceptions [--nodes 1000] [--count 5]

Needs root. Everything happens on throw-away nodes. In each round, every backend has rules for three nodes and for many.
A new connection is a pod's first UDP packet to a port outside the cluster: what it takes is the median time that the
pod's system call takes, in which the kernel does all of the node's work. No other packet passes the table nat.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from tests.support.firewall.lan import Lan
from tests.support.netns.node import Node

FEW = 3
BACKENDS = {
    "nft": "iptables-nft -t nat -S HUMANZ-POSTROUTING",
    "legacy": "iptables-legacy -t nat -S HUMANZ-POSTROUTING",
    "nftables": "nft list table inet humanz-cni",
}
REPLAY = {
    "nft": "iptables-nft-restore --noflush /etc/humanz-cni/rules.v4",
    "legacy": "iptables-legacy-restore --noflush /etc/humanz-cni/rules.v4",
    "nftables": "nft -f /etc/humanz-cni/rules.nft",
}
# Prints the median microseconds that a packet takes, each the first of its connection.
CALL = """
import socket, statistics, time
stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
took = []
for port in range(10000, 20000):
    start = time.perf_counter_ns()
    stream.sendto(b"x", ("192.168.122.1", port))
    took.append(time.perf_counter_ns() - start)
print(statistics.median(took) / 1e3)
"""


def exceptions(nodes: int) -> list[str]:
    """Return the pod network and *nodes* addresses of which no two share a prefix."""
    return ["100.100.0.0/16"] + ["200.0.%d.%d/32" % (number // 128, number % 128 * 2 + 1) for number in range(nodes)]


def seconds(node: Node, command: str) -> float:
    """Return how long *command* takes on *node*."""
    started = time.perf_counter()
    node.run("sh", "-ec", command + " >/dev/null")
    return time.perf_counter() - started


def measure(backend: str, nodes: int) -> dict[str, float]:
    """Return the figures of one backend, by their names."""
    made: list[Node] = []

    def make() -> Node:
        made.append(Node())
        return made[-1]

    try:
        lan = Lan(make(), make)
        args = {"pod_cidrs": ["100.100.0.0/24"], "non_masquerade_cidrs": exceptions(nodes), "backend": backend}
        started = time.perf_counter()
        assert lan.node.module("pod_firewall", args)["changed"]
        applied = time.perf_counter() - started
        assert not lan.node.module("pod_firewall", args)["changed"]
        rules = lan.node.run("sh", "-ec", BACKENDS[backend]).stdout
        return {
            "rules": float(sum(rules.count(word) for word in ("RETURN", " return"))),
            "connection, us": float(lan.pod.run(sys.executable, "-c", CALL).stdout),
            "module, s": applied,
            "replay, ms": 1e3 * seconds(lan.node, REPLAY[backend]),
            "listing, ms": 1e3 * seconds(lan.node, BACKENDS[backend]),
        }
    finally:
        for node in made:
            node.close()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000, help="nodes of the large cluster (default 1000)")
    parser.add_argument("--count", type=int, default=5, help="rounds (default 5)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number in range(arguments.count):
        for backend in BACKENDS:
            for nodes in (FEW, arguments.nodes):
                found.setdefault((backend, nodes), []).append(measure(backend, nodes))
        print("round %d of %d" % (number + 1, arguments.count), file=sys.stderr, flush=True)
    for (backend, nodes), figures in found.items():
        medians = ("%s %.1f" % (name, statistics.median(each[name] for each in figures)) for name in figures[0])
        print("%-9s %5d nodes: %s" % (backend, nodes, "; ".join(medians)))


if __name__ == "__main__":
    main()
