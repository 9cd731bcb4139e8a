# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments that exist in the kernel, for where their records are lost or damaged.

The other end of a veth pair is in a pod's namespace, which need not have a name that could be opened. The kernel lists
the addresses there all the same, by the number that it gives the namespace of a link's peer (Linux 4.20 or newer).
"""

from __future__ import annotations

from _struct import Struct

from . import dumps, links, netlink
from .netlink import attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..primitives.address import Address

IFLA_LINK_NETNSID = 37
_IFA_TARGET_NETNSID = 10
_EINVAL = 22
_HEADER = Struct("=BBBBi")  # family, prefix length, flags, scope, index of the link


class Port(links.Link):
    """The host's end of a veth pair; *namespace* is the kernel's number for that of the other end, as bytes, if any."""

    __slots__ = ("namespace",)

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.namespace = attributes(body, links.LINK.size).get(IFLA_LINK_NETNSID, b"")


def veths(sock: netlink.Socket) -> list[Port]:
    """Return a Port for each end of a veth pair that the host has."""
    return [port for port in map(Port, dumps.link_entries(sock)) if port.kind == "veth"]


def ports(sock: netlink.Socket) -> list[Port]:
    """Return a Port for each veth of the host whose other end is elsewhere."""
    return [port for port in veths(sock) if port.namespace]


def addresses(sock: netlink.Socket, port: Port) -> list[Address] | None:
    """Return the Addresses that the other end of *port* has; None if the kernel cannot tell."""
    target = attribute(_IFA_TARGET_NETNSID, port.namespace) if port.namespace else b""
    body = _HEADER.pack(0, 0, 0, 0, port.peer) + target
    try:
        replies = sock.dump(links.RTM_GETADDR, body)
    except netlink.NetlinkError as exc:
        # The namespace or the link went away just now; anything else says nothing about the addresses.
        return [] if exc.errno in (_EINVAL, links.ENODEV) else None
    found = []
    for reply in replies:
        values = attributes(reply, _HEADER.size)
        if values.get(_IFA_TARGET_NETNSID, b"") != port.namespace:  # an older kernel lists those of the host
            return None
        packed = values.get(links.IFA_LOCAL) or values.get(links.IFA_ADDRESS)
        if packed and _HEADER.unpack_from(reply)[4] == port.peer:
            found.append(links.unpack_address(packed))
    return found


def held(sock: netlink.Socket, some: list[Port]) -> set[str] | None:
    """Return the addresses, as text, of all Ports *some*; None if the kernel cannot tell."""
    found = [addresses(sock, port) for port in some]
    return None if None in found else {str(address) for each in found if each for address in each}
