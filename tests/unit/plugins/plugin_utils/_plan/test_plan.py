# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what the inventory's values make of a cluster, and all that can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.node import node_part
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.problems import Unreadable

CLUSTER = {
    "pod_network_cluster_cidr": "100.100.0.0/16",
    "pod_network_service_cidr": "10.96.0.0/12",
    "pod_network_node_cidrs": ["200.0.0.0/24"],
    "pod_network_non_masquerade_cidrs": ["192.168.0.0/16"],
}


def nested(**changes: dict[str, object]) -> dict[str, dict[str, object]]:
    """The three nodes n1 to n3, with *changes* to their variables (without the prefix pod_network_)."""
    nodes: dict[str, dict[str, object]] = {
        "n%d" % number: {
            "pod_network_pod_cidr": "100.100.%d.0/24" % (number - 1),
            "pod_network_node_ip": "200.0.0.%d0" % number,
        }
        for number in (1, 2, 3)
    }
    for name, variables in changes.items():
        nodes.setdefault(name, {}).update({"pod_network_" + key: value for key, value in variables.items()})
    return nodes


def problems_of(nodes: dict[str, dict[str, object]], **cluster: object) -> list[str]:
    settings = dict(CLUSTER, **{"pod_network_" + key: value for key, value in cluster.items()})
    return [str(problem) for problem in make_plan(settings, nodes)[1]]


def test_every_node_gets_routes_to_all_others() -> None:
    plan, problems = make_plan(CLUSTER, nested())
    assert problems == []
    assert node_part(plan, "n2") == {
        "pod_cidrs": ["100.100.1.0/24"],
        "pod_ranges": ["100.100.1.0/24"],
        "unreachable": [],
        "node_ips": ["200.0.0.20"],
        "cluster_cidrs": ["100.100.0.0/16"],
        "routes": [{"dst": "100.100.0.0/24", "via": "200.0.0.10"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}],
        "non_masquerade_cidrs": [
            "100.100.0.0/16",
            "200.0.0.10/32",
            "200.0.0.20/32",
            "200.0.0.30/32",
            "192.168.0.0/16",
        ],
        "allowed_sources": [],
        "vxlan": None,
    }


@pytest.mark.parametrize(
    ("numbers", "merged"),
    [
        ((10, 11, 12), ["200.0.0.10/31", "200.0.0.12/32"]),
        (range(16, 32), ["200.0.0.16/28"]),
        (range(1, 5), ["200.0.0.1/32", "200.0.0.2/31", "200.0.0.4/32"]),
    ],
)
def test_nodes_are_excepted_from_masquerading_and_none_of_their_neighbours(
    numbers: Iterable[int], merged: list[str]
) -> None:
    nodes: dict[str, dict[str, object]] = {
        "n%d" % number: {
            "pod_network_pod_cidr": "100.100.%d.0/24" % number,
            "pod_network_node_ip": "200.0.0.%d" % number,
        }
        for number in numbers
    }
    plan, problems = make_plan(dict(CLUSTER, pod_network_non_masquerade_cidrs=None), nodes)
    assert problems == []
    for name in nodes:
        assert node_part(plan, name)["non_masquerade_cidrs"] == ["100.100.0.0/16", *merged]


def test_a_network_that_is_named_stands_for_the_nodes_in_it() -> None:
    plan, problems = make_plan(dict(CLUSTER, pod_network_non_masquerade_cidrs="200.0.0.16/28"), nested())
    assert problems == []
    assert node_part(plan, "n3")["non_masquerade_cidrs"] == ["100.100.0.0/16", "200.0.0.10/32", "200.0.0.16/28"]


def test_pods_and_nodes_are_among_those_who_may_open_connections() -> None:
    settings = dict(CLUSTER, pod_network_allowed_sources=["192.168.122.0/24", "fd00:1::/64"])
    plan, problems = make_plan(settings, nested(n1={"node_ip": "200.0.0.21"}))
    assert problems == []
    allowed = ["100.100.0.0/16", "192.168.122.0/24", "200.0.0.20/31", "200.0.0.30/32", "fd00:1::/64"]
    assert node_part(plan, "n2")["allowed_sources"] == allowed


def test_the_plan_is_json_and_holds_each_node_once() -> None:
    sizes = []
    for count in (50, 100):
        nodes = {
            "n%d" % number: {
                "pod_network_pod_cidr": "100.100.%d.0/24" % number,
                "pod_network_node_ip": "200.0.0.%d" % (number + 1),
            }
            for number in range(count)
        }
        plan, problems = make_plan(CLUSTER, nodes)
        assert problems == []
        text = json.dumps(plan)
        assert json.loads(text) == plan
        sizes.append(len(text))
    assert sizes[1] < 2.1 * sizes[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            {"pod_cidr": None},
            "n2: pod_network_pod_cidr is not set: must be in CIDR notation, such as 100.100.0.0/24",
            id="no pod CIDR",
        ),
        pytest.param(
            {"node_ip": ""},
            "n2: pod_network_node_ip is not set: "
            "must be the address by which the other nodes reach this one, such as 200.0.0.10",
            id="no node IP",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0"},
            "n2: pod_network_pod_cidr 100.100.1.0: must be in CIDR notation, such as 100.100.0.0/24",
            id="no prefix length",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/33"},
            "n2: pod_network_pod_cidr 100.100.1.0/33: must be in CIDR notation, such as 100.100.0.0/24",
            id="impossible prefix length",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/255.255.255.0"},
            "n2: pod_network_pod_cidr 100.100.1.0/255.255.255.0: must be in CIDR notation, such as 100.100.0.0/24",
            id="a netmask",
        ),
        pytest.param(
            {"pod_cidr": "fd::%{{ a }}/64"},
            r"n2: pod_network_pod_cidr 'fd::%\x7b\x7b a \x7d\x7d/64': must be in CIDR notation, such as 100.100.0.0/24",
            id="a network with a zone",
        ),
        pytest.param(
            {"node_ip": "2001:db8::1%{{ a }}"},
            r"n2: pod_network_node_ip '2001:db8::1%\x7b\x7b a \x7d\x7d': must be an IP address, such as 200.0.0.10",
            id="an address with a zone",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.7/24"},
            "n2: pod_network_pod_cidr 100.100.1.7/24: has host bits set: must be 100.100.1.0/24",
            id="host bits",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/31"},
            "n2: pod_network_pod_cidr 100.100.1.0/31: is too small for a gateway and a pod: "
            "the prefix must be /30 or shorter",
            id="too small",
        ),
        pytest.param(
            {"pod_cidr": "100.101.1.0/24"},
            "n2: pod_network_pod_cidr 100.101.1.0/24: must lie in pod_network_cluster_cidr 100.100.0.0/16",
            id="outside the cluster",
        ),
        pytest.param(
            {"pod_cidr": "100.100.1.0/24,100.100.9.0/24"},
            "n2: pod_network_pod_cidr 100.100.1.0/24,100.100.9.0/24: must have at most one of IPv4",
            id="two of a family",
        ),
        pytest.param(
            {"node_ip": "200.0.0"},
            "n2: pod_network_node_ip 200.0.0: must be an IP address, such as 200.0.0.10",
            id="broken node IP",
        ),
        pytest.param(
            {"node_ip": "10.0.0.20"},
            "n2: pod_network_node_ip 10.0.0.20: is in none of pod_network_node_cidrs (200.0.0.0/24): "
            "the nodes must reach each other on one network",
            id="off the node networks",
        ),
        pytest.param(
            {"node_ip": "200.0.0.10"},
            "n2: pod_network_node_ip 200.0.0.10: is that of n1 too: every node must have its own",
            id="duplicate node IP",
        ),
        pytest.param(
            {"pod_cidr": "100.100.0.0/24"},
            "n2: pod_network_pod_cidr 100.100.0.0/24: overlaps 100.100.0.0/24 of n1: "
            "every node must have its own part of the cluster's network",
            id="duplicate pod CIDR",
        ),
        pytest.param(
            {"pod_cidr": "100.100.2.128/25"},
            "n2: pod_network_pod_cidr 100.100.2.128/25: overlaps 100.100.2.0/24 of n3: "
            "every node must have its own part of the cluster's network",
            id="overlapping pod CIDR",
        ),
    ],
)
def test_a_fault_of_one_node_is_named_with_value_and_remedy(change: dict[str, object], expected: str) -> None:
    assert problems_of(nested(n2=change)) == [expected]


def test_a_pod_cidr_apart_from_nothing() -> None:
    problems = problems_of(
        nested(n2={"pod_cidr": "200.0.0.0/25"}),
        cluster_cidr=["100.100.0.0/16", "200.0.0.0/24"],
        service_cidr="200.0.0.64/26",
    )
    assert (
        "n2: pod_network_pod_cidr 200.0.0.0/25: overlaps pod_network_service_cidr 200.0.0.64/26: must not overlap it"
        in problems
    )
    assert (
        "n2: pod_network_pod_cidr 200.0.0.0/25: overlaps pod_network_node_cidrs 200.0.0.0/24: must not overlap it"
        in problems
    )
    for node, address in (("n1", "200.0.0.10"), ("n2", "200.0.0.20"), ("n3", "200.0.0.30")):
        assert (
            f"n2: pod_network_pod_cidr 200.0.0.0/25: covers pod_network_node_ip {address} of {node}: "
            "must not contain an address of a node"
        ) in problems


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        pytest.param(
            {"node_cidrs": []},
            "cluster: pod_network_node_cidrs is not set: must be in CIDR notation, such as 192.168.1.0/24",
            id="no node networks",
        ),
        pytest.param(
            {"service_cidr": "100.100.128.0/17"},
            "cluster: pod_network_cluster_cidr 100.100.0.0/16: overlaps pod_network_service_cidr 100.100.128.0/17: "
            "must not overlap it",
            id="services within the pods' network",
        ),
        pytest.param(
            {"non_masquerade_cidrs": ["somewhere"]},
            "cluster: pod_network_non_masquerade_cidrs somewhere: must be in CIDR notation, such as 192.168.2.0/24, "
            "or 192.168.1.5/32 for one host",
            id="no network",
        ),
        pytest.param(
            {"allowed_sources": ["192.168.1.5"]},
            "cluster: pod_network_allowed_sources 192.168.1.5: must be in CIDR notation, such as 192.168.2.0/24, "
            "or 192.168.1.5/32 for one host",
            id="one host without its prefix length",
        ),
        pytest.param(
            {"allowed_sources": ["192.168.122.1/24"]},
            "cluster: pod_network_allowed_sources 192.168.122.1/24: has host bits set: must be 192.168.122.0/24",
            id="allowed sources with host bits",
        ),
    ],
)
def test_a_fault_of_the_cluster_is_named(cluster: dict[str, object], expected: str) -> None:
    assert problems_of(nested(), **cluster) == [expected]


def test_all_faults_are_reported_at_once() -> None:
    nodes = nested(n1={"pod_cidr": None}, n2={"node_ip": "200.0.0.30"}, n3={"pod_cidr": "100.100.2.5/24"})
    assert len(problems_of(nodes)) == 3


def test_an_empty_group_is_a_fault() -> None:
    assert problems_of({}) == ["cluster: the group of nodes is empty: name the inventory group that holds the nodes"]


def test_a_network_that_holds_many_is_found_for_each() -> None:
    nodes = nested(wide={"pod_cidr": "100.100.0.0/20", "node_ip": "200.0.0.99"})
    problems = problems_of(nodes)
    assert len(problems) == 3
    assert all("overlaps 100.100.0.0/20 of wide" in problem for problem in problems)


def test_a_node_outside_the_plan_is_a_key_error() -> None:
    plan, _problems = make_plan(CLUSTER, nested())
    with pytest.raises(KeyError):
        node_part(plan, "n9")


def test_problems_come_in_the_order_of_the_nodes() -> None:
    nodes = nested(n3={"pod_cidr": "no"}, n1={"node_ip": "200.0.0.30"}, n2={"pod_cidr": "100.100.0.0/25"})
    found = problems_of(nodes, service_cidr="no")
    assert [line.split(":")[0] for line in found] == ["cluster", "n2", "n3", "n3"]


def test_a_variable_without_a_value_says_why() -> None:
    assert problems_of(nested(n2={"node_ip": Unreadable("'eth0' is undefined")})) == [
        "n2: pod_network_node_ip cannot be read from the inventory ('eth0' is undefined): "
        "must depend on nothing but the inventory"
    ]
