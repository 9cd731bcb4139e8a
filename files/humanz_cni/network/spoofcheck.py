# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macspoofchk and ipspoofchk: frames with forged addresses are dropped where they enter the bridge.

The rules, which :mod:`spoofcheck_rules` makes, are the same for all pods. What a pod may send from is in sets, whose
keys begin with the name of its port, which follows from the attachment's owner: DEL needs no more than that. This
module is all that an ADD loads for it, so it is small, and does without :mod:`nftables`.
"""

from __future__ import annotations

from ..kernel import links
from ..kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NetlinkError, Socket, attribute, nested, text
from ..kernel.owner import ALIAS
from ..protocol.errors import CNIError, rules_refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config.vlan_keys import Vlans
    from ..kernel.links import Link
    from ..kernel.netlink import Message
    from ..primitives.address import Address

FAMILY = 7  # NFPROTO_BRIDGE
PORTS = "ports"  # that are checked
ANY_ADDRESS = "any-address"  # those of them whose IP addresses are not
MAC, IPV4, IPV6 = "mac", "ipv4", "ipv6"  # which of them a port may send from
TARGET = "nd-target"  # the same as IPV6, of neighbour discovery
NAME_LENGTH = 16  # of an interface
NEWELEMENT, GETELEMENT, DELELEMENT = 10 << 8 | 12, 10 << 8 | 13, 10 << 8 | 14
DATA_VALUE = 1
NETLINK_NETFILTER = 12
_BEGIN, _END = (16, 0, b"\0\0\0\x0a"), (17, 0, b"\0\0\0\x0a")  # of a transaction of nf_tables
_ENOENT, _EEXIST = 2, 17
CURABLE = (_ENOENT, _EEXIST)  # the rules are missing, or an ADD that was killed has left elements
# errno of a kernel that has no rules of ours: none at all, or none for bridges
NOTHING_THERE = (_ENOENT, 22, 93, 95, 97)  # EINVAL, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT


class Incomplete(Exception):
    """The rules have to be made first, or elements to be removed: ``spoofcheck_rules.ensure`` does it."""


def forward(sock: Socket, port: Link, mac: bytes, vlans: Vlans | None) -> None:
    """Have the bridge send what is for *mac* to *port*, which learns no addresses; CNIError if it is another's."""
    try:
        sock.request(links.new_forwarding(port.index, mac, NLM_F_EXCL))
    except NetlinkError as exc:
        if exc.errno != _EEXIST:
            raise
        from . import fdb

        fdb.take(sock, port, mac, vlans)


def ensure(port: str, mac: bytes, addresses: Iterable[Address] | None, again: bool = False) -> None:
    """Let the bridge's *port* send only from the hardware address *mac*, and from *addresses* unless that is None.

    :param again: whether this call of the plugin has done so before, with fewer addresses.

    Raises Incomplete if that is not possible at once, and CNIError.
    """
    try:
        sock = Socket(NETLINK_NETFILTER)
        try:
            transaction(sock, additions(port, mac, addresses, again))
        finally:
            sock.close()
    except OSError as exc:
        if exc.errno in CURABLE:
            raise Incomplete from exc
        raise refused(addresses is not None, exc) from exc


def additions(port: str, mac: bytes, addresses: Iterable[Address] | None, again: bool) -> list[Message]:
    """Return the requests by which :func:`ensure` adds elements."""
    return [
        (NEWELEMENT, NLM_F_CREATE | (NLM_F_EXCL if name == PORTS and not again else 0), body_of(name, keys))
        for name, keys in elements(port, mac, addresses).items()
    ]


def elements(port: str, mac: bytes, addresses: Iterable[Address] | None) -> dict[str, list[bytes]]:
    """Return the keys for the bridge's *port* by set, see :func:`ensure`."""
    name = key(port)
    wanted = {PORTS: [name], MAC: [name + mac + b"\0\0"]}
    if addresses is None:
        wanted[ANY_ADDRESS] = [name]
        return wanted
    for one in addresses:
        if one.bits == 32:
            wanted.setdefault(IPV4, []).append(name + one.packed)
        else:  # and from the address that the kernel forms of the hardware address
            link_local = b"\xfe\x80\0\0\0\0\0\0%c%b\xff\xfe%b" % (mac[0] ^ 2, mac[1:3], mac[3:])
            wanted.setdefault(IPV6, [name + link_local]).append(name + one.packed)
            wanted[TARGET] = wanted[IPV6]
    return wanted


def transaction(sock: Socket, messages: list[Message]) -> None:
    """Carry out *messages* of nf_tables, all or none. Raises NetlinkError."""
    sock.request(_BEGIN, *messages, after=(_END,))


def body_of(name: str, keys: Iterable[bytes] = ()) -> bytes:
    """Return the body of a request about *keys* of the set *name*, or about all of them."""
    body = bytes((FAMILY, 0, 0, 0)) + text(1, ALIAS) + text(2, name)
    items = [nested(1, nested(1, attribute(DATA_VALUE, one))) for one in keys]
    return body + nested(3, *items) if items else body


def refused(by_address: bool, exc: OSError) -> CNIError:
    """Return the CNIError for *exc*, which nf_tables has met the rules or their elements with."""
    option = "ipspoofchk" if by_address else "macspoofchk"
    return rules_refused(option, exc)


def key(port: str) -> bytes:
    """Return the key, or the beginning of one, that stands for *port*."""
    return port.encode("ascii").ljust(NAME_LENGTH, b"\0")
