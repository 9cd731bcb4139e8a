# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets containerd start a pod on each named node and has all of them call each other, the nodes and the outside.

Usage: python3 pods.py NODE ...    from the project's directory, with the lab up
"""

from __future__ import annotations

import subprocess
import sys
from itertools import product

POD = "talker"
PORT, HOST_PORT = "8080", "8088"
OUTSIDE = "203.0.113.10"
CALL = ("python3", "/usr/local/lib/lab/peer.py", "call")


def lab(*argv: str) -> str:
    """Run a command of the lab and return what it prints; what it says when it fails goes to our stderr."""
    return subprocess.run(("python3", "lab", *argv), check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def address(node: str, interface: str) -> str:
    """Return the node's IPv4 address on *interface*."""
    return lab("exec", node, "--", "ip", "-br", "-4", "address", "show", interface).split()[2].partition("/")[0]


def main(nodes: list[str]) -> int:
    failures = 0

    def expect(what: str, seen: str, wanted: str) -> None:
        nonlocal failures
        failures += seen != wanted
        print("%s: %s: %r, expected %r" % ("ok" if seen == wanted else "FAILED", what, seen, wanted))

    for node in nodes:
        lab("pod", "rm", node, POD)
    pods = {node: lab("pod", "run", "--publish", "%s:%s" % (HOST_PORT, PORT), node, POD) for node in nodes}
    uplink = {node: address(node, "enp1s0") for node in nodes}
    between = {node: address(node, "enp3s0" if node.endswith("-3") else "enp8s0") for node in nodes}
    for node, other in product(nodes, nodes):
        from_pod = ("pod", "exec", node, POD, "--", *CALL)
        expect("pod %s to pod %s" % (pods[node], pods[other]), lab(*from_pod, pods[other], PORT), pods[node])
        if node != other:
            seen = lab("exec", node, "--", *CALL, pods[other], PORT)
            expect("node %s to pod %s" % (node, pods[other]), seen, between[node])
            seen = lab("exec", node, "--", *CALL, between[other], HOST_PORT)
            expect("node %s to host port of %s" % (node, other), seen, between[node])
    for node in nodes:
        seen = lab("pod", "exec", node, POD, "--", *CALL, OUTSIDE, PORT)
        expect("pod %s to the outside" % pods[node], seen, uplink[node])
        lab("pod", "rm", node, POD)
        left = lab("exec", node, "--", "find", "/run/humanz-cni", "-name", "veth*")
        expect("reservations on %s after its pod is gone" % node, left, "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
