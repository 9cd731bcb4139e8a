# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a cluster with IPv6: both families on every node, or IPv6 alone."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.node import node_part

CLUSTER = {
    "pod_network_cluster_cidr": ["100.100.0.0/16", "fd00:100::/48"],
    "pod_network_service_cidr": ["10.96.0.0/12", "fd00:96::/108"],
    "pod_network_node_cidrs": ["200.0.0.0/24", "fd00:200::/64"],
}
IPV4_CLUSTER = dict(CLUSTER, pod_network_cluster_cidr="100.100.0.0/16")


def dual(**changes: str) -> dict[str, dict[str, object]]:
    """The three nodes n1 to n3 with both families, and *changes* to n2 (without the prefix pod_network_)."""
    nodes: dict[str, dict[str, object]] = {
        "n%d" % number: {
            "pod_network_pod_cidr": "100.100.%d.0/24,fd00:100:0:%d::/64" % (number - 1, number - 1),
            "pod_network_node_ip": "200.0.0.%d0,fd00:200::%d0" % (number, number),
        }
        for number in (1, 2, 3)
    }
    nodes["n2"].update({"pod_network_" + key: value for key, value in changes.items()})
    return nodes


def problems_of(nodes: dict[str, dict[str, object]], cluster: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in make_plan(cluster, nodes)[1]]


def test_routes_keep_to_their_family() -> None:
    plan, problems = make_plan(CLUSTER, dual())
    assert problems == []
    assert node_part(plan, "n1")["routes"] == [
        {"dst": "100.100.1.0/24", "via": "200.0.0.20"},
        {"dst": "fd00:100:0:1::/64", "via": "fd00:200::20"},
        {"dst": "100.100.2.0/24", "via": "200.0.0.30"},
        {"dst": "fd00:100:0:2::/64", "via": "fd00:200::30"},
    ]


def test_nodes_may_have_addresses_of_a_family_that_pods_have_not() -> None:
    nodes = dual()
    for variables in nodes.values():
        variables["pod_network_pod_cidr"] = str(variables["pod_network_pod_cidr"]).partition(",")[0]
    assert problems_of(nodes, IPV4_CLUSTER) == []


def test_ipv6_alone() -> None:
    nodes: dict[str, dict[str, object]] = {
        "n%d" % number: {
            "pod_network_pod_cidr": "FD00:100:0:%d::/64" % number,
            "pod_network_node_ip": "fd00:200:0::%d0" % number,
        }
        for number in (1, 2)
    }
    settings = {
        "pod_network_cluster_cidr": "fd00:100::/48",
        "pod_network_service_cidr": "fd00:96::/108",
        "pod_network_node_cidrs": ["fd00:200::/64"],
    }
    plan, problems = make_plan(settings, nodes)
    assert problems == []
    assert node_part(plan, "n1") == {
        "pod_cidrs": ["fd00:100:0:1::/64"],
        "pod_ranges": ["fd00:100:0:1::/120"],
        "unreachable": ["fd00:100:0:1::/64"],
        "node_ips": ["fd00:200::10"],
        "cluster_cidrs": ["fd00:100::/48"],
        "routes": [{"dst": "fd00:100:0:2::/64", "via": "fd00:200::20"}],
        "non_masquerade_cidrs": ["fd00:100::/48", "fd00:200::10/128", "fd00:200::20/128"],
        "allowed_sources": [],
        "vxlan": None,
    }


@pytest.mark.parametrize(
    ("pod_cidrs", "length", "ranges"),
    [
        ("100.100.1.0/24,fd00:100:0:1::/64", 120, ["100.100.1.0/24", "fd00:100:0:1::/120"]),
        ("fd00:100:0:1::/64,100.100.4.0/22", 120, ["fd00:100:0:1::/118", "100.100.4.0/22"]),
        ("100.100.1.0/24,fd00:100:0:1::/124", 120, ["100.100.1.0/24", "fd00:100:0:1::/124"]),
        ("100.100.1.0/24,fd00:100:0:1::/64", 112, ["100.100.1.0/24", "fd00:100:0:1::/112"]),
        ("100.100.1.0/24,fd00:100:0:1::/64", 48, ["100.100.1.0/24", "fd00:100:0:1::/64"]),
    ],
)
def test_pods_get_ipv6_addresses_of_no_more_than_is_of_use(pod_cidrs: str, length: int, ranges: list[str]) -> None:
    plan, problems = make_plan(CLUSTER, dual(pod_cidr=pod_cidrs), ipv6_prefix_length=length)
    assert problems == []
    assert node_part(plan, "n2")["pod_ranges"] == ranges


@pytest.mark.parametrize("length", [-1, 0, 127])
def test_a_prefix_length_without_room_for_pods_is_a_problem(length: int) -> None:
    _plan, problems = make_plan(CLUSTER, dual(), ipv6_prefix_length=length)
    text = f"cluster: pod_network_ipv6_prefix_length {length}: must be from 1 to 126, such as 120"
    assert [str(problem) for problem in problems] == [text]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            {"node_ip": "200.0.0.20,fe80::20"},
            [
                "pod_network_node_ip fe80::20: is link-local, and leads nowhere without an interface: "
                "must be a global or unique local address",
                "pod_network_pod_cidr fd00:100:0:1::/64: has no next hop: pod_network_node_ip must have an IPv6 "
                "address too",
            ],
            id="link-local next hop",
        ),
        pytest.param(
            {"node_ip": "::ffff:200.0.0.20,fd00:200::20"},
            [
                "pod_network_node_ip ::ffff:200.0.0.20: is an IPv4-mapped IPv6 address: must be 200.0.0.20",
                "pod_network_pod_cidr 100.100.1.0/24: has no next hop: pod_network_node_ip must have an IPv4 "
                "address too",
            ],
            id="IPv4-mapped node IP",
        ),
        pytest.param(
            {"node_ip": "200.0.0.20,ff02::1"},
            [
                "pod_network_node_ip ff02::1: cannot be a node's address: "
                "must be one by which the other nodes reach this one",
                "pod_network_pod_cidr fd00:100:0:1::/64: has no next hop: pod_network_node_ip must have an IPv6 "
                "address too",
            ],
            id="multicast node IP",
        ),
        pytest.param(
            {"node_ip": "200.0.0.20"},
            [
                "pod_network_pod_cidr fd00:100:0:1::/64: has no next hop: pod_network_node_ip must have an IPv6 "
                "address too"
            ],
            id="node IP of one family, pod CIDRs of both",
        ),
        pytest.param(
            {"node_ip": "200.0.0.20,fd00:201::20"},
            [
                "pod_network_node_ip fd00:201::20: is in none of pod_network_node_cidrs (200.0.0.0/24, "
                "fd00:200::/64): the nodes must reach each other on one network"
            ],
            id="off the node networks",
        ),
        pytest.param(
            {"node_ip": "200.0.0.20,fd00:200::0:10"},
            ["pod_network_node_ip fd00:200::10: is that of n1 too: every node must have its own"],
            id="duplicate in another notation",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24"},
            [
                "pod_network_pod_cidr 100.100.1.0/24: has no IPv6 network: pod_network_cluster_cidr has fd00:100::/48, "
                "so every node must have a part of it"
            ],
            id="a family on the other nodes only",
        ),
        pytest.param(
            {"pod_cidr": "fd00:100:0:1::/64"},
            [
                "pod_network_pod_cidr fd00:100:0:1::/64: has no IPv4 network: pod_network_cluster_cidr has "
                "100.100.0.0/16, so every node must have a part of it"
            ],
            id="IPv4 on the other nodes only",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,fd00:100:0:1::7/64"},
            ["pod_network_pod_cidr fd00:100:0:1::7/64: has host bits set: must be fd00:100:0:1::/64"],
            id="host bits",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,fd00:100:0:1::/127"},
            [
                "pod_network_pod_cidr fd00:100:0:1::/127: is too small for a gateway and a pod: "
                "the prefix must be /126 or shorter"
            ],
            id="too small",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,::ffff:100.100.1.0/120"},
            ["pod_network_pod_cidr ::ffff:100.100.1.0/120: is an IPv4-mapped IPv6 address: must be 100.100.1.0/24"],
            id="IPv4-mapped pod CIDR",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,fe80:0:0:1::/64"},
            [
                "pod_network_pod_cidr fe80:0:0:1::/64: is link-local or multicast: must be global, or unique local "
                "such as fd00:100:0:1::/64",
                "pod_network_pod_cidr fe80:0:0:1::/64: must lie in pod_network_cluster_cidr 100.100.0.0/16, "
                "fd00:100::/48",
            ],
            id="link-local pod CIDR",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,fd00:100:0:2::/80"},
            [
                "pod_network_pod_cidr fd00:100:0:2::/80: overlaps fd00:100:0:2::/64 of n3: "
                "every node must have its own part of the cluster's network"
            ],
            id="overlapping pod CIDR",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,fd00:100:0:1::/64,fd00:100:0:9::/64"},
            ["pod_network_pod_cidr 100.100.1.0/24,fd00:100:0:1::/64,fd00:100:0:9::/64: must have at most one of IPv6"],
            id="two of a family",
        ),
    ],
)
def test_a_fault_of_one_family_is_named(change: dict[str, str], expected: list[str]) -> None:
    assert problems_of(dual(**change), CLUSTER) == ["n2: " + line for line in expected]


def test_a_network_of_every_address_is_none() -> None:
    found = problems_of(dual(), {**CLUSTER, "pod_network_non_masquerade_cidrs": "::/0"})
    assert found == ["cluster: pod_network_non_masquerade_cidrs ::/0: is the whole address space: must be a part of it"]
