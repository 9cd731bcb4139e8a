# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a cluster whose variables can be read: what lies in, overlaps or repeats what. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import vxlan as tunnels
from .networks import MIN_HOST_BITS, Members, overlap
from .problems import Problem

# How many addresses of a pod CIDR pods get is how many neighbours anybody can make a node look for. All namespaces of a
# machine share one table of them, which has room for 1024 by default: a /64 would let one sender fill it.
IPV6_PREFIX_LENGTH = 120


def problems_of(
    read: dict[str, list[Any]],
    members: Members,
    vxlan: dict[str, Any] | None,
    ipv6_prefix_length: int,
    unread: set[str],
) -> list[Problem]:
    """Return a list of every Problem of the cluster's networks *read*, and of the nodes *members*.

    :param vxlan: as of ``cluster.make_plan``; so is *ipv6_prefix_length*.
    :param unread: names of nodes that have another problem already, as a variable of theirs cannot be read.
    """
    problems = _prefix_length_problems(ipv6_prefix_length)
    problems += _cluster_problems(read)
    for name, member in members.items():
        problems += _node_problems(name, member, read)
        if name not in unread:
            problems += _missing_families(name, member, read)
    problems += _duplicate_addresses(members)
    problems += _overlaps(members)
    problems += _covered_nodes(members)
    problems += _tunnel_problems(vxlan, members) if vxlan else []
    return problems


def _prefix_length_problems(length: int) -> list[Problem]:
    longest = 128 - MIN_HOST_BITS
    if 1 <= length <= longest:
        return []
    value = "pod_network_ipv6_prefix_length %d" % length
    return [Problem("cluster", value, "must be from 1 to %d, such as %d" % (longest, IPV6_PREFIX_LENGTH))]


def _cluster_problems(read: dict[str, list[Any]]) -> list[Problem]:
    reserved = [("pod_network_service_cidr", network) for network in read["service_cidrs"]]
    reserved += [("pod_network_node_cidrs", network) for network in read["node_cidrs"]]
    return [
        Problem(
            "cluster",
            "pod_network_cluster_cidr %s" % cluster,
            "overlaps %s %s: must not overlap it" % (variable, network),
        )
        for cluster in read["cluster_cidrs"]
        for variable, network in reserved
        if overlap(cluster, network)
    ]


def _node_problems(node: str, member: dict[str, list[Any]], read: dict[str, list[Any]]) -> list[Problem]:
    problems: list[Problem] = []
    for cidr in member["pod_cidrs"]:
        problems += _pod_cidr_problems(node, cidr, member, read)
    for address in member["node_ips"]:
        if not any(address in network for network in read["node_cidrs"]) and read["node_cidrs"]:
            expected = ", ".join(str(network) for network in read["node_cidrs"])
            remedy = (
                "is in none of pod_network_node_cidrs (%s): the nodes must reach each other on one network" % expected
            )
            problems.append(Problem(node, "pod_network_node_ip %s" % address, remedy))
    for variable, values in (("pod_network_pod_cidr", "pod_cidrs"), ("pod_network_node_ip", "node_ips")):
        problems += _repeated_families(node, variable, member[values])
    return problems


def _pod_cidr_problems(
    node: str, cidr: Any, member: dict[str, list[Any]], read: dict[str, list[Any]]
) -> Iterator[Problem]:
    def problem(remedy: str) -> Problem:
        return Problem(node, "pod_network_pod_cidr %s" % cidr, remedy)

    width = 128 if cidr.version == 6 else 32
    if width - cidr.prefixlen < MIN_HOST_BITS:
        yield problem(
            "is too small for a gateway and a pod: the prefix must be /%d or shorter" % (width - MIN_HOST_BITS)
        )
    if cidr.is_multicast() or cidr.version == 6 and cidr.is_link_local():
        yield problem("is link-local or multicast: must be global, or unique local such as fd00:100:0:1::/64")
    clusters = [network for network in read["cluster_cidrs"] if network.version == cidr.version]
    if read["cluster_cidrs"] and not any(cidr in network for network in clusters):
        expected = ", ".join(str(network) for network in read["cluster_cidrs"])
        yield problem("must lie in pod_network_cluster_cidr %s" % expected)
    for variable in ("service_cidrs", "node_cidrs"):
        for network in read[variable]:
            if overlap(cidr, network):
                name = "pod_network_service_cidr" if variable == "service_cidrs" else "pod_network_node_cidrs"
                yield problem("overlaps %s %s: must not overlap it" % (name, network))
    if member["node_ips"] and not any(address.version == cidr.version for address in member["node_ips"]):
        yield problem("has no next hop: pod_network_node_ip must have an IPv%d address too" % cidr.version)


def _missing_families(node: str, member: dict[str, list[Any]], read: dict[str, list[Any]]) -> Iterator[Problem]:
    """Find a node that other nodes' pods have no address in common with in one of the cluster's families."""
    had = {cidr.version for cidr in member["pod_cidrs"]}
    wanted: dict[int, Any] = {}
    for cluster in read["cluster_cidrs"]:
        wanted.setdefault(cluster.version, cluster)
    if not had <= set(wanted):  # said already: it must lie in the cluster's network
        return
    for version in sorted(set(wanted) - had):
        remedy = "has no IPv%d network: pod_network_cluster_cidr has %s, so every node must have a part of it"
        value = "pod_network_pod_cidr %s" % ",".join(map(str, member["pod_cidrs"]))
        yield Problem(node, value, remedy % (version, wanted[version]))


def _repeated_families(node: str, variable: str, values: list[Any]) -> list[Problem]:
    versions = [value.version for value in values]
    return [
        Problem(node, "%s %s" % (variable, ",".join(map(str, values))), "must have at most one of IPv%d" % version)
        for version in sorted(set(versions))
        if versions.count(version) > 1
    ]


def _duplicate_addresses(members: Members) -> Iterator[Problem]:
    owners: dict[Any, list[str]] = {}
    for node, member in members.items():
        for address in member["node_ips"]:
            owners.setdefault(address, []).append(node)
    for address, nodes in owners.items():
        for node in nodes[1:]:
            remedy = "is that of %s too: every node must have its own" % nodes[0]
            yield Problem(node, "pod_network_node_ip %s" % address, remedy)


def _overlaps(members: Members) -> Iterator[Problem]:
    """Compare each pod CIDR only with the widest one that starts before it."""
    networks = sorted(
        ((cidr, node) for node, member in members.items() for cidr in member["pod_cidrs"]),
        key=lambda item: (item[0].version, item[0].first, item[0].prefixlen),
    )
    widest: Any = None
    owner = ""
    for cidr, node in networks:
        apart = widest is None or widest.version != cidr.version or cidr.first > widest.last
        if not apart:
            remedy = "overlaps %s of %s: every node must have its own part of the cluster's network" % (widest, owner)
            yield Problem(node, "pod_network_pod_cidr %s" % cidr, remedy)
        if apart or cidr.last > widest.last:
            widest, owner = cidr, node


def _covered_nodes(members: Members) -> Iterator[Problem]:
    """Find node addresses within pod CIDRs in one pass over both, sorted."""
    points = [
        (address.version, int(address), 1, address, node)
        for node, member in members.items()
        for address in member["node_ips"]
    ]
    points += [
        (cidr.version, cidr.first, 0, cidr, node) for node, member in members.items() for cidr in member["pod_cidrs"]
    ]
    points.sort(key=lambda point: point[:3])
    covering: Any = None
    owner = ""
    for version, _value, is_address, item, node in points:
        if not is_address:
            if covering is None or covering.version != version or item.last > covering.last:
                covering, owner = item, node
        elif covering is not None and covering.version == version and item in covering:
            remedy = "covers pod_network_node_ip %s of %s: must not contain an address of a node" % (item, node)
            yield Problem(owner, "pod_network_pod_cidr %s" % covering, remedy)


def _tunnel_problems(vxlan: dict[str, Any], members: Members) -> Iterator[Problem]:
    for value, remedy in tunnels.device_problems(vxlan["device"], vxlan["vni"], vxlan["port"]):
        yield Problem("cluster", value, remedy)
    family, without = tunnels.underlay(members)
    for name in without:
        value = "pod_network_node_ip %s" % ",".join(map(str, members[name]["node_ips"]))
        yield Problem(name, value, "has no IPv%d address, by which the nodes reach each other with VXLAN" % family)
