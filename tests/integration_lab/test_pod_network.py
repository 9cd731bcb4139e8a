# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml on the lab: containerd's own pods, attached by humanz-cni, reach each other with their own addresses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from lab_under_test import LabUnderTest

NODES = ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]
PAIRS = list(itertools.permutations(NODES, 2))
CALL = ("python3", "/usr/local/lib/lab/peer.py", "call")


@pytest.fixture(scope="module")
def pods(lab: LabUnderTest) -> Iterator[dict[str, str]]:
    """A pod on each node of a converged cluster: its address, by node."""
    lab.ansible("ansible-playbook", "playbooks/site.yml")
    yield {node: lab.out("pod", "run", "--publish", "8088:8080", node, "app").strip() for node in NODES}
    for node in NODES:
        lab.run("pod", "rm", node, "app")
    lab.ansible("ansible-playbook", "playbooks/reset.yml", "-e", "pod_network_reset_confirmation=yes")
    assert lab.node(NODES[0], "sh", "-c", "ls /etc/cni/net.d; ip -br link show type bridge").strip() == ""


def seen_from(lab: LabUnderTest, node: str, target: str, port: str = "8080") -> str:
    """The address that the server at ``target`` sees when the pod on ``node`` calls it."""
    return lab.out("pod", "exec", node, "app", "--", *CALL, target, port).strip()


@pytest.mark.parametrize(("caller", "callee"), PAIRS)
def test_a_pod_sees_the_other_pods_own_address(
    lab: LabUnderTest, pods: dict[str, str], caller: str, callee: str
) -> None:
    assert seen_from(lab, caller, pods[callee]) == pods[caller]


@pytest.mark.parametrize("node", NODES)
def test_the_outside_sees_the_nodes_uplink_address(lab: LabUnderTest, pods: dict[str, str], node: str) -> None:
    assert seen_from(lab, node, "203.0.113.10") == "192.168.122.1%s" % node[-1]


def test_a_node_sees_the_pods_own_address(lab: LabUnderTest, pods: dict[str, str]) -> None:
    serve = "systemd-run --quiet --unit=peer python3 /usr/local/lib/lab/peer.py serve 8081"
    lab.node(NODES[1], "sh", "-c", serve + " && until nc -z 127.0.0.1 8081; do sleep 0.1; done")
    try:
        assert seen_from(lab, NODES[0], "200.0.0.20", "8081") == pods[NODES[0]]
    finally:
        lab.node(NODES[1], "systemctl", "stop", "peer")


def test_a_published_port_leads_to_the_pod_from_another_node(lab: LabUnderTest, pods: dict[str, str]) -> None:
    assert lab.node(NODES[0], *CALL, "200.0.0.20", "8088").strip() == "200.0.0.10"


def test_a_pod_reaches_itself_by_its_published_port(lab: LabUnderTest, pods: dict[str, str]) -> None:
    assert seen_from(lab, NODES[1], "200.0.0.20", "8088")


def test_pods_have_the_mtu_of_the_inter_node_interface(lab: LabUnderTest, pods: dict[str, str]) -> None:
    (link,) = json.loads(lab.out("pod", "exec", NODES[0], "app", "--", "ip", "-json", "link", "show", "eth0"))
    (nic,) = json.loads(lab.node(NODES[0], "ip", "-json", "link", "show", "enp8s0"))
    assert link["mtu"] == nic["mtu"]


def test_a_pod_that_ends_gives_everything_back(lab: LabUnderTest, pods: dict[str, str]) -> None:
    state = "ip -br link; iptables-save -t nat | grep -v '^[#:]'; ls /run/netns"
    before = lab.node(NODES[2], "sh", "-c", state)
    lab.run("pod", "run", "--publish", "8089:8080", NODES[2], "second")
    assert lab.node(NODES[2], "sh", "-c", state) != before
    lab.run("pod", "rm", NODES[2], "second")
    assert lab.node(NODES[2], "sh", "-c", state) == before
