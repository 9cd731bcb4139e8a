# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that the kernel takes for a packet, by its source and the interface it arrives on. Reads only, by ``ip``.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from . import route_refusals

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

    #: destination, and the words that ``ip route get`` takes for the rest
    Question = tuple[str, tuple[str, ...]]
    Route = dict[str, Any]

ALIAS = "humanz-cni"  # begins that of each interface which the CNI plugin makes
KEYS = ("type", "dst", "gateway", "dev", "protocol", "table")


class Link(NamedTuple):
    """An interface.

    *kind* is as in ``ip link add type``, *addresses* are those of global scope, *ours* is whether the plugin made it,
    and *up* whether it is set up.
    """

    mtu: int
    kind: str
    addresses: list[str]
    xdp: bool
    ours: bool
    up: bool


class RouteLookups:
    """Answers of the kernel, each asked for at most once.

    :param run: runs a command, a list, and returns its status, output and error output.
    """

    def __init__(self, run: RunCommand) -> None:
        self._run = run
        self._links: dict[str, Link] | None = None
        self._answers: dict[Question, Route] = {}

    def links(self) -> dict[str, Link]:
        """Return the node's interfaces by name."""
        if self._links is None:
            found = self.ip_json("-d", "addr", "show")
            self._links = {link["ifname"]: _link(link) for link in found if link.get("ifname")}
        return self._links

    def likely(self) -> list[str]:
        """Return the interfaces that pods' packets may pass: the plugin's bridge, and what leads elsewhere."""
        elsewhere = self.elsewhere()
        return [name for name, link in self.links().items() if link.ours or name in elsewhere]

    def elsewhere(self) -> list[str]:
        """Return the interfaces with addresses; of bridges, as containers have theirs, those that next hops are on."""
        routes = [route for family in ("-4", "-6") for route in self.ip_json(family, "route", "show")]
        hops = [hop for route in routes for hop in route.get("nexthops", [route])]
        devices = {hop.get("dev") for hop in hops if "gateway" in hop or "via" in hop}
        links = self.links().items()
        return [name for name, link in links if link.addresses and (link.kind != "bridge" or name in devices)]

    def to(self, address: str) -> Route:
        """Return the route to *address* whatever the source; see :meth:`of_packet`."""
        return self._ask((address, ()))

    def of_packet(self, source: str, destination: str, arriving_on: str, ports: tuple[str, ...] = ()) -> Route:
        """Return the route that a packet takes.

        :param arriving_on: the interface on which the node receives it; "" if a process of the node sends it.
        :param ports: its protocol and port, in the words of ``ip route get``.

        ``{"type", "dst", "gateway" (if there is one), "dev", "protocol", "table", "mtu", "kind", "neighbour": state or
        ""}`` or ``{"error"}``, in both cases with ``arriving_on``. ``instead_of`` is the route that a packet without
        that source would take, if it is another one; ``refused_by`` is, beside an error, the route or rule that gives
        it, if one does, and is also in its text.
        """
        words = ("from", source, *(("iif", arriving_on) if arriving_on else ()), *ports)
        route = dict(self._ask((destination, words)), arriving_on=arriving_on)
        usual = self.to(destination)
        if "error" not in usual and _way(usual) != _way(route):
            route["instead_of"] = shown(usual)
        return route

    def _ask(self, question: Question) -> Route:
        if question not in self._answers:
            self._answers[question] = self._look_up(*question)
        return self._answers[question]

    def _look_up(self, destination: str, words: tuple[str, ...]) -> Route:
        status, output, error = self._run(["ip", "-j", "-d", "route", "get", "fibmatch", destination, *words])
        found = _parsed(output) if status == 0 else []
        if not found:
            return self._refusal(error.replace("RTNETLINK answers: ", "").strip() or "no route", destination, words)
        route: Route = {key: found[0][key] for key in KEYS if key in found[0]}
        link = self.links().get(route.get("dev", ""))
        if link:
            route.update(mtu=link.mtu, kind=link.kind)
        if route.get("type", "unicast") == "unicast":
            route["neighbour"] = self._neighbour(route.get("gateway", destination), route.get("dev", ""))
        return route

    def _refusal(self, error: str, destination: str, words: tuple[str, ...]) -> Route:
        refused_by = route_refusals.find(self._run, destination, dict(zip(words[::2], words[1::2])))
        if refused_by is None:
            return {"error": error}
        return {"error": "%s, by %s" % (error, refused_by), "refused_by": refused_by}

    def _neighbour(self, address: str, device: str) -> str:
        entries = self.ip_json("neigh", "show", "to", address, "dev", device)
        return "/".join(entries[0].get("state", [])) if entries else ""

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what ``ip -j`` prints, nothing if it fails."""
        status, output, _error = self._run(["ip", "-j", *arguments])
        return _parsed(output) if status == 0 else []


def shown(route: Route) -> str:
    """Return where *route* leads, as ``ip route`` writes it."""
    via = "via %s " % route["gateway"] if "gateway" in route else ""
    return "%sdev %s" % (via, route.get("dev", "?"))


def _way(route: Route) -> tuple[Any, ...]:
    return tuple(route.get(key) for key in ("type", "gateway", "dev"))


def _link(link: dict[str, Any]) -> Link:
    addresses = [each["local"] for each in link.get("addr_info", []) if each.get("scope") == "global"]
    kind = link.get("linkinfo", {}).get("info_kind", "")
    ours = link.get("ifalias", "").startswith(ALIAS)
    return Link(link.get("mtu", 0), kind, addresses, "xdp" in link, ours, "UP" in link.get("flags", []))


def _parsed(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output) if output.strip() else []
    return found
