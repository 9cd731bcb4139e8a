# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where hosts disagree about the cluster's variables, and the inventory disagrees with Kubernetes about a node.

The latter is known by the variables of the inventory plugin kubernetes_nodes. Values that contradict each other are
problems, which stop a run. Which hosts there are may differ for a while, as nodes join and leave: that is a warning, or
no node could be prepared before it joins.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...module_utils._shared.ip_addresses import shown
from ...module_utils._shared.texts import some_of
from .problems import Problem, Unreadable

KUBERNETES_VARIABLES = (
    "kubernetes_pod_cidrs",
    "kubernetes_internal_ips",
    "kubernetes_nodes_group",
    "kubernetes_nodes_unread",
    "kubernetes_nodes_left_out",
    "kubernetes_faults",
)

# What one task reads for all nodes, or what nodes take of each other: one value holds for the whole cluster.
CLUSTER_VARIABLES = (
    "pod_network_group",
    "pod_network_cluster_cidr",
    "pod_network_service_cidr",
    "pod_network_node_cidrs",
    "pod_network_ipv6_prefix_length",
    "pod_network_cross_subnet",
    "pod_network_vxlan_device",
    "pod_network_vxlan_id",
    "pod_network_vxlan_port",
    "pod_network_masquerade",
    "pod_network_masquerade_ipv6",
    "pod_network_non_masquerade_cidrs",
    "pod_network_allowed_sources",
)
# The same of the role verify.
VERIFY_VARIABLES = (
    "pod_network_masquerade",
    "pod_network_masquerade_ipv6",
    "verify_nodes",
    "verify_masquerade",
    "verify_masquerade_ipv6",
    "verify_outside",
    "verify_sample",
    "verify_picture",
    "verify_picture_svg",
    "verify_report",
)

SHOWN = 20  # nodes that a line names
# A role's default that is another variable's value.
_REFERENCE = re.compile(r"\{\{ (\w+)(?: \| default\((\w+)\))? \}\}\Z")
_TRUTH = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def disagreements(plan: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> list[Problem]:
    """Return a list of the Problems of nodes to which the inventory gives other values than the cluster.

    :param plan: what ``cluster.make_plan`` returns.
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


def differences(
    nodes: dict[str, dict[str, Any]], defaults: dict[str, Any], variables: tuple[str, ...] = CLUSTER_VARIABLES
) -> list[Problem]:
    """Return a list of the Problems of *variables* that do not have one value on all of *nodes*.

    :param nodes: the values of *variables* by name, for each node by inventory name; None if not set.
    :param defaults: the role's defaults, which a node has that sets nothing.
    """
    problems = []
    # One that no host sets differs where another one does, which is named already.
    given = {name for values in nodes.values() for name, value in values.items() if value is not None}
    for variable in [name for name in variables if name in given]:
        found: dict[Any, tuple[Any, list[str]]] = {}
        for node, values in nodes.items():
            value = _value(variable, values, defaults)
            found.setdefault(_comparable(value), (value, []))[1].append(node)
        if len(found) > 1:
            by_value = sorted(found.values(), key=lambda item: -len(item[1]))
            what = "; ".join("%s on %s" % (_in_words(value), some_of(members, SHOWN)) for value, members in by_value)
            remedy = "must be the same on all nodes: set it once, for the inventory group of the nodes"
            problems.append(Problem("cluster", "%s is %s" % (variable, what), remedy))
    return problems


def _value(variable: str, values: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """Return what *variable* is on a node; a default may be what another variable is."""
    if values.get(variable) is not None:
        return values[variable]
    default = defaults.get(variable)
    reference = _REFERENCE.match(default) if isinstance(default, str) else None
    if reference is None:
        return default
    name, alternative = reference.groups()
    known = next((other for other in (name, alternative) if other in {**values, **defaults}), None)
    return _value(known, values, defaults) if known else alternative


def _comparable(value: Any) -> Any:
    """Return *value* in a form that is equal for what means the same: a list in any order, or separated by commas.

    So is what no node's inventory variables alone can tell, as it depends on the role's.
    """
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    words = sorted(str(item).strip().lower() for item in items)
    return tuple(_TRUTH.get(word, word) for word in words if word)


def _in_words(value: Any) -> str:
    if isinstance(value, Unreadable):
        return "unreadable (%s)" % value.reason
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return shown(text) if text else "empty"


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
            "'kubectl get nodes'." % some_of(strangers, SHOWN)
        )
    missing = [name for group in sources for name in groups.get(group, []) if name not in nodes]
    if missing:
        lines.append(
            "nodes of the Kubernetes cluster, but not of the inventory group that is planned: %s. No other node gets a "
            "route to their pods: add them to the group." % some_of(missing, SHOWN)
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
            "is not what Kubernetes gave the node: must be %s; "
            "remove it from host_vars and other sources, so that this value applies" % ",".join(given)
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
