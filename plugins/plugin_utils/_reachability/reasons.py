# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection failed, in an operator's words, from the tables of both its ends. Pure.

*Evidence* is what ``humanz.cni.pod_network_info`` returns as ``paths`` for one path on one node; clusters and failures
are those of ``checks``.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import Any

FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
SILENT_NEIGHBOUR = ("FAILED", "INCOMPLETE")
SHOWN_DOUBTS = 3
EXAMINED = "routes by source and interface, settings of interfaces, rules of iptables and nftables, IPsec policies"
# Of the nodes; what is between them comes last.
NEVER_EXAMINED = "legacy ebtables and arptables, eBPF programs of sockets and cgroups"


def explain(cluster: dict[str, Any], failure: dict[str, Any], evidence: dict[str, dict[str, Any]]) -> list[str]:
    """Return the reasons of *failure*, the most telling first; never none.

    :param evidence: ``{NODE: evidence}`` of the failure's path; a node whose tables were not read is missing.
    """
    if "reason" in failure:
        return [failure["reason"]]
    near = evidence.get(failure["from"])
    far = evidence.get(failure["to"])
    if near is None and not failure.get("local"):
        return ["%s has no IPv%d address to reach %s from" % (failure["from"], failure["family"], failure["address"])]
    if near is None:
        return ["the tables of %s were not read" % failure["from"]]
    if failure.get("seen_as"):
        return _translated(failure, near, far)
    if failure["kind"] != "outside" and far is not None and far is not near:
        far = _where_it_arrives(far, near["route"], failure["address"])
        near = _where_it_arrives(near, far["back"], failure["local"])
    if failure.get("lost_size"):
        return [_lost_size(failure, near, far) + _doubts("may drop it", _read(failure, near, far))]
    if failure["kind"] == "outside":
        reasons = _outside(failure, near, failure["family"] in cluster["masquerade"])
    else:
        reasons = _between_nodes(cluster, failure, near, far)
    return reasons or [_unexplained(failure, near, far)]


def _where_it_arrives(evidence: dict[str, Any], sent_by: dict[str, Any], address: str) -> dict[str, Any]:
    """Return *evidence* for the interface that the other end sends to, which has its next hop to *address*."""
    if sent_by.get("kind") == "vxlan":
        return evidence
    next_hop = sent_by.get("gateway", address)
    arrivals = evidence.get("arrivals", {}).values()
    return {**evidence, **next((found for found in arrivals if next_hop in found["addresses"]), {})}


def _between_nodes(
    cluster: dict[str, Any], failure: dict[str, Any], near: dict[str, Any], far: dict[str, Any] | None
) -> list[str]:
    source, target = failure["from"], failure["to"]
    reasons = []
    if source != target:
        reasons += _way(source, near, "route", failure["address"], target, cluster["nodes"][target].get("own"))
    reasons += _own_pod(target, far, "route", failure["address"])
    if failure["kind"] == "pod":
        reasons += _own_pod(source, near, "back", failure["local"])
        if far is not None:
            reasons += _way(target, far, "back", failure["local"], source, cluster["nodes"][source].get("own"))
    elif far is not None and source != target:
        reasons += _way_to_node(target, far, failure["local"], source)
    reasons += _in_between(source, near, failure["kind"] == "node")
    if source != target:
        reasons += _in_between(target, far, False)
    return reasons


def _way(
    node: str, evidence: dict[str, Any], key: str, address: str, target: str, next_hops: list[str] | None
) -> list[str]:
    """Say what is wrong with *node*'s route to the pod *address*, which must lead to the node *target*."""
    route = evidence[key]
    if "instead_of" in route or _is_refused(evidence, route):
        return _by_source(node, evidence, key)
    if "error" in route:
        return ["%s has no route to %s, a pod on %s (%s)" % (node, address, target, route["error"])]
    where = "via %s dev %s" % (route["gateway"], route["dev"]) if "gateway" in route else "on dev %s" % route["dev"]
    if route["dst"] == "default":
        text = "%s has no route to %s, a pod on %s: only its default route %s covers it"
        return [text % (node, address, target, where)]
    if next_hops and route.get("gateway") not in next_hops:
        text = "%s sends %s %s, but that is not an address of %s (its own are %s)"
        return [text % (node, route["dst"], where, target, ", ".join(next_hops))]
    return _silence(node, route, route.get("gateway", address), target)


def _is_refused(evidence: dict[str, Any], route: dict[str, Any]) -> bool:
    """Return whether a setting of the node, which is named apart, is why the kernel gives no route."""
    by_setting = "error" in route and "refused_by" not in route
    return by_setting and bool(evidence.get("stops") or not evidence["forwarding"])


def _by_source(node: str, evidence: dict[str, Any], key: str) -> list[str]:
    """Say that the node's ``ip rule`` gives a packet another route than it gives others to the same destination."""
    route = evidence[key]
    if "instead_of" not in route or _is_refused(evidence, route):
        return []
    ends = (evidence["source"], evidence["destination"])
    source, destination = ends if key == "route" else ends[::-1]
    if "error" in route:
        where = "nowhere (%s)" % route["error"]
    else:
        via = "via %s " % route["gateway"] if "gateway" in route else ""
        where = "%sdev %s by its table %s" % (via, route.get("dev", "?"), route.get("table", "main"))
    text = "%s sends packets from %s to %s %s, as its routing policy says (ip rule): others go %s"
    return [text % (node, source, destination, where, route["instead_of"])]


def _way_to_node(node: str, evidence: dict[str, Any], address: str, target: str) -> list[str]:
    """Say what is wrong with *node*'s route to *address* of the node *target*."""
    route = evidence["back"]
    if "instead_of" in route or _is_refused(evidence, route):
        return _by_source(node, evidence, "back")
    if "error" in route:
        return ["%s has no route to %s, an address of %s (%s)" % (node, address, target, route["error"])]
    return _silence(node, route, route.get("gateway", address), target)


def _silence(node: str, route: dict[str, Any], next_hop: str, target: str) -> list[str]:
    if route.get("neighbour") not in SILENT_NEIGHBOUR:
        return []
    text = "%s gets no answer to %s from %s (%s) on %s: the link between them is down, or is another one"
    asked = "neighbour discovery" if ":" in next_hop else "ARP"
    return [text % (node, asked, next_hop, target, route["dev"])]


def _own_pod(node: str, evidence: dict[str, Any] | None, key: str, address: str) -> list[str]:
    """Say what is wrong with *node*'s route to its own pod."""
    if evidence is None:
        return []
    route = evidence[key]
    if "instead_of" in route or _is_refused(evidence, route):
        return _by_source(node, evidence, key)
    if "refused_by" in route:
        return ["%s has no route to its own pod %s (%s)" % (node, address, route["error"])]
    if "error" in route or route["dst"] == "default" or "gateway" in route:
        text = "%s has no connected route to its own pod %s: the bridge is down or has lost its address"
        return [text % (node, address)]
    if route.get("neighbour") in SILENT_NEIGHBOUR:
        return ["the pod %s on %s does not answer on %s" % (address, node, route["dev"])]
    return []


def _in_between(node: str, evidence: dict[str, Any] | None, from_node_itself: bool) -> list[str]:
    """Say what of *node* itself stands in the way."""
    if evidence is None:
        return []
    reasons = []
    if not evidence["forwarding"] and not from_node_itself:
        sysctl = FORWARDING[6 if ":" in evidence["destination"] else 4]
        reasons.append("%s does not forward packets: its sysctl %s is 0" % (node, sysctl))
    reasons += ["%s %s" % (node, text) for text in evidence.get("stops", ())]
    if evidence["drop"]:
        reasons.append("%s drops %s by %s" % (node, _packet(evidence["drop"]), _rule(evidence["drop"])))
    if evidence.get("dnat"):
        reasons.append("%s sends it to another address by %s" % (node, _rule(evidence["dnat"])))
    return reasons


def _packet(drop: dict[str, Any]) -> str:
    return "the answer" if drop["answer"] else "it"


def _rule(found: dict[str, Any]) -> str:
    return "%s%s (%s)" % ("" if found["rule"].startswith("the policy ") else "the rule ", found["rule"], found["tool"])


def _translated(failure: dict[str, Any], near: dict[str, Any], far: dict[str, Any] | None) -> list[str]:
    """Say which rule made the far side see another source address than it should, or which one is missing."""
    if failure["kind"] == "outside" and not near["nat"]:
        return [_not_masqueraded(failure, near)]
    for node, evidence in ((failure["from"], near), (failure["to"], far)):
        if evidence and evidence["nat"]:
            text = "%s translates the source by %s: no rule ahead of it leaves traffic between pods and nodes out"
            return [text % (node, _rule(evidence["nat"]))]
    read = _read(failure, near, far)
    text = "something translates the source to %s, and no rule of %s was found to do it%s: look at what lies between"
    return [text % (failure["seen_as"], " and ".join(read), _doubts("may do it", read))]


def _lost_size(failure: dict[str, Any], near: dict[str, Any], far: dict[str, Any] | None) -> str:
    """Say between which interfaces large packets are lost, and what their MTUs are."""
    source, target = failure["from"], failure["to"]
    text = "packets of %d bytes are lost between %s and %s, small ones pass" % (failure["lost_size"], source, target)
    sending, receiving = near["route"], far["back"] if far and far is not near else {}
    if "mtu" not in sending or "mtu" not in receiving:
        return text + ": compare the MTUs of all interfaces between them"
    ends = [(source, sending["dev"], sending["mtu"]), (target, receiving["dev"], receiving["mtu"])]
    shown = " and ".join("%s of %s has MTU %d" % (device, node, mtu) for node, device, mtu in ends)
    if sending["mtu"] != receiving["mtu"]:
        return "%s: %s: give both the same" % (text, shown)
    remedy = "what lies between (switch, tunnel) may carry less: raise it, or lower both and pod_network_mtu"
    return "%s: %s: %s" % (text, shown, remedy)


def _outside(failure: dict[str, Any], near: dict[str, Any], masquerade: bool) -> list[str]:
    node = failure["from"]
    if failure["node_error"]:
        return ["the node itself does not reach %s either: %s" % (failure["to"], failure["node_error"])]
    reasons = _by_source(node, near, "route")
    if "error" in near["route"] and not reasons and not _is_refused(near, near["route"]):
        reasons.append("%s has no route to %s (%s)" % (node, failure["to"], near["route"]["error"]))
    reasons += _own_pod(node, near, "back", failure["local"])
    reasons += _in_between(node, near, False)
    if masquerade and not near["nat"]:
        reasons.append(_not_masqueraded(failure, near) + ": answers do not find the way back")
    return reasons


def _not_masqueraded(failure: dict[str, Any], near: dict[str, Any]) -> str:
    text = "%s has no MASQUERADE rule that applies to %s on its way to %s"
    text %= (failure["from"], failure["local"], failure["to"])
    other = near.get("nat_elsewhere")
    if not other:
        return text
    leaves = " by %s" % near["route"]["dev"] if "dev" in near["route"] else ""
    return "%s%s: %s is for another interface (pod_network_uplink)" % (text, leaves, _rule(other))


def _unexplained(failure: dict[str, Any], near: dict[str, Any], far: dict[str, Any] | None) -> str:
    if "ECONNREFUSED" in failure["what"]:
        return "nothing listens at %s any more, or what was not examined refuses it" % failure["address"]
    read = _read(failure, near, far)
    text = "nothing was found on %s that drops it (%s)" % (" and ".join(read), EXAMINED)
    text += _doubts("may drop it", read)
    unread = [] if failure["kind"] == "outside" or far else ["all of %s" % failure["to"]]
    unread += ["%s on %s" % (what, node) for node in read for what in read[node].get("not_examined", ())]
    unread.append(NEVER_EXAMINED)
    return text + "; not examined: %s, and what lies between (switch, security group, firewall)" % ", ".join(unread)


def _read(failure: dict[str, Any], near: dict[str, Any], far: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the evidence of each node that was read."""
    return {failure["from"]: near} if far is None else {failure["from"]: near, failure["to"]: far}


def _doubts(what: str, read: dict[str, dict[str, Any]]) -> str:
    """Say what there is on the nodes of which it cannot be told what it does to the packet."""
    text = ""
    for node, evidence in read.items():
        doubts = evidence["undecided"]
        if doubts:
            more = "; and %d more" % (len(doubts) - SHOWN_DOUBTS) if len(doubts) > SHOWN_DOUBTS else ""
            text += "; what %s on %s: %s%s" % (what, node, "; ".join(doubts[:SHOWN_DOUBTS]), more)
    return text
