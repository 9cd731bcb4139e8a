# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod on a node between another node and the outside, and the source address that each is called from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import NamedTuple

from node import Node

PORT = "7777"

SERVE = """
import socket, sys
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
server.settimeout(5)
connection, peer = server.accept()
connection.sendall(peer[0].replace("::ffff:", "").encode())
connection.close()
"""

CALL = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as connection:
        print(connection.recv(64).decode())
except OSError:
    pass
"""


RECEIVE = """
import socket, sys
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as stream:
    stream.bind((sys.argv[1], int(sys.argv[2])))
    print("ready", flush=True)
    stream.settimeout(1)
    try:
        print(stream.recvfrom(16)[1][0])
    except OSError:
        pass
"""

SEND = """
import socket, sys
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as stream:
    stream.bind((sys.argv[1], 0))
    stream.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
"""


class Addresses(NamedTuple):
    """Who has which address in one family; ``node_outside`` is the node's own on the uplink."""

    pod: str
    peer: str
    peer_pod: str
    outside: str
    node_outside: str


IPV4 = Addresses("100.100.0.2", "200.0.0.20", "100.100.1.2", "192.168.122.1", "192.168.122.10")
IPV6 = Addresses("fd00:100::2", "fd00:200::20", "fd00:100:0:1::2", "2001:db8::1", "2001:db8::10")


class Lan:
    """The blog's first node with one pod, a neighbour node on the inter-node network, and a host on the uplink.

    ============  ============================================
    ``node``      forwards between the three
    ``pod``       on the bridge humanz-cni0
    ``peer``      routes the pod's network to node
    ``peer_pod``  an address of ``peer``
    ``outside``   routes the pod's network to node
    ============  ============================================
    """

    def __init__(self, node: Node, make_node: Callable[[], Node]) -> None:
        self.node = node
        self.pod, self.peer, self.outside = make_node(), make_node(), make_node()
        for each in (node, self.pod, self.peer, self.outside):
            # Addresses are used at once.
            each.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
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
        self._add_ipv6()
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def _add_ipv6(self) -> None:
        for node, address, device in (
            (self.node, "fd00:100::1/64", "humanz-cni0"),
            (self.node, "fd00:200::10/64", "enp8s0"),
            (self.node, "2001:db8::10/64", "enp1s0"),
            (self.pod, "fd00:100::2/64", "eth0"),
            (self.peer, "fd00:200::20/64", "enp8s0"),
            (self.peer, "fd00:100:0:1::2/128", "lo"),
            (self.outside, "2001:db8::1/64", "enp1s0"),
        ):
            node.ip(f"addr add {address} dev {device}")
        self.node.ip("route add fd00:100:0:1::/64 via fd00:200::20")
        self.pod.ip("route add default via fd00:100::1")
        self.peer.ip("route add fd00:100::/64 via fd00:200::10")
        self.peer.ip("route add 2001:db8::/64 via fd00:200::10")
        self.outside.ip("route add fd00:100::/64 via 2001:db8::10")
        self.outside.ip("route add fd00:200::/64 via 2001:db8::10")


def enter(node: Node, *command: str) -> list[str]:
    """Return the command that runs *command* on *node*."""
    return ["nsenter", f"--target={node.pid}", "--net", "--", *command]


def source_seen(client: Node, server: Node, address: str, timeout: float = 1) -> str:
    """Return which address *server* is called from when *client* connects to its *address*; empty if it cannot.

    It is tried for *timeout* seconds.
    """
    listening = subprocess.Popen(enter(server, "python3", "-IS", "-c", SERVE, PORT), stdout=subprocess.PIPE, text=True)
    try:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "ready\n"
        return client.run("python3", "-IS", "-c", CALL, address, PORT, str(timeout)).stdout.strip()
    finally:
        listening.terminate()
        listening.communicate()


def forged_source_seen(client: Node, source: str, server: Node, address: str) -> str:
    """Return the source of a datagram that *client* sends as *source* to *address* of *server*; empty if it is lost."""
    # Without a search for duplicates, an IPv6 address can be used at once.
    client.run("ip", "address", "replace", source, "dev", "lo", *(["nodad"] if ":" in source else []))
    receiving = subprocess.Popen(
        enter(server, "python3", "-IS", "-c", RECEIVE, address, PORT), stdout=subprocess.PIPE, text=True
    )
    assert receiving.stdout is not None
    assert receiving.stdout.readline() == "ready\n"
    client.run("python3", "-IS", "-c", SEND, source, address, PORT)
    return receiving.communicate()[0].strip()
