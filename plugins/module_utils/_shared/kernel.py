# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node's kernel knows of links, addresses and routes, read through pyroute2 0.6 or later. Changes nothing.

Every dump is filtered here as well: which filters pyroute2 hands to the kernel differs between its releases.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import importlib
import os
import platform
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from . import library_dirs
from .converge import ConvergeError

# The controller's own copy, put there by humanz.cni.node_python on a node that has no pyroute2 of its own.
ARCHIVE = "pyroute2.zip"

# How the archives are named that action plugins bring for the time of a task.
BROUGHT = "humanz-cni-pyroute2-"


def _forget() -> None:
    """Have the next import of pyroute2 look for it anew."""
    sys.path[:] = [path for path in sys.path if not os.path.basename(path).startswith(BROUGHT)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]:
        del sys.modules[name]


def is_brought() -> bool:
    """Return whether pyroute2 is from an archive that was brought for a task, which may be an earlier one."""
    return BROUGHT in (getattr(sys.modules.get("pyroute2"), "__file__", None) or "")


try:
    try:
        import pyroute2
    except ImportError:
        sys.path += [os.path.join(directory, ARCHIVE) for directory in library_dirs.others("")]
        import pyroute2
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    PYROUTE2_ERROR: str | None = None
except Exception:  # a pyroute2 for another version of Python fails in any way
    pyroute2 = None
    PYROUTE2_ERROR = traceback.format_exc()

MAIN_TABLE = 254

# linux/rtnetlink.h, RTN_* and RTPROT_*; the names are those that iproute2 prints.
TYPES = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
}
PROTOCOLS = {
    2: "kernel",
    3: "boot",
    4: "static",
    9: "ra",
    11: "zebra",
    12: "bird",
    16: "dhcp",
    17: "mrouted",
    18: "keepalived",
    186: "bgp",
    188: "ospf",
}


# linux/fib_rules.h, FR_ACT_*.
ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
# Selectors of rules by which they are for some packets only: FRA_*, and the word of ``ip rule``.
_SELECTORS = {
    "FRA_L3MDEV": "l3mdev",
    "FRA_TUN_ID": "tun_id",
    "FRA_UID_RANGE": "uidrange",
    "FRA_IP_PROTO": "ipproto",
    "FRA_SPORT_RANGE": "sport",
    "FRA_DPORT_RANGE": "dport",
}


class Link(NamedTuple):
    """A network device.

    *kind* is as in ``ip link add type``, or "" for a physical one; *mtu* in bytes; *operstate* as in ``ip link``, such
    as UP or DOWN; *master* the index of its bridge or 0; texts are never None.
    """

    index: int  # type: ignore[assignment]  # tuple.index, which it hides, is of no use here
    name: str
    kind: str
    mtu: int
    operstate: str
    up: bool
    master: int
    mac: str
    alias: str


class Address(NamedTuple):
    """A local address, as text, on the device of that name.

    *duplicate* is whether another machine was found to have it, which the kernel looks for with IPv6 only; it is of no
    use then.
    """

    device: str
    address: str
    prefixlen: int
    duplicate: bool


class Route(NamedTuple):
    """A route.

    *dst* is CIDR notation or ``default``; *via* the next hop's address, "" for none, or several joined by commas;
    *device* likewise; *type* a name of TYPES; *onlink* whether the next hop is taken to be on a network of the device
    although no address of it says so.
    """

    dst: str
    via: str
    device: str
    protocol: int
    type: str
    table: int
    metric: int
    tos: int
    onlink: bool = False


class Rule(NamedTuple):
    """A rule of policy routing, as in ``ip rule``.

    *action* is a name of ACTIONS; *source* and *destination* are CIDR notation or ``all``; *mark* and *mask* are None
    without a mark; *target* is the priority that goto leads to; *suppress* the prefix length up to which the table's
    routes do not count, or -1; *others* are further selectors, as words.
    """

    priority: int
    action: str
    table: int
    source: str
    destination: str
    incoming: str
    outgoing: str
    mark: int | None
    mask: int | None
    inverted: bool
    target: int
    suppress: int
    others: tuple[str, ...]


class Lookup(NamedTuple):
    """The kernel's answer to the question where a packet to an address goes.

    *type*, *via* and *device* are as in Route; *source* is the address it would be sent from. *error* is the kernel's
    refusal, or "" if there is a way.
    """

    type: str
    via: str
    device: str
    source: str
    error: str


def require_pyroute2(module: AnsibleModule) -> None:
    """End *module* unless pyroute2 can be imported. The action plugin answers ``pyroute2_missing`` by bringing it."""
    archive = module.params.get("pyroute2_archive")
    if archive or is_brought():  # by an earlier task, of an interpreter that lives on, as Mitogen's does
        _import_from(archive or ARCHIVE)
    if pyroute2 is None:
        module.fail_json(
            msg=missing_required_lib("pyroute2", url="https://pypi.org/project/pyroute2/"),
            exception=PYROUTE2_ERROR,
            pyroute2_missing=True,
            python_version=platform.python_version(),
        )


def _import_from(archive: str) -> None:
    """Import pyroute2 from the file *archive*, ahead of any other; PYTHONPATH would get lost on some ways to a node."""
    global IPRoute, NetlinkError, PYROUTE2_ERROR, pyroute2
    _forget()
    sys.path.insert(0, archive)
    try:
        pyroute2 = importlib.import_module("pyroute2")
        IPRoute = pyroute2.IPRoute
        NetlinkError = importlib.import_module("pyroute2.netlink.exceptions").NetlinkError
        PYROUTE2_ERROR = None
    except Exception:
        pyroute2 = None
        PYROUTE2_ERROR = traceback.format_exc()


class Kernel:
    """A netlink socket, used as a context manager. Its methods raise ConvergeError if the kernel does not answer."""

    def __init__(self) -> None:
        self._socket: Any = None
        self._names: dict[int, str] = {}

    def __enter__(self) -> Kernel:
        self._socket = IPRoute()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        """Return every Link of this network namespace."""
        links = [_link(message) for message in self._dump("links", self._socket.get_links)]
        self._names = {link.index: link.name for link in links}
        return links

    def addresses(self, family: int = socket.AF_INET) -> list[Address]:
        """Return every Address of *family*."""
        messages = self._dump("addresses", lambda: self._socket.get_addr(family=family))
        return [
            Address(
                device=self._name(message["index"]),
                # On a point-to-point link IFA_ADDRESS is the peer's.
                address=message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"),
                prefixlen=message["prefixlen"],
                duplicate=bool(message["flags"] & 0x08),  # IFA_F_DADFAILED
            )
            for message in messages
            if message["family"] == family
        ]

    def rules(self, family: int = socket.AF_INET) -> list[Rule]:
        """Return every Rule of *family*, in the order in which the kernel asks them."""
        messages = self._dump("rules", lambda: self._socket.get_rules(family=family))
        rules = [_rule(message) for message in messages if message["family"] == family]
        return sorted(rules, key=lambda rule: rule.priority)

    def routes(
        self, family: int = socket.AF_INET, table: int | None = MAIN_TABLE, protocol: int | None = None
    ) -> list[Route]:
        """Return every Route of *family* in *table*, None for all tables, or only those of *protocol*."""
        messages = self._dump("routes", lambda: self._socket.get_routes(family=family))
        return [
            self._route(message)
            for message in messages
            if message["family"] == family
            and table in (None, message.get_attr("RTA_TABLE") or message["table"])
            and protocol in (None, message["proto"])
            and not message["flags"] & 0x200  # RTM_F_CLONED: an entry of the IPv6 route cache
        ]

    def lookup(self, address: str) -> Lookup:
        """Return where a packet to *address* goes, as Lookup: the FIB's answer, policy rules included."""
        try:
            message = next(iter(self._socket.route("get", dst=address)))
        except NetlinkError as exc:
            return Lookup(type="", via="", device="", source="", error=os.strerror(exc.code))
        route = self._route(message)
        return Lookup(route.type, route.via, route.device, message.get_attr("RTA_PREFSRC") or "", "")

    def _dump(self, what: str, read: Callable[[], Iterable[Any]]) -> list[Any]:
        try:
            return list(read())
        except (NetlinkError, OSError) as exc:
            raise ConvergeError("the kernel's %s cannot be read: %s" % (what, exc)) from exc

    def _name(self, index: int | None) -> str:
        if not self._names:
            self.links()
        return self._names.get(index, "") if index else ""

    def _route(self, message: Any) -> Route:
        dst = message.get_attr("RTA_DST")
        hops = message.get_attr("RTA_MULTIPATH") or []
        if hops:
            vias = [hop.get_attr("RTA_GATEWAY") or "" for hop in hops]
            devices = [self._name(hop["oif"]) for hop in hops]
        else:
            vias = [message.get_attr("RTA_GATEWAY") or ""]
            devices = [self._name(message.get_attr("RTA_OIF"))]
        return Route(
            dst="%s/%d" % (dst, message["dst_len"]) if dst else "default",
            via=",".join(vias),
            device=",".join(devices),
            protocol=message["proto"],
            type=TYPES.get(message["type"], str(message["type"])),
            table=message.get_attr("RTA_TABLE") or message["table"],
            metric=message.get_attr("RTA_PRIORITY") or 0,
            tos=message["tos"],
            onlink=bool(message["flags"] & 0x4),  # RTNH_F_ONLINK
        )


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=(info.get_attr("IFLA_INFO_KIND") or "") if info else "",
        mtu=message.get_attr("IFLA_MTU"),
        operstate=message.get_attr("IFLA_OPERSTATE") or "UNKNOWN",
        up=bool(message["flags"] & 1),  # IFF_UP
        master=message.get_attr("IFLA_MASTER") or 0,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        alias=message.get_attr("IFLA_IFALIAS") or "",
    )


def _rule(message: Any) -> Rule:
    def prefix(name: str, length: int) -> str:
        address = message.get_attr(name)
        return "%s/%d" % (address, length) if address else "all"

    mark = message.get_attr("FRA_FWMARK")
    suppress = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
    others = tuple(word for name, word in _SELECTORS.items() if message.get_attr(name) is not None)
    return Rule(
        priority=message.get_attr("FRA_PRIORITY") or 0,
        action=ACTIONS.get(message["action"], str(message["action"])),
        table=message.get_attr("FRA_TABLE") or message["table"],
        source=prefix("FRA_SRC", message["src_len"]),
        destination=prefix("FRA_DST", message["dst_len"]),
        incoming=message.get_attr("FRA_IIFNAME") or "",
        outgoing=message.get_attr("FRA_OIFNAME") or "",
        mark=mark,
        mask=None if mark is None else message.get_attr("FRA_FWMASK"),
        inverted=bool(message["flags"] & 0x2),  # FIB_RULE_INVERT
        target=message.get_attr("FRA_GOTO") or 0,
        # 0xffffffff stands for none.
        suppress=-1 if suppress in (None, 0xFFFFFFFF) else suppress,
        others=others + (("tos",) if message["tos"] else ()),
    )


def describe(route: Route) -> str:
    """Return *route* in the syntax of ``ip route``, for people."""
    words = [] if route.type == "unicast" else [route.type]
    words.append(route.dst)
    for word, value in (("via", route.via), ("dev", route.device)):
        if value:
            words += [word, value]
    words += ["onlink"] if route.onlink else []
    words += ["proto", PROTOCOLS.get(route.protocol, str(route.protocol))]
    for word, number, usual in (
        ("table", route.table, MAIN_TABLE),
        ("metric", route.metric, 0),
        ("tos", route.tos, 0),
    ):
        if number != usual:
            words += [word, str(number)]
    return " ".join(words)
