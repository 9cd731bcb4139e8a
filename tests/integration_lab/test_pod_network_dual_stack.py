# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dual stack on nodes with containerd: docs/dual-stack.md says how, and what an operator sees of it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import pytest
from lab_under_test import ROOT, LabUnderTest

NODES = ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]
PAIRS = list(itertools.permutations(NODES, 2))
INVENTORY = "inventory/ubuntu-nested-dual-stack"
STATE = (ROOT / "molecule/default/tasks/state.sh").read_text()
CALL = ("python3", "/usr/local/lib/lab/peer.py", "call")
PAGE = (ROOT / "docs" / "dual-stack.md").read_text()
# Each fenced block of the page: its language and its text.
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KEPT = re.compile("via|unreachable|HUMANZ")
COMMANDS = [line for language, text in BLOCKS if language == "console" for line in text.splitlines()]


class Pods:
    """A pod on each node, and how they call each other."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.lab = lab
        self.addresses = {node: lab.out("pod", "run", "--publish", "8088:8080", node, "dual").split() for node in NODES}

    def seen(self, node: str, target: str) -> str:
        """The address that the server at *target* sees when the pod on *node* calls it."""
        return self.lab.out("pod", "exec", node, "dual", "--", *CALL, target, "8080").strip()


def playbook(lab: LabUnderTest, name: str, *options: str) -> str:
    return lab.ansible("ansible-playbook", f"playbooks/{name}.yml", *options, inventory=INVENTORY)


def state(lab: LabUnderTest) -> dict[str, list[str]]:
    """Links, addresses, routes, rules, sysctls and files of every node."""
    lines = {node: lab.node(node, "bash", "-s", stdin=STATE).splitlines() for node in NODES}
    # Columns are as wide as the index of an interface's other end.
    return {node: [" ".join(line.split()) for line in found] for node, found in lines.items()}


@pytest.fixture(scope="module")
def said(lab: LabUnderTest) -> Iterator[dict[str, str]]:
    """What the page's commands print, by command, those of the controller first; a reset leaves no trace of them."""
    before = state(lab)
    output = {}
    for command in COMMANDS:
        words = command[2:].split()
        if words[0] == "ansible-playbook":
            assert words[2:] == ["-i", INVENTORY]
            output[command] = playbook(lab, words[1].rpartition(".")[2])
        else:
            output[command] = lab.node(NODES[0], *words)
    yield output
    playbook(lab, "reset", "-e", "pod_network_reset_confirmation=yes")
    assert state(lab) == before


@pytest.fixture(scope="module")
def pods(lab: LabUnderTest, said: dict[str, str]) -> Iterator[Pods]:
    """Pods of containerd's on the converged nodes."""
    yield Pods(lab)
    for node in NODES:
        lab.run("pod", "rm", node, "dual")


@pytest.mark.parametrize("node", NODES)
def test_the_example_inventory_is_the_labs(lab: LabUnderTest, node: str) -> None:
    shown = json.loads(lab.ansible("ansible-inventory", "--host", node, inventory=INVENTORY))
    links = json.loads(lab.node(node, "ip", "-json", "address"))
    held = {address["local"]: link["ifname"] for link in links for address in link["addr_info"]}
    between = "enp3s0" if node == "ubuntu-nested-3" else "enp8s0"
    assert [held.get(address) for address in shown["pod_network_node_ip"]] == [between, between]


def test_the_pages_commands_show_what_it_says(said: dict[str, str]) -> None:
    site, verify, routes, forwarding, rules, conf = said.values()
    assert "failed=0" in site
    assert "unreachable=1" not in site
    table = next(text for _language, text in BLOCKS if "checks" in text)
    for line in table.splitlines()[1:]:
        assert line in verify
    assert set(re.findall(r"changed=(\d+)", verify)) == {"0"}
    for line in routes.splitlines():
        assert line.strip() in PAGE
    assert len(routes.splitlines()) == 3
    assert forwarding.strip() == "net.ipv6.conf.all.forwarding = 1"
    assert "-s fd00:100:0:1::/64" in rules
    ipam = json.loads(conf)["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": "100.100.0.0/24"}], [{"subnet": "fd00:100:0:1::/120"}]]
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


def test_a_second_run_changes_nothing(lab: LabUnderTest, pods: Pods) -> None:
    assert set(re.findall(r"changed=(\d+)", playbook(lab, "site"))) == {"0"}


@pytest.mark.parametrize(("caller", "callee"), PAIRS)
def test_a_pod_sees_the_other_pods_own_addresses(pods: Pods, caller: str, callee: str) -> None:
    assert [pods.seen(caller, address) for address in pods.addresses[callee]] == pods.addresses[caller]


@pytest.mark.parametrize("node", NODES)
def test_the_outside_sees_the_nodes_uplink_addresses(pods: Pods, node: str) -> None:
    number = node[-1]
    assert pods.seen(node, "203.0.113.10") == f"192.168.122.1{number}"
    assert pods.seen(node, "fd00:203::10") == f"fd00:122::1{number}"


def test_a_published_port_leads_to_the_pod_in_both_families(lab: LabUnderTest, pods: Pods) -> None:
    for target, caller in (("200.0.0.20", "200.0.0.10"), ("fd00:200::20", "fd00:200::10")):
        assert lab.node(NODES[0], *CALL, target, "8088").strip() == caller


def test_a_boot_and_the_healer_bring_both_families_back(lab: LabUnderTest, pods: Pods) -> None:
    ours = ("sh", "-c", "ip -4 route show proto 217; ip -6 route show proto 217; ip6tables -S; ip6tables -t nat -S")
    node = NODES[2]
    before = [line for line in lab.node(node, *ours).splitlines() if KEPT.search(line)]
    lab.run("pod", "rm", node, "dual")
    lab.run("reboot", node)
    assert [line for line in lab.node(node, *ours).splitlines() if KEPT.search(line)] == before
    lab.node(node, "sh", "-c", "ip -6 route flush proto 217; ip6tables -F; systemctl start humanz-cni-heal.service")
    assert [line for line in lab.node(node, *ours).splitlines() if KEPT.search(line)] == before
    assert lab.node(node, "sysctl", "-n", "net.ipv6.conf.all.forwarding").strip() == "1"
