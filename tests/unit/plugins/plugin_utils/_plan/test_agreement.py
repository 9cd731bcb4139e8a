# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where inventory and cluster disagree: contradicting values are problems, absent hosts are warnings."""

from __future__ import annotations

from typing import Any

from ansible_collections.humanz.cni.plugins.plugin_utils._plan.agreement import (
    SHOWN,
    VERIFY_VARIABLES,
    absences,
    differences,
    disagreements,
)
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.problems import Unreadable

CLUSTER = {"pod_network_cluster_cidr": "100.100.0.0/16,fd00:100::/48", "pod_network_node_cidrs": "200.0.0.0/24"}


def said(**changes: Any) -> list[str]:
    """Return the lines about one node, with *changes* to variables that agree."""
    variables = {
        "pod_network_pod_cidr": "100.100.0.0/24",
        "pod_network_node_ip": "200.0.0.10",
        "kubernetes_pod_cidrs": ["100.100.0.0/24"],
        "kubernetes_internal_ips": ["200.0.0.10"],
        "kubernetes_nodes_group": "k8s_cluster",
        **changes,
    }
    plan, _problems = make_plan(CLUSTER, {"n1": variables})
    return [str(problem) for problem in disagreements(plan, {"n1": variables})]


def test_agreement() -> None:
    assert said() == []
    assert said(kubernetes_internal_ips=["192.168.122.11", "200.0.0.10"]) == []
    both = ["fd00:100::/64", "100.100.0.0/24"]
    assert said(pod_network_pod_cidr="100.100.0.0/24,FD00:100:0::/64", kubernetes_pod_cidrs=both) == []


def test_another_pod_cidr_than_the_clusters() -> None:
    assert said(pod_network_pod_cidr="100.100.7.0/24") == [
        "n1: pod_network_pod_cidr 100.100.7.0/24: is not what Kubernetes gave the node: must be 100.100.0.0/24; "
        "remove it from host_vars and other sources, so that this value applies"
    ]
    assert len(said(kubernetes_pod_cidrs=["100.100.0.0/24", "fd00:100::/64"])) == 1
    assert len(said(pod_network_pod_cidr=["100.100.0.0/24", "fd00:100::/64"])) == 1


def test_another_node_ip_than_the_clusters() -> None:
    assert said(kubernetes_internal_ips=["192.168.122.11", "192.168.122.12"]) == [
        "n1: pod_network_node_ip 200.0.0.10: is none of the node's InternalIPs in Kubernetes: must be 192.168.122.11 "
        "or 192.168.122.12; where the nodes reach each other by other addresses, set node_ip_from_internal_ip to false "
        "in the inventory source"
    ]


def test_where_one_says_nothing_there_is_no_disagreement() -> None:
    assert said(kubernetes_pod_cidrs=None, kubernetes_internal_ips=None) == []
    assert said(kubernetes_pod_cidrs=[], kubernetes_internal_ips=[]) == []
    assert said(pod_network_pod_cidr=None, pod_network_node_ip=None) == []
    assert said(kubernetes_pod_cidrs=Unreadable("x"), kubernetes_nodes_group=Unreadable("x")) == []


def test_a_source_that_could_not_be_read_stops_the_run() -> None:
    assert said(kubernetes_nodes_unread="/i/kubernetes_nodes.yml") == [
        "cluster: the inventory source /i/kubernetes_nodes.yml could not be read: must be readable, or this run would "
        "take the nodes for removed: see the warning at its start"
    ]


def test_what_the_source_does_not_use_stops_the_run() -> None:
    fault = {"value": "InternalIP not-an-ip", "remedy": "must be an IP address"}
    left_out = {"value": "node all", "remedy": "is the name of a group"}
    assert said(kubernetes_faults=[fault], kubernetes_nodes_left_out=[left_out, left_out]) == [
        "cluster: node all: is the name of a group",
        "n1: InternalIP not-an-ip: must be an IP address",
    ]
    assert said(kubernetes_faults="x", kubernetes_nodes_left_out=["x"]) == []
    assert said(kubernetes_faults=Unreadable("x"), kubernetes_nodes_left_out=Unreadable("x")) == []


def member(group: str | None = "k8s_cluster") -> dict[str, Any]:
    return {"kubernetes_nodes_group": group}


def test_hosts_that_are_no_nodes_of_the_cluster_are_warned_of() -> None:
    lines = absences({"n1": member(), "joins": member(None)}, {"k8s_cluster": ["n1", "joins"]})
    assert len(lines) == 1
    assert lines[0].startswith(
        "no nodes of the Kubernetes cluster, but of the inventory: joins. That is right for nodes"
    )


def test_nodes_of_the_cluster_that_are_not_planned_are_warned_of() -> None:
    lines = absences({"n1": member()}, {"k8s_cluster": ["n1", "n2"], "some": ["n1"]})
    assert lines == [
        "nodes of the Kubernetes cluster, but not of the inventory group that is planned: n2. No other node gets a "
        "route to their pods: add them to the group."
    ]


def test_an_inventory_that_no_cluster_tells_of_and_one_of_two_clusters_are_fine() -> None:
    assert absences({"n1": member(None)}, {"k8s_cluster": ["n1"]}) == []
    assert absences({"n1": member("one")}, {"one": ["n1"], "two": ["n2"]}) == []


def test_a_thousand_absent_nodes_are_one_line() -> None:
    nodes = {"n%d" % number: member(None) for number in range(1000)}
    (line,) = absences({"n": member(), **nodes}, {})
    assert line.count("n9") < SHOWN
    assert " and 980 more. " in line


DEFAULTS = {
    "pod_network_cluster_cidr": "100.100.0.0/16",
    "pod_network_non_masquerade_cidrs": [],
    "pod_network_vxlan_id": 217,
    "pod_network_masquerade": True,
    "pod_network_masquerade_ipv6": "{{ pod_network_masquerade }}",
    "verify_masquerade": "{{ pod_network_masquerade | default(true) }}",
    "verify_masquerade_ipv6": "{{ pod_network_masquerade_ipv6 | default(verify_masquerade) }}",
    "verify_outside": [],
}


def differing(*nodes: dict[str, Any], **options: Any) -> list[str]:
    """Return the lines about nodes n1, n2, ... with these variables of the cluster, without the prefix pod_network_."""
    named = {
        "n%d" % number: {"pod_network_" + key: value for key, value in variables.items()}
        for number, variables in enumerate(nodes, 1)
    }
    return [str(problem) for problem in differences(named, DEFAULTS, **options)]


def test_hosts_that_disagree_about_the_cluster_are_named_with_their_values() -> None:
    assert differing({}, {"non_masquerade_cidrs": ["10.0.0.0/8", "192.168.0.0/16"]}, {}) == [
        "cluster: pod_network_non_masquerade_cidrs is empty on n1, n3; 10.0.0.0/8,192.168.0.0/16 on n2: "
        "must be the same on all nodes: set it once, for the inventory group of the nodes"
    ]
    lines = differing({"cluster_cidr": "100.101.0.0/16"}, {"vxlan_id": 218}, {"masquerade": "no"})
    assert [line.split(" is ")[0] for line in lines] == [
        "cluster: pod_network_cluster_cidr",
        "cluster: pod_network_vxlan_id",
        "cluster: pod_network_masquerade",
    ]
    unreadable = Unreadable("'nowhere' is undefined")
    assert "unreadable ('nowhere' is undefined) on n2" in differing({}, {"cluster_cidr": unreadable})[0]


def test_what_means_the_same_is_no_disagreement() -> None:
    two = ["100.100.0.0/16", "fd00:100::/48"]
    assert differing({"cluster_cidr": two}, {"cluster_cidr": "fd00:100::/48, 100.100.0.0/16"}) == []
    assert differing({}, {"vxlan_id": "217", "non_masquerade_cidrs": "", "masquerade": "yes"}) == []
    assert differing({}, {"masquerade_ipv6": True}) == []
    assert differing({"masquerade": False}, {"masquerade": False, "masquerade_ipv6": False}) == []
    # The role's own variables, which the inventory's are made of, are unknown for every node.
    assert differing(*[{"vxlan_device": Unreadable("'pod_network_name' is undefined")}] * 2) == []


def test_hosts_that_disagree_about_what_verify_asks_are_named() -> None:
    assert differing({}, {}, variables=VERIFY_VARIABLES) == []
    lines = differing({}, {"masquerade_ipv6": False}, variables=VERIFY_VARIABLES)
    assert [line.split(" is ")[0] for line in lines] == ["cluster: pod_network_masquerade_ipv6"]
    nodes = {"n1": {"verify_outside": ["192.0.2.1"]}, "n2": {}}
    assert "verify_outside is 192.0.2.1 on n1; empty on n2" in str(differences(nodes, DEFAULTS, VERIFY_VARIABLES)[0])
