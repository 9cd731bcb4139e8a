# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many TCP connections and ICMP echoes at once, out of several network namespaces. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import errno
import os
import resource
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING

from .._shared import netns as _netns
from .._shared.texts import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Try(Protocol):
        """What :func:`run` makes: an Attempt, or another one that begins, goes on after events, and ends."""

        netns: str | None

        @property
        def waits_for(self) -> int: ...
        def start(self) -> socket.socket | None: ...
        def proceed(self, __events: int) -> bool: ...
        def tick(self, timeout: float) -> bool: ...
        def close(self) -> None: ...


RESERVED_DESCRIPTORS = 64
ECHO_INTERVAL = 1.0  # seconds between two echo requests
GREETING_WAIT = 1.0  # seconds that a listener of somebody else's has to say one line
ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}  # RFC 792, RFC 4443
ECHO_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}


class Attempt:
    """One try to reach one address; ``source``, ``local``, ``error`` and ``ms`` are its outcome.

    :param address: IPv4 or IPv6 address, as text.
    :param port: TCP port; None sends ICMP echo requests.
    :param netns: path of the namespace to try it from; None is the caller's own.
    :param must_answer: whether the listener is known to say the address that it sees.

    ``source`` is the first line that the far side sent, or None; ``local`` is the address that it was made from;
    ``error`` is None if it was reached.
    """

    def __init__(
        self, address: str, port: int | None = None, netns: str | None = None, must_answer: bool = True
    ) -> None:
        self.address = address
        self.port = port
        self.netns = netns
        self.must_answer = must_answer
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.source: str | None = None
        self.local: str | None = None
        self.error: str | None = None
        self.ms: int | None = None
        self._socket: socket.socket = None  # type: ignore[assignment]  # start() makes it, and all else comes later
        self._started = 0.0
        self._connected: float | None = None
        self._next_echo = 0.0

    def start(self) -> socket.socket | None:
        """Begin; return the socket to wait for, or None if it is over already."""
        self._started = time.monotonic()
        try:
            self._socket = self._open()
            self._socket.setblocking(False)
            if self.port is None:
                self._socket.connect((self.address, 0))
                self.send_echo()
            else:
                code = self._socket.connect_ex((self.address, self.port))
                if code not in (0, errno.EINPROGRESS):
                    raise OSError(code, os.strerror(code))
        except OSError as exc:
            self.finish(errno_text(exc))
            self.close()
            return None
        self.local = self._socket.getsockname()[0]
        return self._socket

    def _open(self) -> socket.socket:
        if self.port is not None:
            return socket.socket(self.family, socket.SOCK_STREAM)
        protocol = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        return socket.socket(self.family, socket.SOCK_RAW, protocol)

    def send_echo(self) -> None:
        """Send one echo request."""
        body = struct.pack("!HH", os.getpid() & 0xFFFF, 1)
        head = struct.pack("!BBH", ECHO_REQUEST[self.family], 0, 0)
        if self.family == socket.AF_INET:  # the kernel fills in ICMPv6 checksums only
            head = struct.pack("!BBH", ECHO_REQUEST[self.family], 0, _checksum(head + body))
        self._socket.send(head + body)
        self._next_echo = time.monotonic() + ECHO_INTERVAL

    def proceed(self, events: int) -> bool:
        """Go on after *events* on the socket; return whether it is over."""
        try:
            if self.port is None:
                return self._receive_echo()
            if events & selectors.EVENT_WRITE and self._connected is None:
                code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                self._connected = time.monotonic()
                return False
            line = printable(self._socket.recv(128).split(b"\n")[0].decode("ascii", "replace").strip())
        except BlockingIOError:
            return False
        except OSError as exc:
            self.finish(errno_text(exc))
            return True
        self._answered(line)
        return True

    def _receive_echo(self) -> bool:
        packet = self._socket.recv(1024)
        if self.family == socket.AF_INET:  # a raw IPv4 socket hands out the IP header too
            packet = packet[(packet[0] & 0x0F) * 4 :]
        if len(packet) < 6 or packet[0] != ECHO_REPLY[self.family]:
            return False
        if struct.unpack("!H", packet[4:6])[0] != os.getpid() & 0xFFFF:
            return False
        self.finish(None)
        return True

    def _answered(self, line: str) -> None:
        self.source = line or None
        silent = self.must_answer and not line
        self.finish("the connection was closed without an answer" if silent else None)

    def tick(self, timeout: float) -> bool:
        """Let time pass; return whether it is over. *timeout* is in seconds."""
        now = time.monotonic()
        if self._connected is not None and not self.must_answer and now - self._connected >= GREETING_WAIT:
            self.finish(None)
            return True
        if now - self._started >= timeout:
            self.finish("no answer in %g s" % timeout)
            return True
        if self.port is None and now >= self._next_echo:
            try:
                self.send_echo()
            except OSError as exc:
                self.finish(errno_text(exc))
                return True
        return False

    @property
    def waits_for(self) -> int:
        """The events to wait for."""
        connecting = self.port is not None and self._connected is None
        return selectors.EVENT_WRITE if connecting else selectors.EVENT_READ

    def finish(self, error: str | None) -> None:
        """End with *error*, or with success if that is None."""
        self.error = error
        self.ms = int((time.monotonic() - self._started) * 1000)

    def close(self) -> None:
        """Give the socket back; the outcome stays."""
        if self._socket is not None:
            self._socket.close()


def errno_text(exc: OSError) -> str:
    """Return what *exc* says, with the name of its number."""
    return "%s (%s)" % (os.strerror(exc.errno), errno.errorcode.get(exc.errno, exc.errno)) if exc.errno else str(exc)


def _checksum(data: bytes) -> int:
    """Return the internet checksum of *data*, of even length (RFC 1071)."""
    total: int = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def run(attempts: Sequence[Try], timeout: float) -> None:
    """Make all *attempts*, as many at once as the process may have files open, each within *timeout* seconds."""
    width = _descriptor_limit() - RESERVED_DESCRIPTORS
    for first in range(0, len(attempts), width):
        _run_at_once(attempts[first : first + width], timeout)


def _descriptor_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def _run_at_once(attempts: Sequence[Try], timeout: float) -> None:
    with selectors.DefaultSelector() as selector:
        for netns in sorted({attempt.netns for attempt in attempts}, key=str):
            with _netns.inside(netns):
                for attempt in attempts:
                    waiting = attempt.start() if attempt.netns == netns else None
                    if waiting is not None:
                        selector.register(waiting, attempt.waits_for, attempt)
        _wait(selector, timeout)


def _wait(selector: selectors.BaseSelector, timeout: float) -> None:
    next_tick = time.monotonic() + 0.2
    while selector.get_map():
        for key, events in selector.select(max(0.0, next_tick - time.monotonic())):
            _step(selector, key, key.data.proceed(events))
        if time.monotonic() >= next_tick:
            next_tick += 0.2
            for key in list(selector.get_map().values()):
                _step(selector, key, key.data.tick(timeout))


def _step(selector: selectors.BaseSelector, key: selectors.SelectorKey, over: bool) -> None:
    if over:
        selector.unregister(key.fileobj)
        key.data.close()
    elif key.events != key.data.waits_for:
        selector.modify(key.fileobj, key.data.waits_for, key.data)
