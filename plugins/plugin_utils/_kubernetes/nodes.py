# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pod network needs of Kubernetes' Node objects.

Whoever has a node's credential writes its addresses and labels, and a saved file may hold anything. So each text must
have exactly the form that Kubernetes gives it, which no template, option or path has. One that has another form is not
used, and reported as the problem of that node alone.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import json
import re
from collections import namedtuple
from collections.abc import Callable, Collection
from typing import Any, Dict

from ansible.errors import AnsibleParserError

from ...module_utils._shared import ip_addresses
from ...module_utils._shared.ip_addresses import shown

KUBECTL = "kubectl get nodes --output=json"
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

_SUBDOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(_SUBDOMAIN)
_LABEL_KEY = re.compile("(%s/)?%s" % (_SUBDOMAIN, _WORD))
_LABEL_VALUE = re.compile("(%s)?" % _WORD)
_LONGEST_NAME = 253

# What cannot be used, and what would be right: {"value": text, "remedy": text}.
Fault = Dict[str, str]


class Node(namedtuple("Node", "name pod_cidrs internal_ips labels faults")):
    """A node as the API tells of it: lists of texts, and the labels by name; the primary family's come first.

    *faults*, a list, says what of it is not among them.
    """

    __slots__ = ()


def read_file(path: str) -> list[dict[str, Any]]:
    """Return the Node objects, as of :func:`needed`, in a file that kubectl wrote, see KUBECTL."""
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as exc:
        raise AnsibleParserError("nodes_file %s cannot be read: %s: %s" % (path, exc.strerror, _remedy(path))) from None
    except ValueError as exc:
        raise AnsibleParserError("nodes_file %s is not JSON (%s): %s" % (path, exc, _remedy(path))) from None
    items = content.get("items") or [] if isinstance(content, dict) else None
    if not isinstance(items, list) or content.get("kind") not in ("List", "NodeList"):
        raise AnsibleParserError("nodes_file %s is not a list of nodes: %s" % (path, _remedy(path)))
    # What a NodeList holds has no kind of its own.
    if any(not isinstance(item, dict) or item.get("kind", "Node") != "Node" for item in items):
        raise AnsibleParserError("nodes_file %s holds more than nodes: %s" % (path, _remedy(path)))
    return [needed(item) for item in items]


def needed(item: dict[str, Any]) -> dict[str, Any]:
    """Return of the API's object *item* what :func:`read` reads; the whole is a hundred times as large."""
    metadata, spec, status = (_mapping(item.get(part)) for part in ("metadata", "spec", "status"))
    addresses = status.get("addresses") or []
    if not isinstance(addresses, list):  # no form that Kubernetes gives it: for read() to refuse
        addresses = [{"type": "InternalIP", "address": {"addresses": addresses}}]
    return {
        "metadata": {"name": metadata.get("name"), "labels": _mapping(metadata.get("labels"))},
        "spec": {"podCIDRs": spec.get("podCIDRs") or [spec["podCIDR"]] if spec.get("podCIDR") else []},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address.get("address")}
                for address in map(_mapping, addresses)
                if address.get("type") == "InternalIP"
            ]
        },
    }


def read(
    items: list[dict[str, Any]], taken: Collection[str] = (), addresses: bool = True
) -> tuple[list[Node], list[Fault]]:
    """Return the Nodes that *items* describe, and why there is none of some of them.

    :param items: what :func:`needed` returns, a list.
    :param taken: names that mean something else in an inventory, so that no node can have them.
    :param addresses: whether the InternalIPs are used.
    """
    nodes: dict[str, Node] = {}
    faults: list[Fault] = []
    for item in items:
        name = item["metadata"]["name"]
        wrong = _wrong_name(name, taken, nodes)
        if wrong:
            faults.append({"value": "node %s" % shown(name), "remedy": wrong})
        else:
            nodes[name] = _node(item, addresses)
    return _apart(list(nodes.values())), faults


def _wrong_name(name: Any, taken: Collection[str], nodes: Collection[str]) -> str | None:
    """Return why no node can have that *name*, and what would be right; None if it can."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return "a node's name must be a lower-case DNS name"
    if name in taken:
        return "is the name of a group or of the controller itself in Ansible: the node must have another one"
    return "is there twice: must be the name of one node" if name in nodes else None


def _node(item: dict[str, Any], addresses: bool) -> Node:
    metadata, faults = item["metadata"], list[Fault]()
    labels = {key: value for key, value in metadata["labels"].items() if _is_label(key, value)}
    others = ["%s: %s" % pair for pair in metadata["labels"].items() if pair[0] not in labels]
    faults += _fault("label", others, "must be one that Kubernetes allows: letters, digits and . _ -")
    cidrs, others = _usable(_pod_cidr, item["spec"]["podCIDRs"])
    faults += _fault("podCIDR", others, "must be a network in CIDR notation without host bits, such as 100.100.0.0/24")
    found = [address["address"] for address in item["status"]["addresses"]] if addresses else []
    internal_ips, others = _usable(_internal_ip, found)
    faults += _fault("InternalIP", others, "must be an IP address of that machine, without a zone, such as 200.0.0.10")
    return Node(metadata["name"], cidrs, internal_ips, labels, faults)


def _apart(nodes: list[Node]) -> list[Node]:
    """Return *nodes* without the InternalIPs that several say are theirs: one of them would be taken for the other."""
    owners: dict[str, list[str]] = collections.defaultdict(list)
    for node in nodes:
        for address in dict.fromkeys(node.internal_ips):
            owners[address].append(node.name)
    return [_without_shared(node, owners) for node in nodes]


def _without_shared(node: Node, owners: dict[str, list[str]]) -> Node:
    shared = [address for address in node.internal_ips if len(owners[address]) > 1]
    if not shared:
        return node
    other = next(name for name in owners[shared[0]] if name != node.name)
    faults = _fault("InternalIP", shared, "is that of %s too: every node must have its own" % other)
    own = [address for address in node.internal_ips if address not in shared]
    return node._replace(internal_ips=own, faults=node.faults + faults)


def variables(node: Node, node_ip: bool = True) -> dict[str, Any]:
    """Return the inventory variables of *node*.

    :param node_ip: whether the InternalIPs are the addresses by which nodes reach each other.
    """
    result: dict[str, Any] = {"kubernetes_labels": node.labels, "kubernetes_pod_cidrs": node.pod_cidrs}
    if node.pod_cidrs:
        result["pod_network_pod_cidr"] = ",".join(node.pod_cidrs)
    if node_ip:
        result["kubernetes_internal_ips"] = node.internal_ips
        if node.internal_ips:
            result["pod_network_node_ip"] = ",".join(next_hops(node))
    if node.faults:
        result["kubernetes_faults"] = node.faults
    return result


def next_hops(node: Node) -> list[str]:
    """Return the first InternalIP of each family that pods have; of every family if they have none yet.

    As in Kubernetes itself, the first of a family is the node's; a cluster with one family may well have nodes that
    have an InternalIP of the other one too.
    """
    wanted = {":" in cidr for cidr in node.pod_cidrs} or {True, False}
    first: dict[bool, str] = {}
    for address in node.internal_ips:
        first.setdefault(":" in address, address)
    return [address for is_ipv6, address in first.items() if is_ipv6 in wanted]


def is_control_plane(node: Node) -> bool:
    """Return whether *node* has the role control-plane, or master, as it was called before Kubernetes 1.20."""
    return any(label in node.labels for label in CONTROL_PLANE_LABELS)


def _is_label(key: Any, value: Any) -> bool:
    return isinstance(value, str) and bool(_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value))


def _pod_cidr(text: Any) -> str:
    if "/" not in str(text):
        raise ValueError(text)
    return str(ip_addresses.network(text))


def _internal_ip(text: Any) -> str:
    """Return the address *text* if a node can have it for others to reach it, as kubelet's --node-ip requires it."""
    address = ip_addresses.address(text)
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise ValueError(text)
    if getattr(address, "ipv4_mapped", None):
        raise ValueError(text)
    return str(address)


def _usable(parse: Callable[[Any], str], values: Any) -> tuple[list[str], list[Any]]:
    """Return what *parse* makes of *values*, and those that it refuses."""
    good: list[str] = []
    others: list[Any] = []
    for value in values if isinstance(values, list) else [values]:
        try:
            good.append(parse(value))
        except ValueError:
            others.append(value)
    return good, others


def _fault(field: str, values: list[Any], remedy: str) -> list[Fault]:
    """Return one Fault for all refused *values* of a *field*, or none: a node may have thousands."""
    if not values:
        return []
    more = " and %d more" % (len(values) - 1) if len(values) > 1 else ""
    return [{"value": "%s %s%s" % (field, shown(values[0]), more), "remedy": remedy}]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _remedy(path: str) -> str:
    return "must be written by '%s > %s'" % (KUBECTL, path)
