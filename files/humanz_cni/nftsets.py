# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions of nf_tables, and the elements of its sets: what a call needs that only adds or removes elements.

Numbers within messages are in network byte order. Constants are the kernel's, of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from . import netlink
from .netlink import NLM_F_CREATE, attribute, nested, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .netlink import Message

NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWELEMENT, _GETELEMENT, _DELELEMENT = 12, 13, 14
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ENOENT = 2
_LIST_ELEMENT, _ELEMENT_KEY, _DATA_VALUE = 1, 1, 1
_BOUNDARY = b"\0\0\0\x0a"  # family, version, subsystem


class Socket(netlink.Socket):
    """A connection to nf_tables of the network namespace that the process is in when it is opened.

    :param rehearse: whether transactions are only tried: the kernel drops one whose end does not come.
    """

    def __init__(self, rehearse: bool = False) -> None:
        super().__init__(NETLINK_NETFILTER)
        self._begin = _BATCH_BEGIN, 0, _BOUNDARY
        self._end: Sequence[Message] = () if rehearse else [(_BATCH_END, 0, _BOUNDARY)]

    def transaction(self, *messages: Message) -> None:
        """Carry out *messages*, tuples of type, flags and body, all or none. Raises NetlinkError."""
        self.request(self._begin, *messages, after=self._end)


def new_elements(family: int, table: str, name: str, keys: Iterable[bytes], flags: int = 0) -> Message:
    """Return the request that adds *keys* to a set; with the flag NLM_F_EXCL it fails if one of them is there."""
    return message_type(_NEWELEMENT), NLM_F_CREATE | flags, _elements(family, table, name, keys)


def delete_elements(family: int, table: str, name: str, keys: Iterable[bytes]) -> Message:
    """Return the request that takes *keys* out of a set, which must all be there."""
    return message_type(_DELELEMENT), 0, _elements(family, table, name, keys)


def keys(sock: Socket, family: int, table: str, name: str, length: int, start: bytes) -> list[bytes]:
    """Return the keys of a set, of *length* bytes each, that begin with *start*. NetlinkError if there is no set."""
    head = attribute(_DATA_VALUE, bytes(length))[:4] + start  # sought as bytes: a set may have thousands of others
    found = []
    for body in sock.dump(message_type(_GETELEMENT), _set(family, table, name)):
        place = body.find(head)
        while place >= 0:
            found.append(body[place + 4 : place + 4 + length])
            place = body.find(head, place + 4 + length)
    return found


def has_element(sock: Socket, family: int, table: str, name: str, key: bytes) -> bool:
    """Say whether a set, which need not exist, has the *key*."""
    try:
        sock.get((message_type(_GETELEMENT), 0, _elements(family, table, name, (key,))))
        return True
    except netlink.NetlinkError as exc:
        if exc.errno == _ENOENT:
            return False
        raise


def message_type(message: int) -> int:
    """Return the netlink type of nf_tables' *message*."""
    return _SUBSYSTEM << 8 | message


def _set(family: int, table: str, name: str) -> bytes:
    return bytes((family, 0, 0, 0)) + text(_TABLE, table) + text(_SET, name)


def _elements(family: int, table: str, name: str, keys_of: Iterable[bytes]) -> bytes:
    items = [nested(_LIST_ELEMENT, nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key))) for key in keys_of]
    return _set(family, table, name) + nested(_ELEMENTS, *items)
