# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports are checked for what, as the sets of nf_tables have it, and how to end a port's checks."""

from __future__ import annotations

from ..kernel.netlink import NetlinkError, Socket, attribute
from .spoofcheck import (
    ANY_ADDRESS,
    DATA_VALUE,
    DELELEMENT,
    GETELEMENT,
    IPV4,
    IPV6,
    MAC,
    NAME_LENGTH,
    NOTHING_THERE,
    PORTS,
    TARGET,
    body_of,
    key,
    transaction,
)

LENGTHS = {PORTS: NAME_LENGTH, ANY_ADDRESS: NAME_LENGTH, MAC: 24, IPV4: 20, IPV6: 32, TARGET: 32}  # of the sets' keys


def run(sock: Socket, port: str) -> None:
    """Remove all elements of *port*. Raises NetlinkError."""
    messages = [(DELELEMENT, 0, body_of(name, keys)) for name, keys in present(sock, port).items() if keys]
    if messages:
        transaction(sock, messages)


def present(sock: Socket, port: str) -> dict[str, list[bytes]]:
    """Return the keys that there are for *port*, by set. Raises NetlinkError if there is no such set."""
    return {name: _keys(sock, name, length, key(port)) for name, length in LENGTHS.items()}


def ports(sock: Socket) -> list[str]:
    """Return the names of the ports that are checked; NetlinkError if there are no rules."""
    return [one.rstrip(b"\0").decode("ascii") for one in _keys(sock, PORTS, NAME_LENGTH, b"")]


def everything(sock: Socket) -> dict[str, set[bytes]]:
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
