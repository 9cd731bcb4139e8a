# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routes packets to pods before the main table does: rules of policy routing, and the routes of their tables.

Looked at is what a node and its pods send to pods, and what other nodes and their pods send to this node's. It has no
mark, as those marks that kube-proxy sets are for addresses of services, and comes from no interface in a VRF. A rule
that is for some of it only, such as for one protocol, takes that.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import bisect
import ipaddress
import itertools
from typing import TYPE_CHECKING, NamedTuple

from .._shared.kernel import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Optional

    from .._shared.ip_addresses import Network
    from .._shared.kernel import Route, Rule

    #: A rule that takes packets, and the route in its table, None where the rule itself refuses them.
    Taker = tuple[Rule, Optional[Route]]

NONE, SOME, ALL = range(3)
LOCAL_TABLE = 255
TABLES = {253: "default", 254: "main", LOCAL_TABLE: "local"}
KERNEL = 2  # RTPROT_KERNEL: the local table's routes that follow from addresses
_OF_SOME = ("ipproto", "sport", "dport", "tos")
SHOWN = 3


class Way(NamedTuple):
    """How packets to the pods in *destination* are to go: by the next hop *via*, "" for none, and by *device*.

    An empty *device* is any.
    """

    destination: Network
    via: str
    device: str


class Packets(NamedTuple):
    """Those from *source* that come in by the interface *incoming*, ``lo`` for what the node itself sends."""

    source: Network
    incoming: str


class Table:
    """The routes of one table, to be asked for those that a packet to a network may take."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[Network, Route] = {}
        for route in sorted(routes, key=lambda route: route.metric):
            for network in _networks(route.dst):
                self._routes.setdefault(network, route)
        self._inner = sorted(self._routes, key=_start)
        self._starts = [_start(network) for network in self._inner]
        self._lengths = sorted({network.prefixlen for network in self._inner}, reverse=True)

    def takers(self, wanted: Network, suppress: int) -> tuple[list[Route], bool]:
        """Return the routes that packets to *wanted* take, and whether they take all of it.

        :param suppress: the prefix length up to which a route does not count.
        """
        holder = next(filter(None, map(self._routes.get, self._holders(wanted))), None)
        first = bisect.bisect_left(self._starts, _start(wanted))
        last = bisect.bisect_right(self._starts, (wanted.version, int(wanted.broadcast_address)))
        inner = [one for one in self._inner[first:last] if one.prefixlen > max(wanted.prefixlen, suppress)]
        found = [self._routes[one] for one in inner]
        whole = holder is not None and holder.type != "throw" and _length(holder) > suppress
        if holder is not None and whole:
            found.insert(0, holder)
        return [route for route in found if route.type != "throw"], whole

    def _holders(self, wanted: Network) -> Iterator[Network]:
        """Yield the networks that contain *wanted*, narrowest first."""
        for length in self._lengths:
            if length <= wanted.prefixlen:
                yield wanted.supernet(new_prefix=length)


def problems(
    rules: Iterable[Rule], routes: Iterable[Route], main: int, ways: list[tuple[Way, list[Packets]]], cluster: list[str]
) -> list[str]:
    """Return a line for each rule, with its route, that takes packets to pods before table *main* is asked.

    :param rules: the rules of one address family, in their order; *routes*: the routes of all of its tables.
    :param ways: of the same family, each with the packets that go it.
    :param cluster: the networks of the cluster's pods.
    """
    rules = list(rules)
    asked = {rule.table for rule in rules if rule.action == "lookup"} - {main}
    tables: dict[int, list[Route]] = {number: [] for number in asked}
    for route in routes:
        if route.table in asked and not route.tos and not (route.table == LOCAL_TABLE and route.protocol == KERNEL):
            tables[route.table].append(route)
    read = {number: Table(some) for number, some in tables.items()}
    found: dict[Taker, dict[str, None]] = {}
    for way, packets in ways:
        for taker in itertools.chain.from_iterable(_takers(rules, read, main, way, one) for one in packets):
            found.setdefault(taker, {})[str(way.destination)] = None
    ahead = min((rule.priority for rule, _route in found if rule.table != LOCAL_TABLE), default=0) - 1
    return [_line(rule, route, list(taken), ahead, cluster) for (rule, route), taken in found.items()]


def _takers(rules: list[Rule], tables: dict[int, Table], main: int, way: Way, packets: Packets) -> Iterator[Taker]:
    """Yield what takes *packets* that are to go *way*, until the *main* table is asked or nothing is left of them."""
    priority = 0
    for rule in rules:
        match = NONE if rule.priority < priority else matches(rule, way.destination, packets)
        if match == NONE:
            continue
        if rule.action == "goto":
            priority = rule.target if match == ALL else priority
        elif rule.action == "lookup" and rule.table == main:
            if match == ALL and rule.suppress < way.destination.prefixlen:
                return
        elif rule.action == "lookup":
            routes, whole = tables[rule.table].takers(way.destination, rule.suppress)
            yield from ((rule, route) for route in routes if not _is(route, way))
            if whole and match == ALL:
                return
        elif rule.action != "nop":
            yield rule, None
            if match == ALL:
                return


def _is(route: Route, way: Way) -> bool:
    """Return whether *route* leads *way*, too."""
    return route.type == "unicast" and route.via == way.via and way.device in ("", route.device)


def matches(rule: Rule, destination: Network, packets: Packets) -> int:
    """Return whether *rule* is for NONE, SOME or ALL of the *packets* to *destination*."""
    found = [_share(rule.source, packets.source), _share(rule.destination, destination)]
    if rule.incoming:
        found.append(ALL if rule.incoming == packets.incoming else NONE)
    if rule.outgoing:  # of processes that have bound a socket to an interface
        found.append(NONE)
    if rule.mark is not None:
        found.append(NONE if rule.mark & (0xFFFFFFFF if rule.mask is None else rule.mask) else ALL)
    for selector in rule.others:
        of_some = selector in _OF_SOME or (selector == "uidrange" and packets.incoming == "lo")
        found.append(SOME if of_some else NONE)
    return ALL - min(found) if rule.inverted else min(found)


def _share(selector: str, network: Network) -> int:
    """Return how much of *network* is in *selector*: NONE, SOME or ALL of it."""
    if selector == "all":
        return ALL
    selected = ipaddress.ip_network(selector, strict=False)
    if selected.version != network.version or not selected.overlaps(network):
        return NONE
    return ALL if selected.prefixlen <= network.prefixlen else SOME


def _line(rule: Rule, route: Route | None, taken: list[str], ahead: int, cluster: list[str]) -> str:
    networks = [ipaddress.ip_network(cidr) for cidr in cluster]
    first = ipaddress.ip_network(taken[0])
    holder = next((str(one) for one in networks if one.version == first.version and one.overlaps(first)), taken[0])
    more = " and %d more" % (len(taken) - SHOWN) if len(taken) > SHOWN else ""
    start = "pod_network_cluster_cidr %s: packets to %s%s" % (holder, ", ".join(taken[:SHOWN]), more)
    if route is None:
        start += " are refused by the rule `%s`, which comes before that of table main" % words(rule)
    else:
        start += " go by the route `%s`, as the rule `%s` comes before that of table main" % (
            describe(route),
            words(rule),
        )
    if rule.table == LOCAL_TABLE or ahead < 1:
        return "%s: remove that route or rule, or choose another network for the cluster's pods" % start
    command = "ip%s rule add to %s lookup main priority %d" % (" -6" if first.version == 6 else "", holder, ahead)
    return "%s: choose another network for the cluster's pods, or the node `%s` at every boot" % (start, command)


def words(rule: Rule) -> str:
    """Return *rule* in the syntax of ``ip rule``, for people."""
    found = ["%d:" % rule.priority] + (["not"] if rule.inverted else []) + ["from", rule.source]
    if rule.destination != "all":
        found += ["to", rule.destination]
    if rule.mark is not None:
        found += ["fwmark", "0x%x%s" % (rule.mark, "" if rule.mask in (None, 0xFFFFFFFF) else "/0x%x" % rule.mask)]
    for word, device in (("iif", rule.incoming), ("oif", rule.outgoing)):
        found += [word, device] if device else []
    found += rule.others
    found += ["lookup", TABLES.get(rule.table, str(rule.table))] if rule.action == "lookup" else [rule.action]
    return " ".join(found + (["suppress_prefixlength", str(rule.suppress)] if rule.suppress >= 0 else []))


def _networks(dst: str) -> list[Network]:
    """Return the network of a route's *dst*; of the default route that of both families, as it does not say which."""
    if dst == "default":
        return [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    return [ipaddress.ip_network(dst)]


def _length(route: Route) -> int:
    return 0 if route.dst == "default" else int(route.dst.rpartition("/")[2])


def _start(network: Network) -> tuple[int, int]:
    return (network.version, int(network.network_address))
