# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rtnetlink protocol: messages, attributes, and a socket that sends several requests at once.

Message layouts are those of rtnetlink(7); sizes in bytes, numbers in the machine's byte order.
"""

from __future__ import annotations

import _socket
from _struct import Struct

from ..protocol.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Message = tuple[int, int, bytes]  # type, flags and body

NETLINK_ROUTE = 0
SOL_NETLINK = 270
SO_NETNS_COOKIE = 71
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_DUMP_INTR, NLM_F_ACK_TLVS = 0x10, 0x200
NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF
_ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG

_HEADER = Struct("=IHHII")
_ATTRIBUTE = Struct("=HH")
_U32 = Struct("=I")
_S32 = Struct("=i")
_RECEIVE_SIZE = 65536
_DUMP_ATTEMPTS = 5


class NetlinkError(OSError):
    """The kernel refused a request; ``errno`` says why, ``strerror`` has the kernel's own words where it gave any."""


def attribute(kind: int, data: bytes) -> bytes:
    """Return the attribute *kind* with *data* (bytes), padded to four bytes."""
    return _ATTRIBUTE.pack(len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def u32(kind: int, value: int) -> bytes:
    """Return the attribute *kind* with an unsigned number of 32 bits."""
    return _ATTRIBUTE.pack(8, kind) + _U32.pack(value)


def text(kind: int, value: str) -> bytes:
    """Return the attribute *kind* with a string."""
    return attribute(kind, value.encode("utf-8", "surrogateescape") + b"\0")


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return the attribute *kind* that holds *attributes*."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes in *data* from *offset* on, as a dict of bytes by kind."""
    found = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Socket:
    """A connection to the kernel's tables of the network namespace that the process is in when it is opened."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
        self._socket = _socket.socket(_socket.AF_NETLINK, kind, protocol)
        self._sequence = 0
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            try:
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            except OSError:  # an older kernel; replies are larger and errors say less
                continue

    def namespace(self) -> bytes:
        """Return the kernel's number for the namespace, which no other one gets until it boots; empty before 5.14."""
        try:
            cookie: bytes = self._socket.getsockopt(_socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        except OSError:
            return b""
        return cookie

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def request(self, *messages: Message, after: Iterable[Message] = ()) -> None:
        """Carry out *messages* in their order, and *after*, which is acknowledged only if refused.

        :param messages: tuples of type, flags and body.

        Raises NetlinkError for the first one refused. The others have been carried out all the same: put together
        only what may follow a failure.
        """
        # The kernel takes one after the other, so the answer to the last comes after any refusal of those before.
        *before, (kind, flags, body) = messages
        self._exchange((*before, (kind, flags | NLM_F_ACK, body)), after)

    def get(self, message: Message, *before: Message) -> bytes:
        """Carry out *before* as :meth:`request` does, and return the body of the kernel's reply to *message*."""
        return self._exchange((*before, message), ())

    def _exchange(self, messages: tuple[Message, ...], after: Iterable[Message]) -> bytes:
        """Send *messages* and *after*; return the reply to the last of *messages*. Raises NetlinkError."""
        first = self._sequence + 1
        last = self._sequence + len(messages)
        parts = []
        for kind, flags, body in (*messages, *after):
            self._sequence += 1
            parts.append(_HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, self._sequence, 0) + body)
        self._socket.send(b"".join(parts))
        refused: NetlinkError | None = None
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence < first:
                    continue
                if kind == NLMSG_ERROR:
                    refused = refused or _error(flags, body)
                if sequence >= last:
                    if refused:
                        raise refused
                    return body

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the bodies of all table entries that the request of type *kind* asks for. Raises NetlinkError."""
        for _attempt in range(_DUMP_ATTEMPTS):
            replies, whole = self._dump_once(kind, body)
            if whole:
                break
        return replies

    def _dump_once(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        self._sequence += 1
        header = _HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(header + body)
        replies: list[bytes] = []
        whole = True
        while True:
            for reply, flags, sequence, data in self._receive():
                if sequence != self._sequence:
                    continue
                if reply == NLMSG_ERROR:
                    raise _error(flags, data)  # type: ignore[misc]  # what is no error comes as NLMSG_DONE
                whole = whole and not flags & NLM_F_DUMP_INTR
                if reply == NLMSG_DONE:
                    refused = _error(0, data) if len(data) >= _S32.size else None
                    if refused:
                        raise refused
                    return replies, whole
                replies.append(data)

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        data = self._socket.recv(_RECEIVE_SIZE)
        offset = 0
        messages = []
        while offset + 16 <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            messages.append((kind, flags, sequence, data[offset + 16 : offset + length]))
            offset += (length + 3) & ~3
        return messages


def _error(flags: int, body: bytes) -> NetlinkError | None:
    """Return the NetlinkError that an acknowledgement's *body* is, or None if it says that all went well."""
    code: int = -_S32.unpack_from(body)[0]
    if code == 0:
        return None
    words = reason(code)
    if flags & NLM_F_ACK_TLVS:
        said = attributes(body, 20).get(_ERROR_TEXT)
        if said:
            words = "%s (%s)" % (words, said.rstrip(b"\0").decode("utf-8", "replace"))
    return NetlinkError(code, words)
