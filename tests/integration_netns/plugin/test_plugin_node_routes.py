# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No packet of a pod changes the routes or addresses of its node, or gives another pod a router."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.integration_netns.plugin.network.test_plugin_spoofcheck import reaches
from tests.integration_netns.plugin.network.test_plugin_vlan import refuses
from tests.support.plugin.attacker import (
    ADVERTISED,
    ALL_NODES,
    BROADCAST,
    PORT_ONLY,
    datagram,
    redirect,
    router_advertisement,
    send,
)
from tests.support.plugin.runtime import NSENTER, Runtime, nested

IPV4, DUAL = ("10.9.0.0/24",), ("10.9.0.0/24", "fd00:9::/64")
SECONDS = 60
SERVER = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 10250))
print("ready", flush=True)
while True:
    print(server.recv(100).decode(), flush=True)
"""
CLIENT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
socket.socket(family, socket.SOCK_DGRAM).sendto(b"from the node", (sys.argv[1], 10250))
"""


def learned(runtime: Runtime, netns: str = "") -> list[str]:
    """Return what the node, or a pod, has from a router advertisement."""
    where = ["ip", "-n", netns, "-6"] if netns else ["ip", "-6"]
    lines = runtime.node.run(*where, "-o", "address").stdout.splitlines()
    lines += runtime.node.run(*where, "route").stdout.splitlines()
    return [line for line in lines if ADVERTISED.rstrip(":") in line or line.startswith("default via fe80::bad")]


def listener(runtime: Runtime) -> None:
    """Make a pod that takes router advertisements, on the bridge by somebody else's hand."""
    runtime.pod("listener")
    runtime.node.ip("link add listener type veth peer name eth0 netns listener")
    runtime.node.ip("link set listener master br1 up")
    runtime.node.ip("-n listener link set eth0 up")


def advertise(runtime: Runtime, pod: str, destination: str) -> None:
    """Send router advertisements from *pod* until the listener has taken one, if there is one, and the bridge too."""
    deadline = time.monotonic() + SECONDS
    heard = destination == PORT_ONLY
    while True:
        send(runtime, pod, router_advertisement(destination))
        assert reaches(runtime, pod, "10.9.0.1")  # it has arrived
        if heard or learned(runtime, "listener"):
            return
        assert time.monotonic() < deadline, "nobody hears the advertisements"


CHANGES = {
    "nothing": ("true", "true"),
    "bridge that was up": ("ip link add br1 type bridge; ip link set br1 up", "true"),
    "somebody else's bridge": ("ip link add br1 type bridge; ip link set br1 up alias theirs", "true"),
    "set to 1": ("true", "sysctl -qw net.ipv6.conf.br1.accept_ra=1"),
    "set to 2": ("true", "sysctl -qw net.ipv6.conf.br1.accept_ra=2"),
    "set to 2 on a router": ("true", "sysctl -qw net.ipv6.conf.br1.accept_ra=2 net.ipv6.conf.all.forwarding=1"),
}


@pytest.mark.parametrize(("before", "between"), CHANGES.values(), ids=CHANGES)
def test_neither_node_nor_pods_take_a_pods_router_advertisements(runtime: Runtime, before: str, between: str) -> None:
    runtime.node.run("sh", "-c", before)
    runtime.add(nested(IPV4, isDefaultGateway=True), "pod1")
    runtime.node.run("sh", "-c", between)
    runtime.add(nested(IPV4, isDefaultGateway=True), "pod2")
    listener(runtime)

    advertise(runtime, "pod1", ALL_NODES)

    assert learned(runtime) == []
    assert learned(runtime, "pod2") == []


@pytest.mark.parametrize("between", ["true", "sysctl -qw net.ipv6.conf.br1/100.accept_ra=2"])
def test_nor_does_the_nodes_interface_in_a_vlan(runtime: Runtime, between: str) -> None:
    conf = nested(IPV4, isDefaultGateway=True, vlan=100)
    if refuses(runtime, conf):
        return
    runtime.add(conf, "pod1")
    runtime.node.run("sh", "-c", between)
    runtime.add(conf, "pod2")

    for _time in range(3):
        send(runtime, "pod1", router_advertisement(ALL_NODES))
        assert reaches(runtime, "pod1", "10.9.0.1")

    assert learned(runtime) == []
    assert learned(runtime, "pod2") == []


@pytest.mark.parametrize("subnets", [IPV4, DUAL], ids=["IPv4", "dual stack"])
def test_nor_does_a_bridges_port_that_takes_what_the_bridge_passes_on_to_nobody(
    runtime: Runtime, subnets: tuple[str, ...]
) -> None:
    runtime.add(nested(subnets, isDefaultGateway=True))
    runtime.node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0")

    for _time in range(3):
        advertise(runtime, "pod1", PORT_ONLY)

    assert learned(runtime) == []


@pytest.mark.parametrize("destination", [BROADCAST, PORT_ONLY], ids=["bridge", "port"])
def test_a_pods_redirect_changes_no_route_of_the_node(runtime: Runtime, destination: str) -> None:
    parameters = ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.ip_forward=1"]
    runtime.node.run("sysctl", "-qw", *parameters, "net.ipv4.conf.default.accept_redirects=1")
    runtime.node.ip("link add uplink type veth peer name lan")
    runtime.node.ip("link set lan up")
    runtime.node.ip("addr add 198.51.100.10/24 dev uplink")
    runtime.node.ip("link set uplink up")
    runtime.node.ip("route add default via 198.51.100.1")
    runtime.node.ip("neigh add 198.51.100.66 lladdr 0a:00:00:00:00:66 dev uplink nud permanent")
    runtime.add(nested(IPV4, isDefaultGateway=True))
    runtime.node.run("sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=1")

    send(runtime, "pod1", redirect(destination, "10.9.0.1", "198.51.100.1", "198.51.100.66", "203.0.113.9"))
    assert reaches(runtime, "pod1", "10.9.0.1")

    assert " via 198.51.100.1 " in runtime.node.ip("route get 203.0.113.9")


@pytest.mark.parametrize(("source", "target"), [("10.9.0.2", "10.9.0.1"), ("fd00:9::2", "fd00:9::1")])
def test_a_port_is_no_way_around_rules_for_the_bridge(runtime: Runtime, source: str, target: str) -> None:
    runtime.node.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
    runtime.add(nested(DUAL, isDefaultGateway=True))
    for command in ("iptables", "ip6tables"):
        runtime.node.run(command, "-A", "INPUT", "-i", "br1", "-j", "DROP")
    enter = [NSENTER, f"--target={runtime.node.pid}", "--net", "--"]
    server = subprocess.Popen([*enter, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        for destination in (BROADCAST, PORT_ONLY):
            send(runtime, "pod1", datagram(destination, source, target, 10250, destination.encode()))
        runtime.node.run(sys.executable, "-c", CLIENT, target)
        assert server.stdout.readline() == "from the node\n"
    finally:
        server.kill()
        server.communicate()


def test_a_pod_cannot_take_the_bridges_link_local_address_away(runtime: Runtime) -> None:
    runtime.add(nested(DUAL, isDefaultGateway=True))
    (own,) = (one for one in runtime.links()["br1"]["addr_info"] if one["scope"] == "link")
    runtime.node.ip(f"-n pod1 addr add {own['local']}/64 dev eth0 nodad")

    runtime.node.ip("link set br1 down")
    runtime.node.ip("link set br1 up")

    deadline = time.monotonic() + SECONDS
    while True:
        found = [one for one in runtime.links()["br1"]["addr_info"] if one["scope"] == "link"]
        if found and not (found[0].get("tentative") and not found[0].get("dadfailed")):
            break
        assert time.monotonic() < deadline, found
    assert not found[0].get("dadfailed")
