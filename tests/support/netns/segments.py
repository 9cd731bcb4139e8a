# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes on two networks that a router joins, which counts what it forwards, for this collection's playbooks."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.netns.node import Node
from tests.support.netns.playbook_cluster import PlaybookCluster

NODE_IPS = {"n1": "200.0.0.10", "n2": "200.0.0.20", "n3": "200.0.1.30"}
POD_CIDRS = {"n1": "100.100.0.0/24", "n2": "100.100.1.0/24", "n3": "100.100.2.0/24"}
OUTSIDE = "203.0.113.1"
# Beside the nodes' own packets, the router forwards VXLAN between nodes and what they send to each other's addresses.
COUNTERS = {"pods": ["-s 100.100.0.0/16", "-d 100.100.0.0/16"], "tunnel": ["-p udp --dport 4789"]}


class Segments(PlaybookCluster):
    """n1 and n2 on 200.0.0.0/24, n3 on 200.0.1.0/24; the router is the gateway of both, and knows no pods."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.router = Node()
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0")
        for number in (0, 1):
            self.router.ip(f"link add lan{number} type bridge")
            self.router.ip(f"addr add 200.0.{number}.1/24 dev lan{number}")
            self.router.ip(f"link set lan{number} up")
        self.router.ip(f"addr add {OUTSIDE}/32 dev lo")
        for name, address in NODE_IPS.items():
            self._attach(name, address)
        self.variables.update(pod_network_node_cidrs=["200.0.0.0/24", "200.0.1.0/24"], pod_network_cross_subnet="vxlan")
        for rules in COUNTERS.values():
            for rule in rules:
                self.router.run("iptables", "-A", "FORWARD", *rule.split())

    def _attach(self, name: str, address: str) -> None:
        segment = address.split(".")[2]
        node = self.nodes[name] = Node()
        node.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        node.run("rm", "-rf", "/etc/cni/net.d", "/etc/humanz-cni")
        node.run("mkdir", "-p", "/etc/cni/net.d", "/opt/cni/bin", "/etc/sysctl.d", "/etc/modules-load.d")
        node.wire("enp8s0", self.router, f"port-{name}")
        self.router.ip(f"link set port-{name} master lan{segment}")
        node.ip(f"addr add {address}/24 dev enp8s0")
        node.ip(f"route add default via 200.0.{segment}.1")
        self.hosts[name] = {"pod_network_node_ip": address, "pod_network_pod_cidr": POD_CIDRS[name]}

    def close(self) -> None:
        for node in (*self.nodes.values(), self.router):
            node.close()

    def forwarded(self, what: str) -> int:
        """Return how many packets of COUNTERS[*what*] the router has forwarded."""
        listed = self.router.run("iptables", "-nvxL", "FORWARD").stdout.splitlines()[2:]
        counts = [int(re.split(r"\s+", line.strip())[0]) for line in listed]
        return sum(counts[:2]) if what == "pods" else counts[2]
