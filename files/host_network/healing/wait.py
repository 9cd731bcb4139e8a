# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for what the kernel says of interfaces, addresses, routes and routing policy, for heal.py.

Whatever manages the network, routes can be put back once the interface to the other nodes is up and has its address.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time

RTMGRP_LINK = 0x1
RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE = 0x10, 0x40
RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE = 0x100, 0x400
RTMGRP_IPV4_RULE, RTMGRP_IPV6_RULE = 0x80, 0x40000  # the latter has no name in linux/rtnetlink.h
GROUPS = (
    RTMGRP_LINK
    | (RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE)
    | (RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_RULE)
)
PAUSE = 0.05  # seconds, in which changes that belong together come together
LONGEST = 2  # seconds until it is tried again although nothing was heard
SIZE = 65536  # bytes of a message


def changes() -> socket.socket:
    """Return a socket that hears of every change from now on."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    sock.bind((0, GROUPS))
    return sock


def one_of(sock: socket.socket, seconds: float) -> bool:
    """Wait for a change since the last call, LONGEST or *seconds*, and return whether there were *seconds* left."""
    if seconds <= 0:
        return False
    if select.select([sock], [], [], min(seconds, LONGEST))[0]:
        time.sleep(PAUSE)
    with contextlib.suppress(OSError):  # all were read, or there were more than it can hold
        while True:
            sock.recv(SIZE)
    return True
