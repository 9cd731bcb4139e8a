# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pod network needs of Kubernetes' Node objects.

Every text is checked for its form, so that none of them can be a template.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleParserError

KUBECTL = "kubectl get nodes --output=json"
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9._/-]*")


class Node(namedtuple("Node", "name pod_cidrs internal_ips labels")):
    """A node as the API tells of it: lists of texts, and the labels by name; the primary family's come first."""

    __slots__ = ()


def read_file(path: str) -> list[Node]:
    """Return the Nodes in a file that kubectl wrote, see KUBECTL."""
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as exc:
        raise AnsibleParserError("nodes_file %s cannot be read: %s: %s" % (path, exc.strerror, _remedy(path))) from None
    except ValueError as exc:
        raise AnsibleParserError("nodes_file %s is not JSON (%s): %s" % (path, exc, _remedy(path))) from None
    if not isinstance(content, dict) or content.get("kind") not in ("List", "NodeList"):
        raise AnsibleParserError("nodes_file %s is not a list of nodes: %s" % (path, _remedy(path)))
    # What a NodeList holds has no kind of its own.
    if any(item.get("kind", "Node") != "Node" for item in content.get("items") or []):
        raise AnsibleParserError("nodes_file %s holds more than nodes: %s" % (path, _remedy(path)))
    return [read_node(item) for item in content.get("items") or []]


def read_node(item: dict[str, Any]) -> Node:
    """Return the Node that the API's object *item* describes."""
    metadata, spec, status = (item.get(part) or {} for part in ("metadata", "spec", "status"))
    name = str(metadata.get("name"))
    if not _NAME.fullmatch(name):
        raise AnsibleParserError("node %r: a node's name must be a lower-case DNS name" % name)
    labels = metadata.get("labels") or {}
    for key, value in labels.items():
        if not _LABEL.fullmatch(key) or not _LABEL.fullmatch(value):
            raise AnsibleParserError("node %s: label %r: %r is none that Kubernetes allows" % (name, key, value))
    cidrs = spec.get("podCIDRs") or [spec["podCIDR"]] if spec.get("podCIDR") else []
    addresses = status.get("addresses") or []
    return Node(
        name=name,
        pod_cidrs=[_parsed(ipaddress.ip_network, "podCIDR", cidr, name) for cidr in cidrs],
        internal_ips=[
            _parsed(ipaddress.ip_address, "InternalIP", address.get("address"), name)
            for address in addresses
            if address.get("type") == "InternalIP"
        ],
        labels=labels,
    )


def variables(node: Node, node_ip: bool = True) -> dict[str, Any]:
    """Return the inventory variables of *node*.

    :param node_ip: whether the InternalIPs are the addresses by which nodes reach each other.
    """
    result = {"kubernetes_labels": node.labels, "kubernetes_pod_cidrs": node.pod_cidrs}
    if node.pod_cidrs:
        result["pod_network_pod_cidr"] = ",".join(node.pod_cidrs)
    if node_ip:
        result["kubernetes_internal_ips"] = node.internal_ips
        if node.internal_ips:
            result["pod_network_node_ip"] = ",".join(next_hops(node))
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


def _parsed(parse: Callable[[Any], object], what: str, text: Any, name: str) -> str:
    try:
        return str(parse(text))
    except ValueError as exc:
        raise AnsibleParserError("node %s: %s %s: %s" % (name, what, text, exc)) from None


def _remedy(path: str) -> str:
    return "must be written by '%s > %s'" % (KUBECTL, path)
