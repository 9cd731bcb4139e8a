# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns an attachment, and the names that follow from it alone.

DEL, CHECK and GC find what ADD made by these names, without configuration history, state or network namespace.
"""

from __future__ import annotations

import _sha1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from ..primitives.address import Address
    from .links import Link
    from .netlink import Socket

ALIAS = "humanz-cni"
ALIAS_LENGTH = 255  # IFALIASZ of the kernel, without the final zero


class Owner:
    """The primary key of an attachment: network name, container ID and interface name."""

    __slots__ = ("network", "container_id", "ifname", "_digest")

    def __init__(self, network: str, container_id: str, ifname: str) -> None:
        self.network = network
        self.container_id = container_id
        self.ifname = ifname
        self._digest: bytes = _sha1.sha1("\0".join((network, container_id, ifname)).encode()).digest()

    @property
    def host_veth(self) -> str:
        """The name of the host's end of the veth pair. NetworkManager leaves names that start with veth alone."""
        return "veth" + self._digest[:6].hex()[:11]

    @property
    def host_mac(self) -> bytes:
        """The hardware address of the host's end: locally administered, unicast."""
        return b"\x0a" + self._digest[6:11]

    @property
    def pod_mac(self) -> bytes:
        """The hardware address of the pod's end, where it has no IP address that gives it one: it stays the same."""
        return b"\x0a\x58" + self.host_mac[2:]

    @property
    def alias(self) -> str:
        """The alias of the host's end; none of the three names can hold a space."""
        return " ".join((ALIAS, self.network, self.container_id, self.ifname))

    def owns(self, link: Link) -> bool:
        """Return whether *link* is the host's end of the attachment's veth pair, whatever it is called now."""
        return self.is_marked(marks(link))

    def is_marked(self, some: Container[str | bytes]) -> bool:
        """Return whether *some*, the :func:`marks` of one link or of all, have what tells this attachment's."""
        return self.host_veth in some or self.host_mac in some

    @classmethod
    def from_alias(cls, alias: str) -> Owner | None:
        """Return the owner that *alias* names, or None if it is not one of ours."""
        words = alias.split(" ")
        return cls(*words[1:]) if len(words) == 4 and words[0] == ALIAS else None

    def document(self) -> dict[str, str]:
        """Return the owner as part of a record, by the specification's names."""
        return {"network": self.network, "containerID": self.container_id, "ifname": self.ifname}


def checked(network: str, container_id: str, ifname: str) -> Owner:
    """Return the Owner with these names; CNIError 7 if they are too long for the alias that ADD gives a link."""
    made = Owner(network, container_id, ifname)
    length = len(made.alias)
    if length <= ALIAS_LENGTH:
        return made
    from ..protocol.errors import INVALID_CONFIG, CNIError

    details = "they are %d characters, at most %d are possible" % (length, ALIAS_LENGTH)
    raise CNIError(INVALID_CONFIG, "name, CNI_CONTAINERID and CNI_IFNAME are too long together", details)


def marks(link: Link) -> tuple[str, bytes] | tuple[()]:
    """Return what tells whose end of a veth pair *link* is: the name that ADD gave it, and its hardware address.

    Names are anybody's to change, so that the alias says what it was. An ADD that was killed has set no alias.
    """
    if link.kind != "veth":
        return ()
    of_alias = Owner.from_alias(link.alias)
    name = of_alias.host_veth if of_alias else "" if link.alias else link.name
    return name, link.mac


def find_veth(sock: Socket, of_owner: Owner) -> Link | None:
    """Return the host's end of the veth pair of *of_owner*, whatever it is called now, or None."""
    from . import links

    link = links.get(sock, of_owner.host_veth)
    if link is None or not of_owner.owns(link):
        from . import dumps

        link = next(filter(of_owner.owns, dumps.all_links(sock)), None)
    return link


def mac_of(address: Address) -> bytes:
    """Return the hardware address that belongs to an IP *address*: 0a:58 and an IPv4 address, or a hash of an IPv6 one.

    An address that moves on to another pod keeps its hardware address, so that nobody's neighbour table is stale.
    """
    if address.bits == 32:
        return b"\x0a\x58" + address.packed
    digest: bytes = _sha1.sha1(address.packed).digest()
    return b"\x0e" + digest[:5]
