# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods can reach through a node whose FORWARD drops, and which address they are seen by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.firewall.lan import IPV4, IPV6, Addresses, Lan, source_seen

if TYPE_CHECKING:
    from tests.support.firewall.firewall_rules import Firewall
    from tests.support.netns.node import Node

BOTH: dict[str, Any] = {
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
        assert source_seen(client, server, called, timeout=0.5) == ""
    firewall.converge(**BOTH)
    for (client, server, called), source in calls.items():
        assert source_seen(client, server, called) == source
    firewall.remove()
    for client, server, called in calls:
        assert source_seen(client, server, called, timeout=0.5) == ""


@pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
def test_node_is_no_router_for_others(firewall: Firewall, lan: Lan, address: Addresses) -> None:
    firewall.converge(**BOTH)
    assert source_seen(lan.outside, lan.peer, address.peer, timeout=0.5) == ""
    assert source_seen(lan.peer, lan.outside, address.outside, timeout=0.5) == ""
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
