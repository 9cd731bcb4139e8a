# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address ranges of host-local IPAM: the same keys, defaults, checks and error texts as the reference's.

A *range set* is a list of ranges of one family, of which an interface gets one address.
"""

from __future__ import annotations

import sys

from ..primitives.address import Address
from ..protocol.errors import INVALID_CONFIG, CNIError
from .typed import address, field, parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    RangeSet = list["Range"]


class Range:
    """The addresses from *start* to *end* of *subnet*, less the gateway, the network's own address and broadcast."""

    __slots__ = ("subnet", "start", "end", "gateway")

    def __init__(self, conf: dict[str, Any], path: str) -> None:
        """Read the range *conf*, which stands at *path* of the configuration."""
        self.subnet = subnet = parse_network(conf.get("subnet"), path + "subnet")
        if subnet.prefix > subnet.address.bits - 2:
            raise ValueError("Network %s too small to allocate from" % subnet)
        if subnet.address != subnet.first:
            raise ValueError(
                "Network has host bits set. For a subnet mask of length %d the network address is %s"
                % (subnet.prefix, subnet.first)
            )
        bits = subnet.address.bits
        self.gateway = address(conf, "gateway", path) or Address(bits, subnet.first.value + 1)
        self.start = address(conf, "rangeStart", path) or Address(bits, subnet.first.value + 1)
        last = subnet.last.value - (1 if bits == 32 else 0)
        self.end = address(conf, "rangeEnd", path) or Address(bits, last)
        if self.start not in subnet:
            raise ValueError("RangeStart %s not in network %s" % (self.start, subnet))
        if self.end not in subnet:
            raise ValueError("RangeEnd %s not in network %s" % (self.end, subnet))
        if self.end.value < self.start.value:
            raise ValueError(
                "RangeStart %s not in network %s: it is after RangeEnd %s" % (self.start, subnet, self.end)
            )

    def __contains__(self, wanted: Address) -> bool:
        return wanted.bits == self.start.bits and self.start.value <= wanted.value <= self.end.value

    def overlaps(self, other: Range) -> bool:
        """Return whether any address is in both ranges."""
        return self.start in other or other.start in self

    def is_reserved(self, candidate: Address) -> bool:
        """Return whether *candidate* must never go to a pod: the gateway's, the network's own, or broadcast."""
        return candidate == self.gateway or (
            candidate.bits == 32 and candidate in (self.subnet.first, self.subnet.last)
        )

    def __len__(self) -> int:
        special = {self.gateway, self.subnet.first, self.subnet.last}
        unusable = sum(1 for one in special if one in self and self.is_reserved(one))
        return min(self.end.value - self.start.value + 1 - unusable, sys.maxsize)

    def __str__(self) -> str:
        return "%s-%s" % (self.start, self.end)


def load(ipam: dict[str, Any], path: str, first: Iterable[Any] = ()) -> list[RangeSet]:
    """Return the range sets of the *ipam* configuration at *path*, each a list of Range.

    :param first: further range sets, as decoded, which come before those of *ipam* (runtimeConfig.ipRanges).
    """
    sets = field(ipam, "ranges", list, [], path)
    if ipam.get("subnet") is not None:
        sets = [[ipam], *sets]
    sets = [*first, *sets]
    if not sets:
        raise CNIError(INVALID_CONFIG, "no IP ranges specified: %sranges or %ssubnet is missing" % (path, path))
    loaded = []
    for number, conf in enumerate(sets):
        try:
            loaded.append(_load_set(conf, path))
        except ValueError as exc:
            raise CNIError(INVALID_CONFIG, "invalid range set %d: %s" % (number, exc)) from None
    for number, one in enumerate(loaded):
        for further, other in enumerate(loaded[number + 1 :], number + 1):
            if any(left.overlaps(right) for left in one for right in other):
                raise CNIError(INVALID_CONFIG, "range set %d overlaps with %d" % (number, further))
    return loaded


def show(range_set: RangeSet) -> str:
    """Return *range_set* as text: its ranges with commas between them."""
    return ",".join(str(one) for one in range_set)


def _load_set(conf: Any, path: str) -> RangeSet:
    if not isinstance(conf, list) or not all(isinstance(one, dict) for one in conf):
        raise ValueError("it must be a list of ranges, each an object with subnet")
    if not conf:
        raise ValueError("empty range set")
    loaded = [Range(one, path) for one in conf]
    if len({one.start.bits for one in loaded}) > 1:
        raise ValueError("mixed address families")
    for number, one in enumerate(loaded):
        for other in loaded[number + 1 :]:
            if one.overlaps(other):
                raise ValueError("subnets %s and %s overlap" % (one, other))
    return loaded
