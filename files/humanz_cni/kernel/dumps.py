# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables of a network namespace, which CHECK and reclaiming look at, and ADD does not."""

from __future__ import annotations

from _struct import Struct

from ..primitives.address import BITS, Address, Network
from . import links, route
from .netlink import attributes, u32
from .route import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import netlink

RTA_MULTIPATH = 9
_NEXT_HOP = Struct("=HBBi")  # length with attributes, flags, weight, index of the link


def all_links(sock: netlink.Socket) -> list[links.Link]:
    """Return every link of the namespace."""
    return [links.Link(entry) for entry in link_entries(sock)]


def link_entries(sock: netlink.Socket) -> list[bytes]:
    """Return what the kernel says of every link of the namespace, of which a Link is made."""
    body = links.LINK.pack(0, 0, 0, 0, 0) + u32(links.IFLA_EXT_MASK, links.RTEXT_FILTER_SKIP_STATS)
    return sock.dump(links.RTM_GETLINK, body)


def routes(sock: netlink.Socket, family: int) -> list[tuple[int, Route]]:
    """Return each unicast route of *family* with the index of its link.

    A route with several next hops is returned once for each; the kernel makes one of IPv6 routes of equal priority.
    """
    found = []
    for body in sock.dump(route.RTM_GETROUTE, route.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        of_family, prefix, _src, _tos, table, _protocol, scope, kind, _flags = route.ROUTE.unpack_from(body)
        if of_family != family or kind != route.RTN_UNICAST:
            continue
        values = attributes(body, route.ROUTE.size)
        dst = Network(_address(values, route.RTA_DST) or Address(BITS[family], 0), prefix)
        further = {"table": links.number(values.get(route.RTA_TABLE)) or table, "scope": scope, **_metrics(values)}
        hops = _next_hops(values.get(RTA_MULTIPATH, b""))
        hops += [(links.number(values[route.RTA_OIF]), values)] if route.RTA_OIF in values else []
        found += [(index, Route(dst, _address(of_hop, route.RTA_GATEWAY), further)) for index, of_hop in hops]
    return found


def static_forwarding(sock: netlink.Socket) -> dict[int, set[bytes]]:
    """Return the hardware addresses that bridges have static forwarding entries for, by the port's index."""
    found: dict[int, set[bytes]] = {}
    for body in sock.dump(links.RTM_GETNEIGH, links.NEIGHBOUR.pack(links.AF_BRIDGE, 0, 0, 0, 0)):
        _family, index, state, _flags, _type = links.NEIGHBOUR.unpack_from(body)
        if state & links.NUD_NOARP:  # without NUD_PERMANENT, which the port's own address has
            found.setdefault(index, set()).add(attributes(body, links.NEIGHBOUR.size).get(links.NDA_LLADDR, b""))
    return found


def _metrics(values: dict[int, bytes]) -> dict[str, int]:
    """Return priority, mtu and advmss of a route's attributes, 0 where it has none."""
    metrics = attributes(values.get(route.RTA_METRICS, b""))
    found = {"priority": values.get(route.RTA_PRIORITY)}
    found.update(mtu=metrics.get(route.RTAX_MTU), advmss=metrics.get(route.RTAX_ADVMSS))
    return {key: links.number(value) for key, value in found.items()}


def _next_hops(data: bytes) -> list[tuple[int, dict[int, bytes]]]:
    """Return index and attributes of each of a route's next hops."""
    found = []
    while len(data) >= _NEXT_HOP.size:
        length, _flags, _weight, index = _NEXT_HOP.unpack_from(data)
        found.append((index, attributes(data[:length], _NEXT_HOP.size)))
        data = data[max(length + 3 & ~3, _NEXT_HOP.size) :]
    return found


def _address(values: dict[int, bytes], kind: int) -> Address | None:
    return links.unpack_address(values[kind]) if kind in values else None
