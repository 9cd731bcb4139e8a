# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a verification makes, and what their outcomes mean. Pure.

A *cluster* is what the probe pods of a run are::

    {"nodes": {NODE: {"pod": [address], "port": int, "own": [address of the node], "gateways": [address],
                      "lacked": [{"family", "text"}], what the probe pod's attachment put right}
               or {"error": why it has no probe pod}},
     "families": [4 and 6, those that any pod has an address of, see :func:`families_of`],
     "outside": [{"name", "address", "port" (None: ICMP echo)} or {"name", "error"}], none: each node's own gateways,
     "sample": how many peers each node is tried against at most,
     "masquerade": [families in which the outside must not see pods' own addresses]}

A *check* is one connection: ``{"kind", "from", "to", "family", "address", "port"}``. Kinds are ``pod`` (pod to pod),
``node`` (node to pod) and ``outside`` (pod to outside). One that cannot be made has the address "" and a ``reason``. A
*failure* is a check with ``what`` (the symptom), and ``local`` (the address that it was made from) or ``reason``.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from typing import Any

from ...module_utils._shared import ip_addresses
from ...module_utils._shared.ip_addresses import shown

KINDS = ("pod", "node", "outside")
MAX_PATHS = 64  # of one node's tables; a node that fails all checks says why in fewer


def peers_of(cluster: dict[str, Any], node: str) -> list[str]:
    """Return the nodes whose pods are tried from *node*, in inventory order.

    A sample takes the same offsets round the ring of nodes for every node, so that every pod is tried equally often,
    and the same ones in every run.
    """
    names = list(cluster["nodes"])
    others = len(names) - 1
    if others <= cluster["sample"]:
        return [name for name in names if name != node]
    offsets = random.Random(len(names)).sample(range(1, len(names)), cluster["sample"])
    position = names.index(node)
    return [names[(position + offset) % len(names)] for offset in sorted(offsets)]


def families_of(nodes: dict[str, dict[str, Any]]) -> list[int]:
    """Return the families of all pods' addresses, in order; IPv4 if there is no pod at all.

    :param nodes: as in a cluster.
    """
    return sorted({family_of(address) for found in nodes.values() for address in found.get("pod", ())}) or [4]


def checks_of(cluster: dict[str, Any], node: str) -> list[dict[str, Any]]:
    """Return the checks made from *node*, in every family that pods have, also to pods that lack an address of it."""
    checks = []
    for peer in [node] + peers_of(cluster, node):
        for family in cluster["families"]:
            for kind in ("pod", "node"):
                if kind == "node" or peer != node:
                    checks += _to_pod(cluster, kind, node, peer, family)
    for target in outside_of(cluster, node):
        checks.append(_to_outside(cluster, node, target))
    return checks


def _to_pod(cluster: dict[str, Any], kind: str, node: str, peer: str, family: int) -> list[dict[str, Any]]:
    """Return the checks of one *kind* from *node* to the addresses of *family* of the pod on *peer*."""
    check = {"kind": kind, "from": node, "to": peer, "family": family, "address": "", "port": None}
    ends = [peer, node] if kind == "pod" else [peer]
    lacking = [end for end in ends if not _of_family(cluster, end, family)]
    if lacking:
        return [dict(check, reason=_no_address(cluster, lacking[0], family))]
    port = cluster["nodes"][peer]["port"]
    return [dict(check, address=address, port=port) for address in _of_family(cluster, peer, family)]


def _to_outside(cluster: dict[str, Any], node: str, target: dict[str, Any]) -> dict[str, Any]:
    address = target.get("address", "")
    family = family_of(address) if address else cluster["families"][0]
    check = {"kind": "outside", "from": node, "to": target["name"], "family": family, "address": address}
    check["port"] = target.get("port")
    return check if address else dict(check, reason=target["error"])


def _of_family(cluster: dict[str, Any], node: str, family: int) -> list[str]:
    return [address for address in cluster["nodes"][node].get("pod", ()) if family_of(address) == family]


def _no_address(cluster: dict[str, Any], node: str, family: int) -> str:
    """Return why the pod on *node* has no address of *family*, in words."""
    if "error" in cluster["nodes"][node]:
        return no_probe(cluster, node)
    return "the pod on %s has no IPv%d address, as others have" % (node, family)


def outside_of(cluster: dict[str, Any], node: str) -> list[dict[str, Any]]:
    """Return the targets outside the cluster that are tried from *node*'s pod."""
    found = cluster["nodes"][node]
    targets: list[dict[str, Any]] = cluster["outside"]
    if targets or "error" in found:
        return targets
    families = {family_of(address) for address in found["pod"]}
    gateways = [address for address in found["gateways"] if family_of(address) in families and not _link_local(address)]
    return [{"name": address, "address": address, "port": None} for address in gateways]


def parse_outside(text: str, resolve: Callable[[str], list[str]], families: list[int]) -> list[dict[str, Any]]:
    """Return the targets that *text* names: ``HOST`` (ICMP echo), ``HOST:PORT`` or ``[ADDRESS]:PORT`` (TCP).

    :param resolve: returns the addresses of a host name, or raises OSError.
    :param families: those of the cluster; a host name stands for one address of each.
    """
    host, port = text, None
    if text.startswith("[") or text.count(":") == 1:
        host, _colon, port = text.rpartition(":")
        host = host.strip("[]")
    if "%" in host:
        return [
            {"name": text, "error": "%s has a zone, which no other node knows: give an address without" % shown(host)}
        ]
    if not host or (port is not None and not (port.isdecimal() and 0 < int(port) < 65536)):
        return [{"name": text, "error": "%r is not a target: give HOST for ICMP echo, HOST:PORT for TCP" % text}]
    try:
        found = [host] if ip_addresses.is_address(host) else _one_of_each(resolve(host), families)
    except OSError as exc:
        error = "the controller finds no address of %s: %s" % (host, exc.strerror or exc)
        return [{"name": text, "error": error}]
    if not found:
        wanted = " or ".join("IPv%d" % family for family in families)
        return [{"name": text, "error": "the controller finds no %s address of %s" % (wanted, host)}]
    number = None if port is None else int(port)
    names = [text if len(found) == 1 else "%s (IPv%d)" % (text, family_of(address)) for address in found]
    return [{"name": name, "address": address, "port": number} for name, address in zip(names, found)]


def _one_of_each(addresses: list[str], families: list[int]) -> list[str]:
    """Return the first of *addresses* in each of *families* that there is one of."""
    firsts = (next((one for one in addresses if family_of(one) == family), None) for family in families)
    return [address for address in firsts if address]


def targets_for(cluster: dict[str, Any], node: str) -> list[dict[str, Any]]:
    """Return what the probe of *node* must connect to, as pod_probe takes it.

    ``[{"address", "port", "sources", "may_be_silent", "full_size"}]``
    """
    targets: dict[tuple[str, int | None], dict[str, Any]] = {}
    for check in checks_of(cluster, node):
        if check["address"]:
            key = (check["address"], check["port"])
            outside = check["kind"] == "outside"
            target = targets.setdefault(
                key,
                {
                    "address": key[0],
                    "port": key[1],
                    "sources": set(),
                    "may_be_silent": outside,
                    "full_size": not outside,
                },
            )
            # the node's own try tells a pod's trouble from the node's
            target["sources"] |= {"pod", "node"} if outside else {check["kind"]}
    return [dict(target, sources=sorted(target["sources"])) for target in targets.values()]


def judge(cluster: dict[str, Any], node: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``{"passed": number, "failures": [failure]}`` for the *results* of the probe of *node*.

    :param results: ``[{"address", "port", "from": pod or node, "seen_as", "error", "local"}]``
    """
    by_key = {(result["from"], result["address"], result["port"]): result for result in results}
    passed, failures = 0, []
    for check in checks_of(cluster, node):
        if "reason" in check:
            failures.append(dict(check, what="not tried"))
            continue
        side = "node" if check["kind"] == "node" else "pod"
        result = by_key[(side, check["address"], check["port"])]
        what = result["error"] or _wrong_source(cluster, check, result["seen_as"])
        if not what:
            lacked = _lacked(cluster, check)
            if lacked:
                failures.append(dict(check, what="passes only because probe pods repaired a node", reason=lacked))
            else:
                passed += 1
            continue
        local = result["local"] or _own_address(cluster["nodes"][node], side, check["address"])
        failure = dict(check, what=what, local=local, seen_as=result["seen_as"])
        if result["error"] and "mtu" in result:  # the connection itself is right
            failure.update(seen_as=None, protocol="udp", lost_size=result["lost_size"])
        if check["kind"] == "outside":
            failure["node_error"] = by_key[("node", check["address"], check["port"])]["error"]
        failures.append(failure)
    return {"passed": passed, "failures": failures}


def _lacked(cluster: dict[str, Any], check: dict[str, Any]) -> str | None:
    """Return why no packets of other pods passed the nodes that forward those of *check* to or from their own pods."""
    ends = {"pod": [check["from"], check["to"]], "node": [check["to"]], "outside": [check["from"]]}[check["kind"]]
    for node in ends if check["from"] != check["to"] else ():
        for lacked in cluster["nodes"][node].get("lacked", ()):
            if lacked["family"] == check["family"]:
                return "%s %s" % (node, lacked["text"])
    return None


def _own_address(found: dict[str, Any], side: str, address: str) -> str | None:
    """Return an address of the pod or node that a connection to *address* would have been made from, or None."""
    own = found["pod" if side == "pod" else "own"]
    return next((candidate for candidate in own if family_of(candidate) == family_of(address)), None)


def not_tried(cluster: dict[str, Any], node: str, reason: str) -> dict[str, Any]:
    """Return what :func:`judge` does, for a *node* that could try nothing."""
    failures = [dict(check, what="not tried", reason=reason) for check in checks_of(cluster, node)]
    return {"passed": 0, "failures": failures}


def no_probe(cluster: dict[str, Any], node: str) -> str:
    """Return why *node* has no probe pod, in words."""
    return "%s has no probe pod: %s" % (node, cluster["nodes"][node]["error"])


def _wrong_source(cluster: dict[str, Any], check: dict[str, Any], seen_as: str) -> str | None:
    """Return what is wrong with the source address that the far side saw, or None."""
    found = cluster["nodes"][check["from"]]
    if check["kind"] == "outside":
        if not ip_addresses.is_address(seen_as):
            return None
        own = seen_as in found["pod"]
        masquerade = check["family"] in cluster["masquerade"]
        if own and masquerade:
            return "seen as %s, the pod's own address, instead of one of the node's" % shown(seen_as)
        if not own and not masquerade:
            return "seen as %s instead of the pod's own address" % shown(seen_as)
        return None
    allowed = found["pod"] if check["kind"] == "pod" else found["own"]
    if seen_as in allowed:
        return None
    wanted = "the pod's own address" if check["kind"] == "pod" else "an address of the node"
    return "seen as %s instead of %s" % (shown(seen_as), wanted)


def family_of(address: str) -> int:
    """Return the family of *address*, 4 or 6."""
    return 6 if ":" in address else 4


def _link_local(address: str) -> bool:
    """Return whether *address* is one that only its own link knows, such as a router's that advertises itself."""
    return ipaddress.ip_address(address).is_link_local


def paths_to_examine(failures: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return which paths each node's tables are to be asked about: ``{NODE: [{"source", "destination", "port"}]}``."""
    paths: dict[str, list[dict[str, Any]]] = {}
    for failure in failures:
        if "reason" in failure or not ip_addresses.is_address(failure["local"]):
            continue
        question = {"source": failure["local"], "destination": failure["address"], "port": failure["port"] or 0}
        if "protocol" in failure:
            question["protocol"] = failure["protocol"]
        ends = {failure["to"]: "destination", failure["from"]: "source"}
        if failure["kind"] == "outside":
            ends = {failure["from"]: "source"}
        for node, end in ends.items():
            asked = paths.setdefault(node, [])
            path = question if failure["from"] == failure["to"] else dict(question, end=end)
            if path not in asked and len(asked) < MAX_PATHS:
                asked.append(path)
    return paths
