# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macspoofchk and ipspoofchk: what a pod sends in another's name is dropped where it enters the bridge.

The rules, which :mod:`spoofrules` makes, are the same for all pods. What a pod may send from is in sets, whose keys
begin with the name of its port, which follows from the attachment's owner: DEL needs no more than that.
"""

from __future__ import annotations

from . import nftsets
from .errors import INTERNAL, CNIError
from .netlink import NLM_F_EXCL, NetlinkError
from .owner import ALIAS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .address import Address
    from .netlink import Message

FAMILY = 7  # NFPROTO_BRIDGE
PORTS = "ports"  # that are checked
ANY_ADDRESS = "any-address"  # those of them whose IP addresses are not
MAC, IPV4, IPV6 = "mac", "ipv4", "ipv6"  # which of them a port may send from
NAME_LENGTH = 16  # of an interface
LENGTHS = {PORTS: NAME_LENGTH, ANY_ADDRESS: NAME_LENGTH, MAC: 24, IPV4: 20, IPV6: 32}  # of the keys
_ATTEMPTS = 3
_ENOENT, _EEXIST = 2, 17
# errno of a kernel that has no rules of ours: none at all, or none for bridges
_NOTHING_THERE = (_ENOENT, 22, 93, 95, 97)  # EINVAL, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT


def ensure(port: str, mac: bytes, addresses: Iterable[Address] | None) -> None:
    """Let the bridge's *port* send only from the hardware address *mac*, and from *addresses* unless that is None.

    Raises CNIError.
    """
    wanted = elements(port, mac, addresses)
    messages = [
        nftsets.new_elements(FAMILY, ALIAS, name, keys, NLM_F_EXCL if name == PORTS else 0)
        for name, keys in wanted.items()
    ]
    try:
        sock = nftsets.Socket()
        try:
            sock.transaction(*messages)
        except NetlinkError as exc:
            _try_again(sock, port, messages, exc)
        finally:
            sock.close()
    except OSError as exc:
        raise refused(addresses is not None, exc) from exc


def _try_again(sock: nftsets.Socket, port: str, messages: list[Message], exc: NetlinkError) -> None:
    """Carry out *messages*, which *exc* has refused: the rules may be missing, or a killed ADD has left elements."""
    from . import spoofrules

    for _attempt in range(_ATTEMPTS):
        if exc.errno not in (_ENOENT, _EEXIST):
            break
        if exc.errno == _EEXIST:
            _remove(sock, port)
        try:
            return sock.transaction(*spoofrules.creation(), *messages)
        except NetlinkError as again:
            exc = again
    raise exc


def elements(port: str, mac: bytes, addresses: Iterable[Address] | None) -> dict[str, list[bytes]]:
    """Return the keys for the bridge's *port* by set, see :func:`ensure`."""
    name = _key(port)
    wanted = {PORTS: [name], MAC: [name + mac + b"\0\0"]}
    if addresses is None:
        wanted[ANY_ADDRESS] = [name]
        return wanted
    for one in addresses:
        if one.bits == 32:
            wanted.setdefault(IPV4, []).append(name + one.packed)
        else:
            wanted.setdefault(IPV6, [name + _link_local(mac)]).append(name + one.packed)
    return wanted


def _link_local(mac: bytes) -> bytes:
    """Return the IPv6 address that the kernel gives to an interface with the hardware address *mac*."""
    return b"\xfe\x80\0\0\0\0\0\0" + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def remove(port: str) -> nftsets.Socket | None:
    """Remove what :func:`ensure` has made for *port*; None if there was nothing. Raises CNIError.

    Closing the socket that is returned waits until the kernel has freed it all. Deleting a link takes as long, so who
    does both closes the socket after that.
    """
    try:
        sock = nftsets.Socket()
        if not nftsets.has_element(sock, FAMILY, ALIAS, PORTS, _key(port)):
            return None
        _remove(sock, port)
    except OSError as exc:
        if exc.errno in _NOTHING_THERE:
            return None
        raise CNIError(INTERNAL, "nf_tables keeps the elements of %s: %s" % (port, exc.strerror)) from exc
    return sock


def _remove(sock: nftsets.Socket, port: str) -> None:
    found = present(sock, port)
    messages = [nftsets.delete_elements(FAMILY, ALIAS, name, keys) for name, keys in found.items() if keys]
    if messages:
        sock.transaction(*messages)


def present(sock: nftsets.Socket, port: str) -> dict[str, list[bytes]]:
    """Return the keys that there are for *port*, by set. Raises NetlinkError if there is no such set."""
    name = _key(port)
    return {one: nftsets.keys(sock, FAMILY, ALIAS, one, length, name) for one, length in LENGTHS.items()}


def refused(by_address: bool, exc: OSError) -> CNIError:
    """Return the CNIError for *exc*, which nf_tables has met the rules or their elements with."""
    key = "ipspoofchk" if by_address else "macspoofchk"
    return CNIError(INTERNAL, "%s: nf_tables refuses the rules: %s" % (key, exc.strerror))


def _key(port: str) -> bytes:
    return port.encode("ascii").ljust(NAME_LENGTH, b"\0")
