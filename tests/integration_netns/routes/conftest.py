# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with the interfaces of the topology ubuntu-nested, and a neighbour on each wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from node import Node


@pytest.fixture
def nested(make_node: Callable[[], Node]) -> Node:
    """Node 1: 200.0.0.10 among the nodes, 192.168.122.10 towards the router 192.168.122.1, dual stack."""
    node, neighbour = make_node(), make_node()
    # Link-local addresses come and go by themselves, in the midst of a comparison.
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode")
    node.wire("enp8s0", neighbour, "lan")
    node.wire("enp1s0", neighbour, "uplink")
    node.ip("addr add 200.0.0.10/24 dev enp8s0")
    node.ip("addr add fd00:200::10/64 dev enp8s0 nodad")
    node.ip("addr add 192.168.122.10/24 dev enp1s0")
    node.ip("route add default via 192.168.122.1")
    return node
