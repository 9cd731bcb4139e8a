# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pings many IPv4 addresses at once, and prints those that do not answer.

Usage: python3 ping_all.py SECONDS ADDRESS...    as root; each is asked once a second
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

ECHO_REQUEST, ECHO_REPLY = 8, 0


def request(identifier: int) -> bytes:
    """An echo request without data, of RFC 792, whose checksum is the complement of the sum of its 16-bit words."""
    checksum = 0xFFFF - (ECHO_REQUEST << 8) - identifier
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum % 0xFFFF, identifier, 0)


def silent(addresses: set[str], seconds: float) -> set[str]:
    """Return those of *addresses* that do not answer."""
    waiting, identifier = set(addresses), os.getpid() % 0xFFFF
    now = time.monotonic()
    deadline, again = now + seconds, now
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
        while waiting and now < deadline:
            if now >= again:
                again += 1
                for address in sorted(waiting):
                    ping.sendto(request(identifier), (address, 0))
            ping.settimeout(max(0.001, min(again, deadline) - now))
            try:
                packet, (address, _port) = ping.recvfrom(1024)
                header = 4 * (packet[0] & 0xF)  # of IP, in octets
                kind, _code, _checksum, of = struct.unpack_from("!BBHH", packet, header)
                if (kind, of) == (ECHO_REPLY, identifier):
                    waiting.discard(address)
            except TimeoutError:
                pass
            now = time.monotonic()
    return waiting


if __name__ == "__main__":
    print("\n".join(sorted(silent(set(sys.argv[2:]), float(sys.argv[1])))))
