# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets: pods reach each other, their gateway, and themselves through their node."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.plugin.runtime import BLOG, NSENTER, Runtime, nested

SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 8080), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(peer[0].encode())
    connection.close()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as connection:
    print(connection.recv(64).decode())
"""


def serve(runtime: Runtime, pod: str, address: str) -> subprocess.Popen[bytes]:
    """Start a server in *pod* that tells each client its address."""
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--", "ip", "netns", "exec", pod]
    server = subprocess.Popen([*enter, sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server


def source_seen(runtime: Runtime, pod: str, address: str, port: int = 8080) -> str:
    """Connect from *pod*, or from the node if it is empty, and return the address that the server saw."""
    where = ["ip", "netns", "exec", pod] if pod else []
    return runtime.node.run(*where, sys.executable, "-c", CLIENT, address, str(port)).stdout.strip()


@pytest.mark.parametrize("subnet", ["10.9.0.0/24", "fd00:9::/64"], ids=["IPv4", "IPv6"])
def test_pods_and_node_reach_each_other_at_once(runtime: Runtime, subnet: str) -> None:
    conf = nested((subnet,), isDefaultGateway=True)
    one, two = (runtime.add(conf, name)["ips"][0] for name in ("pod1", "pod2"))
    first, second = one["address"].partition("/")[0], two["address"].partition("/")[0]
    servers = [serve(runtime, "pod1", first), serve(runtime, "pod2", second)]
    try:
        assert source_seen(runtime, "pod1", second) == first
        assert source_seen(runtime, "pod2", first) == second
        assert source_seen(runtime, "", second) == one["gateway"]
    finally:
        for server in servers:
            server.kill()
            server.communicate()


@pytest.mark.parametrize("checked", [False, True], ids=["unchecked", "ipspoofchk"])
def test_a_pod_reaches_itself_through_a_translated_address(runtime: Runtime, checked: bool) -> None:
    """What a Service does for a pod that is its own backend: needs hairpin on the port."""
    address = runtime.add({**BLOG, "ipspoofchk": checked})["ips"][0]["address"].partition("/")[0]
    runtime.node.run("sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1")
    rules = f"""
        add table ip test
        add chain ip test pre {{ type nat hook prerouting priority -100; }}
        add chain ip test post {{ type nat hook postrouting priority 100; }}
        add rule ip test pre ip daddr 10.96.0.10 tcp dport 80 dnat to {address}:8080
        add rule ip test post ip saddr {address} ip daddr {address} masquerade
    """
    runtime.node.run("nft", "-f", "-", input=rules)
    server = serve(runtime, "pod1", address)
    try:
        assert source_seen(runtime, "pod1", "10.96.0.10", 80) == "100.100.1.1"
    finally:
        server.kill()
        server.communicate()


def test_an_address_that_moves_to_another_pod_is_reached_at_once(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/29",), isDefaultGateway=True)
    runtime.add(conf, "pod1", ARGS="IP=10.9.0.5")
    client = runtime.add(conf, "pod2")["ips"][0]["address"].partition("/")[0]
    for name in ("pod1", "pod3"):
        if name == "pod3":
            runtime.delete(conf, "pod1")
            runtime.add(conf, "pod3", ARGS="IP=10.9.0.5")
        server = serve(runtime, name, "10.9.0.5")
        try:
            assert source_seen(runtime, "pod2", "10.9.0.5") == client
        finally:
            server.kill()
            server.communicate()
