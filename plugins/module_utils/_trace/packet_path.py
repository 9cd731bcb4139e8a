# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does with a packet from one address to another. Reads only, by the node's own tools.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._firewall.iptables import COMMANDS, legacy_tables
from .._firewall.rules_nft import PROTOCOLS
from . import iptables_walk, nft_tables, obstacles
from .route_lookups import RouteLookups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._shared.converge import RunCommand
    from .iptables_walk import Chains, Decision, Packet

PATHS_WITH_ARRIVALS = 16  # in each the rules are read once more for each interface
ICMP = {4: "icmp", 6: "ipv6-icmp"}
DROPS = ("DROP", "REJECT")
MASQUERADES = ("MASQUERADE", "SNAT", "NETMAP")
TRANSLATES = ("DNAT", "REDIRECT", "NETMAP")
# Tables of iptables with their chains, and hooks of nf_tables, in the order in which the kernel comes to them.
BEFORE = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("nat", "PREROUTING")]
HOOKS = {
    "in": [*BEFORE, ("mangle", "INPUT"), ("filter", "INPUT"), ("security", "INPUT")],
    "through": [
        *BEFORE,
        ("mangle", "FORWARD"),
        ("filter", "FORWARD"),
        ("security", "FORWARD"),
        ("mangle", "POSTROUTING"),
    ],
    "out": [
        ("raw", "OUTPUT"),
        ("mangle", "OUTPUT"),
        ("nat", "OUTPUT"),
        ("filter", "OUTPUT"),
        ("security", "OUTPUT"),
        ("mangle", "POSTROUTING"),
    ],
}
BY_HOOK = {"in": ["ingress"], "through": ["ingress"], "out": []}
BRIDGE_HOOKS = {"in": ("prerouting", "input"), "out": ("output", "postrouting")}


class Way(NamedTuple):
    """How one packet, of a connection or its answer, passes this node.

    *kind* is in, through or out; *route* is that of RouteLookups.of_packet.
    """

    packet: Packet
    route: dict[str, Any]
    kind: str
    answer: bool


class Tables:
    """The tables of this node, each read at most once.

    :param run: runs a command, a list, and returns its status, output and error output.
    """

    def __init__(self, run: RunCommand) -> None:
        self._run = run
        self._rules: dict[int, list[tuple[str, dict[str, Chains]]]] = {}
        self._by_nft: set[str] = set()  # the tools that show tables of nf_tables
        self._nft = nft_tables.NftTables(run)
        self._lookups = RouteLookups(run)
        self._obstacles = obstacles.Obstacles(run, self._lookups)
        self._not_examined: list[str] = []
        self._arrivals_left = PATHS_WITH_ARRIVALS

    def examine(
        self, source: str, destination: str, port: int, end: str | None = None, protocol: str = "tcp"
    ) -> dict[str, Any]:
        """Return what becomes of a connection from *source* to *port* of *destination*, 0 for ICMP echo.

        :param end: the one that is on this node, source or destination; None if that is not known, or both are.
        :param protocol: tcp or udp.

        ``route`` and ``back`` are the routes of the packet and its answer, see RouteLookups; ``drop`` is the rule that
        drops the packet or its answer, or None; ``dnat`` and ``nat`` are the rules that translate its destination and
        source, and ``nat_elsewhere`` is one that would do the latter if the packet left by another interface; ``stops``
        is what else of the node stops it, and ``undecided`` what may; ``not_examined`` is what could not be read. What
        comes from the network is taken to arrive by the interface that the route back leads to; ``arrivals`` has the
        same for each other interface that it may arrive on, with the ``addresses`` of that one; only the first
        PATHS_WITH_ARRIVALS have any.
        """
        asked = (source, destination, port, protocol)
        usual = self._devices(source, destination)
        found = self._examined(asked, *usual)
        arrivals = {}
        self._arrivals_left -= bool(end)
        for device, link in self._lookups.links().items():
            if end and self._arrivals_left >= 0 and device not in usual and device != "lo" and link.addresses:
                ends = (usual[0], device) if end == "source" else (device, usual[1])
                arrivals[device] = dict(self._examined(asked, *ends), addresses=link.addresses)
        return {"source": source, "destination": destination, **found, "arrivals": arrivals}

    def _devices(self, source: str, destination: str) -> tuple[str, str]:
        """Return the interface that the packet arrives on, and that of its answer; "" where this node sends it."""
        routes = self._lookups.to(source), self._lookups.to(destination)
        near, far = ("" if route.get("type") == "local" else route.get("dev", "") for route in routes)
        return near, far

    def _examined(self, asked: tuple[str, str, int, str], near: str, far: str) -> dict[str, Any]:
        """Return all but the arrivals of :meth:`examine`."""
        source, destination, port, protocol = asked
        family = 6 if ":" in destination else 4
        there = self._way(source, destination, port, protocol, near, False)
        back = self._way(destination, source, port, protocol, far, True)
        ways = (there, back)
        drop, dnat, undecided = self._rules_on(family, there, back)
        blocking, transforming = self._obstacles.policies(family, source, destination)
        devices = sorted({name for way in ways for name in (way.packet.in_device, way.packet.out_device)})
        devices = [device for device in devices if device]
        stops = [text for way, other in zip(ways, ways[::-1]) for text in self._refusals(family, way, other.route)]
        if family == 6:
            # Where IPv6 is off there are no routes either, which would tell the interface.
            lost = any("error" in way.route for way in ways)
            stops += obstacles.without_ipv6(sorted({*devices, *(self._lookups.likely() if lost else ())}))
        else:
            stops += [text for device in devices for text in obstacles.silent_for_arp(device)]
        stops += obstacles.full_connection_table()
        if drop is None and blocking:
            drop = {"tool": "ip xfrm policy", "rule": blocking[0], "answer": False}
        unsure = undecided[:10] + transforming + self._obstacles.may_stop(devices) + self._on_arp(family)
        unsure += dict.fromkeys(text for way in ways for text in self._fixed_neighbours(way))
        return {
            "route": there.route,
            "back": back.route,
            "forwarding": obstacles.forwards_at_all(family) or all(self._is_forwarded(family, way) for way in ways),
            "drop": drop,
            "dnat": dnat,
            "nat": self._nat(family, there.packet),
            "nat_elsewhere": self._nat_elsewhere(family, there.packet),
            "stops": list(dict.fromkeys(stops)),
            "undecided": unsure,
            "not_examined": self._not_examined + self._obstacles.not_examined,
        }

    def _way(self, source: str, destination: str, port: int, protocol: str, device: str, answer: bool) -> Way:
        ports = ("ipproto", protocol, "sport" if answer else "dport", str(port)) if port else ()
        route = self._lookups.of_packet(source, destination, device, ports)
        leaves = "" if route.get("type") == "local" else route.get("dev", "")
        state = "ESTABLISHED" if answer else "NEW"
        spoken = protocol if port else ICMP[6 if ":" in destination else 4]
        packet = iptables_walk.Packet(source, destination, device, leaves, 0 if answer else port, state, spoken)
        kind = "out" if not device else "in" if route.get("type") == "local" else "through"
        return Way(packet, route, kind, answer)

    @staticmethod
    def _is_forwarded(family: int, way: Way) -> bool:
        return way.kind != "through" or obstacles.forwards(family, way.packet.in_device)

    def _refusals(self, family: int, way: Way, answer: dict[str, Any]) -> Iterator[str]:
        """Yield why the kernel does not forward a packet, or does not take it from its source.

        :param answer: the route of what answers the packet.
        """
        device = way.packet.in_device
        if not self._is_forwarded(family, way):
            yield from obstacles.not_forwarding(family, device)
        elif family == 4 and device and "error" in way.route:
            text = obstacles.refused_source(self._lookups, way.packet.source, device, answer)
            if text:
                yield text

    def _rules_on(
        self, family: int, there: Way, back: Way
    ) -> tuple[dict[str, Any] | None, dict[str, str] | None, list[str]]:
        """Return the rule that drops the packet or its answer, the one that sends it elsewhere, and all undecided."""
        undecided: list[str] = []
        drop, dnat = None, None
        for way in (there, back):
            for tool, table, decision in self._all_decisions(family, way):
                undecided.extend(rule for rule in decision.undecided if rule not in undecided)
                if decision.verdict in DROPS and not drop:
                    drop = {"tool": tool, "rule": decision.rule, "answer": way.answer}
                elif decision.verdict in TRANSLATES and table == "nat" and not dnat and not way.answer:
                    dnat = {"tool": tool, "rule": decision.rule}
        return drop, dnat, undecided

    def _all_decisions(self, family: int, way: Way) -> Iterator[tuple[str, str, Decision]]:
        """Yield tool, table and Decision of all that the packet passes, of the tables of nat only at its first."""
        packet = way.packet
        for hook in BY_HOOK[way.kind]:
            for decision in self._nft.decisions("", hook, packet, ()):
                yield "nft", "", decision
        if self._kind(packet.in_device) == "bridge":
            for decision in self._nft.bridge_decisions(BRIDGE_HOOKS["in"], packet):
                yield "nft", "", decision
        hooks_of_nft = []
        for table, chain in HOOKS[way.kind]:
            if table == "nat" and way.answer:
                continue
            for tool, decision in self._decisions(family, table, chain, packet, chain.lower() not in hooks_of_nft):
                packet = packet._replace(marked=packet.marked or decision.marks)
                yield tool, table, decision
            if table != "nat":
                hooks_of_nft.append(chain.lower())
        for decision in self._nft.decisions("", "egress", packet, ()) if way.kind != "in" else ():
            yield "nft", "", decision
        if self._kind(packet.out_device) == "bridge":
            for decision in self._nft.bridge_decisions(BRIDGE_HOOKS["out"], packet):
                yield "nft", "", decision

    def _kind(self, device: str) -> str:
        link = self._lookups.links().get(device)
        return link.kind if link else ""

    def _nat(self, family: int, packet: Packet) -> dict[str, str] | None:
        """Return the rule that translates the source of *packet*, as a dict or None."""
        for tool, decision in self._decisions(family, "nat", "POSTROUTING", packet, True):
            if decision.verdict in MASQUERADES:
                return {"tool": tool, "rule": decision.rule}
        return None

    def _nat_elsewhere(self, family: int, packet: Packet) -> dict[str, str] | None:
        """Return the first rule that depends on the interface by which *packet* leaves to translate its source."""
        here = list(self._decisions(family, "nat", "POSTROUTING", packet, True))
        anywhere = self._decisions(family, "nat", "POSTROUTING", packet._replace(out_device="?"), True)
        for (tool, decision), (_tool, unsure) in zip(here, anywhere):
            for rule in unsure.undecided if decision.verdict not in MASQUERADES else ():
                if rule not in decision.undecided and set(rule.upper().split()).intersection(MASQUERADES):
                    return {"tool": tool, "rule": rule}
        return None

    def _fixed_neighbours(self, way: Way) -> Iterator[str]:
        """Yield a neighbour that somebody has given a MAC address, which nobody asks for any more."""
        device = way.route.get("dev", "")
        link = self._lookups.links().get(device)
        if way.route.get("neighbour") == "PERMANENT" and not (link and link.ours):
            address = way.route.get("gateway", way.packet.destination)
            yield "the permanent neighbour entry of %s on %s" % (address, device)

    def _on_arp(self, family: int) -> list[str]:
        return ["the chain %s of nftables, which ARP passes" % name for name in self._nft.arp_chains()] * (family == 4)

    def _decisions(
        self, family: int, table: str, chain: str, packet: Packet, first: bool
    ) -> Iterator[tuple[str, Decision]]:
        """Yield each tool that has a say, and its Decision on *packet*: by iptables, then what only nft shows.

        nft has no tables of such names: of one hook it is asked *first*, and for chains that translate.
        """
        shown = set()
        for tool, tables in self._all_rules(family):
            yield tool, iptables_walk.decide(tables.get(table, {}), chain, packet)
            if tool in self._by_nft:
                shown |= {(PROTOCOLS[family], name, each) for name, chains in tables.items() for each in chains}
        if table == "nat" or first:
            for decision in self._nft.decisions("nat" if table == "nat" else "", chain.lower(), packet, shown):
                yield "nft", decision

    def _all_rules(self, family: int) -> list[tuple[str, dict[str, Chains]]]:
        if family not in self._rules:
            self._rules[family] = list(self._read_rules(family))
        return self._rules[family]

    def _read_rules(self, family: int) -> Iterator[tuple[str, dict[str, Chains]]]:
        """Yield the node's iptables and the other one, if its tables are there: both are in the packets' way."""
        command = COMMANDS[family]
        status, version, _error = self._run([command, "--version"])
        tools = [command] if status == 0 else []
        if status == 0 and "nf_tables" not in version:
            tools.append(command + "-nft")
        elif legacy_tables(family):
            tools.append(command + "-legacy")
        for tool in tools:
            status, output, error = self._run([tool + "-save"])
            if status == 0:
                yield tool, iptables_walk.parse(output)
                if tool.endswith("-nft") or tool == command and "nf_tables" in version:
                    self._by_nft.add(tool)
            elif not tool.endswith("-nft") or status != 127:
                self._not_examined.append("%s (%s)" % (tool, (error.strip().splitlines() or ["it fails"])[-1]))
        if self._run(["nft", "--version"])[0]:
            self._not_examined.append("nftables (nft is not installed)")
