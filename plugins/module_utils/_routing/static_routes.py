# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's static routes of one protocol number: read, compared, applied by ``ip -batch``, undone if that fails.

Routes of any other protocol are nobody's to touch: a new route is made by ``add``, which the kernel refuses where the
prefix has a route; ``replace``, which overwrites anybody's, only follows where the holder was seen to be ours; a
removal names the protocol, so that it cannot hit another's route.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from .._shared import ip_addresses, marked_files, option_checks, texts
from .._shared.converge import ConvergeError, Resource
from .._shared.kernel import MAIN_TABLE, PROTOCOLS, Kernel, Route, describe
from . import protected_addresses

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    #: What the kernel tells the routes of one table apart by: prefix, metric, TOS.
    Key = tuple[str, int, int]
    ByKey = dict[Key, Route]

PROTOCOL_NAMES = "/etc/iproute2/rt_protos.d/humanz-cni.conf"
# So few routes may always go: a cluster of two to four nodes loses one without further ado.
FREE_TO_PRUNE = 3
ON_LINK = "it must be an address on a network that this node has an interface in"

# The option of the doc fragment _routes.
ROUTES = {
    "type": "list",
    "elements": "dict",
    "options": {
        "dst": {"type": "str", "required": True},
        "via": {"type": "str", "required": True},
        "dev": {"type": "str"},
    },
}


class State(NamedTuple):
    """What there is of ours.

    *routes* maps what the kernel tells routes apart by, see :func:`key`, to Route; *files* maps a path to the file's
    text, or None where there is none.
    """

    routes: ByKey
    files: dict[str, str | None]


def parse_routes(routes: Iterable[dict[str, Any]], protocol: int, table: int) -> tuple[ByKey, list[str]]:
    """Return (``{key: Route}``, problems) for the list of ``{dst, via, dev}``; problems is a list of texts."""
    parsed: ByKey = {}
    problems: list[str] = []
    for given in routes:
        try:
            route = parse_route(given["dst"], given["via"], protocol, table, given.get("dev"))
        except (ValueError, ConvergeError) as exc:
            problems.append("route %s via %s: %s" % (given["dst"], given["via"], exc))
            continue
        if parsed.setdefault(key(route), route) != route:
            other = parsed[key(route)].via
            problems.append("route %s: has two next hops, %s and %s: give it one" % (route.dst, other, route.via))
    return parsed, problems


def parse_route(dst: str, via: str, protocol: int, table: int, device: str | None = None) -> Route:
    """Return the Route, its addresses written as the kernel writes them.

    By a *device* that is given, the next hop need not be on a network of this node. Raises ValueError or ConvergeError
    that says what is wrong.
    """
    network, hop = ip_addresses.network(dst), ip_addresses.address(via)
    if device:
        option_checks.device("dev", device)
    if network.version != hop.version:
        raise ValueError("the prefix is IPv%d, its next hop IPv%d" % (network.version, hop.version))
    metric = 0 if network.version == 4 else 1024  # what the kernel makes of no metric
    return Route(str(network), str(hop), device or "", protocol, "unicast", table, metric, 0, bool(device))


def parse_unreachable(cidrs: Iterable[str], protocol: int, table: int) -> ByKey:
    """Return ``{key: Route}`` of routes by which the node says that what is in *cidrs* is unreachable."""
    networks = [ipaddress.ip_network(cidr) for cidr in option_checks.networks("unreachable", cidrs)]
    routes = [
        Route(str(one), "", "", protocol, "unreachable", table, 0 if one.version == 4 else 1024, 0) for one in networks
    ]
    return {key(route): route for route in routes}


def key(route: Route) -> Key:
    """Return what the kernel tells the routes of one table apart by."""
    return (route.dst, route.metric, route.tos)


def order(route: Route) -> tuple[int, bytes, int, int, int]:
    """Return a sort key: by family, then by address, so that texts are the same in every run."""
    address, _slash, length = ("0.0.0.0/0" if route.dst == "default" else route.dst).partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Not ipaddress.ip_network: for thousands of routes it takes as long as the kernel takes to make them.
    return (int(family), socket.inet_pton(family, address), int(length), route.metric, route.tos)


def line(route: Route) -> str:
    """Return *route* as people know it, without what all routes of ours have in common."""
    return describe(_own(route)._replace(table=MAIN_TABLE)).replace(" proto %s" % _name(route.protocol), "")


def command(verb: str, route: Route) -> str:
    """Return the ``ip -batch`` line that adds, replaces or deletes *route*."""
    words = ["route", verb]
    if route.type != "unicast":
        words.append(route.type)
    words.append(route.dst)
    if route.via and verb != "del":
        words += ["via", route.via]
    words += ["proto", str(route.protocol), "table", str(route.table)]
    if route.metric and not (":" in route.dst and route.metric == 1024):
        words += ["metric", str(route.metric)]
    if route.tos:
        words += ["tos", str(route.tos)]
    if route.onlink and verb != "del":
        words += ["dev", route.device, "onlink"]
    return " ".join(words)


def commands(actual: ByKey, desired: ByKey) -> list[str]:
    """Return the ``ip -batch`` lines that lead from *actual* to *desired*, both ``{key: Route}``, removals last."""
    lines = [
        command("replace" if name in actual else "add", desired[name])
        for name in sorted(desired, key=lambda name: order(desired[name]))
        if actual.get(name) != desired[name]
    ]
    return lines + [
        command("del", actual[name])
        for name in sorted(actual, key=lambda name: order(actual[name]))
        if name not in desired
    ]


def conflicts(foreign: Iterable[Route], desired: ByKey) -> list[str]:
    """Return a line for each of the *foreign* routes that holds a prefix of *desired*, and how to solve it."""
    prefixes = {route.dst for route in desired.values()}
    return [
        "route %s: exists already and is not ours: `%s`: remove that one, or give the node another pod CIDR"
        % (route.dst, describe(route))
        for route in sorted(foreign, key=order)
        if route.dst in prefixes
    ]


def next_hop_problem(kernel: Kernel, via: str) -> str | None:
    """Return why the address *via* cannot be a next hop of this node, and what would be right; None if it can.

    The kernel takes a route through another router as ``onlink`` without complaint and then loses every packet.
    """
    found = kernel.lookup(via)
    if found.error:
        why = "is unreachable (%s)" % found.error
    elif found.type == "local":
        return "next hop %s: is an address of this node: give each node a node IP of its own" % via
    elif found.via:
        why = "is behind the router %s on %s" % (found.via, found.device)
        return "next hop %s: %s: %s, or set pod_network_cross_subnet to vxlan" % (via, why, ON_LINK)
    elif found.type != "unicast":
        why = "is a %s address on %s" % (found.type, found.device)
    else:
        return None
    return "next hop %s: %s: %s" % (via, why, ON_LINK)


def next_hop_problems(kernel: Kernel, routes: Iterable[Route]) -> list[str]:
    """Return a line for each next hop of *routes* that cannot be one; those on a given device are no matter of ours."""
    hops = sorted({route.via for route in routes if route.via and not route.onlink})
    lines = (next_hop_problem(kernel, via) for via in hops)
    return [text for text in lines if text]


def ours(routes: Iterable[Route], protocol: int, recorded: str | None) -> ByKey:
    """Return ``{key: Route}`` of those of the kernel's *routes* that carry *protocol*, or did so in the last run.

    :param recorded: the text of the state file, None if there is none. Where it has another protocol, that was this
        node's number until now: what it has and the kernel has alike is ours.
    """
    mark = " proto %d " % protocol
    earlier = {text for text in (recorded or "").splitlines() if text.startswith("route add ") and mark not in text}
    return {
        key(route): _own(route)
        for route in routes
        if route.protocol == protocol or (earlier and command("add", _own(route)) in earlier)
    }


def others(routes: Iterable[Route], protocol: int, own: ByKey) -> list[Route]:
    """Return those of the kernel's *routes* that neither carry *protocol* nor are among *own*, a ``{key: Route}``."""
    return [route for route in routes if route.protocol != protocol and own.get(key(route)) != _own(route)]


def prune_problems(had: ByKey, wanted: ByKey, recorded: str | None, options: dict[str, Any]) -> list[str]:
    """Return why not so many routes may go at once, as lines, at most one for each family.

    :param had: the node's routes of ours, and *wanted* those it is to have, each ``{key: Route}``.
    :param recorded: the text of the state file, None if there is none.
    :param options: a dict with node_routes' options protocol, state_file, force, allow_empty and max_prune.
    """
    removed = [had[name] for name in had if name not in wanted]
    if not removed or options["force"]:
        return []
    if recorded is None:
        return [
            "protocol %d: has %d routes such as `%s`, but there is no %s: choose a number that nothing else uses,"
            " or set force if these routes may be removed (pod_network_force_prune: true)"
            % (options["protocol"], len(removed), describe(removed[0]), options["state_file"])
        ]
    sizes = [[len(_to_pods(family, some)) for some in (had.values(), wanted.values(), removed)] for family in (4, 6)]
    lines = [_too_many(options, family, *size) for family, size in zip((4, 6), sizes)]
    return [text for text in lines if text]


def _too_many(options: dict[str, Any], family: int, total: int, wanted: int, removed: int) -> str | None:
    """Return why not *removed* of the node's *total* routes of one *family* may go at once, or None.

    An inventory that has lost one family of its addresses is as wrong as one that has lost its nodes.
    """
    variable = " (pod_network_force_prune: true)"
    if removed and not wanted and total > 1:
        text = "routes: the list has no IPv%d route, but the node has %d: set allow_empty if that is meant" + variable
        return None if options["allow_empty"] else text % (family, total)
    most = max(FREE_TO_PRUNE, total * options["max_prune"] // 100)
    if wanted and removed > most:
        text = "routes: %d of the node's %d of IPv%d would go, more than %d (max_prune is %d %%): set force if they may"
        return text % (removed, total, family, most, options["max_prune"]) + variable
    return None


def _to_pods(family: int, routes: Iterable[Route]) -> list[Route]:
    """Return those of *routes* that lead to other nodes' pods; that to the rest of the own pod CIDR leads nowhere."""
    some = [route for route in routes if route.type == "unicast"]
    return [route for route in some if ipaddress.ip_network(route.dst).version == family]


def require_protocol(protocol: int) -> None:
    """Raise ConvergeError if *protocol* is the kernel's or a routing daemon's."""
    if protocol in PROTOCOLS or not 5 <= protocol <= 255:
        raise ConvergeError(
            "protocol %d: is %s's: choose a number from 19 to 185 or 218 to 255 that nothing on the node uses "
            "(pod_network_route_protocol)" % (protocol, _name(protocol))
        )


class Routes(Resource):
    """The routes of one protocol number in one table, and the files that say what they are to be."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.protocol = module.params["protocol"]
        self.table = module.params["table"]
        self.state_file = module.params["state_file"]
        self.foreign: list[Route] = []

    def read(self) -> State:
        with Kernel() as kernel:
            families = (socket.AF_INET, socket.AF_INET6)
            found = [route for family in families for route in kernel.routes(family, self.table)]
        files = {path: marked_files.read(path) for path in (self.state_file, PROTOCOL_NAMES)}
        own = ours(found, self.protocol, files[self.state_file])
        self.foreign = [route for route in others(found, self.protocol, own) if not self._is_about_to_go(route)]
        return State(own, files)

    def _is_about_to_go(self, route: Route) -> bool:
        """Return whether a real run would find *route* gone: it leaves the pods' bridge before it comes here."""
        return bool(self.module.check_mode) and route.device == self.module.params["bridge"]

    def desired(self, actual: State) -> State:
        require_protocol(self.protocol)
        absent = self.module.params["state"] == "absent"
        given = [] if absent else self.module.params["routes"]
        routes, problems = parse_routes(given, self.protocol, self.table)
        if not absent:
            routes.update(parse_unreachable(self.module.params["unreachable"], self.protocol, self.table))
        problems += conflicts(self.foreign, routes)
        with Kernel() as kernel:
            new = [route for name, route in routes.items() if actual.routes.get(name) != route]
            problems += next_hop_problems(kernel, new)
            problems += self._moved(kernel, actual.routes, routes)
        if not absent:
            problems += prune_problems(actual.routes, routes, actual.files[self.state_file], self.module.params)
        if problems:
            raise ConvergeError("no route was changed, for %s" % texts.counted(problems), problems=problems)
        if absent:
            return State({}, {self.state_file: None, PROTOCOL_NAMES: None})
        names = marked_files.compose("node_routes", ["%d humanz-cni" % self.protocol])
        return State(routes, {self.state_file: self._text(routes), PROTOCOL_NAMES: names})

    def _moved(self, kernel: Kernel, actual: ByKey, routes: ByKey) -> list[str]:
        """Return what would be sent elsewhere that must not be, as lines."""
        if actual == routes:
            return []
        before, after = (
            {route.dst: route.via for route in [*self.foreign, *ours.values()]} for ours in (actual, routes)
        )
        return protected_addresses.moved(kernel, protected_addresses.kept(self.foreign), before, after)

    def _text(self, routes: ByKey) -> str:
        """Return the text of the state file: lines for ``ip -force -batch``, which adds what is missing."""
        return marked_files.compose(
            "node_routes", [command("add", route) for route in sorted(routes.values(), key=order)]
        )

    def render(self, state: State) -> str:
        lines = [line(route) for route in sorted(state.routes.values(), key=order)]
        lines += ["# %s %s" % (path, self._shown(state, path)) for path in state.files]
        return "".join("%s\n" % text for text in lines)

    def _shown(self, state: State, path: str) -> str:
        text = state.files[path]
        if text is None:
            return "is absent"
        if path == PROTOCOL_NAMES:
            return "names %s" % "".join(text.splitlines()[-1:])
        return "holds these routes" if text == self._text(state.routes) else "holds something else"

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        before, after = actual.routes, desired.routes
        named = {
            "added": [route for name, route in after.items() if name not in before],
            "replaced": [route for name, route in after.items() if name in before and before[name] != route],
            "removed": [route for name, route in before.items() if name not in after],
        }
        lists = {name: [line(route) for route in sorted(routes, key=order)] for name, routes in named.items()}
        return dict(lists, routes=len(after))

    def apply(self, actual: State, desired: State) -> None:
        self._write_files(desired.files)
        self._batch(commands(actual.routes, desired.routes))

    def undo(self, before: State) -> None:
        """Undo one change after the other, even if the kernel refuses some."""
        self._batch(commands(self.read().routes, before.routes), "-force")
        self._write_files(before.files)

    def _write_files(self, files: dict[str, str | None]) -> None:
        for path, text in files.items():
            if text != marked_files.read(path):
                marked_files.write(path, text)
            if text is None and path == PROTOCOL_NAMES:
                with contextlib.suppress(OSError):  # Debian 12 has files in it, Debian 13 has no such directory
                    os.removedirs(os.path.dirname(path))

    def _batch(self, lines: list[str], *options: str) -> None:
        """Have ``ip`` do *lines*; it ends at the first that the kernel refuses, which is named."""
        if not lines:
            return
        ip = self.module.get_bin_path("ip", required=True)
        code, _out, err = self.module.run_command([ip] + list(options) + ["-batch", "-"], data="\n".join(lines))
        if code:
            where = re.search(r"Command failed -:(\d+)", err)
            failed = lines[int(where.group(1)) - 1] if where else "ip -batch"
            raise ConvergeError("`%s`: %s" % (failed, err.splitlines()[0] if err else "exit code %d" % code))


def _own(route: Route) -> Route:
    """Return *route*, which is ours, without the device if that is the kernel's choice."""
    return route if route.onlink else route._replace(device="")


def _name(protocol: int) -> str:
    return PROTOCOLS.get(protocol, str(protocol))
