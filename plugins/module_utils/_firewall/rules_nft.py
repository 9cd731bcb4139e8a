# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod network's rules in nft's own syntax. Pure.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from . import nft_syntax, rules_iptables
from .nft_syntax import OURS

FAMILY, TABLE = "inet", "humanz-cni"
PROTOCOLS = {4: "ip", 6: "ip6"}
# The sets of destinations that see the pods' own addresses.
KEPT = {4: "non_masquerade_ipv4", 6: "non_masquerade_ipv6"}


def _protocol(cidr: str) -> str:
    return PROTOCOLS[ipaddress.ip_network(cidr).version]


def _address(cidr: str) -> str:
    """Return *cidr* as nft lists it: without the length of a single address."""
    network = ipaddress.ip_network(cidr)
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def accept_rules(family: str, pods: Iterable[str], bridge: str) -> list[str]:
    """Return the rules that accept this node's pods' traffic in a chain of *family*: ip, ip6 or inet."""
    lines = []
    for cidr in pods:
        protocol = _protocol(cidr)
        if family in (protocol, "inet"):
            for device, match, word in (("iifname", "saddr", "src"), ("oifname", "daddr", "dst")):
                lines.append(
                    '%s "%s" %s %s %s accept %sACCEPT %s pods network"'
                    % (device, bridge, protocol, match, _address(cidr), OURS, word)
                )
    return lines


def masquerade_sets(kept: Iterable[str]) -> list[list[str]]:
    """Return the sets of our own table that :func:`masquerade_chain` looks destinations up in, as nft lists them.

    No elements are added to or taken from a set later: a table is replaced as a whole.
    """
    networks = [ipaddress.ip_network(cidr) for cidr in kept]
    sets = []
    for version in PROTOCOLS:
        elements = sorted(network for network in networks if network.version == version)
        if elements:
            texts = ", ".join(_address(str(network)) for network in elements)
            kind = ["type ipv%d_addr" % version, "flags interval", "elements = { %s }" % texts]
            sets.append(["set %s {" % KEPT[version], *kind, "}"])
    return sets


def masquerade_chain(
    pods: list[str],
    kept: Iterable[str],
    uplink: str,
    random_fully: bool,
    tunnels: rules_iptables.Tunnels = rules_iptables.NO_TUNNELS,
) -> list[str]:
    """Return the chain of our own table that masquerades, as nft lists it, without indentation; no pods, no chain.

    :param kept: destinations, in CIDR notation, that see the pods' own addresses; it needs :func:`masquerade_sets`.
    :param uplink: the only interface out of which is masqueraded, or an empty text for any.
    :param tunnels: a pod's packet to their port must not get the address of the node, which is its peers' peer.
    """
    if not pods:
        return []
    out = 'oifname "%s" ' % uplink if uplink else ""
    how = "masquerade fully-random" if random_fully else "masquerade"
    versions = {ipaddress.ip_network(cidr).version for cidr in kept}
    lines = ["%s daddr @%s return" % (PROTOCOLS[version], KEPT[version]) for version in sorted(versions)]
    for cidr in pods:
        if tunnels.peers and _protocol(cidr) == _protocol(tunnels.peers[0]):
            match = "%s saddr %s udp dport %d" % (_protocol(cidr), cidr, tunnels.port)
            lines.append('%s return comment "No VXLAN of pods from the node"' % match)
    for cidr in pods:
        lines.append('%s saddr %s %s%s comment "Nat from pods to outside"' % (_protocol(cidr), cidr, out, how))
    return ["chain postrouting {", "type nat hook postrouting priority srcnat; policy accept;"] + lines + ["}"]


def guard_chain(pods: list[str], bridge: str) -> list[str]:
    """Return the chain of our own table by which pods' addresses come by their bridge, and nothing else does.

    It is what rules_iptables.guard_rules is for iptables, for both families: from a bridge whose pods have none of a
    family, nothing of it is taken. No pods, no chain.
    """
    if not pods:
        return []
    lines = ['iifname "lo" return']
    for cidr in pods:
        match = "%s saddr %s" % (_protocol(cidr), _address(cidr))
        lines.append('iifname != "%s" %s drop comment "DROP src pods network from elsewhere"' % (bridge, match))
    lines.append('iifname "%s" fib saddr type local drop comment "DROP src this node"' % bridge)
    lines += ['iifname "%s" %s saddr %s return' % (bridge, _protocol(cidr), _address(cidr)) for cidr in pods]
    lines += _discovery_rules(pods, bridge)
    lines.append('iifname "%s" drop comment "DROP src not pods network"' % bridge)
    return ["chain prerouting {", "type filter hook prerouting priority raw; policy accept;"] + lines + ["}"]


def tunnels_chain(tunnels: rules_iptables.Tunnels) -> list[str]:
    """Return the chain of our own table by which the node takes VXLAN from its peers alone. No peers, no chain."""
    if not tunnels.peers:
        return []
    lines = [
        "meta nfproto != %s return" % ("ipv6" if ":" in tunnels.peers[0] else "ipv4"),
        "meta l4proto != udp return",
        "udp dport != %d return" % tunnels.port,
    ]
    lines += ["%s saddr %s return" % (_protocol(peer), peer) for peer in tunnels.peers]
    lines.append('drop comment "DROP VXLAN from no node"')
    return ["chain input {", "type filter hook input priority raw; policy accept;"] + lines + ["}"]


def _discovery_rules(pods: list[str], bridge: str) -> list[str]:
    if not any(":" in cidr for cidr in pods):
        return []
    match = 'iifname "%s" ip6 saddr %s meta l4proto ipv6-icmp return'
    return [match % (bridge, _address(cidr)) for cidr in rules_iptables.DISCOVERY_SOURCES]


def sources_chain(pods: list[str], bridge: str, sources: Iterable[str]) -> list[str]:
    """Return the chain of our own table that lets nobody but *sources* open connections to pods. No pods, no chain."""
    if not pods:
        return []
    lines = ["ct state established,related return"]
    lines += ["%s saddr %s return" % (_protocol(cidr), _address(cidr)) for cidr in sources]
    lines += _discovery_rules(pods, bridge)
    lines.append('oifname "%s" drop comment "DROP dst pods network"' % bridge)
    return ["chain forward {", "type filter hook forward priority filter; policy accept;"] + lines + ["}"]


def own_table(blocks: Iterable[list[str]]) -> list[str]:
    """Return our own table of *blocks*, its sets and then its chains, each a list of lines; none, no table."""
    lines = [line for block in blocks for line in block]
    return ["table %s %s {" % (FAMILY, TABLE)] + lines + ["}"] if lines else []


def replacement(table: list[str]) -> list[str]:
    """Return the lines for ``nft -f`` that make *table*, or nothing, our own table in one transaction."""
    name = "%s %s" % (FAMILY, TABLE)
    # To delete a table that is not there is an error; to add one that is there is none.
    return ["table %s" % name, "delete table %s" % name] + table


def replay_text(table: list[str], chains: dict[str, list[str]]) -> list[str]:
    """Return the lines of the state file: our own table, and in comments our rules in others' chains.

    A rule in somebody's chain would be added once more by every replay: it is for files/host_network.
    """
    return nft_syntax.insert_comments(chains) + (replacement(table) if table else [])
