# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of a pod, as the configuration, the kernel and the result have them."""

from __future__ import annotations

from .address import Address, Network
from .errors import invalid_config
from .fields import address, number, parse_network
from .netlink import RT_SCOPE_LINK, RT_TABLE_MAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# key of specification 1.1.0 -> highest value that the kernel takes
_FURTHER = {"mtu": 0xFFFFFFFF, "advmss": 0xFFFFFFFF, "priority": 0xFFFFFFFF, "table": 0xFFFFFFFF, "scope": 255}


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


def load(items: Iterable[Any], path: str) -> list[Route]:
    """Return the routes that the list *items* at *path* of the configuration describes."""
    return [_load_route(item, "%s[%d]" % (path, number)) for number, item in enumerate(items)]


def with_defaults(routes: Iterable[Route], given: Iterable[tuple[Address, Address | None]]) -> list[Route]:
    """Return *routes* and, for each family that has none among them, a default route.

    :param given: the pod's addresses, each with the gateway of its range.
    """
    found = list(routes)
    for one, gateway in given:
        if not any(route.is_default and route.dst.address.bits == one.bits for route in found):
            found.append(Route(Network(Address(one.bits, 0), 0), gateway, {}))
    return found


def _load_route(item: Any, path: str) -> Route:
    if not isinstance(item, dict):
        raise invalid_config(path, item, "it must be an object with dst")
    route = parse(item, path + ".")
    if route.gateway and route.gateway.bits != route.dst.address.bits:
        raise invalid_config(path + ".gw", item["gw"], "it must be of the family of dst %s" % route.dst)
    return route


def parse(item: dict[str, Any], path: str) -> Route:
    """Return the Route that the object *item* is, whose keys *path* leads to."""
    dst = parse_network(item.get("dst"), path + "dst")
    dst.address = dst.first
    gateway = address(item, "gw", path)
    further: dict[str, int] = {}
    for key, highest in _FURTHER.items():
        value = number(item, key, highest, None, path)
        if value is not None:
            further[key] = value
    return Route(dst, gateway, further)
