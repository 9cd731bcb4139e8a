# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP addresses and networks as numbers. ``ipaddress`` does more, and costs half an ADD to import."""

from __future__ import annotations

import _socket

_FAMILY = {32: _socket.AF_INET, 128: _socket.AF_INET6}
BITS = {family: bits for bits, family in _FAMILY.items()}
_MAPPED = 0xFFFF << 32


class Address:
    """An IPv4 or IPv6 address: *bits* is 32 or 128, *value* the number."""

    __slots__ = ("bits", "value")

    def __init__(self, bits: int, value: int) -> None:
        self.bits = bits
        self.value = value

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that *text* writes; ValueError if it writes none. IPv4 in IPv6 is IPv4."""
        bits = 128 if ":" in text else 32
        try:
            packed = _socket.inet_pton(_FAMILY[bits], text)
        except (OSError, ValueError):
            raise ValueError("%r is not an IP address" % text) from None
        value = int.from_bytes(packed, "big")
        if bits == 128 and value >> 32 == _MAPPED >> 32:
            return cls(32, value & 0xFFFFFFFF)
        return cls(bits, value)

    @property
    def family(self) -> int:
        """The address family, as the kernel numbers it."""
        return _FAMILY[self.bits]

    @property
    def packed(self) -> bytes:
        """The address as the kernel stores it, 4 or 16 bytes."""
        return self.value.to_bytes(self.bits // 8, "big")

    def __str__(self) -> str:
        return _socket.inet_ntop(_FAMILY[self.bits], self.packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.bits == other.bits and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.bits, self.value))


class Network:
    """An address and the length of its network's prefix; host bits are kept."""

    __slots__ = ("address", "prefix")

    def __init__(self, address: Address, prefix: int) -> None:
        self.address = address
        self.prefix = prefix

    @classmethod
    def parse(cls, text: str) -> Network:
        """Return the network that *text* writes as ADDRESS/LENGTH; ValueError if it writes none."""
        host, slash, length = text.partition("/")
        address = Address.parse(host)
        if not slash or not length.isascii() or not length.isdigit() or len(length) > 3 or int(length) > address.bits:
            raise ValueError("%r is not ADDRESS/LENGTH" % text)
        return cls(address, int(length))

    @property
    def host_mask(self) -> int:
        """The bits of the host part, all ones."""
        return (1 << (self.address.bits - self.prefix)) - 1

    @property
    def first(self) -> Address:
        """The network's own address."""
        return Address(self.address.bits, self.address.value & ~self.host_mask)

    @property
    def last(self) -> Address:
        """The highest address, which for IPv4 is the broadcast address."""
        return Address(self.address.bits, self.address.value | self.host_mask)

    def __contains__(self, address: Address) -> bool:
        return address.bits == self.address.bits and self.first.value <= address.value <= self.last.value

    def overlaps(self, other: Network) -> bool:
        """Return whether any address is in both networks."""
        return self.first in other or other.first in self

    def __str__(self) -> str:
        return "%s/%d" % (self.address, self.prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.address == other.address and self.prefix == other.prefix

    def __hash__(self) -> int:
        return hash((self.address, self.prefix))
