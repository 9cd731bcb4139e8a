# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: every node's part of the pod network, from the inventory's variables. Pure, no file and no socket.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import Any

from . import vxlan as tunnels
from .checks import IPV6_PREFIX_LENGTH, problems_of
from .networks import Members, merged
from .problems import Problem
from .variables import read_networks, read_next_hops


def make_plan(
    cluster: dict[str, Any],
    nodes: dict[str, dict[str, Any]],
    vxlan: dict[str, Any] | None = None,
    ipv6_prefix_length: int = IPV6_PREFIX_LENGTH,
) -> tuple[dict[str, Any], list[Problem]]:
    """Return (plan, problems) of a whole cluster.

    :param cluster: the values of CLUSTER_VARIABLES by name, see ``variables``; a CIDR, a list of CIDRs or a
        comma-separated one each.
    :param nodes: the values of NODE_VARIABLES by name, for each node by inventory name; None or absent if not set,
        Unreadable if it has no value.
    :param vxlan: ``{"device": name, "vni": number, "port": number}`` if nodes that are not on one network reach each
        other by VXLAN; None if every node IP is to be a next hop.
    :param ipv6_prefix_length: that of the part of its IPv6 pod CIDR that a node gives pods addresses of.
    :returns: plan, for ``node.node_part``, in types that JSON has: ``{"cluster_cidrs": [cidr], "node_cidrs": [cidr],
        "service_cidrs": [cidr], "non_masquerade_cidrs": [cidr], "allowed_sources": [cidr],
        "ipv6_prefix_length": number, "node_addresses": [cidr],
        "nodes": {name: {"pod_cidrs": [cidr], "node_ips": [ip]}}}``, where node_addresses are the fewest networks that
        hold the nodes' addresses and no other, but for what non_masquerade_cidrs holds already; with *vxlan* also that,
        with the "family" of the addresses that carry it, and for each node "segments", the network of each of its
        node_ips, and node_addresses are of each segment, ``{segment: [cidr]}``;
        problems, a list of every Problem there is, in the order of *nodes*; a plan that has any must not be used.

    Takes O(N log N) for N nodes.
    """
    problems: list[Problem] = []
    read = {
        "cluster_cidrs": read_networks("cluster", "pod_network_cluster_cidr", cluster, problems, required=True),
        "service_cidrs": read_networks("cluster", "pod_network_service_cidr", cluster, problems),
        "node_cidrs": read_networks("cluster", "pod_network_node_cidrs", cluster, problems, required=True),
        "non_masquerade_cidrs": read_networks("cluster", "pod_network_non_masquerade_cidrs", cluster, problems),
        "allowed_sources": read_networks("cluster", "pod_network_allowed_sources", cluster, problems),
    }
    if not nodes:
        problems.append(
            Problem("cluster", "the group of nodes is empty", "name the inventory group that holds the nodes")
        )
    members = {
        name: {
            "pod_cidrs": read_networks(name, "pod_network_pod_cidr", variables, problems, required=True),
            "node_ips": read_next_hops(name, "pod_network_node_ip", variables, problems),
        }
        for name, variables in nodes.items()
    }
    unread = {problem.node for problem in problems}
    problems += problems_of(read, members, vxlan, ipv6_prefix_length, unread)
    rank = {name: number for number, name in enumerate(["cluster", *nodes])}
    problems.sort(key=lambda problem: rank[problem.node])
    return _plan_of(read, members, vxlan, ipv6_prefix_length), problems


def _plan_of(
    read: dict[str, list[Any]], members: Members, vxlan: dict[str, Any] | None, ipv6_prefix_length: int
) -> dict[str, Any]:
    """Return the plan in types that JSON has, see :func:`make_plan`."""
    plan: dict[str, Any] = {key: [str(network) for network in networks] for key, networks in read.items()}
    plan["ipv6_prefix_length"] = ipv6_prefix_length
    plan["nodes"] = {
        name: {key: [str(value) for value in values] for key, values in member.items()}
        for name, member in members.items()
    }
    if read["allowed_sources"]:
        plan["allowed_sources"] = _allowed_sources(read, members)
    addresses = _unnamed_addresses(read, members)
    plan["node_addresses"] = merged(addresses)
    if vxlan:
        _add_tunnels(plan, vxlan, members, read["node_cidrs"])
        plan["node_addresses"] = _by_segment(addresses, read["node_cidrs"])
    return plan


def _unnamed_addresses(read: dict[str, list[Any]], members: Members) -> list[Any]:
    """Return the nodes' addresses, but for those that the inventory excepts from MASQUERADE itself."""
    return [
        address
        for member in members.values()
        for address in member["node_ips"]
        if not any(address in network for network in read["non_masquerade_cidrs"])
    ]


def _by_segment(addresses: list[Any], node_cidrs: list[Any]) -> dict[str, list[str]]:
    segments: dict[str, list[Any]] = {}
    for address in addresses:
        segments.setdefault(str(tunnels.segment(address, node_cidrs)), []).append(address)
    return {segment: merged(members) for segment, members in segments.items()}


def _allowed_sources(read: dict[str, list[Any]], members: Members) -> list[str]:
    """Return, as few networks as can be, who may open connections to pods: pods, nodes, and who is named."""
    nodes = [address for member in members.values() for address in member["node_ips"]]
    return merged(read["cluster_cidrs"] + nodes + read["allowed_sources"])


def _add_tunnels(plan: dict[str, Any], vxlan: dict[str, Any], members: Members, node_cidrs: list[Any]) -> None:
    plan["vxlan"] = dict(vxlan, family=tunnels.underlay(members)[0])
    for name, member in members.items():
        segments = [tunnels.segment(address, node_cidrs) for address in member["node_ips"]]
        plan["nodes"][name]["segments"] = [str(network) for network in segments if network]
