# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for nodes behind a router: who is reached directly and who by VXLAN, and with which addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan import vxlan as plan_vxlan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.node import node_part

VXLAN = {"device": "humanz-vxlan0", "vni": 217, "port": 4789}


def plan_of(
    ips: list[str], pods: list[str], networks: list[str], vxlan: Any = None
) -> tuple[dict[str, Any], list[str]]:
    """Plan nodes n1, n2, … with node IPs and pod CIDRs, comma-separated; return the plan and the problems' texts."""
    nodes = {
        f"n{number}": {"pod_network_node_ip": ip, "pod_network_pod_cidr": pod}
        for number, (ip, pod) in enumerate(zip(ips, pods, strict=True), 1)
    }
    cluster = {
        "pod_network_cluster_cidr": [
            cidr for cidr in ("100.100.0.0/16", "fd01::/16") if (":" in cidr) == (":" in pods[0]) or "," in pods[0]
        ],
        "pod_network_node_cidrs": networks,
    }
    plan, problems = make_plan(cluster, nodes, vxlan or VXLAN)
    assert json.loads(json.dumps(plan)) == plan
    return plan, [str(problem) for problem in problems]


def four() -> dict[str, Any]:
    """Two nodes on each side of a router."""
    ips = ["200.0.0.10", "200.0.0.20", "200.0.1.10", "200.0.1.20"]
    pods = ["100.100.%d.0/24" % number for number in range(4)]
    plan, problems = plan_of(ips, pods, ["200.0.0.0/24", "200.0.1.0/24"])
    assert problems == []
    return plan


def test_neighbours_are_reached_directly_and_others_by_vxlan() -> None:
    assert node_part(four(), "n1")["routes"] == [
        {"dst": "100.100.1.0/24", "via": "200.0.0.20"},
        {"dst": "100.100.2.0/24", "via": "200.0.1.10", "dev": "humanz-vxlan0"},
        {"dst": "100.100.3.0/24", "via": "200.0.1.20", "dev": "humanz-vxlan0"},
    ]


def test_the_interface_and_its_peers_follow_from_the_inventory_alone() -> None:
    assert node_part(four(), "n3")["vxlan"] == {
        **VXLAN,
        "node_ip": "200.0.1.10",
        "mac": "02:d9:c8:00:01:0a",
        "overhead": 50,
        "addresses": ["100.100.2.0"],
        "peers": [
            {"node_ip": "200.0.0.10", "mac": "02:d9:c8:00:00:0a", "neighbours": ["200.0.0.10"]},
            {"node_ip": "200.0.0.20", "mac": "02:d9:c8:00:00:14", "neighbours": ["200.0.0.20"]},
        ],
    }


def test_pods_are_masqueraded_towards_nodes_behind_the_router() -> None:
    """The router knows no pods, and brings back nothing that those nodes answer to them."""
    assert node_part(four(), "n1")["non_masquerade_cidrs"] == ["100.100.0.0/16", "200.0.0.10/32", "200.0.0.20/32"]
    assert node_part(four(), "n4")["non_masquerade_cidrs"] == ["100.100.0.0/16", "200.0.1.10/32", "200.0.1.20/32"]


def test_nodes_that_are_all_on_one_network_get_no_interface() -> None:
    plan, problems = plan_of(["200.0.0.10", "200.0.0.20"], ["100.100.0.0/24", "100.100.1.0/24"], ["200.0.0.0/24"])
    assert problems == []
    assert node_part(plan, "n1")["vxlan"] is None
    assert node_part(plan, "n1")["routes"] == [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}]


def test_the_narrowest_network_tells_who_is_a_neighbour() -> None:
    plan, _problems = plan_of(
        ["200.0.0.10", "200.0.1.10"], ["100.100.0.0/24", "100.100.1.0/24"], ["200.0.0.0/16", "200.0.1.0/24"]
    )
    assert node_part(plan, "n1")["routes"][0]["dev"] == "humanz-vxlan0"


def test_both_families_by_one_interface() -> None:
    """IPv6 pods' next hop is the link-local address that the peer's MAC address stands for."""
    plan, problems = plan_of(
        ["200.0.0.10,fd00:200::10", "200.0.1.10,fd00:201::10"],
        ["100.100.0.0/24,fd01:0:0:0::/64", "100.100.1.0/24,fd01:0:0:1::/64"],
        ["200.0.0.0/24", "200.0.1.0/24", "fd00:200::/64", "fd00:201::/64"],
    )
    assert problems == []
    part = node_part(plan, "n1")
    assert part["routes"] == [
        {"dst": "100.100.1.0/24", "via": "200.0.1.10", "dev": "humanz-vxlan0"},
        {"dst": "fd01:0:0:1::/64", "via": "fe80::d9:c8ff:fe00:10a", "dev": "humanz-vxlan0"},
    ]
    assert part["vxlan"]["peers"] == [
        {"node_ip": "200.0.1.10", "mac": "02:d9:c8:00:01:0a", "neighbours": ["200.0.1.10", "fe80::d9:c8ff:fe00:10a"]}
    ]
    assert part["vxlan"]["addresses"] == ["100.100.0.0", "fd01::"]


def test_ipv6_alone_carries_itself() -> None:
    plan, problems = plan_of(
        ["fd00:200::10", "fd00:201::10"], ["fd01:0:0:0::/64", "fd01:0:0:1::/64"], ["fd00:200::/64", "fd00:201::/64"]
    )
    assert problems == []
    vxlan = node_part(plan, "n1")["vxlan"]
    assert vxlan["overhead"] == 70
    assert vxlan["node_ip"] == "fd00:200::10"
    assert vxlan["peers"][0]["node_ip"] == "fd00:201::10"


def test_a_node_without_an_address_of_the_family_that_carries_is_a_problem() -> None:
    _plan, problems = plan_of(
        ["200.0.0.10,fd00:200::10", "200.0.1.10,fd00:201::10", "fd00:201::20"],
        ["100.100.0.0/24,fd01:0:0:0::/64", "100.100.1.0/24,fd01:0:0:1::/64", "fd01:0:0:2::/64"],
        ["200.0.0.0/24", "200.0.1.0/24", "fd00:200::/64", "fd00:201::/64"],
    )
    assert not [text for text in problems if "VXLAN" in text]  # every one has IPv6
    _plan, problems = plan_of(
        ["200.0.0.10", "200.0.1.10", "fd00:201::20"],
        ["100.100.0.0/24,fd01:0:0:0::/64", "100.100.1.0/24,fd01:0:0:1::/64", "fd01:0:0:2::/64"],
        ["200.0.0.0/24", "200.0.1.0/24", "fd00:201::/64"],
    )
    expected = (
        "n3: pod_network_node_ip fd00:201::20: has no IPv4 address, by which the nodes reach each other with VXLAN"
    )
    assert expected in problems


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"device": "a-name-too-long-for-it"}, "cluster: pod_network_vxlan_device a-name-too-long-for-it: must be an"),
        ({"vni": 0}, "cluster: pod_network_vxlan_id 0: must be 1 to 16777215"),
        ({"port": 65536}, "cluster: pod_network_vxlan_port 65536: must be a UDP port"),
    ],
)
def test_settings_that_no_interface_can_have_are_problems(change: dict[str, Any], expected: str) -> None:
    _plan, problems = plan_of(["200.0.0.10"], ["100.100.0.0/24"], ["200.0.0.0/24"], {**VXLAN, **change})
    assert len(problems) == 1
    assert problems[0].startswith(expected)


def test_mac_addresses_are_locally_administered_and_differ() -> None:
    made = {plan_vxlan.mac("fd00:%x::10" % number) for number in range(1000)}
    made |= {plan_vxlan.mac("10.0.%d.10" % number) for number in range(250)}
    assert len(made) == 1250
    assert all(address.startswith("02:") for address in made)
