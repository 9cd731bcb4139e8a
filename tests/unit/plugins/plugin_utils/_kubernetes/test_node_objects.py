# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Node objects of Kubernetes say to the pod network, and what is wrong with a saved list of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleParserError

from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes.nodes import (
    Node,
    is_control_plane,
    needed,
    read,
    read_file,
    variables,
)
from tests.support.kubernetes_api_server import node


def read_node(item: dict[str, Any]) -> Node:
    (found,), faults = read([needed(item)])
    assert faults == []
    return found


def told(cidrs: list[str], addresses: list[str]) -> dict[str, Any]:
    return variables(read_node(node("n1", cidrs, addresses)))


def test_pod_cidr_and_node_ip_are_given_once_raw_and_once_for_the_role() -> None:
    assert told(["100.100.0.0/24"], ["200.0.0.10"]) == {
        "kubernetes_internal_ips": ["200.0.0.10"],
        "kubernetes_labels": {},
        "kubernetes_pod_cidrs": ["100.100.0.0/24"],
        "pod_network_node_ip": "200.0.0.10",
        "pod_network_pod_cidr": "100.100.0.0/24",
    }


def test_the_primary_family_comes_first() -> None:
    both = told(["fd00:100::/64", "100.100.0.0/24"], ["fd00:200::10", "200.0.0.10"])
    assert both["pod_network_pod_cidr"] == "fd00:100::/64,100.100.0.0/24"
    assert both["pod_network_node_ip"] == "fd00:200::10,200.0.0.10"


def test_a_next_hop_is_the_first_address_of_a_family_that_pods_have() -> None:
    addresses = ["200.0.0.10", "192.168.122.11", "fd00:200::10"]
    assert told(["100.100.0.0/24"], addresses)["pod_network_node_ip"] == "200.0.0.10"
    assert told([], addresses)["pod_network_node_ip"] == "200.0.0.10,fd00:200::10"
    assert told([], addresses)["kubernetes_internal_ips"] == addresses


def test_what_the_cluster_does_not_say_is_not_set() -> None:
    assert told([], []) == {"kubernetes_internal_ips": [], "kubernetes_labels": {}, "kubernetes_pod_cidrs": []}


def test_internal_ips_that_are_not_the_next_hops_are_left_out() -> None:
    found = variables(read_node(node("n1", ["100.100.0.0/24"], ["10.0.0.1"])), node_ip=False)
    assert sorted(found) == ["kubernetes_labels", "kubernetes_pod_cidrs", "pod_network_pod_cidr"]


def test_the_older_field_of_one_pod_cidr_is_read_too() -> None:
    item = node("n1", ["100.100.0.0/24"], [])
    del item["spec"]["podCIDRs"]
    assert read_node(item).pod_cidrs == ["100.100.0.0/24"]


@pytest.mark.parametrize("role", ["control-plane", "master"])
def test_a_node_of_the_control_plane(role: str) -> None:
    assert is_control_plane(read_node(node("n1", [], [], {"node-role.kubernetes.io/" + role: ""})))
    assert not is_control_plane(read_node(node("n1", [], [], {"node-role.kubernetes.io/worker": ""})))


CODE = "{{ lookup('pipe', 'id') }}"
NO_ADDRESS = "must be an IP address of that machine, without a zone, such as 200.0.0.10"
NO_NETWORK = "must be a network in CIDR notation without host bits, such as 100.100.0.0/24"
NO_LABEL = "must be one that Kubernetes allows: letters, digits and . _ -"


@pytest.mark.parametrize(
    "address",
    [
        *("", "not-an-ip", "200.0.0.10/24", "200.0.0.10\n", " 200.0.0.10", "200.0.0.010", CODE),
        *("2001:db8::1%" + CODE, "2001:db8::1%eth0", "fe80::1", "::ffff:200.0.0.10"),
        *("127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", 7, None, ["200.0.0.10"]),
    ],
)
def test_what_is_not_exactly_a_machines_address_is_that_nodes_fault(address: Any) -> None:
    found = read_node(node("n1", ["100.100.0.0/24"], [address, "200.0.0.11"]))
    assert found.internal_ips == ["200.0.0.11"]
    (fault,) = found.faults
    assert fault["value"].startswith("InternalIP ")
    assert fault["remedy"] == NO_ADDRESS
    assert variables(found)["kubernetes_faults"] == [fault]


@pytest.mark.parametrize(
    "cidr",
    [
        *("100.100.0.1/24", "100.100.0.0", "100.100.0.0/255.255.255.0", "100.100.0.0/33", "100.100.0.0/+24", CODE),
        *("fd00::%" + CODE + "/64", "fd00::/64%eth0", "fd00::/64\n", 7, {"a": 1}),
    ],
)
def test_what_is_not_exactly_a_network_is_that_nodes_fault(cidr: Any) -> None:
    found = read_node(node("n1", [cidr, "100.100.5.0/24"], []))
    assert found.pod_cidrs == ["100.100.5.0/24"]
    assert [(fault["value"].split()[0], fault["remedy"]) for fault in found.faults] == [("podCIDR", NO_NETWORK)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("a", CODE), (CODE, "a"), ("a", "-oProxyCommand"), ("a", "b/c"), ("a", "b\n"), ("a", "x" * 64), ("a", 1)),
        *(("-a", "b"), ("A.b/c", "d"), ("/a", "b"), ("a/b/c", "d"), ("", "a")),
    ],
)
def test_a_label_that_kubernetes_would_not_allow_is_that_nodes_fault(key: str, value: Any) -> None:
    found = read_node(node("n1", [], [], {key: value, "kept": "", "example.com/Kept_too": "a.b_c-d"}))
    assert found.labels == {"kept": "", "example.com/Kept_too": "a.b_c-d"}
    assert [(fault["value"].split()[0], fault["remedy"]) for fault in found.faults] == [("label", NO_LABEL)]


def test_a_refused_value_is_shown_without_template_and_escape_sequence_and_never_long() -> None:
    (fault,) = read_node(node("n1", [], ["{{ a }}{% b %}{# c #}\x1b[2J\u202e" + "x" * 10**6, *["bad"] * 9999])).faults
    assert fault["value"] == (
        r"InternalIP '\x7b\x7b a \x7d\x7d\x7b% b %\x7d\x7b# c #\x7d\x1b[2J\u202e" + "x" * 34 + "'... and 9999 more"
    )


@pytest.mark.parametrize("name", [CODE, "Upper", "a..b", "a.-b", "-a", "a_b", "a\n", "", "x" * 254, None, 7])
def test_a_node_without_a_nodes_name_is_left_out_and_named(name: Any) -> None:
    nodes, (fault,) = read([needed(node(name, [], [])), needed(node("n1", [], []))])
    assert [found.name for found in nodes] == ["n1"]
    assert fault["value"].startswith("node ")
    assert not set("{}\n") & set(fault["value"])
    assert fault["remedy"] == "a node's name must be a lower-case DNS name"


def test_a_name_that_means_something_else_in_an_inventory_or_is_there_twice_is_left_out() -> None:
    names = ("all", "localhost", "n1", "n1")
    nodes, faults = read([needed(node(name, [], [])) for name in names], {"all", "localhost"})
    assert [found.name for found in nodes] == ["n1"]
    taken = "is the name of a group or of the controller itself in Ansible: the node must have another one"
    assert faults == [
        {"value": "node all", "remedy": taken},
        {"value": "node localhost", "remedy": taken},
        {"value": "node n1", "remedy": "is there twice: must be the name of one node"},
    ]


def test_an_address_that_two_nodes_claim_is_neithers() -> None:
    items = [node("n1", [], ["200.0.0.10", "fd00:200::10"]), node("n2", [], ["FD00:200:0::10"]), node("n3", [], [])]
    nodes, _faults = read([needed(item) for item in items])
    assert [found.internal_ips for found in nodes] == [["200.0.0.10"], [], []]
    shared = "is that of %s too: every node must have its own"
    assert [found.faults for found in nodes] == [
        [{"value": "InternalIP fd00:200::10", "remedy": shared % "n2"}],
        [{"value": "InternalIP fd00:200::10", "remedy": shared % "n1"}],
        [],
    ]


def test_addresses_that_nobody_uses_are_no_fault() -> None:
    nodes, _faults = read([needed(node(name, [], ["10.0.0.1", "bad"])) for name in ("n1", "n2")], addresses=False)
    assert [(found.internal_ips, found.faults) for found in nodes] == [([], [])] * 2


@pytest.mark.parametrize("addresses", [5, True, "200.0.0.10", {"type": "InternalIP", "address": "200.0.0.10"}])
def test_addresses_that_are_no_list_are_that_nodes_fault(addresses: Any) -> None:
    found = read_node({**node("n1", ["100.100.0.0/24"], []), "status": {"addresses": addresses}})
    assert (found.pod_cidrs, found.internal_ips) == (["100.100.0.0/24"], [])
    assert [(fault["value"][:11], fault["remedy"]) for fault in found.faults] == [("InternalIP ", NO_ADDRESS)]


@pytest.mark.parametrize("kind", ["List", "NodeList"])
def test_a_saved_list(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps({"kind": kind, "items": [node("n1", [], []), {"kind": "Node", **node("n2", [], [])}]}))
    assert [item["metadata"]["name"] for item in read_file(str(path))] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            "NAME  STATUS", r"nodes.json is not JSON .*: must be written by 'kubectl get nodes --output=json > /"
        ),
        pytest.param('{"kind": "Node"}', r"nodes.json is not a list of nodes: must be written by"),
        pytest.param('{"kind": "List", "items": [{"kind": "Pod"}]}', r"nodes.json holds more than nodes: must be"),
        pytest.param('{"kind": "List", "items": 5}', r"nodes.json is not a list of nodes: must be written by"),
        pytest.param('{"kind": "List", "items": ["Node"]}', r"nodes.json holds more than nodes: must be"),
        pytest.param(None, r"nodes_file .*/nodes.json cannot be read: No such file or directory: must be"),
    ],
)
def test_what_is_no_saved_list_is_named(tmp_path: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "nodes.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AnsibleParserError, match=expected):
        read_file(str(path))
