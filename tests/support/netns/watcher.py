# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watcher of a directory sees, as a container runtime does."""

from __future__ import annotations

import ctypes
import os
import struct

NAMES = {0x2: "MODIFY", 0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE"}
EVENT = struct.Struct("iIII")


class Watcher:
    """Collects the events of one directory from now on."""

    def __init__(self, directory: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._descriptor, directory.encode(), sum(NAMES)) < 0:
            raise OSError(ctypes.get_errno(), "inotify", directory)

    def events(self) -> list[tuple[str, str]]:
        """Return the (event, file name) pairs since the last call."""
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return []
        events = []
        while data:
            _watch, mask, _cookie, length = EVENT.unpack_from(data)
            name = data[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
            events.append((NAMES[mask], name))
            data = data[EVENT.size + length :]
        return events

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)
