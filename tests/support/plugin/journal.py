# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal for a node without systemd: takes datagrams at the journal's address and keeps what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType

from tests.support.netns.node import Node

SOCKET = "/run/systemd/journal/socket"

# Prints each datagram as JSON when the word to do so comes; with "full" it takes none, and has no room for any.
_SERVER = """
import json, os, socket, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
if sys.argv[2] == "full":
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.setblocking(False)
    try:
        while True:
            client.sendto(b"MESSAGE=noise", sys.argv[1])
    except BlockingIOError:
        pass
print("ready", flush=True)
sys.stdin.readline()
server.setblocking(False)
received = []
try:
    while True:
        received.append(server.recv(1 << 20).decode())
except BlockingIOError:
    print(json.dumps(received), flush=True)
"""


class Journal:
    """A context manager in which *node* has a journal; it begins *full* on request."""

    def __init__(self, node: Node, full: bool = False) -> None:
        self._node = node
        self._full = "full" if full else "empty"

    def __enter__(self) -> Journal:
        enter = ["nsenter", f"--target={self._node.pid}", "--mount", "--net", "--"]
        self._server = subprocess.Popen(
            [*enter, sys.executable, "-c", _SERVER, SOCKET, self._full],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server.poll() is None:
            self._server.communicate()

    def entries(self) -> list[dict[str, str]]:
        """Return what came so far, the fields of each entry by name; nothing can come any more then."""
        output, _error = self._server.communicate("\n")
        datagrams = json.loads(output)
        return [dict(line.split("=", 1) for line in datagram.splitlines()) for datagram in datagrams]
