# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's tables say about a packet from one address to another. Reads only, by the node's own tools.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible_collections.humanz.cni.plugins.module_utils import _files, _netfilter, _nft_tables
from ansible_collections.humanz.cni.plugins.module_utils._iptables import COMMANDS
from ansible_collections.humanz.cni.plugins.module_utils._nft_rules import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.humanz.cni.plugins.module_utils._converge import RunCommand
    from ansible_collections.humanz.cni.plugins.module_utils._netfilter import Chains, Decision, Packet

FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}
LEGACY_TABLES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}


class Tables:
    """The tables of this node, each read at most once.

    :param run: runs a command, a list, and returns its status, output and error output.
    """

    def __init__(self, run: RunCommand) -> None:
        self._run = run
        self._routes: dict[str, dict[str, str]] = {}
        self._rules: dict[int, list[tuple[str, dict[str, Chains]]]] = {}
        self._by_nft: set[str] = set()  # the tools that show tables of nf_tables
        self._nft = _nft_tables.NftTables(run)

    def examine(self, source: str, destination: str, port: int) -> dict[str, Any]:
        """Return what the tables say about a TCP connection from *source* to *port* of *destination*.

        ``route`` and ``back`` are the routes to the destination and back to the source, see :meth:`route_to`;
        ``forwarding`` whether the kernel forwards at all; ``drop`` the rule that drops the packet or its answer, or
        None; ``nat`` the rule that translates its source, or None; ``undecided`` rules that a reader of tables cannot
        decide on.
        """
        family = 6 if ":" in destination else 4
        route, back = self.route_to(destination), self.route_to(source)
        there = _netfilter.Packet(source, destination, _device(back), _device(route), port, "NEW")
        again = _netfilter.Packet(destination, source, _device(route), _device(back), 0, "ESTABLISHED")
        local = {"there": "local" in (route.get("type"), back.get("type")), "out": back.get("type") == "local"}
        drop, undecided = self._drop(family, local, there, again)
        return {
            "source": source,
            "destination": destination,
            "route": route,
            "back": back,
            "forwarding": (_files.read_text(FORWARDING[family]) or "0").strip() != "0",
            "drop": drop,
            "nat": self._nat(family, there),
            "undecided": undecided[:10],
        }

    def route_to(self, address: str) -> dict[str, str]:
        """Return the route that the kernel takes to *address*.

        ``{"type", "dst", "gateway" (if there is one), "dev", "protocol", "neighbour": state or ""}`` or ``{"error"}``.
        """
        if address not in self._routes:
            self._routes[address] = self._look_up(address)
        return self._routes[address]

    def _look_up(self, address: str) -> dict[str, str]:
        status, output, error = self._run(["ip", "-j", "-d", "route", "get", "fibmatch", address])
        found = json.loads(output) if status == 0 and output.strip() else []
        if not found:
            return {"error": error.replace("RTNETLINK answers: ", "").strip() or "no route"}
        route = {key: found[0][key] for key in ("type", "dst", "gateway", "dev", "protocol") if key in found[0]}
        if route.get("type", "unicast") == "unicast":
            route["neighbour"] = self._neighbour(route.get("gateway", address), route.get("dev", ""))
        return route

    def _neighbour(self, address: str, device: str) -> str:
        status, output, _error = self._run(["ip", "-j", "neigh", "show", "to", address, "dev", device])
        entries = json.loads(output) if status == 0 and output.strip() else []
        return "/".join(entries[0].get("state", [])) if entries else ""

    def _drop(
        self, family: int, local: dict[str, bool], there: Packet, again: Packet
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the first rule that drops the packet or its answer, as a dict or None, and the undecided rules."""
        undecided: list[str] = []
        for packet, outward in ((there, local["out"]), (again, not local["out"])):
            for table, chain in _filters(local["there"], outward):
                for tool, decision in self._decisions(family, table, chain, packet):
                    undecided.extend(rule for rule in decision.undecided if rule not in undecided)
                    if decision.verdict in ("DROP", "REJECT"):
                        return {"tool": tool, "rule": decision.rule, "answer": packet is again}, undecided
        return None, undecided

    def _nat(self, family: int, packet: Packet) -> dict[str, str] | None:
        """Return the rule that translates the source of *packet*, as a dict or None."""
        for tool, decision in self._decisions(family, "nat", "POSTROUTING", packet):
            if decision.verdict in ("MASQUERADE", "SNAT", "NETMAP"):
                return {"tool": tool, "rule": decision.rule}
        return None

    def _decisions(self, family: int, table: str, chain: str, packet: Packet) -> Iterator[tuple[str, Decision]]:
        """Yield each tool that has a say, and its Decision on *packet*: by iptables, then what only nft shows."""
        shown = set()
        for tool, tables in self._all_rules(family):
            yield tool, _netfilter.decide(tables.get(table, {}), chain, packet)
            if tool in self._by_nft:
                shown |= {(PROTOCOLS[family], table, name) for name in tables.get(table, {})}
        # To nft, what filters in iptables' table raw is of the type filter too.
        for decision in self._nft.decisions("nat" if table == "nat" else "filter", chain.lower(), packet, shown):
            yield "nft", decision

    def _all_rules(self, family: int) -> list[tuple[str, dict[str, Chains]]]:
        if family not in self._rules:
            self._rules[family] = list(self._read_rules(family))
        return self._rules[family]

    def _read_rules(self, family: int) -> Iterator[tuple[str, dict[str, Chains]]]:
        """Yield the node's iptables and the other one, if its tables are there: both are in the packets' way."""
        command = COMMANDS[family]
        status, version, _error = self._run([command, "--version"])
        tools = [command]
        if status == 0 and "nf_tables" not in version:
            tools.append(command + "-nft")
        elif _files.read_text(LEGACY_TABLES[family]):
            tools.append(command + "-legacy")
        for tool in tools:
            status, output, _error = self._run([tool + "-save"])
            if status == 0:
                yield tool, _netfilter.parse(output)
                if tool.endswith("-nft") or tool == command and "nf_tables" in version:
                    self._by_nft.add(tool)


def _filters(local: bool, outward: bool) -> list[tuple[str, str]]:
    """Return (table, chain) of iptables in which a packet can be dropped, *outward* if it is a *local* process's."""
    if local and outward:
        return [("filter", "OUTPUT")]
    return [("raw", "PREROUTING"), ("filter", "INPUT" if local else "FORWARD")]


def _device(route: dict[str, str]) -> str:
    return route.get("dev", "")
