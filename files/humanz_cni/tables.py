# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tables of a network namespace, which CHECK and reclaiming look at, and ADD does not."""

from . import links
from .address import BITS, Address, Network
from .netlink import attributes, u32

RTM_GETROUTE = 26


def all_links(sock):
    """Return every Link of the namespace."""
    body = links.LINK.pack(0, 0, 0, 0, 0) + u32(links.IFLA_EXT_MASK, links.RTEXT_FILTER_SKIP_STATS)
    return [links.Link(entry) for entry in sock.dump(links.RTM_GETLINK, body)]


def routes(sock, index, family):
    """Return (dst Network, gateway or None, table, priority) of each unicast route of *family* by link *index*."""
    found = []
    for body in sock.dump(RTM_GETROUTE, links.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        of_family, prefix, _src, _tos, table, _protocol, _scope, kind, _flags = links.ROUTE.unpack_from(body)
        values = attributes(body, links.ROUTE.size)
        if of_family != family or kind != links.RTN_UNICAST or links.number(values.get(links.RTA_OIF)) != index:
            continue
        dst = _address(values, links.RTA_DST) or Address(BITS[family], 0)
        table = links.number(values.get(links.RTA_TABLE)) or table
        priority = links.number(values.get(links.RTA_PRIORITY))
        found.append((Network(dst, prefix), _address(values, links.RTA_GATEWAY), table, priority))
    return found


def _address(values, kind):
    return links.unpack_address(values[kind]) if kind in values else None
