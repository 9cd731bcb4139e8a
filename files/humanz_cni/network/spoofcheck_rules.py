# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of macspoofchk and ipspoofchk: the same few for all pods, in a table of their own, made by the first ADD.

A port itself takes frames to the bridge's group addresses, such as LLDP's, and IP datagrams in them: past all that the
node's firewall has for the bridge. So the port forwards them, which brings them here, see ``links.set_port``; what the
kernel lets no port forward has a chain of its own.
"""

from __future__ import annotations

from ..kernel import nftables
from ..kernel.netlink import NetlinkError
from ..kernel.nftables import (
    ACCEPT,
    DROP,
    EQUAL,
    ETHERNET,
    GOTO,
    INTEGER,
    INTERFACE,
    LINK_HEADER,
    NETWORK_HEADER,
    NOT_EQUAL,
    TRANSPORT_HEADER,
)
from ..kernel.nftables import IPV4 as IPV4_TYPE
from ..kernel.nftables import IPV6 as IPV6_TYPE
from ..kernel.owner import ALIAS
from .spoofcheck import ANY_ADDRESS, CURABLE, FAMILY, IPV4, IPV6, MAC, PORTS, TARGET, additions, elements, refused
from .spoofcheck_elements import LENGTHS, checked_ports, elements_of, remove_elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kernel.netlink import Message
    from ..primitives.address import Address

_HOOKS = {"prerouting": 0, "input": 1}  # chains that the kernel calls
_EEXIST = 17
_ATTEMPTS = 4
_PRIORITY = -300  # before the bridge's own and other NAT
_TYPES = {
    PORTS: (INTERFACE,), ANY_ADDRESS: (INTERFACE,), MAC: (INTERFACE, ETHERNET),
    IPV4: (INTERFACE, IPV4_TYPE), IPV6: (INTERFACE, IPV6_TYPE), TARGET: (INTERFACE, INTEGER),
}  # fmt: skip
# As ``nft`` stores that a set is one of ``typeof iifname . @nh,384,128``: its rules can be loaded again only then.
_TYPE_OF_TARGET = bytes.fromhex(
    "000400000000034000040d0000000138000e0004090000000106000406000000012600040700000001"
    "1e000400000000010400000000020402000000030480010000040480000000"
)

_PORT = nftables.meta(nftables.META_INTERFACE)
_DROP, _ACCEPT = nftables.verdict(DROP), nftables.verdict(ACCEPT)
_TO_GROUP = nftables.payload(LINK_HEADER, 0, 5), nftables.compare(b"\x01\x80\xc2\0\0")
_ETHERNET_SOURCE = nftables.payload(LINK_HEADER, 6, 6, 2)
_IPV4_SOURCE = nftables.payload(NETWORK_HEADER, 12, 4, 2)
_IPV6_SOURCE = nftables.payload(NETWORK_HEADER, 8, 16, 2)
# Read from the network header on, as nft releases do not agree on how they show a target that is read otherwise.
_ICMPV6_TARGET = nftables.payload(NETWORK_HEADER, 48, 16, 2)
_NO_EXTENSION_HEADER = nftables.payload(NETWORK_HEADER, 6, 1), nftables.compare(b"\x3a")
_UNSPECIFIED = nftables.payload(NETWORK_HEADER, 8, 16), nftables.compare(bytes(16))
# Types and lengths of the addresses in an ARP frame, each with its offset.
_ARP_HEAD = (("Ethernet", 0, b"\0\1"), ("IPv4", 2, b"\x08\0"), ("6 bytes", 4, b"\6"), ("4 bytes", 5, b"\4"))
_ARP_MAC, _ARP_SENDER, _ARP_TARGET = (
    nftables.payload(NETWORK_HEADER, offset, length, 2) for offset, length in ((8, 6), (14, 4), (24, 4))
)
_ARP_PROBE = nftables.payload(NETWORK_HEADER, 14, 4), nftables.compare(bytes(4))


def _protocol(number: int) -> tuple[bytes, bytes]:
    return nftables.meta(nftables.META_PROTOCOL), nftables.compare(number.to_bytes(2, "big"))


def _arp_head(offset: int, value: bytes) -> tuple[bytes, ...]:
    """Return the expressions that go on only if an ARP frame has another *value* at *offset*."""
    return (*_ARP, nftables.payload(NETWORK_HEADER, offset, len(value)), nftables.compare(value, NOT_EQUAL))


def _icmpv6(kind: int) -> tuple[bytes, ...]:
    return (*_ICMPV6, nftables.payload(TRANSPORT_HEADER, 0, 1), nftables.compare(bytes((kind,))))


def _l4(operation: int) -> tuple[bytes, bytes]:
    """Return the expressions that go on only if the packet is ICMPv6 (EQUAL), also behind extension headers."""
    return nftables.meta(nftables.META_L4PROTO), nftables.compare(b"\x3a", operation)


_IP6, _ARP = _protocol(0x86DD), _protocol(0x0806)
_ICMPV6 = *_IP6, *_l4(EQUAL)

# By chain; each rule is a comment, which no other one of its chain has, and expressions.
_CHAINS: dict[str, tuple[tuple[str, tuple[bytes, ...]], ...]] = {
    "prerouting": (
        ("pods", (_PORT, nftables.is_in(PORTS), nftables.verdict(GOTO, "pod"))),
    ),
    "input": (
        ("macspoofchk alone", (*_TO_GROUP, _PORT, nftables.is_in(ANY_ADDRESS), _ACCEPT)),
        ("pods to a group address", (*_TO_GROUP, _PORT, nftables.is_in(PORTS), _DROP)),
    ),
    "pod": (
        ("another hardware address", (_PORT, _ETHERNET_SOURCE, nftables.is_not_in(MAC), _DROP)),
        ("IPv4 from its own", (*_protocol(0x0800), _PORT, _IPV4_SOURCE, nftables.is_in(IPV4), _ACCEPT)),
        ("IPv6 from its own", (*_IP6, *_l4(NOT_EQUAL), _PORT, _IPV6_SOURCE, nftables.is_in(IPV6), _ACCEPT)),
        ("macspoofchk alone", (_PORT, nftables.is_in(ANY_ADDRESS), _ACCEPT)),
        ("ICMPv6", (*_ICMPV6, nftables.verdict(GOTO, "pod-icmpv6"))),
        ("ARP", (*_ARP, nftables.verdict(GOTO, "pod-arp"))),
        ("all else", (_DROP,)),
    ),
    "pod-arp": (
        *(("addresses not of " + what, (*_arp_head(offset, value), _DROP)) for what, offset, value in _ARP_HEAD),
        ("another hardware address", (*_ARP, _PORT, _ARP_MAC, nftables.is_not_in(MAC), _DROP)),
        ("from its own", (*_ARP, _PORT, _ARP_SENDER, nftables.is_in(IPV4), _ACCEPT)),
        ("probe for its own", (*_ARP, *_ARP_PROBE, _PORT, _ARP_TARGET, nftables.is_in(IPV4), _ACCEPT)),
        ("all else", (_DROP,)),
    ),
    "pod-icmpv6": (
        ("router advertisement", (*_icmpv6(134), _DROP)),
        ("redirect", (*_icmpv6(137), _DROP)),
        ("neighbour advertisement of its own", (
            *_icmpv6(136), *_NO_EXTENSION_HEADER, _PORT, _ICMPV6_TARGET, nftables.is_in(TARGET),
            _IPV6_SOURCE, nftables.is_in(IPV6), _ACCEPT,
        )),
        ("other neighbour advertisement", (*_icmpv6(136), _DROP)),
        ("from its own", (*_ICMPV6, _PORT, _IPV6_SOURCE, nftables.is_in(IPV6), _ACCEPT)),
        ("duplicate address detection", (
            *_icmpv6(135), *_UNSPECIFIED, *_NO_EXTENSION_HEADER, _PORT, _ICMPV6_TARGET, nftables.is_in(TARGET), _ACCEPT,
        )),
        *(("MLD report %d" % kind, (*_icmpv6(kind), *_UNSPECIFIED, _ACCEPT)) for kind in (131, 132, 143)),
        ("all else", (_DROP,)),
    ),
}  # fmt: skip


def creation() -> list[Message]:
    """Return the requests that make the table, its sets and its rules; elements that there are stay."""
    messages = [nftables.new_table(FAMILY, ALIAS)]
    messages += [
        nftables.new_set(
            FAMILY, ALIAS, name, number, _TYPES[name], LENGTHS[name], _TYPE_OF_TARGET if name == TARGET else b""
        )
        for number, name in enumerate(_TYPES, 1)
    ]
    for chain in _CHAINS:
        if chain in _HOOKS:
            messages.append(nftables.new_filter_chain(FAMILY, ALIAS, chain, _HOOKS[chain], _PRIORITY))
        else:
            messages.append(nftables.new_chain(FAMILY, ALIAS, chain))
        messages.append(nftables.flush_chain(FAMILY, ALIAS, chain))
    for chain, rules in _CHAINS.items():
        messages += [nftables.new_rule(FAMILY, ALIAS, chain, parts, comment) for comment, parts in rules]
    return messages


def ensure(port: str, mac: bytes, addresses: Iterable[Address] | None, again: bool) -> None:
    """Do what ``spoofcheck.ensure`` does, and before it what that found missing. Raises CNIError."""
    try:
        sock = nftables.Socket()
        try:
            _ensure(sock, port, additions(port, mac, addresses, again))
        finally:
            sock.close()
    except OSError as exc:
        raise refused(addresses is not None, exc) from exc


def _ensure(sock: nftables.Socket, port: str, messages: list[Message]) -> None:
    """Make the rules and carry out *messages*; what a killed ADD has left for *port* goes before. NetlinkError."""
    for _attempt in range(_ATTEMPTS - 1):  # others make and remove rules meanwhile
        try:
            sock.transaction(*creation(), *messages)
        except NetlinkError as exc:
            if exc.errno not in CURABLE:
                raise
            if exc.errno == _EEXIST:
                remove_elements(sock, port)
        else:
            return
    sock.transaction(*creation(), *messages)


def rehearse(by_address: bool) -> None:
    """Raise CNIError if the kernel cannot hold the rules; nothing is changed."""
    try:
        sock = nftables.Socket(rehearse=True)
        try:
            sock.transaction(*creation())
        finally:
            sock.close()
    except OSError as exc:
        raise refused(by_address, exc) from exc


def are_there(port: str, mac: bytes, addresses: Iterable[Address] | None) -> bool:
    """Return whether *port* is checked for just that, see :func:`spoofcheck.ensure`."""
    sock = nftables.Socket()
    try:
        found = {name: sorted(keys) for name, keys in elements_of(sock, port).items() if keys}
        if found != {name: sorted(keys) for name, keys in elements(port, mac, addresses).items()}:
            return False
        return are_whole(sock)
    except OSError:
        return False
    finally:
        sock.close()


def are_whole(sock: nftables.Socket) -> bool:
    """Return whether all rules are there. Raises NetlinkError."""
    return all(
        nftables.comments(sock, FAMILY, ALIAS, chain) == [comment for comment, _parts in rules]
        for chain, rules in _CHAINS.items()
    )


def ports() -> list[str]:
    """Return the names of the ports that are checked."""
    try:
        sock = nftables.Socket()
        try:
            return checked_ports(sock)
        finally:
            sock.close()
    except OSError:
        return []
