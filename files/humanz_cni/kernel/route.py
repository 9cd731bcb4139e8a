# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A route as the kernel, the configuration and a result have it, and the rtnetlink request that makes it.

Constants are the kernel's, of linux/rtnetlink.h.
"""

from __future__ import annotations

from _struct import Struct

from .netlink import NLM_F_APPEND, NLM_F_CREATE, attribute, nested, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..primitives.address import Address, Network
    from .netlink import Message

RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS, RTA_TABLE = 1, 4, 5, 6, 8, 15
RTAX_MTU, RTAX_ADVMSS = 2, 8
RTPROT_BOOT, RTN_UNICAST, RTN_LOCAL = 3, 1, 2
RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 254, 0, 253
ROUTE = Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags


class Route:
    """A route to *dst* (Network) by *gateway* (Address or None); *further*: mtu, advmss, priority, table, scope."""

    __slots__ = ("dst", "gateway", "further")

    def __init__(self, dst: Network, gateway: Address | None, further: dict[str, int]) -> None:
        self.dst = dst
        self.gateway = gateway
        self.further = further

    @property
    def is_default(self) -> bool:
        """Return whether the route is for every address of its family, in the main table."""
        return self.dst.prefix == 0 and self.further.get("table", 0) in (0, RT_TABLE_MAIN)

    @property
    def is_direct(self) -> bool:
        """Return whether the configuration wants the route without a gateway: its scope is the link, or narrower."""
        return self.further.get("scope", 0) >= RT_SCOPE_LINK

    def document(self, extended: bool) -> dict[str, Any]:
        """Return the route as part of a result; *extended* for specification 1.1.0."""
        document: dict[str, Any] = {"dst": str(self.dst)}
        if self.gateway:
            document["gw"] = str(self.gateway)
        if extended:
            document.update(self.further)
        return document


def new_route(index: int, route: Route) -> Message:
    """Return the request for *route* by the link *index*; a pod's second network may have a default route as well."""
    further = route.further
    table = further.get("table", RT_TABLE_MAIN)
    scope = further.get("scope", RT_SCOPE_UNIVERSE if route.gateway else RT_SCOPE_LINK)
    dst = route.dst
    header = (dst.address.family, dst.prefix, 0, 0, table if table < 256 else 0, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    body = ROUTE.pack(*header) + u32(RTA_OIF, index) + u32(RTA_TABLE, table)
    if dst.prefix:
        body += attribute(RTA_DST, dst.address.packed)
    if route.gateway:
        body += attribute(RTA_GATEWAY, route.gateway.packed)
    if further.get("priority"):
        body += u32(RTA_PRIORITY, further["priority"])
    values = [(RTAX_MTU, further.get("mtu")), (RTAX_ADVMSS, further.get("advmss"))]
    metrics = [u32(kind, value) for kind, value in values if value]
    if metrics:
        body += nested(RTA_METRICS, *metrics)
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, body
