# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each node of the picture is like, and which nodes to look at first. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import ipaddress
from typing import Any

# From the worst to the best. Each has a shape and a word of its own, so that none is told by its colour alone.
STATES = {
    "silent": {"mark": "?", "label": "no probe pod"},
    "failing": {"mark": "✗", "label": "look here first"},
    "attention": {"mark": "!", "label": "needs a look"},
    "affected": {"mark": "~", "label": "affected by others"},
    "well": {"mark": "✓", "label": "well"},
}
NEARLY_FULL = 0.9
COUNTLESS = 1 << 20  # addresses; nobody reads how many an IPv6 subnet has


def nodes(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each node's line of the picture, in inventory order.

    :param data: see ``page.render``.
    :returns: ``[{"name", "id", "state", "node_ips", "pod_cidrs", "pools", "routes", "notices", "from", "to"}]``, where
        *from* and *to* count failed checks, *notices* are texts, and *routes* is None if nothing was compared.
    """
    cluster, plan = data["cluster"], data["plan"]
    notices = {name: _notices(cluster["nodes"][name], data["nodes"].get(name, {})) for name in cluster["nodes"]}
    first = suspects(data["failures"], {name for name, lines in notices.items() if lines})
    failed_from = collections.Counter(failure["from"] for failure in data["failures"])
    failed_to = collections.Counter(failure["to"] for failure in data["failures"] if failure["kind"] != "outside")
    found = []
    for number, (name, probed) in enumerate(cluster["nodes"].items(), 1):
        info = data["nodes"].get(name, {})
        planned = (plan or {"nodes": {}})["nodes"].get(name, {})
        node = {
            "name": name,
            "id": "n%d" % number,
            "node_ips": planned.get("node_ips", []),
            "pod_cidrs": planned.get("pod_cidrs", []),
            "pools": [_pool(one_set) for one_set in (info.get("pool") or {}).get("sets", [])],
            "routes": info.get("comparison", {}).get("routes"),
            "notices": notices[name],
            "from": failed_from[name],
            "to": failed_to[name],
        }
        node["state"] = _state(node, "error" in probed, name in first)
        found.append(node)
    return found


def _state(node: dict[str, Any], silent: bool, suspect: bool) -> str:
    if silent:
        return "silent"
    if suspect:
        return "failing"
    if node["notices"]:
        return "attention"
    return "affected" if node["from"] or node["to"] else "well"


def _notices(probed: dict[str, Any], info: dict[str, Any]) -> list[str]:
    """Return what is to be said of one node, a text each."""
    lines = [probed["error"]] if "error" in probed else []
    if "error" in info:
        # A node that cannot be reached says so once.
        return lines or ["what it has could not be read: %s" % info["error"]]
    lines += [line for line in info.get("comparison", {}).get("differences", []) if line not in lines]
    for one_set in (info.get("pool") or {}).get("sets", []):
        if one_set["total"] and one_set["reserved"] >= NEARLY_FULL * one_set["total"]:
            text = "the pool %s is nearly full: %d of %d addresses are in use"
            lines.append(text % (", ".join(one_set["subnets"]), one_set["reserved"], one_set["total"]))
    return lines


def _pool(one_set: dict[str, Any]) -> dict[str, Any]:
    used, total = one_set["reserved"], one_set["total"]
    known = total < COUNTLESS
    return {"used": used, "total": total if known else None, "nearly_full": int(total * NEARLY_FULL) if known else None}


def suspects(failures: list[dict[str, Any]], differing: set[str]) -> set[str]:
    """Return the nodes that explain the *failures* best, a set: few ends that together have a part in all of them.

    Takes the end of most failures first, and leaves its failures out then. Of equals, those in *differing*, a set, of
    which something else is known, or else all. What is outside the cluster can be such an end too, and is no node.
    """
    failures_of: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    ends = {}
    for number, failure in enumerate(failures):
        outside = failure["kind"] == "outside"
        ends[number] = {("node", failure["from"]), ("outside" if outside else "node", failure["to"])}
        for end in ends[number]:
            failures_of[end].add(number)
    found: set[tuple[str, str]] = set()
    while failures_of:
        most = max(map(len, failures_of.values()))
        equals = [end for end, numbers in failures_of.items() if len(numbers) == most]
        chosen = [end for end in equals if end[0] == "node" and end[1] in differing] or equals
        found.update(chosen)
        for number in set().union(*(failures_of[end] for end in chosen)):
            for end in ends[number]:
                failures_of[end].discard(number)
        failures_of = {end: numbers for end, numbers in failures_of.items() if numbers}
    return {name for kind, name in found if kind == "node"}


def segments(data: dict[str, Any], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the networks that the nodes are on, with their nodes: ``[{"cidr": text, "nodes": [node]}]``.

    :param lines: those of :func:`nodes`.
    """
    networks = [ipaddress.ip_network(cidr) for cidr in (data["plan"] or {}).get("node_cidrs", [])]
    found: dict[str, list[dict[str, Any]]] = {str(network): [] for network in networks}
    for line in lines:
        found.setdefault(_segment(line["node_ips"], networks), []).append(line)
    return [{"cidr": cidr, "nodes": members} for cidr, members in found.items() if members]


def _segment(node_ips: list[str], networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """Return the narrowest of *networks* that the first of *node_ips* lies in, as a text; empty if there is none."""
    if not node_ips:
        return ""
    address = ipaddress.ip_address(node_ips[0])
    holding = [network for network in networks if address in network]
    return str(max(holding, key=lambda network: network.prefixlen)) if holding else ""


def shortened(text: str, letters: int) -> str:
    """Return *text*, or so many *letters* of it of which the last is an ellipsis."""
    return text if len(text) <= letters else text[: letters - 1] + "…"
