# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows one packet through a table of nf_tables as ``nft -j`` lists it, to name the rule that decides on it. Pure.

Packets and decisions are those of iptables_walk; the text of a rule is what the caller makes of the dict that
``nft -j`` has for it. What a rule matches on beyond what iptables_walk knows of a packet cannot be decided from
outside, nor can what depends on earlier packets: such a rule is taken not to match, and reported.

The statements and expressions are described in libnftables-json(5).

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import iptables_walk

if TYPE_CHECKING:
    from .iptables_walk import Decision, Packet

    #: The elements of sets and maps by their names, as nft lists them.
    Sets = dict[str, list[Any]]

# Statements that end a rule, and what they are called here.
VERDICTS = {name: name.upper() for name in ("accept", "drop", "reject", "return", "masquerade", "snat")}
# Statements that change where a packet goes, or hand it to a program.
VERDICTS.update({name: name.upper() for name in ("dnat", "redirect")})
HANDED_OVER = ("queue", "tproxy", "synproxy", "fwd", "nfqueue", "tarpit")
JUMPS = ("jump", "goto")
# Statements that let only some packets pass on to the next statement, whichever those are.
UNCERTAIN = ("limit", "quota", "ct count", "meter")
# Layers below the packet's, which its fate may depend on.
LINK_LAYERS = ("ether", "vlan", "arp")
# Of the packet's protocol, which ranges and some sets list as a number.
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58}
LIMIT = 64  # the kernel refuses loops; a listing may hold one

NEVER = object()  # the value of a field that the packet does not have


class Table(NamedTuple):
    """*chains* maps names to lists of rules, as dicts; *sets* maps names of sets and maps to their elements."""

    chains: dict[str, list[dict[str, Any]]]
    sets: Sets


def parse(objects: Iterable[dict[str, Any]]) -> Table:
    """Return the Table in the list ``nftables`` of what ``nft -j list table`` prints."""
    table = Table({}, {})
    for entry in objects:
        if "rule" in entry:
            table.chains.setdefault(entry["rule"]["chain"], []).append(entry["rule"])
        for found in (entry[kind] for kind in ("set", "map") if kind in entry):
            table.sets[found["name"]] = found.get("elem", [])
    return table


def decide(table: Table, chain: dict[str, Any], packet: Packet, text: Callable[[dict[str, Any]], str]) -> Decision:
    """Return the Decision of a base chain on *packet*.

    :param chain: the chain as nft lists it: family, table, name, and policy if that is not to accept.
    :param text: returns the text of a rule.
    """
    undecided: list[dict[str, Any]] = []
    marking: list[dict[str, Any]] = []
    found = _walk(table, chain["name"], packet, undecided, marking, 0)
    rules = [text(rule) for rule in undecided]
    marks = bool(marking)
    if found is None:
        policy = "the policy of %(family)s %(table)s %(name)s, as no rule accepts it" % chain
        return iptables_walk.Decision(chain.get("policy", "accept").upper(), policy, rules, marks)
    return iptables_walk.Decision(found[0], text(found[1]), rules, marks)


def _walk(
    table: Table,
    chain: str,
    packet: Packet,
    undecided: list[dict[str, Any]],
    marking: list[dict[str, Any]],
    depth: int,
) -> tuple[str, dict[str, Any]] | None:
    if depth > LIMIT:
        return None
    for rule in table.chains.get(chain, []):
        matches, verdict, target = _apply(rule["expr"], packet._replace(marked=True) if marking else packet, table.sets)
        if matches is not False and any(map(_sets_mark, rule["expr"])):
            marking.append(rule)
        if matches is None and verdict:
            undecided.append(rule)
        if not matches or verdict is None:
            continue
        if verdict == "RETURN":
            return None
        if verdict not in JUMPS:
            return verdict, rule
        found = _walk(table, target, packet, undecided, marking, depth + 1)
        if found is not None or verdict == "goto":
            return found
    return None


def _sets_mark(statement: dict[str, Any]) -> bool:
    """Return whether *statement* changes the mark of the packet or of its connection, also one by iptables."""
    ((kind, value),) = statement.items()
    if kind == "xt":
        return (value or {}).get("type") == "target" and value.get("name", "") in iptables_walk.MARKING
    return kind == "mangle" and "mark" in str(value["key"])


def _apply(statements: Iterable[dict[str, Any]], packet: Packet, sets: Sets) -> tuple[bool | None, str | None, str]:
    """Return (whether the rule applies, None if that cannot be decided; its verdict; the chain that it goes to).

    The verdict is a value of VERDICTS, jump or goto, or None; only the latter two have a chain.
    """
    certain = True
    kind: str | None
    for statement in statements:
        ((kind, value),) = statement.items()
        if kind == "match":
            matches = _match(value, packet, sets)
        elif kind == "vmap":
            matches, statement = _look_up(value, packet, sets)
            kind, value = next(iter(statement.items()), (None, None))
        elif kind == "xt":  # by iptables
            matches, kind = _extension(value)
        else:
            matches = None if kind in UNCERTAIN else True
        if matches is False:
            return False, None, ""
        certain = certain and matches is not None
        if kind in HANDED_OVER:
            return None, kind.upper(), ""
        if kind in VERDICTS or kind in JUMPS:
            target = value["target"] if kind in JUMPS else ""
            return certain or None, VERDICTS.get(kind, kind), target
    return certain or None, None, ""


def _extension(value: dict[str, Any] | None) -> tuple[bool | None, str | None]:
    """Return the verdict on an extension of iptables, of which nft names type and name, or nothing at all."""
    value = value or {}
    if value.get("type") == "target":
        return True, value.get("name", "").lower()
    return (True if value.get("name") == "comment" else None), None


def _look_up(vmap: dict[str, Any], packet: Packet, sets: Sets) -> tuple[bool | None, dict[str, Any]]:
    """Return (whether a key of *vmap* is the packet's, the statement that it maps to, empty if that is not known)."""
    value = _value(vmap["key"], packet)
    if value is NEVER:
        return False, {}
    unsure = False
    for key, statement in sorted(_elements(vmap["data"], sets), key=lambda element: element[0] == "*"):
        # What has any other key does not get to the one for all the rest.
        matches = (None if unsure else True) if key == "*" else _equals(value, key, sets)
        if matches:
            return True, statement
        unsure = unsure or matches is None
    # What it may do is not known; that it may drop is worth a word.
    return (None, {"drop": None}) if unsure else (False, {})


def _match(match: dict[str, Any], packet: Packet, sets: Sets) -> bool | None:
    """Return whether *packet* matches, or None if that cannot be decided."""
    value = _value(match["left"], packet)
    if value is NEVER:
        return False
    if match["op"] not in ("==", "!=", "in"):
        return None
    matches = _equals(value, match["right"], sets)
    return (not matches) if match["op"] == "!=" and matches is not None else matches


def _value(left: Any, packet: Packet) -> Any:
    """Return what *packet* has for the expression *left*; NEVER if it has no such field, None if that is not known."""
    if not isinstance(left, dict):
        return None
    ((kind, what),) = left.items()
    if kind == "payload" and "protocol" in what:
        return _header(what["protocol"], what["field"], packet)
    if kind == "meta":
        return _meta(what["key"], packet)
    if kind == "ct" and what["key"] == "state":
        return packet.state.lower()
    if kind == "fib" and what["result"] == "type":
        return "unicast"
    if kind == "&" and isinstance(what[0], dict) and _value(what[0], packet) == 0:
        return 0
    if kind == "concat":
        values = [_value(part, packet) for part in what]
        return NEVER if NEVER in values else values
    return None


def _header(protocol: str, field: str, packet: Packet) -> Any:
    """Return a field of the packet's headers."""
    if protocol in (packet.protocol, "th"):
        return packet.port if field == "dport" and packet.port else None
    if protocol in LINK_LAYERS:
        return None
    if protocol != _protocol(packet):
        return NEVER
    fields = {"saddr": packet.source, "daddr": packet.destination, "protocol": packet.protocol}
    fields["nexthdr"] = packet.protocol
    return fields.get(field)


def _meta(key: str, packet: Packet) -> Any:
    devices = {"iifname": packet.in_device, "oifname": packet.out_device}
    devices.update(iif=packet.in_device, oif=packet.out_device)
    if key in devices:
        return None if devices[key] == "?" else devices[key]
    family = "ipv6" if _protocol(packet) == "ip6" else "ipv4"
    mark = None if packet.marked else 0
    return {"l4proto": packet.protocol, "nfproto": family, "protocol": _protocol(packet), "mark": mark}.get(key)


def _protocol(packet: Packet) -> str:
    return "ip6" if ":" in packet.destination else "ip"


def _elements(data: Any, sets: Sets) -> list[Any]:
    """Return the elements of a set or map, which is named or written out; none if it is not known."""
    if isinstance(data, str):
        return sets.get(data.lstrip("@"), [])
    elements: list[Any] = data.get("set", [])
    return elements


def _equals(value: Any, right: Any, sets: Sets) -> bool | None:
    """Return whether *value* is, or is among, *right*, or None if that cannot be decided."""
    if value is NEVER:
        return False
    if value is None:
        return None
    if isinstance(right, list):
        return _any(_equals(value, each, sets) for each in right)
    if isinstance(right, str) and right.startswith("@"):
        # What is in a set that is not there is not known.
        return _equals(value, sets[right[1:]], sets) if right[1:] in sets else None
    if not isinstance(right, dict):
        return _same(value, right)
    ((kind, what),) = right.items()
    if kind == "set":
        return _any(_equals(value, each, sets) for each in what)
    if kind == "elem":
        return _equals(value, what["val"], sets)
    if kind == "concat":
        answers = [_equals(part, each, sets) for part, each in zip(value, what)]
        return False if False in answers else None if None in answers else True
    if kind == "prefix":
        network = ipaddress.ip_network("%s/%d" % (what["addr"], what["len"]), strict=False)
        return ipaddress.ip_address(value) in network
    if kind == "range":
        return _between(value, *what)
    return None


def _any(answers: Iterable[bool | None]) -> bool | None:
    answers = list(answers)
    return True if True in answers else None if None in answers else False


def _same(value: Any, right: Any) -> bool | None:
    if isinstance(value, str) and isinstance(right, str):
        return fnmatch.fnmatchcase(value, right) if right.endswith("*") else _ordered(value) == _ordered(right)
    # Such as a mark that is 0, and one that the node has a name for.
    return _ordered(value) == right if isinstance(_ordered(value), type(right)) else None


def _between(value: Any, first: Any, last: Any) -> bool | None:
    try:
        return bool(_ordered(first) <= _ordered(value) <= _ordered(last))
    except TypeError:  # an address and one of the other family, a number and a name
        return None


def _ordered(value: Any) -> Any:
    """Return a *value* as what it is compared as: an address, a protocol's number, or itself."""
    try:
        return ipaddress.ip_address(value) if isinstance(value, str) else value
    except ValueError:
        return NUMBERS.get(value, value)
