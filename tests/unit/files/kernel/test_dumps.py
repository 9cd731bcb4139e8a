# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's routes, next hop by next hop."""

from __future__ import annotations

import struct

from humanz_cni.kernel import dumps, netlink
from humanz_cni.kernel.netlink import attribute, u32
from humanz_cni.kernel.route import ROUTE, RTA_DST, RTA_GATEWAY, RTA_OIF, RTN_UNICAST
from humanz_cni.primitives.address import Address, Network


class Kernel(netlink.Socket):
    """A socket whose dump is given."""

    def __init__(self, *replies: bytes) -> None:
        self._replies = replies

    def dump(self, _kind: int, _body: bytes) -> list[bytes]:
        """Return the replies."""
        return list(self._replies)


def route(prefix: int, *attributes: bytes, kind: int = RTN_UNICAST) -> bytes:
    """Return an IPv4 route as the kernel shows it."""
    return ROUTE.pack(2, prefix, 0, 0, 254, 3, 0, kind, 0) + b"".join(attributes)


def next_hop(index: int, gateway: str = "") -> bytes:
    """Return a next hop of a route that has several."""
    via = attribute(RTA_GATEWAY, Address.parse(gateway).packed) if gateway else b""
    return struct.pack("=HBBi", 8 + len(via), 0, 0, index) + via


def test_a_route_by_one_link() -> None:
    gateway = attribute(RTA_GATEWAY, Address.parse("10.9.0.1").packed)

    (found,) = dumps.routes(Kernel(route(0, u32(RTA_OIF, 7), gateway)), 2)

    index, known = found
    assert (index, known.dst, known.gateway) == (7, Network.parse("0.0.0.0/0"), Address.parse("10.9.0.1"))


def test_a_route_with_several_next_hops() -> None:
    hops = attribute(dumps.RTA_MULTIPATH, next_hop(7, "10.9.0.1") + next_hop(8) + next_hop(9, "10.9.0.9"))
    dst = attribute(RTA_DST, Address.parse("192.0.2.0").packed)

    found = dumps.routes(Kernel(route(24, dst, hops)), 2)

    assert [(index, str(known.gateway)) for index, known in found] == [(7, "10.9.0.1"), (8, "None"), (9, "10.9.0.9")]
    assert {str(known.dst) for _index, known in found} == {"192.0.2.0/24"}


def test_next_hops_that_are_cut_off_end_the_list() -> None:
    hops = attribute(dumps.RTA_MULTIPATH, next_hop(7) + struct.pack("=HBBi", 0, 0, 0, 8) + b"\0\0")

    assert [index for index, _known in dumps.routes(Kernel(route(0, hops)), 2)] == [7, 8]


def test_other_families_and_kinds_are_passed_over() -> None:
    local = route(32, u32(RTA_OIF, 7), kind=2)

    assert dumps.routes(Kernel(local, route(0, u32(RTA_OIF, 7))), 10) == []
