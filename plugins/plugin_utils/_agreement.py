# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the inventory and the Kubernetes cluster disagree, by the variables of the inventory plugin kubernetes_nodes.

Values that contradict each other are problems, which stop a run. Which hosts there are may differ for a while, as nodes
join and leave: that is a warning, or no node could be prepared before it joins.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.humanz.cni.plugins.plugin_utils._plan import Problem

KUBERNETES_VARIABLES = (
    "kubernetes_pod_cidrs",
    "kubernetes_internal_ips",
    "kubernetes_nodes_group",
    "kubernetes_nodes_unread",
    "kubernetes_nodes_left_out",
    "kubernetes_faults",
)

SHOWN = 20  # nodes that a line names


def disagreements(plan: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> list[Problem]:
    """Return a list of the Problems of nodes to which the inventory gives other values than the cluster.

    :param plan: what ``_plan.make_plan`` returns.
    :param nodes: the values of KUBERNETES_VARIABLES by name, for each node by inventory name; None if not set.
    """
    problems = [
        Problem(
            "cluster",
            "the inventory source %s could not be read" % source,
            "must be readable, or this run would take the nodes for removed: see the warning at its start",
        )
        for source in _texts(nodes, "kubernetes_nodes_unread")
    ]
    left_out = (problem for node in nodes.values() for problem in _faults("cluster", node, "kubernetes_nodes_left_out"))
    problems += dict.fromkeys(left_out)
    for name, member in plan["nodes"].items():
        problems += _faults(name, nodes[name], "kubernetes_faults")
        problems += _pod_cidr_problems(name, member["pod_cidrs"], _items(nodes[name], "kubernetes_pod_cidrs"))
        problems += _node_ip_problems(name, member["node_ips"], _items(nodes[name], "kubernetes_internal_ips"))
    return problems


def absences(nodes: dict[str, dict[str, Any]], groups: dict[str, list[str]]) -> list[str]:
    """Return a list of warnings about hosts that are in the planned group or in the cluster, but not in both.

    :param nodes: as for :func:`disagreements`.
    :param groups: every group's hosts by its name.
    """
    sources = _texts(nodes, "kubernetes_nodes_group")
    if not sources:
        return []
    lines = []
    strangers = [name for name, variables in nodes.items() if not variables.get("kubernetes_nodes_group")]
    if strangers:
        lines.append(
            "no nodes of the Kubernetes cluster, but of the inventory: %s. That is right for nodes that have yet to "
            "join; a node that has left belongs out of the inventory, and a node's inventory name must be its name in "
            "'kubectl get nodes'." % _names(strangers)
        )
    missing = [name for group in sources for name in groups.get(group, []) if name not in nodes]
    if missing:
        lines.append(
            "nodes of the Kubernetes cluster, but not of the inventory group that is planned: %s. No other node gets a "
            "route to their pods: add them to the group." % _names(missing)
        )
    return lines


def _texts(nodes: dict[str, dict[str, Any]], variable: str) -> list[str]:
    """Return the texts that *variable* has on any of *nodes*, each once."""
    values = (variables.get(variable) for variables in nodes.values())
    return sorted({value for value in values if isinstance(value, str)})


def _faults(name: str, variables: dict[str, Any], variable: str) -> Iterator[Problem]:
    """Find what the inventory source does not use of what the cluster says."""
    found = variables.get(variable)
    for fault in found if isinstance(found, list) else []:
        if isinstance(fault, dict):
            yield Problem(name, str(fault.get("value")), str(fault.get("remedy")))


def _items(variables: dict[str, Any], name: str) -> list[str]:
    value = variables.get(name)
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return [str(item) for item in value] if isinstance(value, list) else []


def _pod_cidr_problems(name: str, planned: list[str], given: list[str]) -> Iterator[Problem]:
    """The pods' addresses come from the planned CIDRs, and Kubernetes must know them for this node's."""
    if planned and given and set(planned) != set(given):
        remedy = (
            "is not what Kubernetes has given the node: must be %s; "
            "take it out of host_vars and other sources, and the cluster's holds" % ",".join(given)
        )
        yield Problem(name, "pod_network_pod_cidr %s" % ",".join(planned), remedy)


def _node_ip_problems(name: str, planned: list[str], given: list[str]) -> Iterator[Problem]:
    """A node may have more InternalIPs than are next hops."""
    if given and not set(planned) <= set(given):
        remedy = (
            "is none of the node's InternalIPs in Kubernetes: must be %s; "
            "where the nodes reach each other by other addresses, set node_ip_from_internal_ip to false in the "
            "inventory source" % " or ".join(given)
        )
        yield Problem(name, "pod_network_node_ip %s" % ",".join(planned), remedy)


def _names(nodes: list[str]) -> str:
    more = " and %d more" % (len(nodes) - SHOWN) if len(nodes) > SHOWN else ""
    return ", ".join(nodes[:SHOWN]) + more
