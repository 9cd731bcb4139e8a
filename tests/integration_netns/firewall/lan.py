# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod on a node between another node and the outside, and the source address that each is called from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from node import Node

PORT = "7777"

SERVE = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
server.settimeout(5)
connection, peer = server.accept()
connection.sendall(peer[0].encode())
connection.close()
"""

CALL = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as connection:
        print(connection.recv(64).decode())
except OSError:
    pass
"""


class Lan:
    """The blog's first node with one pod, a neighbour node on the inter-node network, and a host on the uplink.

    ============  ==========================  ================================
    ``node``      200.0.0.10, 192.168.122.10  forwards, policy of FORWARD DROP
    ``pod``       100.100.0.2                 on the bridge humanz-cni0
    ``peer``      200.0.0.20                  routes 100.100.0.0/24 to node
    ``peer_pod``  100.100.1.2                 an address of ``peer``
    ``outside``   192.168.122.1               routes 100.100.0.0/24 to node
    ============  ==========================  ================================
    """

    POD = "100.100.0.2"
    PEER = "200.0.0.20"
    PEER_POD = "100.100.1.2"
    OUTSIDE = "192.168.122.1"

    def __init__(self, node: Node, make_node: Callable[[], Node]) -> None:
        self.node = node
        self.pod, self.peer, self.outside = make_node(), make_node(), make_node()
        node.ip("link add humanz-cni0 type bridge")
        node.ip("addr add 100.100.0.1/24 dev humanz-cni0")
        node.ip("link set humanz-cni0 up")
        node.wire("veth0", self.pod, "eth0")
        node.ip("link set veth0 master humanz-cni0")
        node.wire("enp8s0", self.peer, "enp8s0")
        node.wire("enp1s0", self.outside, "enp1s0")
        node.ip("addr add 200.0.0.10/24 dev enp8s0")
        node.ip("addr add 192.168.122.10/24 dev enp1s0")
        node.ip("route add 100.100.1.0/24 via 200.0.0.20")
        self.pod.ip("addr add 100.100.0.2/24 dev eth0")
        self.pod.ip("route add default via 100.100.0.1")
        self.peer.ip("addr add 200.0.0.20/24 dev enp8s0")
        self.peer.ip("addr add 100.100.1.2/32 dev lo")
        self.peer.ip("route add 100.100.0.0/24 via 200.0.0.10")
        self.peer.ip("route add 192.168.122.0/24 via 200.0.0.10")
        self.outside.ip("addr add 192.168.122.1/24 dev enp1s0")
        self.outside.ip("route add 100.100.0.0/24 via 192.168.122.10")
        self.outside.ip("route add 200.0.0.0/24 via 192.168.122.10")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")


def enter(node: Node, *command: str) -> list[str]:
    """Return the command that runs *command* on *node*."""
    return ["nsenter", f"--target={node.pid}", "--net", "--", *command]


def source_seen(client: Node, server: Node, address: str) -> str:
    """Return which address *server* is called from when *client* connects to its *address*; empty if it cannot."""
    listening = subprocess.Popen(enter(server, "python3", "-c", SERVE, PORT), stdout=subprocess.PIPE, text=True)
    try:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "ready\n"
        return client.run("python3", "-c", CALL, address, PORT).stdout.strip()
    finally:
        listening.terminate()
        listening.communicate()
