# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back the static routes to other nodes' pods.

The file, which humanz.cni.node_routes writes, is for ``ip -batch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import commands

if TYPE_CHECKING:
    from .outcome import Outcome

SHOWN = 5  # routes of a kind that are named in one line


class Route(NamedTuple):
    """A line of the file of routes: *family* is -4 or -6, *protocol* and *table* are numbers as texts.

    *via* is empty for a network that is to be unreachable.
    """

    dst: str
    via: str
    family: str
    protocol: str
    table: str
    line: str


def put_back(lines: list[str], outcome: Outcome) -> None:
    """Add the routes of *lines* that are missing, and give those of ours that lead elsewhere their next hop."""
    wanted = [parse_route(line) for line in lines if line and not line.startswith("#")]
    for kind in sorted({(route.family, route.table, route.protocol) for route in wanted}):
        family, table, protocol = kind
        routes = [route for route in wanted if (route.family, route.table, route.protocol) == kind]
        own = own_routes(family, table, protocol)
        missing = [route for route in routes if own.get(route.dst) != route.via]
        if missing:
            foreign = foreign_routes(family, table, protocol)
            for route in missing:
                if route.dst in foreign:
                    holder = commands.output_of(["ip", family, "route", "show", "table", table, "exact", route.dst])
                    text = "; ".join(" ".join(line.split()) for line in holder.splitlines())
                    outcome.wrong.append("route %s exists already and is not ours: %s" % (route.dst, text))
            apply_routes([route for route in missing if route.dst not in foreign], own, outcome)


def parse_route(line: str) -> Route:
    """Return the Route of a line such as ``route add 100.100.1.0/24 via 200.0.0.20 proto 217 table 254``.

    Another is ``route add unreachable fd00:100::/64 proto 217 table 254``.
    """
    words = line.split()
    unreachable = words[2:3] == ["unreachable"]
    options = dict(zip(words[3 + unreachable :: 2], words[4 + unreachable :: 2]))
    needed = {"proto", "table"} if unreachable else {"via", "proto", "table"}
    if words[:2] != ["route", "add"] or not needed <= set(options):
        raise ValueError("cannot be understood: %s" % line)
    dst = words[2 + unreachable]
    host = "/128" if ":" in dst else "/32"  # ip leaves it out
    dst = dst[: -len(host)] if dst.endswith(host) else dst
    return Route(dst, options.get("via", ""), "-6" if ":" in dst else "-4", options["proto"], options["table"], line)


def own_routes(family: str, table: str, protocol: str) -> dict[str, str]:
    """Return ``{prefix: next hop}`` of our routes; the next hop is empty for what has none, such as a blackhole."""
    found = {}
    for line in commands.output_of(["ip", family, "route", "show", "table", table, "proto", protocol]).splitlines():
        words = line.split()
        options = dict(zip(words, words[1:]))
        # Another metric or TOS makes it a route beside the one that is wanted. IPv6 writes its usual metric.
        usual = options.get("metric") == ("1024" if family == "-6" else None) and "tos" not in options
        if usual and not line[0].isspace():
            found[prefix_of(words)] = options.get("via", "")
    return found


def foreign_routes(family: str, table: str, protocol: str) -> set[str]:
    """Return the prefixes of the routes of every other protocol, whatever their type, metric and TOS."""
    found = set()
    for line in commands.output_of(["ip", "-N", family, "route", "show", "table", table]).splitlines():
        words = line.split()
        if not line[0].isspace() and dict(zip(words, words[1:])).get("proto") != protocol:
            found.add(prefix_of(words))
    return found


def prefix_of(words: list[str]) -> str:
    """Return the prefix of a listed route; the word before it is its type, unless that is unicast."""
    return words[0] if words[0] == "default" or "." in words[0] or ":" in words[0] else words[1]


def apply_routes(routes: list[Route], own: dict[str, str], outcome: Outcome) -> None:
    """Let ``ip`` put *routes* back; *own* are those of ours that exist. An ``add`` never overwrites another route."""
    if not routes:
        return
    lines = [route.line.replace("add", "replace", 1) if route.dst in own else route.line for route in routes]
    refused = commands.refusals(commands.run(["ip", "-force", "-batch", "-"], "\n".join(lines) + "\n"))
    texts = [("%s via %s" % (route.dst, route.via)) if route.via else "unreachable " + route.dst for route in routes]
    summarise("put back", [text for number, text in enumerate(texts, 1) if number not in refused], outcome.done)
    for reason in sorted(set(refused.values())):
        named = [text for number, text in enumerate(texts, 1) if refused.get(number) == reason]
        summarise("cannot put back (%s)" % reason, named, outcome.later)


def summarise(what: str, routes: list[str], lines: list[str]) -> None:
    """Append one line that says *what* happened to the *routes*, if any, to *lines*."""
    if routes:
        more = " and %d more" % (len(routes) - SHOWN) if len(routes) > SHOWN else ""
        plural = "" if len(routes) == 1 else "s"
        lines.append("%s %d route%s: %s%s" % (what, len(routes), plural, ", ".join(routes[:SHOWN]), more))
