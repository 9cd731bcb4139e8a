# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod with CAP_NET_RAW sends in the name of another pod or of the node: with ipspoofchk it reaches nobody."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys

import pytest

from tests.integration_netns.plugin.network.test_plugin_spoofcheck import mac_of, reaches
from tests.support.plugin import attacker
from tests.support.plugin.runtime import NSENTER, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True, hairpinMode=True)
ALL = "ff:ff:ff:ff:ff:ff"
ALL_NODES = "33:33:00:00:00:01"
STRANGER = "0a:00:00:00:00:99"
GATEWAY, GATEWAY6, OWN, OWN6, OTHER, OTHER6 = "10.9.0.1", "fd00:9::1", "10.9.0.2", "fd00:9::2", "10.9.0.3", "fd00:9::3"
ARP_REQUEST, ARP_REPLY = 1, 2

# Prints each frame that arrives, from its destination on, until the last one comes.
CAPTURE = """
import socket, sys
capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
capture.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
capture.bind((sys.argv[1], 0))
capture.settimeout(30)
print("ready", flush=True)
while True:
    frame, (_device, _protocol, kind, *_rest) = capture.recvfrom(4096)
    if kind != socket.PACKET_OUTGOING:
        print(frame.hex(), flush=True)
    if b"the last frame" in frame:
        break
"""
SEND = """
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("eth0", 0))
for line in sys.stdin:
    sender.send(bytes.fromhex(line))
"""
FLOOD = """
import random, socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("eth0", 0))
for _number in range(int(sys.argv[1])):
    source = b"\\x0a" + random.randbytes(5)
    sender.send(b"\\xff" * 6 + source + b"\\x88\\xb5" + bytes(46))
"""
# What a socket of the node takes by any interface.
LISTEN = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 5555))
sock.settimeout(30)
print("ready", flush=True)
data = b""
while data != b"the last":
    data, peer = sock.recvfrom(100)
    print(data.decode(), flush=True)
"""


def packed(text: str) -> bytes:
    """Return a hardware address as bytes."""
    return bytes.fromhex(text.replace(":", ""))


def arp(source: str, operation: int, sender: tuple[str, str], target: str) -> bytes:
    """Return a broadcast ARP frame from the hardware address *source*; *sender* is MAC and IP address in it."""
    head = b"\0\1\x08\0\6\4" + operation.to_bytes(2, "big")
    known = packed(sender[0]) + ipaddress.ip_address(sender[1]).packed
    return packed(ALL) + packed(source) + b"\x08\x06" + head + known + bytes(6) + ipaddress.ip_address(target).packed


def ipv4(source: str, address: str, to: str, data: bytes = b"") -> bytes:
    """Return a UDP packet from *address* to OTHER, whose hardware address is *to*."""
    udp = b"\x12\x34\0\x09" + (8 + len(data)).to_bytes(2, "big") + b"\0\0" + data
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + b"\x40\x11"
    addresses = ipaddress.ip_address(address).packed + ipaddress.ip_address(OTHER).packed
    total = sum(int.from_bytes((head + addresses)[place : place + 2], "big") for place in range(0, 18, 2))
    checksum = 0xFFFF - (total % 0xFFFF)
    return packed(to) + packed(source) + b"\x08\0" + head + checksum.to_bytes(2, "big") + addresses + udp


def ipv6(source: str, address: str, protocol: int, data: bytes, to: str = ALL_NODES) -> bytes:
    """Return an IPv6 packet from *address* to all nodes."""
    head = b"\x60\0\0\0" + len(data).to_bytes(2, "big") + bytes((protocol, 255))
    addresses = ipaddress.ip_address(address).packed + ipaddress.ip_address("ff02::1").packed
    return packed(to) + packed(source) + b"\x86\xdd" + head + addresses + data


def icmpv6(source: str, address: str, kind: int, target: str = "::", before: bytes = b"") -> bytes:
    """Return an ICMPv6 message of type *kind* about *target*, behind the extension header *before*."""
    data = bytes((kind, 0, 0, 0)) + b"\x20\0\0\0" + ipaddress.ip_address(target).packed + b"\2\1" + packed(source)
    if before:
        return ipv6(source, address, before[0], b"\x3a" + before[1:] + data)
    return ipv6(source, address, 58, data)


def link_local(mac: str) -> str:
    """Return the address that the kernel forms."""
    raw = packed(mac)
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes((raw[0] ^ 2,)) + raw[1:3] + b"\xff\xfe" + raw[3:]))


HOP_BY_HOP = b"\0" + bytes((0, 1, 4, 0, 0, 0, 0))  # its own number; its length, and padding
DESTINATION = b"\x3c" + bytes((0, 1, 4, 0, 0, 0, 0))


def attacks(own: str, other: str) -> dict[str, bytes]:
    """Return frames that the pod *own* has no right to, by what they are; *other* is the other pod."""
    return {
        "gratuitous ARP for the other pod": arp(own, ARP_REPLY, (own, OTHER), OTHER),
        "gratuitous ARP for the gateway": arp(own, ARP_REPLY, (own, GATEWAY), GATEWAY),
        "ARP request in the gateway's name": arp(own, ARP_REQUEST, (own, GATEWAY), OTHER),
        "ARP for its own address with another MAC": arp(own, ARP_REPLY, (other, OWN), OWN),
        "ARP probe for the other pod's address": arp(own, ARP_REQUEST, (own, "0.0.0.0"), OTHER),
        "ARP from another MAC": arp(STRANGER, ARP_REQUEST, (STRANGER, OWN), GATEWAY),
        "NA for the other pod": icmpv6(own, OWN6, 136, OTHER6),
        "NA for the gateway": icmpv6(own, GATEWAY6, 136, GATEWAY6),
        "NA for the gateway from its own link-local address": icmpv6(own, link_local(own), 136, GATEWAY6),
        "NA for the gateway behind hop-by-hop options": icmpv6(own, OWN6, 136, GATEWAY6, HOP_BY_HOP),
        "NA for the gateway behind destination options": icmpv6(own, OWN6, 136, GATEWAY6, DESTINATION),
        "NS in the gateway's name": icmpv6(own, GATEWAY6, 135, OTHER6),
        "DAD for the other pod's address": icmpv6(own, "::", 135, OTHER6),
        "RA": icmpv6(own, link_local(own), 134),
        "RA behind destination options": icmpv6(own, link_local(own), 134, "::", DESTINATION),
        "redirect": icmpv6(own, link_local(own), 137, OTHER6),
        "IPv6 without a source": ipv6(own, "::", 17, bytes(16)),
        "IPv6 from the other pod": ipv6(own, OTHER6, 17, bytes(16)),
        "IPv6 from the other pod's link-local address": ipv6(own, link_local(other), 17, bytes(16)),
        "IPv6 from outside": ipv6(own, "2001:db8::1", 17, bytes(16)),
        "IPv4 from the other pod": ipv4(own, OTHER, other),
        "IPv4 from the gateway": ipv4(own, GATEWAY, other),
        "IPv4 from nowhere": ipv4(own, "0.0.0.0", other),
        "IPv4 from a loopback address": ipv4(own, "127.0.0.1", other),
        "IPv4 from another MAC": ipv4(STRANGER, OWN, other),
        "IPv6 from another MAC": ipv6(STRANGER, OWN6, 17, bytes(16)),
        "another protocol": packed(ALL) + packed(own) + b"\x88\xb5" + bytes(46),
        "a tagged packet from the gateway": packed(ALL) + packed(own) + b"\x81\0\0\5" + ipv4(own, GATEWAY, other)[12:],
        "a frame of IEEE 802.3": packed(ALL) + packed(own) + b"\0\x26" + bytes(46),
        "a tag within a tag": packed(ALL) + packed(own) + b"\x81\0\0\5" + b"\x81\0\0\6" + b"\x08\0" + bytes(46),
    }


def rightful(own: str, other: str) -> dict[str, bytes]:
    """Return frames that the pod *own* may send."""
    return {
        "ARP request": arp(own, ARP_REQUEST, (own, OWN), OTHER),
        "ARP reply": arp(own, ARP_REPLY, (own, OWN), OTHER),
        "ARP probe": arp(own, ARP_REQUEST, (own, "0.0.0.0"), OWN),
        "NS": icmpv6(own, OWN6, 135, OTHER6),
        "NS from the link-local address": icmpv6(own, link_local(own), 135, OTHER6),
        "NA": icmpv6(own, OWN6, 136, OWN6),
        "DAD": icmpv6(own, "::", 135, OWN6),
        "DAD of the link-local address": icmpv6(own, "::", 135, link_local(own)),
        "MLD report without a source": icmpv6(own, "::", 143, "::", HOP_BY_HOP),
        "MLD report": icmpv6(own, link_local(own), 143, "::", HOP_BY_HOP),
        "IPv6": ipv6(own, OWN6, 17, bytes(16)),
        "IPv4": ipv4(own, OWN, other),
    }


def inside(runtime: Runtime, pod: str, program: str, *arguments: str) -> list[str]:
    """Return the command that runs the Python *program* in *pod*, or on the node if it is empty."""
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--"]
    where = ["ip", "netns", "exec", pod] if pod else []
    return [*enter, *where, sys.executable, "-c", program, *arguments]


def arriving(runtime: Runtime, frames: dict[str, bytes], last: bytes) -> list[set[str]]:
    """Send *frames* from pod1; return which of them arrive at pod2, and which at the node."""
    captures = [
        subprocess.Popen(inside(runtime, *where), stdout=subprocess.PIPE, text=True)
        for where in (("pod2", CAPTURE, "eth0"), ("", CAPTURE, "br1"))
    ]
    for capture in captures:
        assert capture.stdout is not None
        assert capture.stdout.readline() == "ready\n"
    text = "".join(frame.ljust(60, b"\0").hex() + "\n" for frame in (*frames.values(), last))
    subprocess.run(inside(runtime, "pod1", SEND), input=text, text=True, check=True)
    heard = [set(capture.communicate()[0].split()) for capture in captures]
    # Padding may go on the way.
    return [
        {name for name, frame in frames.items() if any(got.startswith(frame.hex()) for got in one)} for one in heard
    ]


def broadcast(frame: bytes) -> bytes:
    """Return *frame*, addressed to all."""
    return packed(ALL) + frame[6:]


@pytest.mark.parametrize("key", ["", "macspoofchk", "ipspoofchk"])
@pytest.mark.parametrize("netfilter", ["0", "1"], ids=["bridge alone", "br_netfilter"])
def test_a_pod_sends_in_its_own_name_only(runtime: Runtime, key: str, netfilter: str) -> None:
    conf = {**CONF, key: True} if key else CONF
    for pod in ("pod1", "pod2"):
        runtime.add(conf, pod)
    for table in ("iptables", "ip6tables"):
        runtime.node.run("sysctl", "-q", "-w", f"net.bridge.bridge-nf-call-{table}={netfilter}")
    own, other = mac_of(runtime, "pod1"), mac_of(runtime, "pod2")
    wrong = {name: broadcast(frame) for name, frame in attacks(own, other).items()}
    right = {name: broadcast(frame) for name, frame in rightful(own, other).items()}

    at_pod, at_node = arriving(runtime, {**wrong, **right}, broadcast(ipv4(own, OWN, other, b"the last frame")))

    if key == "ipspoofchk":
        assert (at_pod, at_node) == (set(right), set(right))
        return
    # Otherwise they do arrive, but what br_netfilter takes for malformed.
    stopped = {name for name in wrong if "from another MAC" in name} if key else set()
    expected = {*wrong, *right} if netfilter == "0" else {"gratuitous ARP for the gateway", "NA for the gateway", "RA"}
    expected -= {name for name in expected if "tag" in name}  # which a capture shows without
    assert at_pod & at_node >= expected - stopped
    assert not (at_pod | at_node) & stopped


def forwarding(runtime: Runtime, mac: str) -> set[str]:
    """Return the ports that the bridge sends frames for *mac* to."""
    listed = json.loads(runtime.node.run("bridge", "-j", "fdb", "show", "br", "br1").stdout)
    return {one["ifname"] for one in listed if one["mac"] == mac and one.get("state") != "permanent"}


@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:0e"], ids=["broadcast", "LLDP"])
@pytest.mark.parametrize("key", ["macspoofchk", "ipspoofchk"])
def test_a_pod_takes_no_frames_that_are_for_another(runtime: Runtime, key: str, to: str) -> None:
    conf = {**CONF, key: True}
    ports = {pod: runtime.add(conf, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2", "pod3")}
    assert reaches(runtime, "pod3", OTHER)
    other = mac_of(runtime, "pod2")
    steal = packed(to) + packed(other) + b"\x88\xcc" + bytes(46)

    subprocess.run(inside(runtime, "pod1", SEND), input=steal.hex() + "\n", text=True, check=True)

    assert forwarding(runtime, other) == {ports["pod2"]}
    assert reaches(runtime, "pod3", OTHER)


@pytest.mark.parametrize(("key", "count"), [("", 2000), ("macspoofchk", 100000), ("ipspoofchk", 100000)])
def test_a_flood_of_hardware_addresses_does_not_fill_the_bridges_table(runtime: Runtime, key: str, count: int) -> None:
    conf = {**CONF, key: True} if key else CONF
    for pod in ("pod1", "pod2", "pod3"):
        runtime.add(conf, pod)

    subprocess.run(inside(runtime, "pod1", FLOOD, str(count)), check=True)

    learned = len(runtime.node.run("bridge", "fdb", "show", "br", "br1").stdout.splitlines())
    assert (learned < 50) is bool(key), learned
    assert reaches(runtime, "pod3", OTHER)
    assert reaches(runtime, "pod1", OTHER6)


def test_a_pod_without_ipv6_addresses_sends_no_ipv6(runtime: Runtime) -> None:
    conf = nested(ipspoofchk=True)
    for pod in ("pod1", "pod2"):
        runtime.add(conf, pod)
    own, other = mac_of(runtime, "pod1"), mac_of(runtime, "pod2")
    frames = {"IPv6": ipv6(own, link_local(own), 17, bytes(16)), "DAD": icmpv6(own, "::", 135, link_local(own))}

    assert arriving(runtime, frames, broadcast(ipv4(own, OWN, other, b"the last frame"))) == [set(), set()]


def test_a_pod_has_the_link_local_address_that_it_may_send_from(runtime: Runtime) -> None:
    runtime.add({**CONF, "ipspoofchk": True}, "pod2")
    runtime.pod("pod1")
    for key, value in (("stable_secret", "2001:db8::1"), ("addr_gen_mode", "3")):
        runtime.node.run("ip", "netns", "exec", "pod1", "sysctl", "-qw", f"net.ipv6.conf.default.{key}={value}")

    runtime.add({**CONF, "ipspoofchk": True}, "pod1")

    assert reaches(runtime, "pod1", link_local(mac_of(runtime, "pod2")) + "%eth0")


def test_isolated_pods_of_a_node_talk_only_where_the_node_answers_for_them(runtime: Runtime) -> None:
    conf = {**CONF, "portIsolation": True, "ipspoofchk": True}
    for pod in ("pod1", "pod2"):
        runtime.add(conf, pod)
    assert reaches(runtime, "pod1", GATEWAY)
    assert reaches(runtime, "pod1", GATEWAY6)
    assert not reaches(runtime, "pod1", OTHER)
    assert not reaches(runtime, "pod1", OTHER6)

    runtime.node.run("sysctl", "-q", "-w", "net.ipv4.conf.br1.proxy_arp_pvlan=1")

    assert any(reaches(runtime, "pod1", OTHER) for _attempt in range(10))  # proxies answer after a random delay
    assert not reaches(runtime, "pod1", OTHER6)


@pytest.mark.parametrize("key", ["", "ipspoofchk"])
def test_nothing_gets_into_the_node_by_a_port_of_the_bridge(runtime: Runtime, key: str) -> None:
    conf = {**CONF, key: True} if key else CONF
    runtime.add(conf)
    for command in ("iptables", "ip6tables"):
        runtime.node.run(command, "-A", "INPUT", "-i", "br1", "-j", "DROP")
    targets = [f"01:80:c2:00:00:{last:02x}" for last in (*range(16), 0x21)]
    kinds = (("8.8.8.8", "255.255.255.255"), ("fe80::bad", "ff02::1"), ("2001:db8::1", "ff02::1"))
    sent = [(source, target, to) for source, target in kinds for to in targets]
    listening = subprocess.Popen(inside(runtime, "", LISTEN), stdout=subprocess.PIPE, text=True)
    assert listening.stdout is not None
    assert listening.stdout.readline() == "ready\n"

    frames = [
        attacker.datagram(to, source, target, 5555, " ".join((source, to)).encode()) for source, target, to in sent
    ]
    text = "".join(frame.hex() + "\n" for frame in frames)
    subprocess.run(inside(runtime, "pod1", SEND), input=text, text=True, check=True)
    last = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'the last', ('::1', 5555))"
    subprocess.run(inside(runtime, "", last), check=True)

    taken = set(listening.communicate()[0].splitlines()) - {"the last"}
    # LLDP's address, which no rule of nf_tables for bridges sees.
    expected = {f"{source} 01:80:c2:00:00:0e" for source, _target in kinds}
    assert taken == set() if key else taken >= expected


@pytest.mark.parametrize("whose", ["the gateway's", "another pod's"])
def test_a_pod_cannot_ask_for_the_hardware_address_of_another(runtime: Runtime, whose: str) -> None:
    conf = {**CONF, "ipspoofchk": True, "capabilities": {"mac": True}}
    for pod in ("pod1", "pod2"):
        runtime.add(conf, pod)
    mac = mac_of(runtime, "pod2") if whose == "another pod's" else runtime.links()["br1"]["address"]
    runtime.pod("pod3")
    before = runtime.state()

    error = runtime.fail("ADD", {**conf, "runtimeConfig": {"mac": mac}}, "pod3")

    assert error["code"] == 7
    assert mac in error["msg"]
    assert runtime.state() == before
    assert reaches(runtime, "pod1", GATEWAY)
    assert reaches(runtime, "pod1", OTHER)


def test_a_hardware_address_that_the_bridge_has_learned_elsewhere_comes_over_to_the_pod(runtime: Runtime) -> None:
    mac = "0a:00:00:00:00:77"
    runtime.add(CONF, "pod1")
    subprocess.run(
        inside(runtime, "pod1", SEND), input=(packed(ALL) + packed(mac) + bytes(48)).hex(), text=True, check=True
    )
    conf = {**CONF, "ipspoofchk": True, "capabilities": {"mac": True}, "runtimeConfig": {"mac": mac}}

    port = runtime.add(conf, "pod2")["interfaces"][1]["name"]

    assert forwarding(runtime, mac) == {port}
