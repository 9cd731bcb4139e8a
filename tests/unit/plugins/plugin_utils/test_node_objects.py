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
from kubernetes_api_server import node

from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes_nodes import (
    is_control_plane,
    read_file,
    read_node,
    variables,
)


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


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(node("{{ 1 }}", [], []), r"node '{{ 1 }}': a node's name must be a lower-case DNS name"),
        pytest.param(node("n1", ["100.100.0.1/24"], []), r"node n1: podCIDR 100.100.0.1/24: .* has host bits set"),
        pytest.param(node("n1", [], ["{{ 1 }}"]), r"node n1: InternalIP {{ 1 }}: .* not appear to be an IPv4 or IPv6"),
        pytest.param(node("n1", [], [], {"a": "{{ 1 }}"}), r"node n1: label 'a': '{{ 1 }}' is none that Kubernetes"),
    ],
)
def test_what_kubernetes_never_says_is_refused(item: dict[str, Any], expected: str) -> None:
    with pytest.raises(AnsibleParserError, match=expected):
        read_node(item)


@pytest.mark.parametrize("kind", ["List", "NodeList"])
def test_a_saved_list(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps({"kind": kind, "items": [node("n1", [], []), {"kind": "Node", **node("n2", [], [])}]}))
    assert [item.name for item in read_file(str(path))] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            "NAME  STATUS", r"nodes.json is not JSON .*: must be written by 'kubectl get nodes --output=json > /"
        ),
        pytest.param('{"kind": "Node"}', r"nodes.json is not a list of nodes: must be written by"),
        pytest.param('{"kind": "List", "items": [{"kind": "Pod"}]}', r"nodes.json holds more than nodes: must be"),
        pytest.param(None, r"nodes_file .*/nodes.json cannot be read: No such file or directory: must be"),
    ],
)
def test_what_is_no_saved_list_is_named(tmp_path: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "nodes.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AnsibleParserError, match=expected):
        read_file(str(path))
