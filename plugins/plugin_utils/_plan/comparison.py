# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node differs from its part of the plan, in an operator's words. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...module_utils._shared import ip_addresses

SHOWN = 10  # of the differences of one kind


def compare(part: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Return how a node compares with the plan.

    :param part: what the plan says to the node, see ``node.node_part``.
    :param info: what ``humanz.cni.pod_network_info`` found on it.
    :returns: ``{"routes": {"planned", "present", "missing", "unplanned", "foreign"}: numbers,
        "differences": [text]}``; of many of one kind, the first SHOWN and how many more there are.
    """
    rest = [{"dst": cidr, "via": None} for cidr in part["unreachable"]]
    routes, differences = _routes(part["routes"] + rest, info["routes"], info["foreign_routes"])
    differences = _configuration(part, info) + differences + _vxlan(part["vxlan"], info["vxlan"])
    return {"routes": routes, "differences": differences + _sysctls(part["pod_cidrs"], info["sysctls"])}


def _routes(
    planned: list[dict[str, Any]], found: list[dict[str, Any]], foreign: list[dict[str, Any]]
) -> tuple[dict[str, int], list[str]]:
    """Return the counts of routes and what differs."""
    wanted = {(route["dst"], route["via"]): route for route in planned}
    had = {(_network(route["dst"]), route["gateway"]): route for route in found}
    missing = [route for key, route in wanted.items() if key not in had]
    unplanned = [route for key, route in had.items() if key not in wanted]
    counts = {
        "planned": len(wanted),
        "present": len(wanted) - len(missing),
        "missing": len(missing),
        "unplanned": len(unplanned),
        "foreign": len(foreign),
    }
    lines = _some("no route to %s", [_way(route["dst"], route["via"], route.get("dev")) for route in missing])
    lines += _some("a route that is not planned: %s", [_way_of(route) for route in unplanned])
    others = ["%s, of protocol %s" % (_way_of(route), route["protocol"]) for route in foreign]
    return counts, lines + _some("a route that is not ours: %s", others)


def _network(text: str) -> str:
    """Return the destination as the plan has it; ``ip`` leaves the prefix length of single addresses out."""
    return text if "/" in text else "%s/%d" % (text, 128 if ":" in text else 32)


def _way_of(route: dict[str, Any]) -> str:
    kind = route.get("type", "unicast")
    way = _way(route["dst"], route["gateway"], route["dev"])
    return way if kind == "unicast" else "%s %s" % (kind, way)


def _way(destination: str, gateway: str | None, device: str | None) -> str:
    way = destination + (" via %s" % gateway if gateway else "")
    return way + (" dev %s" % device if device else "")


def _some(text: str, values: Sequence[str]) -> list[str]:
    lines = [text % value for value in values[:SHOWN]]
    if len(values) > SHOWN:
        lines.append(text % "%d more" % (len(values) - SHOWN))
    return lines


def _configuration(part: dict[str, Any], info: dict[str, Any]) -> list[str]:
    """Compare the CNI configuration that is in force, and the plugin, with what the node's pods are to have."""
    lines = [error for error in (info["plugin"]["error"], info["conf"]["error"]) if error]
    if info["pool"] is None:
        return lines
    subnets = [subnet for one_set in info["pool"]["sets"] for subnet in one_set["subnets"]]
    if sorted(subnets) != sorted(part["pod_ranges"]):
        text = "pods get addresses of %s, and the plan says %s"
        lines.append(text % (", ".join(subnets) or "no subnet", ", ".join(part["pod_ranges"])))
    return lines


def _vxlan(planned: dict[str, Any] | None, found: dict[str, Any] | None) -> list[str]:
    """Compare the VXLAN interface; what has not been planned, ``pod_network_info`` was not asked for."""
    if planned is None:
        return []
    if found is None:
        return ["no VXLAN interface %s" % planned["device"]]
    lines = [] if found["up"] else ["the VXLAN interface %s is down" % planned["device"]]
    for key, name in (("vni", "VNI"), ("port", "UDP port"), ("node_ip", "address")):
        if _same(found[key]) != _same(planned[key]):
            lines.append("%s has the %s %s instead of %s" % (planned["device"], name, found[key], planned[key]))
    wanted, had = {peer["node_ip"] for peer in planned["peers"]}, set(found["peers"])
    lines += _some("no VXLAN peer %s", sorted(wanted - had))
    return lines + _some("a VXLAN peer that is not planned: %s", sorted(had - wanted))


def _same(value: Any) -> str:
    """Return *value* so that two notations of one address are alike."""
    try:
        return str(ip_addresses.address(value))
    except ValueError:
        return str(value)


def _sysctls(pod_cidrs: list[str], sysctls: dict[str, str | None]) -> list[str]:
    names = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
    keys = [names[family] for family in sorted({6 if ":" in cidr else 4 for cidr in pod_cidrs})]
    return [
        "the kernel has no %s" % key if sysctls[key] is None else "%s is %s instead of 1" % (key, sysctls[key])
        for key in keys
        if sysctls[key] != "1"
    ]
