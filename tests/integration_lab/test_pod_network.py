# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd's own pods, attached by humanz-cni, on nodes with two networks and both families.

docs/dual-stack.md says how, and what an operator sees of it. test_one_network.py proves, in both families too, what a
second run of site.yml, damage and a boot do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import ROOT
from tests.support.lab.lab_under_test import PEER, LabUnderTest, calls

NODES = ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]
INVENTORY = "inventory/ubuntu-nested-dual-stack"
OUTSIDE = ("203.0.113.10", "fd00:203::10")
PAGE = (ROOT / "docs" / "dual-stack.md").read_text()
# Each fenced block of the page: its language and its text.
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, text in BLOCKS if language == "console" for line in text.splitlines()]


def addresses(node: str) -> list[str]:
    """The node's addresses in the network between the nodes."""
    return ["200.0.0.%s0" % node[-1], "fd00:200::%s0" % node[-1]]


def playbook(lab: LabUnderTest, name: str, *options: str) -> str:
    return lab.ansible("ansible-playbook", f"playbooks/{name}.yml", *options, inventory=INVENTORY)


@pytest.fixture(scope="module")
def said(lab: LabUnderTest) -> Iterator[dict[str, str]]:
    """What the page's commands print, by command, those of the controller first; a reset leaves no trace of them."""
    before = lab.state(NODES)
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
    assert lab.state(NODES) == before


@pytest.fixture(scope="module")
def pods(lab: LabUnderTest, said: dict[str, str]) -> Iterator[dict[str, list[str]]]:
    """A pod on each of the converged nodes: its addresses, by node."""
    yield {node: lab.out("pod", "run", "--publish", "8088:8080", node, "app").split() for node in NODES}
    for node in NODES:
        lab.run("pod", "rm", node, "app")


def test_the_example_inventory_is_the_labs(lab: LabUnderTest) -> None:
    hosts = json.loads(lab.ansible("ansible-inventory", "--list", inventory=INVENTORY))["_meta"]["hostvars"]
    for node in NODES:
        links = json.loads(lab.node(node, "ip", "-json", "address"))
        held = {address["local"]: link["ifname"] for link in links for address in link["addr_info"]}
        between = "enp3s0" if node == "ubuntu-nested-3" else "enp8s0"
        assert [held.get(address) for address in hosts[node]["pod_network_node_ip"]] == [between, between]


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


@pytest.mark.parametrize("node", NODES)
def test_a_pod_sees_the_other_pods_own_addresses(lab: LabUnderTest, pods: dict[str, list[str]], node: str) -> None:
    everybodys = [address for each in NODES for address in pods[each]]
    assert lab.seen(node, "app", *everybodys) == pods[node] * 3


@pytest.mark.parametrize("node", NODES)
def test_the_outside_sees_the_nodes_uplink_addresses(lab: LabUnderTest, pods: dict[str, list[str]], node: str) -> None:
    assert lab.seen(node, "app", *OUTSIDE) == ["192.168.122.1%s" % node[-1], "fd00:122::1%s" % node[-1]]


def test_a_node_sees_a_pods_own_addresses(lab: LabUnderTest, pods: dict[str, list[str]]) -> None:
    serve = f"systemd-run --quiet --unit=peer python3 {PEER} serve 8081"
    lab.node(NODES[1], "sh", "-c", serve + " && until nc -z 127.0.0.1 8081; do sleep 0.1; done")
    assert lab.seen(NODES[0], "app", *(address + " 8081" for address in addresses(NODES[1]))) == pods[NODES[0]]
    lab.node(NODES[1], "systemctl", "stop", "peer")


@pytest.mark.parametrize("node", NODES)
def test_pods_and_published_ports_see_a_nodes_own_addresses(
    lab: LabUnderTest, pods: dict[str, list[str]], node: str
) -> None:
    others = [other for other in NODES if other != node]
    targets = [address for other in others for address in pods[other]]
    published = [address + " 8088" for other in others for address in addresses(other)]
    assert lab.node(node, "sh", "-c", calls(*targets, *published)).split() == addresses(node) * 4


def test_a_pod_reaches_itself_by_its_published_port(lab: LabUnderTest, pods: dict[str, list[str]]) -> None:
    assert lab.seen(NODES[1], "app", "200.0.0.20 8088")


def test_pods_have_the_mtu_of_the_inter_node_interface(lab: LabUnderTest, pods: dict[str, list[str]]) -> None:
    (link,) = json.loads(lab.out("pod", "exec", NODES[0], "app", "--", "ip", "-json", "link", "show", "eth0"))
    (nic,) = json.loads(lab.node(NODES[0], "ip", "-json", "link", "show", "enp8s0"))
    assert link["mtu"] == nic["mtu"]


def test_a_pod_that_ends_gives_everything_back(lab: LabUnderTest, pods: dict[str, list[str]]) -> None:
    state = "ip -br link; iptables-save -t nat | grep -v '^[#:]'; ls /run/netns; find /run/humanz-cni -name 'veth*'"
    before = lab.node(NODES[2], "sh", "-c", state)
    lab.run("pod", "run", "--publish", "8089:8080", NODES[2], "second")
    assert lab.node(NODES[2], "sh", "-c", state) != before
    lab.run("pod", "rm", NODES[2], "second")
    assert lab.node(NODES[2], "sh", "-c", state) == before
