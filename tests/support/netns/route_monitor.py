# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells everybody of a node's routes while something is done to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.kernel_events import Monitor
from tests.support.netns.node import Node

SIGN = "198.51.100.255"  # a route to it is added to say that all events so far have been printed


@contextmanager
def route_events(node: Node) -> Iterator[list[str]]:
    """Collect the events of both families, one line of ``ip -d monitor route`` each; complete after the block."""
    events: list[str] = []
    with Monitor(f"/proc/{node.pid}/ns/net", "ip", "-d", "monitor", "route") as monitor:
        yield events
        node.ip(f"route add {SIGN} dev lo table 999")
        events += monitor.up_to(SIGN)
        node.ip("route flush table 999")
