# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node, and others of its cluster, get another pod CIDR or node IP: what follows, what goes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

ROLE = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
OLD = {"n1": "100.100.0.0/24", "n2": "100.100.1.0/24"}
STATE = """
ip -4 route show table all | grep -v '^broadcast' | sed 's/ linkdown//'
ip -4 -oneline address | awk '{print $2, $4}'
iptables-save | grep HUMANZ | sed 's/ \\[.*//'
cat /etc/humanz-cni/routes /etc/humanz-cni/rules.v4 /etc/cni/net.d/10-humanz*
"""


class Cluster:
    """The role on the first node of three, and pods on it."""

    def __init__(self, playbook: Playbook) -> None:
        self.playbook = playbook
        self.node = playbook.node
        self.nodes = playbook.nodes
        playbook.variables.update(pod_network_node_cidrs=["200.0.0.0/24"], pod_network_persistence=False)

    def converge(self, check: bool = False) -> list[dict[str, Any]]:
        """Run the role and return the results of its tasks, the last of which may have failed."""
        return self.playbook.run(ROLE, check=check)["n1"]

    def finish(self, check: bool = False) -> bool:
        """Run the role, which must come to its end, and return whether it changed anything."""
        results = self.converge(check)
        assert "file" in results[-1], results[-1]
        return any(result.get("changed") for result in results)

    def state(self) -> str:
        """All that the role and the plugin make of addresses and prefixes."""
        return self.node.run("sh", "-c", STATE).stdout

    def call(self, command: str) -> str:
        """Have the plugin attach a pod, or detach it, by the configuration that is there; return what it prints."""
        conf = json.loads(self.node.run("cat", CONF).stdout)
        request = {**conf["plugins"][0], "name": conf["name"], "cniVersion": conf["cniVersion"]}
        environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": "pod1", "CNI_NETNS": "/run/netns/pod1"}
        environment.update(CNI_IFNAME="eth0", CNI_PATH="/opt/cni/bin", PATH="/usr/sbin:/usr/bin")
        return self.node.run("/opt/cni/bin/humanz-cni", input=json.dumps(request), env=environment).stdout


@pytest.fixture
def cluster(nested: Node, tmp_path: Path) -> Cluster:
    """A converged node with one pod."""
    made = Cluster(Playbook(tmp_path, nested))
    made.finish()
    nested.ip("netns add pod1")
    assert '"100.100.0.2/24"' in made.call("ADD")
    return made


def test_a_new_pod_cidr_is_refused_under_pods_and_followed_without(cluster: Cluster) -> None:
    before = cluster.state()
    cluster.nodes["n1"]["pod_network_pod_cidr"] = "100.100.7.0/24"
    cluster.nodes["n2"]["pod_network_pod_cidr"] = OLD["n1"]
    said = cluster.converge()[-1]["msg"]
    start = (
        "Nothing was changed on any node, as 1 problem must be solved first: n1: pod_network_pod_cidr 100.100.7.0/24"
    )
    assert said.startswith(start + ": pods of this node are in 100.100.0.0/24 (veth")
    assert ", 100.100.0.2): remove them first, by `kubectl drain`" in said
    # Nor by the module alone, which has no preflight before it.
    arguments = {"pod_cidrs": ["100.100.7.0/24"]}
    assert "remove them first" in cluster.node.module("pod_bridge", arguments)["msg"]
    # An end that the plugin was not told of keeps the address reserved.
    cluster.node.ip("netns del pod1")
    assert "(100.100.0.2)" in cluster.node.module("pod_bridge", arguments)["msg"]
    assert cluster.state() == before

    cluster.call("DEL")
    cluster.node.ip("netns add pod1")
    assert cluster.finish(check=True)
    assert cluster.state() == before

    assert cluster.finish()
    assert '"100.100.7.2/24"' in cluster.call("ADD")
    state = cluster.state()
    assert OLD["n2"] not in state
    lines = [line for line in state.splitlines() if "100.100.0." in line and "100.100.0.0/16" not in line]
    assert [line.split(" proto")[0].strip() for line in lines] == [
        "100.100.0.0/24 via 200.0.0.20 dev enp8s0",
        "route add 100.100.0.0/24 via 200.0.0.20",
    ]
    assert "100.100.7.1/24" in state
    assert not cluster.finish()


def test_node_ips_are_followed_under_running_pods(cluster: Cluster) -> None:
    cluster.node.ip("addr del 200.0.0.10/24 dev enp8s0")
    cluster.node.ip("addr add 200.0.0.11/24 dev enp8s0")
    cluster.nodes["n1"]["pod_network_node_ip"] = "200.0.0.11"
    cluster.nodes["n2"]["pod_network_node_ip"] = "200.0.0.25"
    assert cluster.finish()
    state = cluster.state()
    assert "100.100.1.0/24 via 200.0.0.25 dev enp8s0" in state
    assert "200.0.0.20" not in state
    assert "200.0.0.10" not in state
    assert "100.100.0.1/24" in state
    assert not cluster.finish()


def test_a_family_may_be_added_under_running_pods_but_not_taken_away(nested: Node) -> None:
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    nested.ip("link add veth0 master humanz-cni0 type veth peer name other")
    both, clusters = ["100.100.0.0/24", "fd00:100::/64"], ["100.100.0.0/16", "fd00:100::/56"]
    assert nested.module("pod_bridge", {"pod_cidrs": both, "cluster_cidrs": clusters})["changed"] is False
    nested.ip("addr add fd00:100::1/64 dev humanz-cni0 nodad")
    result = nested.module("pod_bridge", {"pod_cidrs": both[:1], "cluster_cidrs": clusters})
    assert "pods of this node are in fd00:100::/64 (veth0)" in result["msg"]
    nested.ip("link del veth0")
    result = nested.module("pod_bridge", {"pod_cidrs": both[:1], "cluster_cidrs": clusters})
    assert result["addresses"] == ["fd00:100::1/64"]
    assert "fd00:100::1" not in nested.ip("address show dev humanz-cni0")


def test_addresses_that_somebody_else_gave_the_bridge_stay(cluster: Cluster) -> None:
    extra = ["192.0.2.1/24", "198.51.100.7/32", "2001:db8::1/64"]
    cluster.node.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/humanz-cni0/disable_ipv6")
    for address in extra:
        cluster.node.ip(f"addr add {address} dev humanz-cni0")
    # Pods are no reason to refuse: what they are in has not changed.
    assert not cluster.finish()
    cluster.call("DEL")
    cluster.playbook.variables["pod_network_cluster_cidr"] = "100.101.0.0/16"
    for number, variables in enumerate(cluster.nodes.values()):
        variables["pod_network_pod_cidr"] = f"100.101.{number}.0/24"
    cluster.playbook.variables["pod_network_force_prune"] = True
    assert cluster.finish()
    shown = cluster.node.ip("address show dev humanz-cni0")
    assert all(address in shown for address in extra)
    # Nor is it the cluster's any more, but the configuration said that it was this node's.
    assert "100.100.0.1/24" not in shown
    assert not cluster.finish()


def test_a_half_done_change_is_undone(nested: Node) -> None:
    """The kernel refuses to take the second address away."""
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 100.100.5.1/24 dev humanz-cni0")
    nested.ip("addr add 100.100.6.1/24 dev humanz-cni0")
    script = (
        '#!/bin/sh\n[ "$*" != "address del 100.100.6.1/24 dev humanz-cni0" ] || set -- address del 1.1.1.1/8 dev lo\n'
    )
    script += 'exec /usr/sbin/ip "$@"\n'
    nested.run("sh", "-c", "cat > /usr/local/bin/ip; chmod 755 /usr/local/bin/ip", input=script)
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    arguments = {"pod_cidrs": ["100.100.0.0/24"], "cluster_cidrs": ["100.100.0.0/16"]}
    result = nested.module("pod_bridge", arguments, path=path)
    assert result["msg"].endswith("Address not found.: everything is as it was before this task")
    assert "100.100.5.1/24" in nested.ip("address show dev humanz-cni0")
