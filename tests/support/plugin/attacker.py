# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod with CAP_NET_RAW sends: frames made by hand, which need no IP address and no IPv6 in the pod."""

from __future__ import annotations

import ipaddress
import struct
import sys

from tests.support.plugin.runtime import Runtime

# Where frames go. The bridge passes those to the last one on to nobody; its port takes them itself.
ALL_NODES, BROADCAST, PORT_ONLY = "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:0e"
ADVERTISED = "2001:db8:bad::"
_ROUTER = "fe80::bad"
_SEND = """
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("eth0", 0))
sender.send(bytes.fromhex(sys.argv[1]))
"""


def send(runtime: Runtime, pod: str, frame: bytes) -> None:
    """Send *frame* from *pod*."""
    runtime.node.run("ip", "netns", "exec", pod, sys.executable, "-IS", "-c", _SEND, frame.hex())


def router_advertisement(destination: str) -> bytes:
    """Return a frame to *destination* that offers a default route and an address in ADVERTISED."""
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 7200, 7200, 0) + _packed(ADVERTISED)
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    return _ipv6_frame(destination, _ROUTER, "ff02::1", 58, message, 255)


def redirect(destination: str, node: str, router: str, other: str, target: str) -> bytes:
    """Return a frame to *destination* in which *router* tells *node* to reach *target* by *other* from now on."""
    answered = _ipv4(node, target, 1, struct.pack("!BBHI", 0, 0, 0, 0))  # needs no socket of the node's
    message = _with_checksum(struct.pack("!BBH", 5, 1, 0) + _packed(other) + answered, 2)
    return _mac(destination) + _mac("0a:00:00:00:0b:ad") + b"\x08\x00" + _ipv4(router, node, 1, message)


def datagram(destination: str, source: str, target: str, port: int, payload: bytes) -> bytes:
    """Return a frame to *destination* with UDP for *target*, an address of either family."""
    message = struct.pack("!HHHH", 4000, port, 8 + len(payload), 0) + payload
    if ":" in target:
        return _ipv6_frame(destination, source, target, 17, message, 64)
    return _mac(destination) + _mac("0a:00:00:00:0b:ad") + b"\x08\x00" + _ipv4(source, target, 17, message)


def _ipv6_frame(destination: str, source: str, target: str, protocol: int, message: bytes, hops: int) -> bytes:
    addresses = _packed(source) + _packed(target)
    place = 2 if protocol == 58 else 6
    whole = addresses + struct.pack("!II", len(message), protocol) + message
    message = _with_checksum(whole, len(whole) - len(message) + place)[len(whole) - len(message) :]
    header = struct.pack("!IHBB", 6 << 28, len(message), protocol, hops) + addresses
    return _mac(destination) + _mac("0a:00:00:00:0b:ad") + b"\x86\xdd" + header + message


def _ipv4(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return _with_checksum(header + _packed(source) + _packed(target), 10) + payload


def _with_checksum(data: bytes, place: int) -> bytes:
    """Return *data* with the Internet checksum of all of it at *place*."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(padded) // 2), padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:place] + struct.pack("!H", ~total & 0xFFFF) + data[place + 2 :]


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
