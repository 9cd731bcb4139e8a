# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which route or rule of policy routing has the kernel answer a lookup with an error. Reads only, by ``ip``.

The kernel itself does not say it: the rules are followed as it follows them.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._shared.converge import RunCommand

REFUSING = ("blackhole", "unreachable", "prohibit")
_NEVER = ("oif", "tos", "dscp", "l3mdev", "tun_id")  # selectors that no packet meets which is asked about


def find(run: RunCommand, destination: str, packet: dict[str, str]) -> str | None:
    """Return, in words, what refuses packets to *destination*; None if it is none of the node's routes and rules.

    :param run: runs a command, a list, and returns its status, output and error output.
    :param packet: the other words of ``ip route get`` by their names: from, iif, ipproto, sport, dport.
    """
    thrown, priority = None, 0
    for rule, text in _rules(run, destination):
        if rule["priority"] < priority or not _matches(rule, destination, packet):
            continue
        if "action" in rule:
            return "the rule `%s`" % text
        if isinstance(rule.get("goto"), int):
            priority = rule["goto"]
        route = _route(run, rule["table"], destination) if "table" in rule else None
        if route is None:
            continue
        if route["type"] == "throw":
            thrown = thrown or _shown(route, rule, text)
        elif route["type"] in REFUSING:
            return _shown(route, rule, text)
        elif _length(route) > rule.get("suppress_prefixlen", -1):
            return None
    return thrown


def _rules(run: RunCommand, destination: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rules of the family of *destination*, each as ``ip -j`` has it and as ``ip`` writes it."""
    command = _command(destination, "rule", "show")
    _status, texts, _error = run(command)
    for rule, text in zip(_parsed(run, [command[0], "-j", *command[1:]]), texts.splitlines()):
        yield rule, " ".join(text.split())


def _route(run: RunCommand, table: str, destination: str) -> dict[str, Any] | None:
    """Return the route of *table* that packets to *destination* take, None if it has none."""
    found = _parsed(run, _command(destination, "-j", "-d", "route", "show", "table", table, "match", destination))
    return min(found, key=lambda route: (-_length(route), route.get("metric", 0)), default=None)


def _command(destination: str, *words: str) -> list[str]:
    return ["ip", "-6" if ":" in destination else "-4", *words]


def _parsed(run: RunCommand, command: list[str]) -> list[dict[str, Any]]:
    status, output, _error = run(command)
    found: list[dict[str, Any]] = json.loads(output) if status == 0 and output.strip() else []
    return found


def _length(route: dict[str, Any]) -> int:
    if route["dst"] == "default":
        return 0
    return ipaddress.ip_network(route["dst"]).prefixlen


def _matches(rule: dict[str, Any], destination: str, packet: dict[str, str]) -> bool:
    """Return whether the kernel asks *rule* about the packet, which has no mark and is looked up by root."""
    found = [
        _contains(rule, "src", packet.get("from")),
        _contains(rule, "dst", destination),
        rule.get("iif") in (None, packet.get("iif", "lo")),
        not int(rule.get("fwmark", "0"), 0) & int(rule.get("fwmask", "0xffffffff"), 0),
        rule.get("ipproto") in (None, packet.get("ipproto")),
        rule.get("uid_start", 0) == 0,
        not any(name in rule for name in _NEVER),
        *(_has_port(rule, side, packet.get(side)) for side in ("sport", "dport")),
    ]
    return all(found) != ("not" in rule)


def _contains(rule: dict[str, Any], end: str, address: str | None) -> bool:
    if rule.get(end, "all") == "all":
        return True
    text = rule[end] if end + "len" not in rule else "%s/%d" % (rule[end], rule[end + "len"])
    return address is not None and ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)


def _has_port(rule: dict[str, Any], side: str, port: str | None) -> bool:
    first = rule.get(side, rule.get(side + "_start"))
    return first is None or (port is not None and first <= int(port) <= rule.get(side + "_end", first))


def _shown(route: dict[str, Any], rule: dict[str, Any], text: str) -> str:
    words = "%s %s" % (route["type"], route["dst"])
    if rule["table"] == "main":
        return "the route `%s`" % words
    return "the route `%s table %s`, to which the rule `%s` leads" % (words, rule["table"], text)
