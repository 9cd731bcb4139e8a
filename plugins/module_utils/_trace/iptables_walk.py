# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows one packet through rules in iptables-save syntax, to name the rule that decides on it. Pure.

What a rule matches on beyond addresses, devices, protocol, ports, connection state, mark and address type cannot be
decided from outside; such a rule is taken not to match, and reported.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from .._firewall import iptables_syntax

if TYPE_CHECKING:
    from typing import Optional

    #: The chains of a table by their names, each as (policy or None, [rule text]).
    Chains = dict[str, tuple[Optional[str], list[str]]]

VERDICTS = ("ACCEPT", "DROP", "REJECT", "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "RETURN")
# Targets after which a packet goes on, or stops for reasons of its own, that a reader of rules cannot tell.
UNCERTAIN = ("NFQUEUE", "QUEUE", "TPROXY", "TARPIT", "SYNPROXY", "DELUDE", "CHAOS")
MARKING = ("MARK", "CONNMARK", "CONNSECMARK", "SET")
ICMP = {"icmp": ("icmp", "1"), "ipv6-icmp": ("ipv6-icmp", "icmpv6", "58")}
NUMBERS = {"tcp": ("tcp", "6"), "udp": ("udp", "17"), **ICMP}


class Packet(NamedTuple):
    """A packet of the *protocol* tcp, udp, icmp or ipv6-icmp.

    *port* is its destination's, 0 for none; *state* NEW or ESTABLISHED; no device is an empty text, one that is not
    known is "?". *marked* is whether a rule that it has passed may have marked it.
    """

    source: str
    destination: str
    in_device: str
    out_device: str
    port: int
    state: str
    protocol: str = "tcp"
    marked: bool = False


class Decision(NamedTuple):
    """What becomes of a packet.

    *rule* is the text of the rule that decides, or names the chain whose policy does; *undecided* are rules that might
    have decided otherwise; *marks* is whether a rule that it passed may have marked it.
    """

    verdict: str
    rule: str
    undecided: list[str]
    marks: bool = False


def parse(text: str) -> dict[str, Chains]:
    """Return the tables in the iptables-save output *text*: ``{table: {chain: (policy or None, [rule text])}}``."""
    tables: dict[str, Chains] = {}
    chains: Chains = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains[name] = (None if policy == "-" else policy, [])
        elif line.startswith("-A "):
            chains.setdefault(line.split()[1], (None, []))[1].append(line)
    return tables


def decide(chains: Chains, chain: str, packet: Packet) -> Decision:
    """Return the Decision of the base chain *chain* on *packet*.

    :param chains: one table of :func:`parse`. A chain that is not there accepts.
    """
    undecided: list[str] = []
    marking: list[str] = []
    found = _walk(chains, chain, packet, undecided, marking, 0)
    if found is None or found[0] == "RETURN":
        policy = chains.get(chain, ("ACCEPT", []))[0] or "ACCEPT"
        found = (policy, "the policy of %s, as no rule accepts it" % chain)
    return Decision(found[0], found[1], undecided, bool(marking))


def _walk(
    chains: Chains, chain: str, packet: Packet, undecided: list[str], marking: list[str], depth: int
) -> tuple[str, str] | None:
    if depth > 64:  # the kernel refuses loops; a text may hold one
        return None
    for rule in chains.get(chain, (None, []))[1]:
        matches, target, jumps = _match(rule, packet._replace(marked=True) if marking else packet)
        if matches is False:
            continue
        if target in MARKING:
            marking.append(rule)
        if matches is None or target in UNCERTAIN:
            if target in VERDICTS or target in UNCERTAIN or target in chains:
                undecided.append(rule)
            continue
        if target == "RETURN":
            return None
        if target in VERDICTS:
            return target, rule
        if target in chains:
            found = _walk(chains, target, packet, undecided, marking, depth + 1)
            if found is not None or not jumps:
                return found
    return None


def _match(rule: str, packet: Packet) -> tuple[bool | None, str | None, bool]:
    """Return (whether *rule* matches or None if that cannot be decided, its target, whether it comes back from it)."""
    words = iptables_syntax.words_of(rule)[2:]
    target: str | None = None
    certain, jumps = True, True
    while words:
        negated = words[0] == "!"
        option = words.pop(1 if negated else 0)
        if negated:
            words.pop(0)
        if option in ("-j", "-g"):
            target, jumps = words.pop(0), option == "-j"
            break
        values = []
        while words and not words[0].startswith("-") and words[0] != "!":
            values.append(words.pop(0))
        verdict = _matches_option(option, values, packet)
        if verdict is None:
            certain = False
        elif verdict == negated:
            return False, _target(words) or target, True
    return (True if certain else None), target, jumps


def _target(words: list[str]) -> str | None:
    return words[words.index("-j") + 1] if "-j" in words else None


def _matches_option(option: str, values: list[str], packet: Packet) -> bool | None:
    """Return whether *packet* matches one option of a rule, or None if that cannot be decided."""
    if option in ("-m", "--comment"):
        return True
    if option in ("-s", "-d"):
        address = packet.source if option == "-s" else packet.destination
        if values[0].endswith(("/32", "/128")):  # thousands, where there are services
            return address == values[0].partition("/")[0]
        return ipaddress.ip_address(address) in ipaddress.ip_network(values[0], strict=False)
    if option in ("-i", "-o"):
        device = packet.in_device if option == "-i" else packet.out_device
        if device == "?":
            return None
        return fnmatch.fnmatchcase(device, values[0][:-1] + "*" if values[0].endswith("+") else values[0])
    if option == "-p":
        return values[0] == "all" or values[0] in NUMBERS[packet.protocol]
    if option in ("--ctstate", "--state"):
        return packet.state in values[0].split(",")
    if option in ("--dport", "--dports"):
        return _in_ports(packet.port, values[0])
    if option == "--mark":
        return None if packet.marked else _unmarked(values[0])
    if option in ("--dst-type", "--src-type"):
        return values[0] == "UNICAST"
    return None


def _in_ports(port: int, text: str) -> bool:
    for part in text.split(","):
        first, _colon, last = part.partition(":")
        if int(first or 0) <= port <= int(last or (65535 if _colon else first)):
            return True
    return False


def _unmarked(text: str) -> bool:
    """Return whether a packet whose mark is 0 matches the mark in *text*, ``value`` or ``value/mask``."""
    return int(text.split("/")[0], 0) == 0
