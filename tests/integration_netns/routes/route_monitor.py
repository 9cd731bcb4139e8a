# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells everybody of a node's routes while something is done to them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from node import Node

SIGN = "198.51.100.255"  # a route to it is added to say that all events so far have been printed


@contextmanager
def route_events(node: Node) -> Iterator[list[str]]:
    """Collect the events of both families, one line of ``ip -d monitor route`` each; complete after the block."""
    command = ["nsenter", f"--target={node.pid}", "--net", "--", "ip", "-d", "monitor", "route"]
    monitor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    events: list[str] = []
    try:
        while not _listens(monitor.pid):
            pass
        yield events
        node.ip(f"route add {SIGN} dev lo table 999")
        assert monitor.stdout is not None
        events += _up_to_sign(monitor.stdout)
        node.ip("route flush table 999")
    finally:
        monitor.kill()
        monitor.communicate()


def _listens(pid: int) -> bool:
    """Say whether the process has a netlink socket that has joined a group; its port number is the process's."""
    with open(f"/proc/{pid}/net/netlink", encoding="ascii") as stream:
        sockets = [line.split() for line in stream][1:]
    return any(port == str(pid) and int(groups, 16) for _sk, _protocol, port, groups, *_rest in sockets)


def _up_to_sign(lines: IO[str]) -> Iterator[str]:
    for line in lines:
        if SIGN in line:
            return
        yield " ".join(line.split())
