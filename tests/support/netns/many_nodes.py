# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many nodes as one likes on one switch, each with a pod, for this collection's playbooks."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.netns.node import Node
from tests.support.netns.playbook_cluster import PlaybookCluster

PING_ALL = Path(__file__).with_name("ping_all.py")
PATIENCE = "5"  # seconds
# Pods that ping at a time. A ping leaves an entry in the table of neighbours at both ends, which all namespaces of a
# machine share: the kernel refuses more than net.ipv4.neigh.default.gc_thresh3, by default 1024.
AT_A_TIME = 4


class ManyNodes(PlaybookCluster):
    """Nodes n1, n2, … at 200.0.0.1, 200.0.0.2, …, with pods 100.100.1.2, 100.100.2.2, ….

    :param directory: an empty one, for inventory and Pythons.
    """

    def __init__(self, directory: Path, count: int) -> None:
        super().__init__(directory)
        self.variables["pod_network_node_cidrs"] = ["200.0.0.0/24"]
        self.switch = Node()
        self.switch.ip("link add lan type bridge")
        self.switch.ip("link set lan up")
        for number in range(1, count + 1):
            self._add(number)

    def _add(self, number: int) -> None:
        node = self.nodes[f"n{number}"] = Node()
        self.hosts[f"n{number}"] = {
            "pod_network_node_ip": f"200.0.0.{number}",
            "pod_network_pod_cidr": f"100.100.{number}.0/24",
        }
        node.run("rm", "-rf", "/etc/cni/net.d", "/etc/humanz-cni")
        node.wire("enp8s0", self.switch, f"port{number}")
        self.switch.ip(f"link set port{number} master lan")
        node.ip(f"addr add 200.0.0.{number}/24 dev enp8s0")
        node.ip("netns add pod")
        node.ip("link add humanz-cni0 type bridge")
        node.ip("link add pod0 type veth peer name eth0 netns pod")
        node.ip("link set pod0 master humanz-cni0 up")
        node.ip(f"addr add 100.100.{number}.1/24 dev humanz-cni0")
        node.ip("link set humanz-cni0 up")
        node.ip(f"-n pod addr add 100.100.{number}.2/24 dev eth0")
        node.ip("-n pod link set eth0 up")
        node.ip(f"-n pod route add default via 100.100.{number}.1")

    def close(self) -> None:
        for node in (*self.nodes.values(), self.switch):
            node.close()

    def silent(self) -> list[str]:
        """Ping every pod from every other one, and return ``node: address`` of each that does not answer."""
        pods = {f"n{number}": f"100.100.{number}.2" for number in range(1, len(self.nodes) + 1)}

        def ping(name: str) -> list[str]:
            others = [address for other, address in pods.items() if other != name]
            command = ("ip", "netns", "exec", "pod", sys.executable, str(PING_ALL), PATIENCE, *others)
            return [f"{name}: {address}" for address in self.nodes[name].run(*command).stdout.split()]

        names, found = list(pods), []
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for start in range(0, len(names), AT_A_TIME):
                for lines in pool.map(ping, names[start : start + AT_A_TIME]):
                    found += lines
                list(pool.map(lambda node: node.ip("neigh flush dev enp8s0"), self.nodes.values()))
        return found
