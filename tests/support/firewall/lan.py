# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod on a node between another node and the outside, and the source address that each is called from."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.support.netns.node import Node

PORT = "7777"
VXLAN_MAC, VNI = "02:d9:c8:00:00:0a", "217"

SERVE = """
import socket, sys
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
server.settimeout(60)
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


# What arrives by any interface, or at a socket of the host itself, until what is known to arrive does.
RECEIVE = """
import ipaddress, json, socket, sys
known, where, port = sys.argv[1:3] + [int(sys.argv[3])]
seen = []
if where == "wire":
    stream = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
else:
    stream = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    stream.bind(("::", port))
stream.settimeout(60)
print("ready", flush=True)
try:
    while known not in seen:
        packet, address = stream.recvfrom(64)
        if where != "wire":
            seen.append(address[0].replace("::ffff:", "").partition("%")[0])
        elif address[2] != socket.PACKET_OUTGOING and packet[0] >> 4 == 4 and packet[22:24] == port.to_bytes(2, "big"):
            seen.append(str(ipaddress.ip_address(packet[12:16])))
        elif address[2] != socket.PACKET_OUTGOING and packet[0] >> 4 == 6 and packet[42:44] == port.to_bytes(2, "big"):
            seen.append(str(ipaddress.ip_address(packet[8:24])))
except OSError:
    pass
print(json.dumps(seen))
"""

# Directly, or by the VXLAN interface of the node with the address *tunnel*.
SEND = """
import ipaddress, socket, struct, sys
destination, port, tunnel = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ipv6 = ":" in destination

def checksum(*words):
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

for source in sys.argv[4:]:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    words = struct.unpack("!%dH" % (len(ends) // 2), ends)
    check = checksum(*words, 17, 2 * 10, 2 * port, int.from_bytes(b"xx", "big"))
    datagram = struct.pack("!HHHH2s", port, port, 10, check, b"xx")
    if ipv6:
        packet = struct.pack("!IHBB", 6 << 28, 10, 17, 64) + ends + datagram
    else:
        check = checksum(0x4500, 30, 0x4011, *words)
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 30, 0, 0, 64, 17, check) + ends + datagram
    to = (destination, 0)
    kind = socket.SOCK_RAW, socket.IPPROTO_RAW
    if tunnel:
        to = (tunnel, port)
        kind = socket.SOCK_DGRAM, 0
        frame = bytes.fromhex("VXLAN_MAC".replace(":", "") + "020000000001" + ("86dd" if ipv6 else "0800")) + packet
        packet = struct.pack("!II", 1 << 27, VNI << 8) + frame
    with socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, *kind) as stream:
        if tunnel.endswith(".255"):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            stream.sendto(packet, to)
        except OSError:
            pass
""".replace("VXLAN_MAC", VXLAN_MAC).replace("VNI", VNI)


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


def source_seen(client: Node, server: Node, address: str, timeout: float = 30) -> str:
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


def sources_arrived(
    senders: Sequence[tuple[Node, list[str]] | tuple[Node, list[str], str]],
    server: Node,
    address: str,
    known: str,
    where: str = "wire",
) -> list[str]:
    """Return the sources, in their order, that *server* sees of datagrams to its *address*.

    Each of *senders* sends one from each of its sources, which need not be its own, and by VXLAN if it says to which
    node's address. The last one is to arrive, as *known*, and is left out.

    :param where: wire, or socket for what the server itself takes.
    """
    listening = enter(server, "python3", "-IS", "-c", RECEIVE, known, where, PORT)
    receiving = subprocess.Popen(listening, stdout=subprocess.PIPE, text=True)
    assert receiving.stdout is not None
    assert receiving.stdout.readline() == "ready\n"
    for client, sources, *tunnel in senders:
        client.run("python3", "-IS", "-c", SEND, address, PORT, "".join(tunnel), *sources)
    seen = json.loads(receiving.communicate()[0])
    assert seen[-1:] == [known], seen
    return list(seen[:-1])
