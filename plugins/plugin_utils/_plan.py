# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: every node's part of the pod network, from the inventory's variables. Pure, no file and no socket.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
from collections import namedtuple
from collections.abc import Iterator
from typing import Any, Dict, List

try:
    import netaddr

    HAS_NETADDR = True
except ImportError:
    HAS_NETADDR = False

from ansible_collections.humanz.cni.plugins.module_utils import _addresses
from ansible_collections.humanz.cni.plugins.module_utils._addresses import shown
from ansible_collections.humanz.cni.plugins.plugin_utils import _tunnels

CLUSTER_VARIABLES = (
    "pod_network_cluster_cidr",
    "pod_network_service_cidr",
    "pod_network_node_cidrs",
    "pod_network_non_masquerade_cidrs",
    "pod_network_allowed_sources",
)
NODE_VARIABLES = ("pod_network_pod_cidr", "pod_network_node_ip")

# What the networks of each variable are like, for whoever sets it.
_EXAMPLES = {
    "pod_network_cluster_cidr": "100.100.0.0/16",
    "pod_network_service_cidr": "10.96.0.0/12",
    "pod_network_node_cidrs": "192.168.1.0/24",
    "pod_network_non_masquerade_cidrs": "192.168.2.0/24, or 192.168.1.5/32 for one host",
    "pod_network_allowed_sources": "192.168.2.0/24, or 192.168.1.5/32 for one host",
    "pod_network_pod_cidr": "100.100.0.0/24",
}

# A node's pod_cidrs and node_ips, objects of netaddr, by its name.
Members = Dict[str, Dict[str, List[Any]]]

# A network, an IPv4 gateway and one pod need two bits; the broadcast address is never a pod's.
_MIN_HOST_BITS = 2

# How many addresses of a pod CIDR pods get is how many neighbours anybody can make a node look for. All namespaces of a
# machine share one table of them, which has room for 1024 by default: a /64 would let one sender fill it.
IPV6_PREFIX_LENGTH = 120


class Problem(namedtuple("Problem", "node value remedy")):
    """What is wrong.

    *node* is an inventory name or "cluster", *value* names variable and value, *remedy* says what would be right.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "%s: %s: %s" % self


class Unreadable(namedtuple("Unreadable", "reason")):
    """In place of a variable's value: why the inventory does not give one, a text."""

    __slots__ = ()


def make_plan(
    cluster: dict[str, Any],
    nodes: dict[str, dict[str, Any]],
    vxlan: dict[str, Any] | None = None,
    ipv6_prefix_length: int = IPV6_PREFIX_LENGTH,
) -> tuple[dict[str, Any], list[Problem]]:
    """Return (plan, problems) of a whole cluster.

    :param cluster: the values of CLUSTER_VARIABLES by name; a CIDR, a list of CIDRs or a comma-separated one each.
    :param nodes: the values of NODE_VARIABLES by name, for each node by inventory name; None or absent if not set,
        Unreadable if it has no value.
    :param vxlan: ``{"device": name, "vni": number, "port": number}`` if nodes that are not on one network reach each
        other by VXLAN; None if every node IP is to be a next hop.
    :param ipv6_prefix_length: that of the part of its IPv6 pod CIDR that a node gives pods addresses of.
    :returns: plan, for :func:`node_part`, in types that JSON has: ``{"cluster_cidrs": [cidr], "node_cidrs": [cidr],
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
        "cluster_cidrs": _networks("cluster", "pod_network_cluster_cidr", cluster, problems, required=True),
        "service_cidrs": _networks("cluster", "pod_network_service_cidr", cluster, problems),
        "node_cidrs": _networks("cluster", "pod_network_node_cidrs", cluster, problems, required=True),
        "non_masquerade_cidrs": _networks("cluster", "pod_network_non_masquerade_cidrs", cluster, problems),
        "allowed_sources": _networks("cluster", "pod_network_allowed_sources", cluster, problems),
    }
    if not nodes:
        problems.append(
            Problem("cluster", "the group of nodes is empty", "name the inventory group that holds the nodes")
        )
    members = {
        name: {
            "pod_cidrs": _networks(name, "pod_network_pod_cidr", variables, problems, required=True),
            "node_ips": _next_hops(name, "pod_network_node_ip", variables, problems),
        }
        for name, variables in nodes.items()
    }
    unread = {problem.node for problem in problems}
    problems += _prefix_length_problems(ipv6_prefix_length)
    problems += _cluster_problems(read)
    for name, member in members.items():
        problems += _node_problems(name, member, read)
        if name not in unread:
            problems += _missing_families(name, member, read)
    problems += _duplicate_addresses(members)
    problems += _overlaps(members)
    problems += _covered_nodes(members)
    problems += _tunnel_problems(vxlan, members) if vxlan else []
    rank = {name: number for number, name in enumerate(["cluster", *nodes])}
    problems.sort(key=lambda problem: rank[problem.node])
    plan: dict[str, Any] = {key: [str(network) for network in networks] for key, networks in read.items()}
    plan["ipv6_prefix_length"] = ipv6_prefix_length
    plan["nodes"] = {
        name: {key: [str(value) for value in values] for key, values in member.items()}
        for name, member in members.items()
    }
    if read["allowed_sources"]:
        plan["allowed_sources"] = _allowed_sources(read, members)
    addresses = _unnamed_addresses(read, members)
    plan["node_addresses"] = _merged(addresses)
    if vxlan:
        _add_tunnels(plan, vxlan, members, read["node_cidrs"])
        plan["node_addresses"] = _by_segment(addresses, read["node_cidrs"])
    return plan, problems


def _unnamed_addresses(read: dict[str, list[Any]], members: Members) -> list[Any]:
    """Return the nodes' addresses, but for those that the inventory excepts from MASQUERADE itself."""
    return [
        address
        for member in members.values()
        for address in member["node_ips"]
        if not any(address in network for network in read["non_masquerade_cidrs"])
    ]


def _merged(networks: list[Any]) -> list[str]:
    """Return the fewest networks that hold all addresses of *networks* and no other."""
    return [str(network) for network in netaddr.cidr_merge(networks)]


def _by_segment(addresses: list[Any], node_cidrs: list[Any]) -> dict[str, list[str]]:
    segments: dict[str, list[Any]] = {}
    for address in addresses:
        segments.setdefault(str(_tunnels.segment(address, node_cidrs)), []).append(address)
    return {segment: _merged(members) for segment, members in segments.items()}


def _allowed_sources(read: dict[str, list[Any]], members: Members) -> list[str]:
    """Return, as few networks as can be, who may open connections to pods: pods, nodes, and who is named."""
    nodes = [address for member in members.values() for address in member["node_ips"]]
    return _merged(read["cluster_cidrs"] + nodes + read["allowed_sources"])


def _add_tunnels(plan: dict[str, Any], vxlan: dict[str, Any], members: Members, node_cidrs: list[Any]) -> None:
    plan["vxlan"] = dict(vxlan, family=_tunnels.underlay(members)[0])
    for name, member in members.items():
        segments = [_tunnels.segment(address, node_cidrs) for address in member["node_ips"]]
        plan["nodes"][name]["segments"] = [str(network) for network in segments if network]


def _tunnel_problems(vxlan: dict[str, Any], members: Members) -> Iterator[Problem]:
    for value, remedy in _tunnels.device_problems(vxlan["device"], vxlan["vni"], vxlan["port"]):
        yield Problem("cluster", value, remedy)
    family, without = _tunnels.underlay(members)
    for name in without:
        value = "pod_network_node_ip %s" % ",".join(map(str, members[name]["node_ips"]))
        yield Problem(name, value, "has no IPv%d address, by which the nodes reach each other with VXLAN" % family)


def node_part(plan: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what *plan* says to the node *name*; KeyError if it is not a node of the plan.

    ``{"pod_cidrs": [cidr], "pod_ranges": [cidr], "unreachable": [cidr], "node_ips": [ip], "cluster_cidrs": [cidr],
    "routes": [{"dst": cidr, "via": ip}], "non_masquerade_cidrs": [cidr], "allowed_sources": [cidr], "vxlan": None}``,
    where pod_ranges are what pods get addresses of, each a part of one of pod_cidrs, unreachable are those of pod_cidrs
    of which pods get a part only, routes lead to every other node's pods, non_masquerade_cidrs are all destinations
    that see the pods' own addresses, and allowed_sources are all that may open connections to pods, or none if anybody
    may. Routes to pods behind a router also have "dev", the VXLAN interface, which "vxlan" then describes, see
    ``_tunnels.interface``.
    """
    own = plan["nodes"][name]
    if "vxlan" in plan:
        routes, peers = _tunnels.routes_and_peers(plan, name)
        vxlan = _tunnels.interface(plan, name, peers)
        # A router that knows no pods could not bring back what nodes behind it answer to pods.
        reached = [cidr for segment in own["segments"] for cidr in plan["node_addresses"].get(segment, [])]
    else:
        routes, vxlan, reached = _direct_routes(plan, name), None, plan["node_addresses"]
    pod_ranges = _pod_ranges(own["pod_cidrs"], plan["ipv6_prefix_length"])
    unmasqueraded = plan["cluster_cidrs"] + reached + plan["non_masquerade_cidrs"]
    return {
        "pod_cidrs": own["pod_cidrs"],
        "pod_ranges": pod_ranges,
        "unreachable": [cidr for cidr in own["pod_cidrs"] if cidr not in pod_ranges],
        "node_ips": own["node_ips"],
        "cluster_cidrs": plan["cluster_cidrs"],
        "routes": routes,
        "non_masquerade_cidrs": list(dict.fromkeys(unmasqueraded)),
        "allowed_sources": plan["allowed_sources"],
        "vxlan": vxlan,
    }


def _pod_ranges(pod_cidrs: list[str], ipv6_prefix_length: int) -> list[str]:
    """Return the part of each of *pod_cidrs* that pods get addresses of: of IPv6 no more than are of use.

    That is the first network of the prefix length, or of as many addresses as there are of IPv4.
    """
    networks = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
    lengths = [128 - (32 - network.prefixlen) for network in networks if network.version == 4]
    length = min([ipv6_prefix_length, *lengths])
    return [
        "%s/%d" % (network.network_address, max(length, network.prefixlen)) if network.version == 6 else str(network)
        for network in networks
    ]


def _prefix_length_problems(length: int) -> list[Problem]:
    longest = 128 - _MIN_HOST_BITS
    if 1 <= length <= longest:
        return []
    value = "pod_network_ipv6_prefix_length %d" % length
    return [Problem("cluster", value, "must be from 1 to %d, such as %d" % (longest, IPV6_PREFIX_LENGTH))]


def _direct_routes(plan: dict[str, Any], name: str) -> list[dict[str, str]]:
    return [
        {"dst": cidr, "via": via}
        for other, member in plan["nodes"].items()
        if other != name
        for cidr in member["pod_cidrs"]
        for via in member["node_ips"]
        if (":" in via) == (":" in cidr)
    ]


def _values(value: Any) -> list[str]:
    """Return the items of a list, of a comma-separated text, or of a single value, as texts."""
    if value is None:
        return []
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return [str(item).strip() for item in items if str(item).strip()]


def _given(
    owner: str, variable: str, variables: dict[str, Any], problems: list[Problem], remedy: str | None
) -> list[str]:
    """Return the variable's items; one that is not set is a problem if there is a *remedy*."""
    value = variables.get(variable)
    if isinstance(value, Unreadable):
        what = "%s cannot be read from the inventory (%s)" % (variable, value.reason)
        problems.append(Problem(owner, what, "must depend on nothing but the inventory"))
        return []
    if not _values(value) and remedy:
        problems.append(Problem(owner, "%s is not set" % variable, remedy))
    return _values(value)


def _networks(
    owner: str, variable: str, variables: dict[str, Any], problems: list[Problem], required: bool = False
) -> list[Any]:
    networks = []
    remedy = "must be in CIDR notation, such as %s" % _EXAMPLES[variable]
    for text in _given(owner, variable, variables, problems, remedy if required else None):
        network = _network(text)
        wrong = remedy if network is None else _wrong_network(network)
        if wrong:
            problems.append(Problem(owner, "%s %s" % (variable, shown(text)), wrong))
        else:
            networks.append(network)
    return networks


def _network(text: str) -> Any:
    """Return *text* as a network of netaddr, which may have host bits set, or None if it is none."""
    try:
        _addresses.network(text, strict=False)
    except ValueError:
        return None
    return netaddr.IPNetwork(text) if "/" in text else None


def _wrong_network(network: Any) -> str | None:
    """Return why *network* is none that packets carry addresses of, and what would be right; None if it is."""
    if network.ip != network.network:
        return "has host bits set: must be %s" % network.cidr
    if not network.prefixlen:
        return "is the whole address space: must be a part of it"
    if network.is_ipv4_mapped():
        return "is an IPv4-mapped IPv6 address: must be %s" % _unmapped(network)
    return None


def _unmapped(network: Any) -> str:
    """Return the IPv4 network that *network*, of ::ffff:0:0/96 or one of its parts, stands for."""
    return "%s/%d" % (network.network.ipv4(), max(0, network.prefixlen - 96))


def _next_hops(node: str, variable: str, variables: dict[str, Any], problems: list[Problem]) -> list[Any]:
    addresses = []
    remedy = "must be the address by which the other nodes reach this one, such as 200.0.0.10"
    for text in _given(node, variable, variables, problems, remedy):
        try:
            address = netaddr.IPAddress(str(_addresses.address(text)))
        except ValueError:
            remedy = "must be an IP address, such as 200.0.0.10"
            problems.append(Problem(node, "%s %s" % (variable, shown(text)), remedy))
            continue
        wrong = _wrong_next_hop(address)
        if wrong:
            problems.append(Problem(node, "%s %s" % (variable, shown(text)), wrong))
        else:
            addresses.append(address)
    return addresses


def _wrong_next_hop(address: Any) -> str | None:
    """Return why *address* is none that other nodes can reach a node by, and what would be right; None if it is."""
    if address.is_ipv4_mapped():
        return "is an IPv4-mapped IPv6 address: must be %s" % address.ipv4()
    if address.version == 6 and address.is_link_local():
        return "is link-local, and leads nowhere without an interface: must be a global or unique local address"
    if address.is_loopback() or address.is_multicast() or not int(address):
        return "cannot be a node's address: must be one by which the other nodes reach this one"
    return None


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
        if _overlap(cluster, network)
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
    if width - cidr.prefixlen < _MIN_HOST_BITS:
        yield problem(
            "is too small for a gateway and a pod: the prefix must be /%d or shorter" % (width - _MIN_HOST_BITS)
        )
    if cidr.is_multicast() or cidr.version == 6 and cidr.is_link_local():
        yield problem("is link-local or multicast: must be global, or unique local such as fd00:100:0:1::/64")
    clusters = [network for network in read["cluster_cidrs"] if network.version == cidr.version]
    if read["cluster_cidrs"] and not any(cidr in network for network in clusters):
        expected = ", ".join(str(network) for network in read["cluster_cidrs"])
        yield problem("must lie in pod_network_cluster_cidr %s" % expected)
    for variable in ("service_cidrs", "node_cidrs"):
        for network in read[variable]:
            if _overlap(cidr, network):
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


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.first <= other.last and other.first <= one.last)
