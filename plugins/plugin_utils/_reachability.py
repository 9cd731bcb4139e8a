# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a verification makes, and what their outcomes mean. Pure.

A *cluster* is what the probe pods of a run are::

    {"nodes": {NODE: {"pod": [address], "port": int, "own": [address of the node], "gateways": [address]}
               or {"error": why it has no probe pod}},
     "outside": [{"name", "address", "port" (None: ICMP echo)} or {"name", "error"}], none: each node's own gateways,
     "sample": how many peers each node is tried against at most,
     "masquerade": whether outside must not see pods' own addresses}

A *check* is one connection: ``{"kind", "from", "to", "address", "port"}``. Kinds are ``pod`` (pod to pod), ``node``
(node to pod) and ``outside`` (pod to outside). A *failure* is a check with ``what`` (the symptom), and ``local`` (the
address that it was made from) or ``reason`` (why it was not even tried).

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import random

KINDS = ("pod", "node", "outside")
MAX_PATHS = 64  # of one node's tables; a node that fails all checks says why in fewer


def peers_of(cluster, node):
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


def checks_of(cluster, node):
    """Return the checks made from *node*; those to a node without a probe pod have no address."""
    checks = []
    for peer in [node] + peers_of(cluster, node):
        found = cluster["nodes"][peer]
        for address in found.get("pod") or [""]:
            for kind in ("pod", "node"):
                if kind == "node" or peer != node:
                    checks.append(_check(kind, node, peer, address, found.get("port")))
    for target in outside_of(cluster, node):
        checks.append(_check("outside", node, target["name"], target.get("address", ""), target.get("port")))
    return checks


def _check(kind, source, target, address, port):
    return {"kind": kind, "from": source, "to": target, "address": address, "port": port}


def outside_of(cluster, node):
    """Return the targets outside the cluster that are tried from *node*'s pod."""
    found = cluster["nodes"][node]
    if cluster["outside"] or "error" in found:
        return cluster["outside"]
    families = {_family(address) for address in found["pod"]}
    gateways = [address for address in found["gateways"] if _family(address) in families]
    return [{"name": address, "address": address, "port": None} for address in gateways]


def parse_outside(text, resolve):
    """Return the target that *text* names: ``HOST`` (ICMP echo), ``HOST:PORT`` or ``[ADDRESS]:PORT`` (TCP).

    :param resolve: returns an address of a host name, or raises OSError.
    """
    host, port = text, None
    if text.startswith("[") or text.count(":") == 1:
        host, _colon, port = text.rpartition(":")
        host = host.strip("[]")
    if not host or (port is not None and not (port.isdecimal() and 0 < int(port) < 65536)):
        return {"name": text, "error": "%r is no target: give HOST for ICMP echo, HOST:PORT for TCP" % text}
    try:
        address = host if is_address(host) else resolve(host)
    except OSError as exc:
        return {"name": text, "error": "the controller finds no address of %s: %s" % (host, exc.strerror or exc)}
    return {"name": text, "address": address, "port": None if port is None else int(port)}


def targets_for(cluster, node):
    """Return what the probe of *node* must connect to: ``[{"address", "port", "sources", "may_be_silent"}]``."""
    targets = {}
    for check in checks_of(cluster, node):
        if check["address"]:
            key = (check["address"], check["port"])
            outside = check["kind"] == "outside"
            target = targets.setdefault(
                key, {"address": key[0], "port": key[1], "sources": set(), "may_be_silent": outside}
            )
            # the node's own try tells a pod's trouble from the node's
            target["sources"] |= {"pod", "node"} if outside else {check["kind"]}
    return [dict(target, sources=sorted(target["sources"])) for target in targets.values()]


def judge(cluster, node, results):
    """Return ``{"passed": number, "failures": [failure]}`` for the *results* of the probe of *node*.

    :param results: ``[{"address", "port", "from": pod or node, "seen_as", "error", "local"}]``
    """
    by_key = {(result["from"], result["address"], result["port"]): result for result in results}
    passed, failures = 0, []
    for check in checks_of(cluster, node):
        if not check["address"]:
            failures.append(dict(check, what="not tried", reason=_why_not(cluster, check)))
            continue
        side = "node" if check["kind"] == "node" else "pod"
        result = by_key[(side, check["address"], check["port"])]
        what = result["error"] or _wrong_source(cluster, check, result["seen_as"])
        if not what:
            passed += 1
            continue
        local = result["local"] or _own_address(cluster["nodes"][node], side, check["address"])
        failure = dict(check, what=what, local=local, seen_as=result["seen_as"])
        if check["kind"] == "outside":
            failure["node_error"] = by_key[("node", check["address"], check["port"])]["error"]
        failures.append(failure)
    return {"passed": passed, "failures": failures}


def _own_address(found, side, address):
    """Return an address of the pod or node that a connection to *address* would have been made from, or None."""
    own = found["pod" if side == "pod" else "own"]
    return next((candidate for candidate in own if _family(candidate) == _family(address)), None)


def not_tried(cluster, node, reason):
    """Return what :func:`judge` does, for a *node* that could try nothing."""
    failures = [dict(check, what="not tried", reason=reason) for check in checks_of(cluster, node)]
    return {"passed": 0, "failures": failures}


def _why_not(cluster, check):
    """Return why a *check* without an address was not tried."""
    if check["kind"] == "outside":
        return next(target["error"] for target in cluster["outside"] if target["name"] == check["to"])
    return no_probe(cluster, check["to"])


def no_probe(cluster, node):
    """Return why *node* has no probe pod, in words."""
    return "%s has no probe pod: %s" % (node, cluster["nodes"][node]["error"])


def _wrong_source(cluster, check, seen_as):
    """Return what is wrong with the source address that the far side saw, or None."""
    found = cluster["nodes"][check["from"]]
    if check["kind"] == "outside":
        if not is_address(seen_as):
            return None
        own = seen_as in found["pod"]
        if own and cluster["masquerade"]:
            return "seen as %s, the pod's own address, instead of one of the node's" % seen_as
        if not own and not cluster["masquerade"]:
            return "seen as %s instead of the pod's own address" % seen_as
        return None
    allowed = found["pod"] if check["kind"] == "pod" else found["own"]
    if seen_as in allowed:
        return None
    wanted = "the pod's own address" if check["kind"] == "pod" else "an address of the node"
    return "seen as %s instead of %s" % (seen_as, wanted)


def is_address(text):
    """Return whether *text* is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


def _family(address):
    return ipaddress.ip_address(address).version


def paths_to_examine(failures):
    """Return which paths each node's tables are to be asked about: ``{NODE: [{"source", "destination", "port"}]}``."""
    paths = {}
    for failure in failures:
        if "reason" in failure or not failure["local"]:
            continue
        path = {"source": failure["local"], "destination": failure["address"], "port": failure["port"] or 0}
        ends = [failure["from"]] if failure["kind"] == "outside" else [failure["from"], failure["to"]]
        for node in ends:
            asked = paths.setdefault(node, [])
            if path not in asked and len(asked) < MAX_PATHS:
                asked.append(path)
    return paths
