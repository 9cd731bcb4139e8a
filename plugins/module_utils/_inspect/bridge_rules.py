# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel has nf_tables for bridges, which the CNI plugin's key ``ipspoofchk`` takes.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

_NETLINK_NETFILTER = 12
_BATCH_BEGIN, _NEWTABLE, _NEWCHAIN = 16, 10 << 8, 10 << 8 | 3
_REQUEST, _ACK, _CREATE, _NESTED = 1, 4, 0x400, 0x8000
_ERROR = 2
_BRIDGE = 7  # NFPROTO_BRIDGE
_TABLE = b"humanz-cni-probe\0"
_SECONDS = 10


def refusal() -> str | None:
    """Return why the kernel refuses a chain of nf_tables for bridges, None if it does not.

    Nothing is changed: the kernel drops a transaction whose end does not come.
    """
    hook = _attribute(1, struct.pack(">I", 0)) + _attribute(2, struct.pack(">i", -300))
    chain = (
        _attribute(1, _TABLE) + _attribute(3, b"probe\0") + _attribute(4 | _NESTED, hook) + _attribute(7, b"filter\0")
    )
    messages = [
        _message(_BATCH_BEGIN, 0, 1, struct.pack(">BBH", 0, 0, 10)),
        _message(_NEWTABLE, _CREATE | _ACK, 2, struct.pack(">BBH", _BRIDGE, 0, 0) + _attribute(1, _TABLE)),
        _message(_NEWCHAIN, _CREATE | _ACK, 3, struct.pack(">BBH", _BRIDGE, 0, 0) + chain),
    ]
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
            sock.settimeout(_SECONDS)
            sock.send(b"".join(messages))
            while True:
                for sequence, code in _answers(sock.recv(65536)):
                    if code:
                        return os.strerror(code)
                    if sequence == 3:
                        return None
    except OSError as exc:
        return exc.strerror or errno.errorcode.get(exc.errno or 0, str(exc))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST, sequence, 0) + body


def _answers(data: bytes) -> list[tuple[int, int]]:
    """Return the acknowledgements in *data*: sequence and error number, 0 for none."""
    found, offset = [], 0
    while offset + 20 <= len(data):
        length, kind, _flags, sequence, _port, code = struct.unpack_from("=IHHIIi", data, offset)
        if kind == _ERROR:
            found.append((sequence, -code))
        offset += max(16, length + 3 & ~3)
    return found
