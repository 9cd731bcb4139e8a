# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with one network, in which pods meet the gateway, the DNS server and a host that know nothing of pods.

In both families: inventory/one-network, with IPv6 addresses beside its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.topology import ONE_NETWORK, OUTSIDE, Node
from tests.support import ROOT
from tests.support.lab.lab_under_test import PEER, LabUnderTest, calls, newer_collection
from tests.support.lab.stream import Stream

MEMBERS = {node.name: node for node in (Node(ONE_NETWORK, index) for index in (1, 2, 3))}
NODES = list(MEMBERS)
LAN = ONE_NETWORK.uplink
LAN_HOST = LAN.addresses(5)
NODE_PORT, HOST_PORT = "8081", "8088"
INTERVAL = 3  # seconds between two repairs
PATIENCE = 60  # seconds for a machine that is busy with something else
OURS = """\
for family in -4 -6; do ip $family route show proto 217; done
for save in iptables-save ip6tables-save; do $save | grep -E '^-.*HUMANZ'; done
sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding
"""
# A question of DNS without the resolver's library: what address does the server at $0 see?
ASK = "/pod/busybox nslookup -type=$1 whoami.lab $0 | sed -n '/^Name:/,$ s/^Address: *//p'"


def dual_stack() -> dict[str, object]:
    """What inventory/one-network lacks for dual stack; hosts' variables, as they go before its group_vars."""
    cluster = {
        "pod_network_cluster_cidr": ["100.100.0.0/16", "fd00:100::/48"],
        "pod_network_service_cidr": ["10.96.0.0/12", "fd00:96::/108"],
        "pod_network_node_cidrs": ["200.0.0.0/24", "fd00:200::/64"],
        "pod_network_heal_interval": INTERVAL,
    }
    hosts = {
        name: {
            **cluster,
            "pod_network_node_ip": list(node.addresses(LAN)),
            "pod_network_pod_cidr": [node.pod_cidr, "fd00:100:0:%d::/64" % node.index],
        }
        for name, node in MEMBERS.items()
    }
    return {"k8s_cluster": {"hosts": hosts}}


class Cluster:
    """The nodes, a run of site.yml later."""

    def __init__(self, lab: LabUnderTest, inventory: Path) -> None:
        self.lab = lab
        self._inventory = inventory
        self.bare = lab.state(NODES)
        self.site = self.playbook("playbooks/site.yml")
        self.whole = {node: self.ours(node) for node in NODES}

    def playbook(self, name: str, *options: str, **env: str) -> str:
        """What a playbook prints."""
        return self.lab.ansible("ansible-playbook", name, "-i", str(self._inventory), *options, **env)

    def ours(self, node: str) -> list[str]:
        """Routes, rules and forwarding of a node."""
        return self.lab.node(node, "sh", "-c", OURS).splitlines()

    def wait_whole(self, node: str) -> None:
        """Wait until a node has what site.yml made."""
        deadline = time.monotonic() + PATIENCE
        while self.ours(node) != self.whole[node]:
            assert time.monotonic() < deadline, self.lab.node(node, "journalctl", "--no-pager", "-u", "humanz-cni*")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def lab(image: None) -> Iterator[LabUnderTest]:
    """A lab of three nodes with one network."""
    under_test = LabUnderTest("humanz-test-one", "one-network")
    try:
        under_test.run("down")  # what a run that was killed has left
        under_test.run("up", "--topology", "one-network")
        yield under_test
    finally:
        under_test.run("down")


@pytest.fixture(scope="module")
def cluster(lab: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The nodes with a pod network; a reset leaves nothing of it."""
    inventory = tmp_path_factory.mktemp("one_network") / "dual_stack.json"
    inventory.write_text(json.dumps(dual_stack()))
    made = Cluster(lab, inventory)
    yield made
    made.playbook("playbooks/reset.yml", "-e", "pod_network_reset_confirmation=yes")
    assert lab.state(NODES) == made.bare


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[dict[str, list[str]]]:
    """A pod on each node: its addresses, by node."""
    lab, port = cluster.lab, HOST_PORT + ":8080"
    yield {node: lab.out("pod", "run", "--publish", port, node, "app").split() for node in NODES}
    for node in NODES:
        lab.run("pod", "rm", node, "app")


def test_the_example_inventory_is_the_labs(lab: LabUnderTest) -> None:
    listed = ("ansible-inventory", "-i", str(ROOT / "inventory/one-network"), "--list")
    shown = json.loads(subprocess.run(listed, check=True, capture_output=True, text=True).stdout)
    hosts = shown["_meta"]["hostvars"]
    assert {
        name: (host["ansible_host"], host["pod_network_node_ip"], host["pod_network_pod_cidr"])
        for name, host in hosts.items()
    } == {name: (node.uplink_address, node.node_address, node.pod_cidr) for name, node in MEMBERS.items()}
    for name, node in MEMBERS.items():
        (link,) = [link for link in json.loads(lab.node(name, "ip", "-json", "link")) if link["ifname"] != "lo"]
        assert link["ifname"] == LAN.nic_of(node.index)
        assert hosts[name]["pod_network_node_cidrs"] == ["200.0.0.0/24"]
    assert "node-3  running  enp1s0 200.0.0.30  100.100.2.0/24" in lab.out("status")


def test_a_lab_keeps_its_topology(lab: LabUnderTest) -> None:
    refused = lab.run("up", "--topology", "ubuntu-nested", check=False)
    down = "take it down (python3 lab --name humanz-test-one down) before"
    assert f"lab humanz-test-one is one-network; {down} --topology ubuntu-nested" in refused.stderr
    refused = lab.run("reboot", "ubuntu-nested-1", check=False)
    assert "ubuntu-nested-1 is no node: expected node-N or N" in refused.stderr


def test_a_second_run_changes_nothing(cluster: Cluster) -> None:
    assert "changed=0" not in cluster.site
    second = cluster.playbook("playbooks/site.yml", "--diff")
    assert set(re.findall(r"changed=(\d+)", second)) == {"0"}, second


def test_verify_calls_the_gateway_unless_told_otherwise(cluster: Cluster) -> None:
    said = cluster.playbook("playbooks/verify.yml")
    assert set(re.findall(r"failed=(\d+)", said)) == {"0"}
    for family in ("IPv4", "IPv6"):
        assert re.search(r"pod to outside, %s +3 +3 +0\b" % family, said), said


@pytest.mark.parametrize("node", NODES)
def test_other_pods_see_a_pods_own_addresses(cluster: Cluster, pods: dict[str, list[str]], node: str) -> None:
    others = [address for other in NODES if other != node for address in pods[other]]
    assert cluster.lab.seen(node, "app", *others) == pods[node] * 2


def test_nodes_see_a_pods_own_addresses(cluster: Cluster, pods: dict[str, list[str]]) -> None:
    caller, callee = NODES[:2]
    serve = f"systemd-run --quiet --unit=peer python3 {PEER} serve {NODE_PORT}"
    cluster.lab.node(callee, "sh", "-c", f"{serve} && until nc -z 127.0.0.1 {NODE_PORT}; do sleep 0.1; done")
    targets = [f"{address} {NODE_PORT}" for address in MEMBERS[callee].addresses(LAN)]
    assert cluster.lab.seen(caller, "app", *targets) == pods[caller]
    cluster.lab.node(callee, "systemctl", "stop", "peer")


@pytest.mark.parametrize("node", NODES)
def test_all_others_see_the_nodes_addresses(cluster: Cluster, pods: dict[str, list[str]], node: str) -> None:
    """The LAN's other host, the outside, and the DNS server, by its address and as the pod's resolv.conf says."""
    own = list(MEMBERS[node].addresses(LAN))
    assert cluster.lab.seen(node, "app", *LAN_HOST, *OUTSIDE) == own * 2
    in_pod = ("pod", "exec", node, "app", "--")
    for server, kind, address in zip(ONE_NETWORK.gateway, ("a", "aaaa"), own):
        assert cluster.lab.out(*in_pod, "sh", "-c", ASK, server, kind).split() == [address]
    resolved = cluster.lab.out(*in_pod, "getent", "ahostsv4", "whoami.lab").split()
    assert resolved[0] == own[0]


def test_the_lans_other_host_reaches_a_published_port(cluster: Cluster, pods: dict[str, list[str]]) -> None:
    inside = ["ip", "netns", "exec", "%s.lan-host" % cluster.lab.name]
    peer = [sys.executable, str(ROOT / "lab/node") + PEER, "call"]
    for address, caller in zip(MEMBERS[NODES[1]].addresses(LAN), LAN_HOST):
        seen = subprocess.run([*inside, *peer, address, HOST_PORT], check=True, capture_output=True, text=True).stdout
        assert seen.strip() == caller


def test_what_is_removed_comes_back(cluster: Cluster) -> None:
    node, starters = NODES[0], "humanz-cni-heal.timer humanz-cni-heal.path"
    damage = "for family in -4 -6; do ip $family route flush proto 217; done; iptables -t nat -F; ip6tables -F"
    cluster.lab.node(node, "sh", "-c", f"systemctl stop {starters} humanz-cni-check humanz-cni-heal; {damage}")
    assert cluster.ours(node) != cluster.whole[node]
    cluster.lab.node(node, "systemctl", "start", *starters.split())
    cluster.wait_whole(node)


def test_an_upgrade_keeps_open_connections(cluster: Cluster, tmp_path: Path) -> None:
    newer_collection(tmp_path / "ansible_collections/humanz")
    stream = Stream(cluster.lab, *NODES[:2])
    sent, _slowest = stream.read()
    library = ("grep", "^library = ", "/opt/cni/bin/humanz-cni")
    before = cluster.lab.node(NODES[0], *library)
    options = ("-e", '{"pod_network_serial": "100%"}')
    cluster.playbook("humanz.cni.upgrade", *options, ANSIBLE_COLLECTIONS_PATH=str(tmp_path))
    assert cluster.lab.node(NODES[0], *library) != before
    stream.goes_on(sent)
    stream.end()


def test_a_boot_brings_everything_back(cluster: Cluster) -> None:
    node, other = NODES[2], NODES[0]
    cluster.lab.run("reboot", node)
    assert cluster.ours(node) == cluster.whole[node]
    addresses = cluster.lab.out("pod", "run", node, "booted").split()
    assert cluster.lab.node(other, "sh", "-c", calls(*addresses)).split() == list(MEMBERS[other].addresses(LAN))
    assert cluster.lab.seen(node, "booted", *LAN_HOST, *OUTSIDE) == list(MEMBERS[node].addresses(LAN)) * 2
    cluster.lab.run("pod", "rm", node, "booted")
