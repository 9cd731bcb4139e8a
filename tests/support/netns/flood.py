# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flood of UDP packets, run as a program inside network namespaces: ``count PORT`` and ``send PORT ADDRESS ...``.

``count`` says "ready", receives until its standard input ends, and prints how many packets came. ``send`` does the same
with packets that it sends to the addresses in turn.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

PAUSE = 0.001  # seconds between bursts, so that no queue on the way overflows
SO_RCVBUFFORCE = 33


def count(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        receiver.bind(("", port))
        print("ready", flush=True)
        received, ended = 0, False
        while True:
            readable = select.select([receiver] + ([] if ended else [sys.stdin]), [], [], 0.3 if ended else None)[0]
            if not readable:
                return received
            ended = ended or sys.stdin in readable
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(16, socket.MSG_DONTWAIT)
                    received += 1


def send(port: int, addresses: list[str]) -> int:
    """An address that the kernel has no way to is a packet that is sent, and lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        print("ready", flush=True)
        sent = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            for address in addresses:
                with contextlib.suppress(OSError):
                    sender.sendto(b"flood", (address, port))
                sent += 1
            time.sleep(PAUSE)
        return sent


if __name__ == "__main__":
    port = int(sys.argv[2])
    print(count(port) if sys.argv[1] == "count" else send(port, sys.argv[3:]))
