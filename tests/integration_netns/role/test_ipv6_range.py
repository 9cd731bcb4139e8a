# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No sender makes a node look for more neighbours than pods can be: of a /64 pods get addresses of a part only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node, wire_up
from tests.support.netns.playbook import Playbook

ROLE = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
PREFIX = "fd00:100:0:1:"
PACKETS = 100_000
# Sends them to as many random addresses of the pod CIDR, of which pods have less than one in 2**50.
ATTACK = f"""
import os, socket
sock, base = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), socket.inet_pton(socket.AF_INET6, "{PREFIX}:")[:8]
for _ in range({PACKETS}):
    try:
        sock.sendto(b"x", (socket.inet_ntop(socket.AF_INET6, base + os.urandom(8)), 9))
    except OSError:  # the node says that it is unreachable
        pass
"""


class Cluster:
    """The role on the first node of two, with both families, a machine on its LAN, and pods."""

    def __init__(self, playbook: Playbook, lan: Node) -> None:
        self.playbook = playbook
        self.node = playbook.node
        self.lan = lan
        variables = {
            "pod_network_cluster_cidr": ["100.100.0.0/16", "fd00:100::/48"],
            "pod_network_service_cidr": ["10.96.0.0/12", "fd00:96::/108"],
            "pod_network_node_cidrs": ["200.0.0.0/24", "fd00:200::/64"],
            "pod_network_persistence": False,
        }
        playbook.variables.update(variables)
        for number in (1, 2, 3):
            playbook.nodes[f"n{number}"] = {
                "pod_network_pod_cidr": f"100.100.{number - 1}.0/24,fd00:100:0:{number}::/64",
                "pod_network_node_ip": f"200.0.0.{number}0,fd00:200::{number}0",
            }
        # A router looks for neighbours by its link-local addresses.
        self.node.run("sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=0")
        self.node.ip("addr add fe80::10/64 dev enp8s0 nodad")
        lan.ip("addr add fd00:200::99/64 dev lan nodad")
        lan.ip("route add fd00:100::/48 via fd00:200::10")

    def converge(self, **variables: Any) -> dict[str, Any]:
        """Run the role with *variables* and return the result of its last task, which may have failed."""
        self.playbook.variables.update(variables)
        return self.playbook.run(ROLE)["n1"][-1]

    def add(self, pod: str, ips: list[str] | None = None) -> str:
        """Have the plugin attach *pod*, with the addresses *ips* if they are given; return its IPv6 address."""
        self.node.ip(f"netns add {pod}")
        self.node.ip(f"-n {pod} link set lo up")
        conf = json.loads(self.node.run("cat", CONF).stdout)
        request = {**conf["plugins"][0], "name": conf["name"], "cniVersion": conf["cniVersion"]}
        request["runtimeConfig"] = {"ips": ips}
        environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": pod, "CNI_NETNS": f"/run/netns/{pod}"}
        environment.update(CNI_IFNAME="eth0", CNI_PATH="/opt/cni/bin", PATH="/usr/sbin:/usr/bin")
        result = json.loads(self.node.run("/opt/cni/bin/humanz-cni", input=json.dumps(request), env=environment).stdout)
        address: str = result["ips"][1]["address"]
        return address

    def reaches(self, pod: str, address: str) -> bool:
        """Return whether *pod* gets an answer from *address*, by neighbours that it has yet to look for."""
        self.node.ip(f"-n {pod} -6 neigh flush all")
        done = self.node.run("ip", "netns", "exec", pod, "ping", "-6", "-c1", "-W5", address, check=False)
        return done.returncode == 0

    def neighbours(self) -> int:
        """The number of the node's IPv6 neighbours on the pods' bridge, whatever their state."""
        return len(self.node.ip("-6 neigh show nud all dev humanz-cni0").splitlines())


@pytest.fixture
def cluster(make_node: Callable[[], Node], tmp_path: Path) -> Cluster:
    """A node that is not converged yet."""
    lan = make_node()
    return Cluster(Playbook(tmp_path, wire_up(make_node(), lan)), lan)


@pytest.mark.alone  # its neighbours are in a table that all namespaces of the machine share
def test_packets_to_a_hundred_thousand_addresses_without_a_pod_make_no_neighbours(cluster: Cluster) -> None:
    assert "file" in cluster.converge()
    addresses = [cluster.add("pod1"), cluster.add("pod2")]
    assert addresses == [f"{PREFIX}:2/120", f"{PREFIX}:3/120"]
    others = [f"{PREFIX}:3", "fd00:200::10", "fd00:200::99"]

    attack = cluster.lan.start(sys.executable, "-c", ATTACK)
    answers = [cluster.reaches("pod1", other) for other in others]
    assert attack.wait() == 0

    assert answers == [True] * len(others)
    assert cluster.neighbours() <= 256
    assert cluster.reaches("pod1", f"{PREFIX}:3")
    # A pod that sends itself is answered as well, and its packets do not go out by the node's default route.
    done = cluster.node.run("ip", "netns", "exec", "pod1", "ping", "-6", "-c1", "-W5", f"{PREFIX}1:0:0:1", check=False)
    assert "Destination unreachable: No route" in done.stdout


def test_a_node_whose_pods_had_the_whole_network_goes_over_to_a_part_under_them(cluster: Cluster) -> None:
    assert "file" in cluster.converge(pod_network_ipv6_prefix_length=64)
    assert cluster.add("pod1") == f"{PREFIX}:2/64"
    assert "file" in cluster.converge(pod_network_ipv6_prefix_length=120)
    assert cluster.add("pod2") == f"{PREFIX}:3/120"
    assert f"{PREFIX}:1/120" in cluster.node.ip("address show dev humanz-cni0")
    assert f"{PREFIX}:1/64" not in cluster.node.ip("address show dev humanz-cni0")
    for one, other in (("pod1", f"{PREFIX}:3"), ("pod2", f"{PREFIX}:2"), ("pod1", "fd00:200::99")):
        assert cluster.reaches(one, other)
    assert cluster.converge()["changed"] is False


def test_a_pod_beyond_the_part_is_not_cut_off(cluster: Cluster) -> None:
    assert "file" in cluster.converge(pod_network_ipv6_prefix_length=64)
    beyond = f"{PREFIX}:1:5"
    assert cluster.add("pod1", ["100.100.0.5", beyond]) == f"{beyond}/64"
    said = cluster.converge(pod_network_ipv6_prefix_length=120)["msg"]
    assert f"pods of this node are in {PREFIX}:/64 ({beyond}): remove them first, by `kubectl drain`" in said
    assert cluster.reaches("pod1", "fd00:200::99")
