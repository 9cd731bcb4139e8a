# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two pods of a lab that talk over one TCP connection, which nothing that a test does may end."""

from __future__ import annotations

import time

from tests.support.lab.lab_under_test import LabUnderTest

LONGEST_PAUSE = 5.0  # seconds; more than a busy machine makes of a line, less than TCP's patience
DAEMON = """
import os, socket, sys, time
if os.fork():
    os._exit(0)
os.setsid()
for descriptor in range(3):
    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
"""
SERVER = """
with socket.create_server(("", 9000)) as listener:
    open("/ready", "w").close()
    connection, _peer = listener.accept()
    while True:
        data = connection.recv(64)
        if not data:
            break
        connection.sendall(data)
"""
CLIENT = """
sent, slowest = 0, 0.0
connection = socket.create_connection((sys.argv[1], 9000), 10)
try:
    while True:
        started = time.monotonic()
        connection.sendall(b"%d\\n" % sent)
        if connection.recv(64) != b"%d\\n" % sent:
            raise OSError("the connection ended")
        sent, slowest = sent + 1, max(slowest, time.monotonic() - started)
        with open("/state.new", "w") as stream:
            stream.write("%d %.3f" % (sent, slowest))
        os.rename("/state.new", "/state")
        time.sleep(0.02)
except OSError as error:
    with open("/state", "w") as stream:
        stream.write("ended after %d: %s" % (sent, error))
"""


class Stream:
    """One TCP connection between pods of two nodes, a line to and fro every 20 ms."""

    def __init__(self, lab: LabUnderTest, client: str, server: str) -> None:
        self._lab, self._client, self._server = lab, client, server
        address = lab.out("pod", "run", server, "server").split()[0]
        lab.run("pod", "run", client, "client")
        lab.run("pod", "exec", server, "server", "--", "python3", "-c", DAEMON + SERVER)
        self._wait(server, "server", "/ready")
        lab.run("pod", "exec", client, "client", "--", "python3", "-c", DAEMON + CLIENT, address)
        self._wait(client, "client", "/state")

    def _wait(self, node: str, pod: str, path: str) -> None:
        script = "until [ -e %s ]; do sleep 0.1; done" % path
        self._lab.run("pod", "exec", node, pod, "--", "timeout", "10", "sh", "-c", script)

    def read(self) -> tuple[int, float]:
        """How many lines came back so far, and the seconds that the slowest took; fails if the connection has ended."""
        text = self._lab.out("pod", "exec", self._client, "client", "--", "cat", "/state")
        assert not text.startswith("ended"), text
        sent, slowest = text.split()
        return int(sent), float(slowest)

    def goes_on(self, before: int) -> None:
        """Fail unless more lines than *before* came back, none of them late, and further ones do."""
        after, slowest = self.read()
        assert after > before
        assert slowest < LONGEST_PAUSE
        time.sleep(0.2)
        assert self.read()[0] > after

    def end(self) -> None:
        """Take both pods away."""
        self._lab.run("pod", "rm", self._client, "client")
        self._lab.run("pod", "rm", self._server, "server")
