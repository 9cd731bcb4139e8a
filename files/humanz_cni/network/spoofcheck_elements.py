# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports are checked for what, as the sets of nf_tables have it, and how to end a port's checks."""

from __future__ import annotations

from ..kernel.netlink import NetlinkError, Socket, attribute
from ..protocol.errors import INTERNAL, CNIError
from .spoofcheck import (
    ANY_ADDRESS,
    DATA_VALUE,
    DELELEMENT,
    GETELEMENT,
    IPV4,
    IPV6,
    MAC,
    NAME_LENGTH,
    NETLINK_NETFILTER,
    NOTHING_THERE,
    PORTS,
    TARGET,
    body_of,
    key,
    transaction,
)

LENGTHS = {PORTS: NAME_LENGTH, ANY_ADDRESS: NAME_LENGTH, MAC: 24, IPV4: 20, IPV6: 32, TARGET: 32}  # of the sets' keys


def remove(port: str) -> Socket | None:
    """Remove what ``spoofcheck.ensure`` has made for *port*; None if there was nothing. Raises CNIError.

    Closing the socket that is returned waits until the kernel has freed it all. Deleting a link takes as long, so who
    does both closes the socket after that.
    """
    sock = of_checked(port)
    if sock:
        clear(sock, port)
    return sock


def of_checked(port: str) -> Socket | None:
    """Return a socket for :func:`clear` if *port* is checked, and None if it is not. Raises CNIError."""
    try:
        sock = Socket(NETLINK_NETFILTER)
        sock.get((GETELEMENT, 0, body_of(PORTS, (key(port),))))
    except OSError as exc:
        if exc.errno in NOTHING_THERE:
            return None
        raise _kept(port, exc) from exc
    return sock


def clear(sock: Socket, port: str) -> None:
    """Do by *sock* what :func:`remove` does. Raises CNIError."""
    try:
        remove_elements(sock, port)
    except OSError as exc:
        if exc.errno not in NOTHING_THERE:
            raise _kept(port, exc) from exc


def _kept(port: str, exc: OSError) -> CNIError:
    return CNIError(INTERNAL, "nf_tables keeps the elements of %s: %s" % (port, exc.strerror))


def remove_elements(sock: Socket, port: str) -> None:
    """Remove all elements of *port*. Raises NetlinkError."""
    messages = [(DELELEMENT, 0, body_of(name, keys)) for name, keys in elements_of(sock, port).items() if keys]
    if messages:
        transaction(sock, messages)


def elements_of(sock: Socket, port: str) -> dict[str, list[bytes]]:
    """Return the keys that there are for *port*, by set. Raises NetlinkError if there is no such set."""
    return {name: _keys(sock, name, length, key(port)) for name, length in LENGTHS.items()}


def checked_ports(sock: Socket) -> list[str]:
    """Return the names of the ports that are checked; NetlinkError if there are no rules."""
    return [one.rstrip(b"\0").decode("ascii") for one in _keys(sock, PORTS, NAME_LENGTH, b"")]


def all_elements(sock: Socket) -> dict[str, set[bytes]]:
    """Return the keys of all ports, by set; none for a set that there is not. Raises NetlinkError."""
    found = {}
    for name, length in LENGTHS.items():
        try:
            found[name] = set(_keys(sock, name, length, b""))
        except NetlinkError as exc:
            if exc.errno not in NOTHING_THERE:
                raise
            found[name] = set()
    return found


def _keys(sock: Socket, name: str, length: int, start: bytes) -> list[bytes]:
    """Return the keys of the set *name*, of *length* bytes each, that begin with *start*."""
    head = attribute(DATA_VALUE, bytes(length))[:4] + start  # sought as bytes: a set may have thousands of others
    found = []
    for body in sock.dump(GETELEMENT, body_of(name)):
        place = body.find(head)
        while place >= 0:
            found.append(body[place + 4 : place + 4 + length])
            place = body.find(head, place + 4 + length)
    return found
