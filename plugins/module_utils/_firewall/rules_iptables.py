# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that let pods' traffic pass, drop forged sources, and masquerade what leaves the cluster. Pure.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from . import iptables, iptables_syntax
from .iptables_syntax import FORWARD, POSTROUTING, PREROUTING, Place

MULTICAST = {4: "224.0.0.0/4", 6: "ff00::/8"}
# What pods send neighbour and multicast listener discovery from. The kernel forwards it to no other link.
DISCOVERY_SOURCES = ("fe80::/10", "::/128")
# What a UDP socket of the node takes, in terms of iptables.
TO_THE_NODE = {
    4: [{"destination_type": "LOCAL,BROADCAST,MULTICAST"}],
    6: [{"destination_type": "LOCAL,ANYCAST"}, {"destination": "ff00::/8"}],
}
# Chains of what decides on pods' traffic by Kubernetes' rules: service load balancing and network policies.
KUBERNETES_CHAINS = ("KUBE-", "cali-", "CILIUM")
FINAL_TARGETS = ("ACCEPT", "DROP", "RETURN", "MASQUERADE", "SNAT", "NETMAP")


class Tunnels(NamedTuple):
    """The node takes VXLAN packets to the UDP *port* from *peers* alone, addresses of one family; none, no rules."""

    port: int
    peers: list[str]


NO_TUNNELS = Tunnels(0, [])


class Hook(NamedTuple):
    """In *table*, the built-in chain *base* has one rule that jumps to our own *chain*."""

    table: str
    base: str
    chain: str


NAT_HOOK = Hook("nat", "POSTROUTING", POSTROUTING)
FILTER_HOOK = Hook("filter", "FORWARD", FORWARD)
# Ahead of connection tracking and of all that accepts what is established or marked, and for the node's own ports too.
RAW_HOOK = Hook("raw", "PREROUTING", PREROUTING)
# In POSTROUTING, the jump may stand anywhere ahead of a rule that ends the chain for every packet. Elsewhere it is
# behind the leading rules of Kubernetes' policies and ahead of everything else, so that nobody's ACCEPT, DROP or REJECT
# comes first.
PLACES = {
    NAT_HOOK: Place(ahead=FINAL_TARGETS),
    FILTER_HOOK: Place(behind=KUBERNETES_CHAINS),
    RAW_HOOK: Place(behind=KUBERNETES_CHAINS),
}


def jump(hook: Hook) -> str:
    """Return the rule that jumps to our own chain."""
    return iptables.rule(hook.base, [hook.chain], comment="humanz-cni pod network")


def guard_rules(pod_cidrs: Iterable[str], bridge: str, tunnels: Tunnels = NO_TUNNELS) -> list[str]:
    """Return the rules of our chain in PREROUTING: pods' addresses come by the bridge, and nothing else does.

    To the node, VXLAN packets come from its peers alone, and by no bridge.
    """
    pods = list(pod_cidrs)
    # The node's own connections to its addresses on the bridge.
    rules = [iptables.rule(PREROUTING, ["RETURN"], in_device="lo")]
    if tunnels.peers:
        rules += _vxlan_drops(tunnels, bridge)
    if pods:
        rules += _source_rules(pods, bridge)
    return rules + (_peer_rules(tunnels) if tunnels.peers else [])


def _source_rules(pods: list[str], bridge: str) -> list[str]:
    rules = _foreign_rules(PREROUTING, pods, bridge)
    rules.append(
        iptables.rule(PREROUTING, ["DROP"], comment="DROP src this node", in_device=bridge, source_type="LOCAL")
    )
    rules += [iptables.rule(PREROUTING, ["RETURN"], source=cidr, in_device=bridge) for cidr in pods]
    rules += _discovery_rules(PREROUTING, "RETURN", pods, in_device=bridge)
    return rules + [_other_sources(PREROUTING, bridge)]


def _vxlan_drops(tunnels: Tunnels, in_device: str = "") -> list[str]:
    family = 6 if ":" in tunnels.peers[0] else 4
    vxlan = {"in_device": in_device, "protocol": "udp", "udp_port": str(tunnels.port)}
    comment = "DROP VXLAN from no node"
    return [iptables.rule(PREROUTING, ["DROP"], comment=comment, **vxlan, **to) for to in TO_THE_NODE[family]]


def _peer_rules(tunnels: Tunnels) -> list[str]:
    """Return the rules that end the chain; what is no VXLAN packet passes two of them, however many peers there are."""
    rules = [
        iptables.rule(PREROUTING, ["RETURN"], protocol="! udp"),
        iptables.rule(PREROUTING, ["RETURN"], protocol="udp", udp_port="! %d" % tunnels.port),
    ]
    rules += [iptables.rule(PREROUTING, ["RETURN"], source=_network(peer)) for peer in tunnels.peers]
    return rules + _vxlan_drops(tunnels)


def _network(address: str) -> str:
    return str(ipaddress.ip_network(address))


def forward_rules(pod_cidrs: Iterable[str], bridge: str, sources: Iterable[str] = ()) -> list[str]:
    """Return the rules of our chain in FORWARD, for this node's pods only. What is not about them is left to others.

    :param sources: who may open connections to pods, in CIDR notation; none means anybody.
    """
    pods, sources = list(pod_cidrs), list(sources)
    rules = _foreign_rules(FORWARD, pods, bridge)
    rules += [
        iptables.rule(FORWARD, ["ACCEPT"], comment="ACCEPT src pods network", source=cidr, in_device=bridge)
        for cidr in pods
    ]
    # Frames from pod to pod pass here where the kernel has iptables look at what a bridge forwards.
    rules += _discovery_rules(FORWARD, "ACCEPT", pods, in_device=bridge, out_device=bridge)
    rules.append(_other_sources(FORWARD, bridge))
    for cidr in pods:
        to_pods = {"destination": cidr, "out_device": bridge}
        if sources:
            state = "RELATED,ESTABLISHED"
            rules.append(iptables.rule(FORWARD, ["ACCEPT"], comment="ACCEPT answers to pods", state=state, **to_pods))
        rules += [
            iptables.rule(FORWARD, ["ACCEPT"], comment="ACCEPT dst pods network", source=source, **to_pods)
            for source in sources or [""]
        ]
    if sources:
        rules.append(iptables.rule(FORWARD, ["DROP"], comment="DROP dst pods network", out_device=bridge))
    return rules


def _foreign_rules(chain: str, pods: list[str], bridge: str) -> list[str]:
    comment = "DROP src pods network from elsewhere"
    return [iptables.rule(chain, ["DROP"], comment=comment, source=cidr, in_device="! " + bridge) for cidr in pods]


def _discovery_rules(chain: str, target: str, pods: list[str], **devices: str) -> list[str]:
    if not any(":" in cidr for cidr in pods):
        return []
    return [
        iptables.rule(chain, [target], source=source, protocol="ipv6-icmp", **devices) for source in DISCOVERY_SOURCES
    ]


def _other_sources(chain: str, bridge: str) -> str:
    return iptables.rule(chain, ["DROP"], comment="DROP src not pods network", in_device=bridge)


def masquerade_rules(
    pod_cidrs: Iterable[str], kept: Iterable[str], uplink: str, random_fully: bool, tunnels: Tunnels = NO_TUNNELS
) -> list[str]:
    """Return the rules of our chain in POSTROUTING.

    :param kept: destinations, in CIDR notation, that see the pods' own addresses.
    :param uplink: the only interface out of which is masqueraded, or an empty text for any.
    :param tunnels: a pod's packet to their port must not get the address of the node, which is its peers' peer.
    """
    pods = list(pod_cidrs)
    masquerade = ["MASQUERADE"] + (["--random-fully"] if random_fully else [])
    rules = [iptables.rule(POSTROUTING, ["RETURN"], destination=cidr) for cidr in kept]
    if tunnels.peers:
        vxlan = {"protocol": "udp", "udp_port": str(tunnels.port)}
        # It ends the table, where somebody else may masquerade all that leaves the node.
        rules += [
            iptables.rule(POSTROUTING, ["ACCEPT"], comment="No VXLAN of pods from the node", source=cidr, **vxlan)
            for cidr in pods
        ]
    for cidr in pods:
        rules.append(
            iptables.rule(POSTROUTING, masquerade, comment="Nat from pods to outside", source=cidr, out_device=uplink)
        )
    return rules


def without_subnets(cidrs: Iterable[str]) -> list[str]:
    """Return *cidrs*, all of one version, in their order, without those that another one of them contains."""
    networks = list(collections.OrderedDict.fromkeys(ipaddress.ip_network(cidr) for cidr in cidrs))
    widest: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    kept = set()
    for network in sorted(networks):  # a network sorts ahead of its parts
        if widest is None or not network.subnet_of(widest):  # type: ignore[arg-type]
            widest = network
            kept.add(network)
    return [str(network) for network in networks if network in kept]


def seen(hook: Hook, base: list[str], own: list[str] | None) -> list[str]:
    """Return what there is of ours at *hook*, as lines in iptables-restore syntax; no line if there is nothing.

    :param base: the rules of the built-in chain.
    :param own: the rules of our own chain, or None if there is none.

    A jump that stands in the wrong place is preceded by a comment that says so.
    """
    lines = [] if own is None else [":%s - [0:0]" % hook.chain]
    jumps, others = iptables_syntax.apart(base, hook.chain)
    if len(jumps) == 1:
        lines += _misplaced(hook, base.index(jumps[0]), others)
    lines += [iptables.canonical(rule) for rule in jumps]
    return lines + [iptables.canonical(rule) for rule in own or []]


def _misplaced(hook: Hook, place: int, others: list[str]) -> list[str]:
    first, last = iptables_syntax.where(PLACES[hook], others)
    if place < first:
        return ["# it stands ahead of: %s" % others[place]]
    if place > last:
        return ["# it stands behind: %s" % others[last]]
    return []


def wanted(hook: Hook, rules: list[str]) -> list[str]:
    """Return what :func:`seen` returns once our chain holds *rules* and is jumped to; no rules means nothing of it."""
    return [":%s - [0:0]" % hook.chain, jump(hook)] + rules if rules else []


def own_rules(hook: Hook, lines: list[str]) -> list[str]:
    """Return the rules of our chain among *lines*, as of :func:`seen` or :func:`wanted`."""
    return [line for line in lines if line.startswith("-A %s " % hook.chain)]


def transaction(hook: Hook, base: list[str], own: list[str] | None, rules: list[str]) -> list[str]:
    """Return the lines for iptables-restore that make *rules* the content of our chain, and jump to it.

    :param base: the rules of the built-in chain.
    :param own: the rules of our own chain, or None if there is none.
    :param rules: no rules remove our chain and the jump.

    Declaring a chain empties it, so that it is filled anew in the same transaction.
    """
    if not rules:
        deletions = [iptables_syntax.deletion(rule) for rule in iptables_syntax.apart(base, hook.chain)[0]]
        return _table(hook, deletions + ([] if own is None else ["-F %s" % hook.chain, "-X %s" % hook.chain]))
    in_place = seen(hook, base, None) == [jump(hook)]
    placing = [] if in_place else iptables_syntax.placing(_placed(hook), base)
    return _table(hook, [":%s - [0:0]" % hook.chain] + placing + rules)


def _placed(hook: Hook) -> iptables_syntax.Jump:
    return iptables_syntax.Jump(jump(hook), PLACES[hook])


def replay_text(hooks: Iterable[tuple[Hook, list[str]]]) -> list[str]:
    """Return the lines, for iptables-restore, of our own chains alone; *hooks* is a list of (Hook, rules).

    A jump would be added once more by every replay: it stands in a comment, with its place, for files/host_network.
    """
    lines = []
    for hook, rules in hooks:
        if rules:
            jump_lines = iptables_syntax.jump_comments(_placed(hook))
            lines += _table(hook, [":%s - [0:0]" % hook.chain] + jump_lines + rules)
    return lines


def _table(hook: Hook, lines: list[str]) -> list[str]:
    return ["*%s" % hook.table] + lines + ["COMMIT"]


def listing(hook: Hook, lines: list[str]) -> list[str]:
    """Return *lines*, as of :func:`seen`, as a table; no line stays none."""
    return _table(hook, lines) if lines else []
