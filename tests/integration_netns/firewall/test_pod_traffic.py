# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods can reach through a node whose FORWARD drops, and which address they are seen by."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from lan import IPV4, IPV6, Addresses, Lan, enter, source_seen

if TYPE_CHECKING:
    from conftest import Firewall
    from node import Node

# Every packet is a new connection, from a new port.
FLOOD = """
import socket, sys, time
while True:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
        stream.sendto(b"x", (sys.argv[1], 9))
    time.sleep(0.0002)
"""

COUNT = """
import collections, json, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    stream.bind(("0.0.0.0", 9))
    print("ready", flush=True)
    stream.settimeout(2)
    seen = collections.Counter()
    try:
        while True:
            seen[stream.recvfrom(16)[1][0]] += 1
    except TimeoutError:
        print(json.dumps(seen))
"""


BOTH = {
    "pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"],
    "non_masquerade_cidrs": ["100.100.0.0/16", "200.0.0.0/24", "fd00:100::/48", "fd00:200::/64"],
}


@pytest.fixture
def lan(firewall: Firewall, make_node: Callable[[], Node]) -> Lan:
    """The nodes around the firewall, which drops what it forwards."""
    for command in ("iptables", "ip6tables"):
        firewall.iptables("-P FORWARD DROP", command)
        firewall.iptables("-A FORWARD -j REJECT", command)
    return Lan(firewall.node, make_node)


@pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_pods_reach_nodes_pods_and_the_outside(firewall: Firewall, lan: Lan, address: Addresses) -> None:
    calls = {
        (lan.pod, lan.peer, address.peer): address.pod,
        (lan.pod, lan.peer, address.peer_pod): address.pod,
        (lan.pod, lan.outside, address.outside): address.node_outside,
        (lan.peer, lan.pod, address.pod): address.peer,
    }
    for client, server, called in calls:
        assert source_seen(client, server, called) == ""
    firewall.converge(**BOTH)
    for (client, server, called), source in calls.items():
        assert source_seen(client, server, called) == source
    firewall.remove()
    for client, server, called in calls:
        assert source_seen(client, server, called) == ""


@pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_node_is_no_router_for_others(firewall: Firewall, lan: Lan, address: Addresses) -> None:
    firewall.converge(**BOTH)
    assert source_seen(lan.outside, lan.peer, address.peer) == ""
    assert source_seen(lan.peer, lan.outside, address.outside) == ""
    for command in ("iptables", "ip6tables"):
        firewall.iptables("-I FORWARD 1 -j ACCEPT", command)
    assert source_seen(lan.outside, lan.peer, address.peer) == address.outside


def test_masquerade_only_at_the_uplink(firewall: Firewall, lan: Lan) -> None:
    firewall.converge(**BOTH, uplink="enp8s0")
    for address in (IPV4, IPV6):
        assert source_seen(lan.pod, lan.outside, address.outside) == address.pod
    firewall.converge(**BOTH, uplink="enp1s0")
    for address in (IPV4, IPV6):
        assert source_seen(lan.pod, lan.outside, address.outside) == address.node_outside


def test_masquerade_of_either_family(firewall: Firewall, lan: Lan) -> None:
    for wanted, ipv4, ipv6 in (
        ({"masquerade": False}, IPV4.pod, IPV6.pod),
        ({"masquerade_ipv6": False}, IPV4.node_outside, IPV6.pod),
        ({"masquerade": False, "masquerade_ipv6": True}, IPV4.pod, IPV6.node_outside),
    ):
        firewall.converge(**BOTH, **wanted)
        assert source_seen(lan.pod, lan.outside, IPV4.outside) == ipv4
        assert source_seen(lan.pod, lan.outside, IPV6.outside) == ipv6


def test_nothing_leaks_while_rules_change(firewall: Firewall, lan: Lan) -> None:
    """New connections from a pod, all through a dozen changes of both chains, leave with the node's address."""
    firewall.converge()
    counting = subprocess.Popen(enter(lan.outside, "python3", "-c", COUNT), stdout=subprocess.PIPE, text=True)
    assert counting.stdout is not None
    assert counting.stdout.readline() == "ready\n"
    flood = subprocess.Popen(enter(lan.pod, "python3", "-c", FLOOD, IPV4.outside))
    try:
        for change in range(12):
            more = [] if change % 2 else ["203.0.113.0/24"]
            networks = {"pod_cidrs": ["100.100.0.0/24", *more], "non_masquerade_cidrs": ["200.0.0.0/24", *more]}
            assert firewall.converge(**networks)["changed"]
    finally:
        flood.terminate()
        flood.wait()
    seen = json.loads(counting.communicate()[0])
    assert list(seen) == ["192.168.122.10"]
    assert seen["192.168.122.10"] > 1000
