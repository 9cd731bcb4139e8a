# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two throw-away nodes and an outside, with both families on every wire, for this collection's playbooks."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.netns.node import Node
from tests.support.netns.playbook_cluster import PlaybookCluster

OUTSIDE = {4: "192.168.122.1", 6: "fd00:122::1"}
CLUSTER = {
    4: {"cluster_cidr": "100.100.0.0/16", "service_cidr": "10.96.0.0/12", "node_cidrs": "200.0.0.0/24"},
    6: {"cluster_cidr": "fd00:100::/48", "service_cidr": "fd00:96::/108", "node_cidrs": "fd00:200::/64"},
}
# What the playbooks could change, as text.
STATE = """
ip -br link | sed 's/@if[0-9]*//' | awk '{print $1, $2}' | sort
ip -br addr | sed 's/@if[0-9]*//' | sort
ip -4 route show table main | sort; ip -6 route show table main | sort
for save in iptables-save ip6tables-save; do $save | grep -Ev '^#|^:[A-Z]+ ACCEPT|^COMMIT|^\\*' || true; done
sysctl -a 2> /dev/null | grep -E '^net.(ipv4.ip_forward|ipv[46].conf|bridge)' | sort
find /etc/cni /etc/humanz-cni /etc/sysctl.d /etc/modules-load.d /etc/iproute2 /opt/cni /usr/local/lib/humanz-cni \
    -type f 2> /dev/null | sort
"""


class Cluster(PlaybookCluster):
    """The nodes n1 and n2, whose pods have IPv4 unless ``families`` says something else.

    :param directory: an empty one, for inventory and Pythons.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.outside = Node()
        self.outside.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        self.outside.ip("link add uplink type bridge")
        self.outside.ip("link set uplink up")
        self.outside.ip(f"addr add {OUTSIDE[4]}/24 dev uplink")
        self.outside.ip(f"addr add {OUTSIDE[6]}/64 dev uplink")
        self.nodes = {"n1": Node(), "n2": Node()}
        for number, node in enumerate(self.nodes.values(), 1):
            self._uplink(node, number)
        one, other = self.nodes.values()
        one.wire("enp8s0", other, "enp8s0")
        for number, node in enumerate(self.nodes.values(), 1):
            node.ip(f"addr add 200.0.0.{number}0/24 dev enp8s0")
            node.ip(f"addr add fd00:200::{number}0/64 dev enp8s0")
        self.families = [4]

    def _uplink(self, node: Node, number: int) -> None:
        node.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv4.ip_forward=0")
        node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0")
        node.run("rm", "-rf", "/etc/cni/net.d", "/etc/humanz-cni")
        node.run("mkdir", "-p", "/etc/cni/net.d", "/opt/cni/bin", "/etc/sysctl.d", "/etc/modules-load.d")
        node.wire("enp1s0", self.outside, f"port{number}")
        self.outside.ip(f"link set port{number} master uplink")
        node.ip(f"addr add 192.168.122.1{number}/24 dev enp1s0")
        node.ip(f"addr add fd00:122::1{number}/64 dev enp1s0")
        node.ip(f"route add default via {OUTSIDE[4]}")
        node.ip(f"route add default via {OUTSIDE[6]}")

    def close(self) -> None:
        for node in (*self.nodes.values(), self.outside):
            node.close()

    def pod_cidrs(self, number: int) -> list[str]:
        """The networks of the pods on one node, as the inventory has them."""
        return [{4: f"100.100.{number - 1}.0/24", 6: f"fd00:100:0:{number}::/64"}[one] for one in self.families]

    @property
    def families(self) -> list[int]:
        """The families, 4 and 6, that pods get addresses of, as of the next playbook."""
        return self._families

    @families.setter
    def families(self, families: list[int]) -> None:
        self._families = families
        for number, name in enumerate(self.nodes, 1):
            addresses = {4: f"200.0.0.{number}0", 6: f"fd00:200::{number}0"}
            self.hosts[name] = {
                "pod_network_pod_cidr": ",".join(self.pod_cidrs(number)),
                "pod_network_node_ip": [addresses[one] for one in families],
            }
        for name in CLUSTER[4]:
            self.variables["pod_network_" + name] = [CLUSTER[one][name] for one in families]

    def state(self) -> dict[str, list[str]]:
        """What the playbooks could change, by node."""
        return {name: node.run("sh", "-c", STATE).stdout.splitlines() for name, node in self.nodes.items()}


def changes(output: str) -> set[str]:
    """The numbers of changed tasks that a recap names."""
    return set(re.findall(r"changed=(\d+)", output))
