# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address the outside, nodes and pods see a pod by: at each moment, and on whatever wires."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.node import node_part
from tests.support.firewall.lan import IPV4, IPV6, enter, source_seen

if TYPE_CHECKING:
    from tests.support.firewall.site_under_test import Site
    from tests.support.netns.node import Node

# Every packet is a new connection, from a new port, one by IPv4 and one by IPv6.
FLOOD = """
import socket, sys, time
families = (socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])
while True:
    for family, address in families:
        with socket.socket(family, socket.SOCK_DGRAM) as stream:
            stream.sendto(b"x", (address, 9))
    time.sleep(0.0002)
"""

# By what arrives at the interface, so that nothing that is on the wire goes unseen.
CAPTURE = """
import collections, ipaddress, json, select, socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as wire:
    wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    wire.bind(("enp1s0", 3))
    print("ready", flush=True)
    seen = collections.Counter()
    while select.select([wire], [], [], 2)[0]:
        packet, address = wire.recvfrom(64)
        if address[2] != socket.PACKET_OUTGOING and packet[0] >> 4 == 4 and packet[9] == 17:
            seen[str(ipaddress.ip_address(packet[12:16]))] += 1
        elif address[2] != socket.PACKET_OUTGOING and packet[0] >> 4 == 6 and packet[6] == 17:
            seen[str(ipaddress.ip_address(packet[8:24]))] += 1
    print(json.dumps(seen))
"""
REPLAY = {
    "nft": ("iptables-nft-restore --noflush", "ip6tables-nft-restore --noflush"),
    "legacy": ("iptables-legacy-restore --noflush -w 5", "ip6tables-legacy-restore --noflush -w 5"),
    "nftables": ("nft -f",),
}
# All that the inventory says of nodes on one network, whose gateway and other hosts know no pods.
ONE_WIRE = {
    "pod_network_cluster_cidr": ["100.100.0.0/16", "fd00:100::/48"],
    "pod_network_node_cidrs": ["192.168.122.0/24", "2001:db8::/64"],
}
ONE_WIRE_NODES = {
    "node": {
        "pod_network_pod_cidr": ["100.100.0.0/24", "fd00:100::/64"],
        "pod_network_node_ip": ["192.168.122.10", "2001:db8::10"],
    },
    "peer": {
        "pod_network_pod_cidr": ["100.100.1.0/24", "fd00:100:0:1::/64"],
        "pod_network_node_ip": ["192.168.122.20", "2001:db8::20"],
    },
}


@pytest.mark.alone
@pytest.mark.parametrize("backend", list(REPLAY))
def test_no_packet_leaks_while_rules_are_applied(site: Site, backend: str) -> None:
    """Rules change by the module, and are applied anew 150 times, while every packet is a connection of its own."""
    lan, node = site.lan, site.node
    site.args["backend"] = backend
    site.converge()
    listening = enter(lan.outside, "python3", "-c", CAPTURE)
    capture = subprocess.Popen(listening, stdout=subprocess.PIPE, text=True)
    assert capture.stdout is not None
    assert capture.stdout.readline() == "ready\n"
    flood = subprocess.Popen(enter(lan.pod, "python3", "-c", FLOOD, IPV4.outside, IPV6.outside))
    try:
        files = ["rules.nft"] if backend == "nftables" else ["rules.v4", "rules.v6"]
        for kept in (["203.0.113.0/24", "2001:db8:1::/64"], []):
            site.args["non_masquerade_cidrs"] = ["200.0.0.0/24", "fd00:200::/64", *kept]
            assert site.converge()["changed"]
            node.run("sh", "-ec", "cd /etc/humanz-cni; for file in *; do cp $file /run/$file-%d; done" % len(kept))
        loop = ["i=0; while [ $i -lt 75 ]; do i=$((i + 1))"]
        for number in (2, 0):
            loop += [f"{command} /run/{file}-{number}" for command, file in zip(REPLAY[backend], files)]
        node.run("sh", "-ec", "; ".join([*loop, "done"]))
        assert not site.converge()["changed"]
    finally:
        flood.terminate()
        flood.wait()
    seen = json.loads(capture.communicate()[0])
    assert set(seen) == {IPV4.node_outside, IPV6.node_outside}
    assert min(seen.values()) > 1000


@pytest.fixture
def one_wire(make_node: Callable[[], Node]) -> dict[str, Node]:
    """Nodes on one network, by which they also reach its other hosts: each has one interface."""
    named = {name: make_node() for name in ("node", "peer", "gateway", "switch", "pod")}
    for each in named.values():
        each.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
    switch = named["switch"]
    switch.ip("link add lan type bridge")
    switch.ip("link set lan up")
    for name, host in (("node", "10"), ("peer", "20"), ("gateway", "1")):
        switch.wire(name, named[name], "enp1s0")
        switch.ip(f"link set {name} master lan")
        named[name].ip(f"addr add 192.168.122.{host}/24 dev enp1s0")
        named[name].ip(f"addr add 2001:db8::{host}/64 dev enp1s0")
    node, peer, pod = (named[name] for name in ("node", "peer", "pod"))
    node.ip("link add humanz-cni0 type bridge")
    node.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    node.ip("addr add fd00:100::1/64 dev humanz-cni0")
    node.ip("link set humanz-cni0 up")
    node.wire("veth0", pod, "eth0")
    node.ip("link set veth0 master humanz-cni0")
    node.ip("route add 100.100.1.0/24 via 192.168.122.20")
    node.ip("route add fd00:100:0:1::/64 via 2001:db8::20")
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    pod.ip("addr add 100.100.0.2/24 dev eth0")
    pod.ip("addr add fd00:100::2/64 dev eth0")
    pod.ip("route add default via 100.100.0.1")
    pod.ip("route add default via fd00:100::1")
    peer.ip("addr add 100.100.1.2/32 dev lo")
    peer.ip("addr add fd00:100:0:1::2/128 dev lo")
    peer.ip("route add 100.100.0.0/24 via 192.168.122.10")
    peer.ip("route add fd00:100::/64 via 2001:db8::10")
    return named


@pytest.mark.parametrize(
    ("backend", "uplink"), [("nft", ""), ("nft", "enp1s0"), ("legacy", "enp1s0"), ("nftables", "enp1s0")]
)
def test_one_interface_between_nodes_and_to_the_outside(one_wire: dict[str, Node], backend: str, uplink: str) -> None:
    node, pod, peer, gateway = (one_wire[name] for name in ("node", "pod", "peer", "gateway"))

    def converge(**named: object) -> None:
        plan, problems = make_plan({**ONE_WIRE, **named}, ONE_WIRE_NODES)
        assert problems == []
        part = node_part(plan, "node")
        options = {name: part[name] for name in ("pod_cidrs", "non_masquerade_cidrs", "allowed_sources")}
        result = node.module("pod_firewall", {**options, "backend": backend, "uplink": uplink})
        assert result["changed"], result
        assert not node.module("pod_firewall", {**options, "backend": backend, "uplink": uplink})["changed"]

    converge()
    for lan, own, other in (
        ("192.168.122.%d", "100.100.0.2", "100.100.1.2"),
        ("2001:db8::%d", "fd00:100::2", "fd00:100:0:1::2"),
    ):
        assert source_seen(pod, peer, other) == own
        assert source_seen(pod, peer, lan % 20) == own
        assert source_seen(pod, node, lan % 10) == own
        assert source_seen(pod, gateway, lan % 1) == lan % 10
    gateway.ip("route add 100.100.0.0/24 via 192.168.122.10")
    gateway.ip("route add fd00:100::/64 via 2001:db8::10")
    converge(pod_network_non_masquerade_cidrs=["192.168.122.1/32", "2001:db8::1/128"])
    assert source_seen(pod, gateway, "192.168.122.1") == "100.100.0.2"
    assert source_seen(pod, gateway, "2001:db8::1") == "fd00:100::2"
