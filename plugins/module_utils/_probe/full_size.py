# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether packets as large as the sender's MTU pass in both directions, unfragmented. The standard library only.

TCP does not tell: its ends agree on the smaller of their MTUs. So each try is a UDP datagram that fills a packet, which
must not be fragmented, and the pod's answer of the same size. As any program does, both ends heed what routers on the
way say of smaller MTUs; what is found here are packets that vanish without a word.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time

from . import connect

INTERVAL = 0.5  # seconds between two tries
LARGEST = 65535  # bytes of a packet
HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}  # bytes of IP and UDP
LEVEL = {socket.AF_INET: socket.IPPROTO_IP, socket.AF_INET6: socket.IPPROTO_IPV6}
# linux/in.h, linux/in6.h; Python names none of them
MTU_DISCOVER = {socket.AF_INET: 10, socket.AF_INET6: 23}
MTU = {socket.AF_INET: 14, socket.AF_INET6: 24}
PMTUDISC_DO = 2
FREEBIND = 15
SMALL = b"small"
RECEIVED = b"received"  # the answer to a datagram whose size the pod's own way back cannot carry


class FullSize:
    """One try, as those of ``connect``; ``error`` is None if a packet of ``mtu`` bytes went there and back.

    :param address: of the pod.
    :param port: UDP port that :func:`answer` serves.
    :param netns: path of the namespace to try it from; None is the caller's own.
    """

    waits_for = selectors.EVENT_READ

    def __init__(self, address: str, port: int, netns: str | None = None) -> None:
        self.address = address
        self.port = port
        self.netns = netns
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.local: str | None = None
        self.error: str | None = None
        self.mtu = 0
        self._socket: socket.socket = None  # type: ignore[assignment]  # as in connect
        self._started = 0.0
        self._next = 0.0
        self._small_pass = False

    def start(self) -> socket.socket | None:
        """Begin; return the socket to wait for, or None if it is over already."""
        self._started = time.monotonic()
        try:
            self._socket = socket.socket(self.family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(LEVEL[self.family], MTU_DISCOVER[self.family], PMTUDISC_DO)
            self._socket.connect((self.address, self.port))
        except OSError as exc:
            self.error = connect.errno_text(exc)
            self.close()
            return None
        self.local = self._socket.getsockname()[0]
        self._send()
        return self._socket

    def _send(self) -> None:
        """Send a small datagram, and one that fills a packet of what is known to be the MTU of the way."""
        self._next = time.monotonic() + INTERVAL
        self.mtu = min(self._socket.getsockopt(LEVEL[self.family], MTU[self.family]), LARGEST)
        for data in (SMALL, bytes(self.mtu - HEADERS[self.family])):
            with contextlib.suppress(OSError):  # what a router said, such as of a smaller MTU, before it is sent anew
                self._socket.send(data)

    def proceed(self, _events: int) -> bool:
        """Go on after something arrived; return whether it is over."""
        try:
            data = self._socket.recv(LARGEST)
        except OSError as exc:
            if exc.errno == errno.EMSGSIZE:
                self._send()
            return False
        self._small_pass = self._small_pass or data == SMALL
        return len(data) == self.mtu - HEADERS[self.family] or data == RECEIVED

    def tick(self, timeout: float) -> bool:
        """Let time pass; return whether it is over. *timeout* is in seconds."""
        now = time.monotonic()
        if now - self._started >= timeout:
            if self._small_pass:
                self.error = "packets of %d bytes are lost, small ones pass: no answer in %g s" % (self.mtu, timeout)
            else:
                self.error = "no answer to UDP in %g s, though TCP passes" % timeout
            return True
        if now >= self._next:
            self._send()
        return False

    def close(self) -> None:
        """Give the socket back; the outcome stays."""
        if self._socket is not None:
            self._socket.close()

    @property
    def lost_size(self) -> int | None:
        """The size of the packets that are lost where small ones pass, None if they are not."""
        return self.mtu if self.error and self._small_pass else None


def listen(address: str, port: int) -> socket.socket:
    """Return a socket that :func:`answer` serves, on one *address*: answers must come from the one that was asked."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IP, FREEBIND, 1)  # an address that is still looked for elsewhere
    listener.setsockopt(LEVEL[family], MTU_DISCOVER[family], PMTUDISC_DO)
    listener.bind((address, port))
    listener.setblocking(False)
    return listener


def answer(listener: socket.socket) -> None:
    """Answer one datagram in kind."""
    data, peer = listener.recvfrom(LARGEST)
    try:
        listener.sendto(data, peer)
    except OSError as exc:
        if exc.errno != errno.EMSGSIZE:
            raise
        listener.sendto(RECEIVED, peer)
