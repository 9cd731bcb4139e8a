# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes are the machines that inventory/ubuntu-nested describes."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from tests.support.lab.lab_under_test import LabUnderTest

NODES = ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]


def addresses(lab: LabUnderTest, node: str) -> dict[str, str]:
    """The node's IPv4 addresses by interface."""
    shown = json.loads(lab.node(node, "ip", "-json", "-4", "address"))
    return {link["ifname"]: link["addr_info"][0]["local"] for link in shown if link["ifname"] != "lo"}


@pytest.fixture(scope="module")
def described(lab: LabUnderTest) -> dict[str, dict[str, Any]]:
    """Every host's variables, as Ansible reads them from the example alone."""
    described: dict[str, dict[str, Any]] = json.loads(lab.ansible("ansible-inventory", "--list"))["_meta"]["hostvars"]
    return described


@pytest.mark.parametrize("node", NODES)
def test_wires_are_those_of_the_example(lab: LabUnderTest, described: dict[str, dict[str, Any]], node: str) -> None:
    inter_node = "enp3s0" if node == "ubuntu-nested-3" else "enp8s0"
    host = described[node]
    assert addresses(lab, node) == {"enp1s0": host["ansible_host"], inter_node: host["pod_network_node_ip"]}
    (network,) = host["pod_network_node_cidrs"]
    assert ipaddress.ip_address(host["pod_network_node_ip"]) in ipaddress.ip_network(network)


def test_nodes_reach_each_other_and_the_outside(lab: LabUnderTest) -> None:
    for target in ("200.0.0.20", "200.0.0.30", "192.168.122.1", "203.0.113.10"):
        lab.node("1", "ping", "-c", "1", "-W", "2", target)


def test_a_node_is_bare(lab: LabUnderTest) -> None:
    assert lab.node("1", "sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert lab.node("1", "ls", "/etc/cni/net.d") == ""
    assert lab.node("1", "iptables", "-t", "nat", "-S").count("-A") == 0
    assert "pyroute2" not in lab.node("1", "python3", "-c", "help('modules')")


def test_a_node_can_change_no_kernel_setting_of_the_machine_at_boot(lab: LabUnderTest) -> None:
    settings = lab.node("1", "systemd-analyze", "cat-config", "sysctl.d").splitlines()
    assert [line for line in settings if line.strip() and not line.startswith(("#", ";"))] == []


def test_a_node_is_added_and_removed(lab: LabUnderTest) -> None:
    lab.run("add", "4")
    try:
        gateway = lab.node("4", "sh", "-c", "ping -c 1 -W 2 192.168.122.1 > /dev/null; ip neigh show 192.168.122.1")
        assert "52:54:00:00:00:00" in gateway
        assert addresses(lab, "ubuntu-nested-4") == {"enp1s0": "192.168.122.14", "enp8s0": "200.0.0.40"}
        shown = json.loads(lab.ansible("ansible-inventory", "--host", "ubuntu-nested-4"))
        assert (shown["pod_network_node_ip"], shown["pod_network_pod_cidr"]) == ("200.0.0.40", "100.100.3.0/24")
        assert shown["pod_network_cluster_cidr"] == "100.100.0.0/16"
        lab.node("1", "ping", "-c", "1", "-W", "2", "200.0.0.40")
        lab.run("up")
        assert "ubuntu-nested-4" in lab.out("status")
    finally:
        lab.run("remove", "ubuntu-nested-4")
    assert "ubuntu-nested-4" not in lab.out("status") + lab.out("inventory")
