# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's part of the plan. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from . import vxlan as tunnels


def node_part(plan: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what *plan* says to the node *name*; KeyError if it is not a node of the plan.

    ``{"pod_cidrs": [cidr], "pod_ranges": [cidr], "unreachable": [cidr], "node_ips": [ip], "cluster_cidrs": [cidr],
    "routes": [{"dst": cidr, "via": ip}], "non_masquerade_cidrs": [cidr], "allowed_sources": [cidr], "vxlan": None}``,
    where pod_ranges are what pods get addresses of, each a part of one of pod_cidrs, unreachable are those of pod_cidrs
    of which pods get a part only, routes lead to every other node's pods, non_masquerade_cidrs are all destinations
    that see the pods' own addresses, and allowed_sources are all that may open connections to pods, or none if anybody
    may. Routes to pods behind a router also have "dev", the VXLAN interface, which "vxlan" then describes, see
    ``vxlan.interface``.
    """
    own = plan["nodes"][name]
    if "vxlan" in plan:
        routes, peers = tunnels.routes_and_peers(plan, name)
        vxlan = tunnels.interface(plan, name, peers)
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


def _direct_routes(plan: dict[str, Any], name: str) -> list[dict[str, str]]:
    return [
        {"dst": cidr, "via": via}
        for other, member in plan["nodes"].items()
        if other != name
        for cidr in member["pod_cidrs"]
        for via in member["node_ips"]
        if (":" in via) == (":" in cidr)
    ]
