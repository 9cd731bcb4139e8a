# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's part of VXLAN: which nodes are behind a router, and by what addresses they are reached. Pure.

Nothing is learned and nothing is asked of the network: a node's VXLAN interface has a MAC address that follows from its
node IP, so that every other node's static entries for it can be planned.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

# What VXLAN adds to each packet, in bytes: outer IP header, UDP, VXLAN and the inner Ethernet header.
OVERHEAD = {4: 50, 6: 70}


def device_problems(device: str, vni: int, port: int) -> Iterator[tuple[str, str]]:
    """Return (value, remedy) of each of the cluster's settings of VXLAN that no interface can have."""
    if not re.match(r"[A-Za-z0-9_.@-]{1,15}\Z", device) or device in (".", ".."):
        yield "pod_network_vxlan_device %s" % device, "must be an interface name of 1 to 15 letters, digits and . _ @ -"
    if not 0 < vni < 1 << 24:
        yield "pod_network_vxlan_id %d" % vni, "must be 1 to 16777215"
    if not 0 < port < 1 << 16:
        yield "pod_network_vxlan_port %d" % port, "must be a UDP port, 1 to 65535"


def segment(address: Any, networks: list[Any]) -> Any:
    """Return the narrowest of *networks* that *address* lies in, both of netaddr; None if there is none."""
    return max((network for network in networks if address in network), key=lambda one: one.prefixlen, default=None)


def underlay(members: dict[str, dict[str, list[Any]]]) -> tuple[int, list[str]]:
    """Return the family, 4 or 6, of the node IPs that the nodes send VXLAN packets to, and the nodes without one."""
    without = {
        family: [
            name
            for name, member in members.items()
            if member["node_ips"] and not any(address.version == family for address in member["node_ips"])
        ]
        for family in (4, 6)
    }
    family = 4 if len(without[4]) <= len(without[6]) else 6
    return family, without[family]


def mac(node_ip: str) -> str:
    """Return the MAC address of a node's VXLAN interface: locally administered, and its own.

    The address itself if it is IPv4. Of IPv6, 40 bits of a hash: among 1,000 nodes, two are alike once in two million.
    """
    packed = ipaddress.ip_address(node_ip).packed
    own = b"\xd9" + packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:5]
    return ":".join("%02x" % byte for byte in b"\x02" + own)


def link_local(address: str) -> str:
    """Return the link-local address that an interface with the MAC *address* gives itself, see RFC 4291, appendix A."""
    octets = bytes(int(part, 16) for part in address.split(":"))
    host = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + host))


def routes_and_peers(plan: dict[str, Any], name: str) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Return the routes of the node *name*, as of ``node.node_part``, and its peers behind a router, as a list.

    A peer is ``{"node_ip": ip, "mac": mac, "neighbours": [ip]}``; routes to its pods go by one of its neighbours'
    addresses on the VXLAN interface. For IPv6 that is link-local: the kernel refuses another one that it has a route
    to by another interface.
    """
    own, routes, peers = plan["nodes"][name], [], []
    for other, member in plan["nodes"].items():
        if other == name:
            continue
        end, neighbours = _tunnel_end(plan, member), []
        for cidr in member["pod_cidrs"]:
            via = _of_family(cidr, member["node_ips"])
            if via and _of_family(cidr, own["segments"]) == _of_family(cidr, member["segments"]):
                routes.append({"dst": cidr, "via": via})
            elif via and end:
                neighbours.append(link_local(mac(end)) if ":" in cidr else via)
                routes.append({"dst": cidr, "via": neighbours[-1], "dev": plan["vxlan"]["device"]})
        if neighbours:
            peers.append({"node_ip": end, "mac": mac(end), "neighbours": neighbours})
    return routes, peers


def interface(plan: dict[str, Any], name: str, peers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what the VXLAN interface of the node *name* is to be, or None if it has no *peers* or cannot have any.

    Its own addresses are those that a network's pods never get: by them the node reaches pods behind the router, as
    what they answer must come back the same way.
    """
    own, vxlan = plan["nodes"][name], plan["vxlan"]
    end = _tunnel_end(plan, own)
    if not peers or not end:
        return None
    return {
        "device": vxlan["device"],
        "vni": vxlan["vni"],
        "port": vxlan["port"],
        "node_ip": end,
        "mac": mac(end),
        "overhead": OVERHEAD[vxlan["family"]],
        "addresses": [str(ipaddress.ip_network(cidr).network_address) for cidr in own["pod_cidrs"]],
        "peers": peers,
    }


def _tunnel_end(plan: dict[str, Any], member: dict[str, list[str]]) -> str:
    wanted = "::" if plan["vxlan"]["family"] == 6 else "0.0.0.0"
    return _of_family(wanted, member["node_ips"])


def _of_family(like: str, texts: list[str]) -> str:
    """Return the first of *texts*, addresses or networks, of the family of *like*; an empty text if there is none."""
    return next((text for text in texts if (":" in text) == (":" in like)), "")
