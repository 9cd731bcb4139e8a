# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and addresses of the plan, as objects of netaddr: which of them a pod network can have. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import Any, Dict, List

try:
    import netaddr

    HAS_NETADDR = True
except ImportError:
    HAS_NETADDR = False

from ...module_utils._shared import ip_addresses

# A node's pod_cidrs and node_ips, objects of netaddr, by its name.
Members = Dict[str, Dict[str, List[Any]]]

# A network, an IPv4 gateway and one pod need two bits; the broadcast address is never a pod's.
MIN_HOST_BITS = 2


def parse_network(text: str) -> Any:
    """Return *text* as a network of netaddr, which may have host bits set, or None if it is none."""
    try:
        ip_addresses.network(text, strict=False)
    except ValueError:
        return None
    return netaddr.IPNetwork(text) if "/" in text else None


def wrong_network(network: Any) -> str | None:
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


def parse_next_hop(text: str) -> Any:
    """Return *text* as an address of netaddr. Raises ValueError."""
    return netaddr.IPAddress(str(ip_addresses.address(text)))


def wrong_next_hop(address: Any) -> str | None:
    """Return why *address* is none that other nodes can reach a node by, and what would be right; None if it is."""
    if address.is_ipv4_mapped():
        return "is an IPv4-mapped IPv6 address: must be %s" % address.ipv4()
    if address.version == 6 and address.is_link_local():
        return "is link-local, and leads nowhere without an interface: must be a global or unique local address"
    if address.is_loopback() or address.is_multicast() or not int(address):
        return "cannot be a node's address: must be one by which the other nodes reach this one"
    return None


def merged(networks: list[Any]) -> list[str]:
    """Return the fewest networks that hold all addresses of *networks* and no other."""
    return [str(network) for network in netaddr.cidr_merge(networks)]


def overlap(one: Any, other: Any) -> bool:
    """Return whether two networks have an address in common."""
    return bool(one.version == other.version and one.first <= other.last and other.first <= one.last)
