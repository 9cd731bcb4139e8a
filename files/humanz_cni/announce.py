# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the neighbours of a pod its hardware address, where that may be another one than the address had before.

An address of ours keeps its hardware address when it moves on to another pod; one that the user gives does not. The
kernel's own announcement (``arp_notify``) goes out when the link comes up: before the bridge carries frames.
"""

from __future__ import annotations

import _socket
from _struct import Struct

from . import netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .address import Address

_EVERYBODY = b"\xff" * 6
_ALL_NODES_MAC = b"\x33\x33\0\0\0\1"
_ALL_NODES = b"\xff\x02" + bytes(13) + b"\1"
_ARP, _IPV6, _ICMPV6 = 0x0806, 0x86DD, 58
_ETHERNET = Struct("!6s6sH")  # destination, source, type
_ARP_REQUEST = Struct("!HHBBH6s4s6s4s")  # hardware, protocol, their lengths, operation, sender's two, target's two
_IPV6_HEADER = Struct("!IHBB16s16s")  # version, payload length, next header, hop limit, source, destination
_ADVERTISEMENT = Struct("!BBHI16sBB6s")  # type, code, checksum, flags, target, option, its length, hardware address
_NEIGHBOR_ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 136, 0x20000000, 2


def run(pod: int, ifname: str, mac: bytes, addresses: list[Address]) -> None:
    """Send an ARP announcement or an unsolicited neighbour advertisement for each of *addresses* from *ifname*.

    :param pod: a descriptor of the pod's network namespace.
    :param mac: the interface's hardware address, bytes.

    Raises OSError.
    """
    with netns.Inside(pod):
        sock = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    try:
        sock.bind((ifname, 0))
        for address in addresses:
            sock.send(frame(mac, address))
    finally:
        sock.close()


def frame(mac: bytes, address: Address) -> bytes:
    """Return the Ethernet frame, bytes, that says that *address* is at *mac*: RFC 5227, or RFC 4861 section 7.2.6."""
    packed = address.packed
    if address.bits == 32:
        body = _ARP_REQUEST.pack(1, 0x0800, 6, 4, 1, mac, packed, bytes(6), packed)
        return _ETHERNET.pack(_EVERYBODY, mac, _ARP) + body
    message = _advertisement(mac, packed, 0)
    pseudo_header = packed + _ALL_NODES + len(message).to_bytes(4, "big") + _ICMPV6.to_bytes(4, "big")
    message = _advertisement(mac, packed, _checksum(pseudo_header + message))
    header = _IPV6_HEADER.pack(6 << 28, len(message), _ICMPV6, 255, packed, _ALL_NODES)
    return _ETHERNET.pack(_ALL_NODES_MAC, mac, _IPV6) + header + message


def _advertisement(mac: bytes, packed: bytes, checksum: int) -> bytes:
    return _ADVERTISEMENT.pack(_NEIGHBOR_ADVERTISEMENT, 0, checksum, _OVERRIDE, packed, _TARGET_LINK_ADDRESS, 1, mac)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum of *data*, of an even length."""
    total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
