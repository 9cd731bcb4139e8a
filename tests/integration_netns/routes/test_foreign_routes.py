# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of anybody else are never overwritten and never removed, whatever they are."""

from __future__ import annotations

import pytest
from node import Node

PEERS = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}]

HOLDERS = {
    "kernel": "route add {} dev enp1s0 proto kernel scope link",
    "boot": "route add {} via 200.0.0.20",
    "static": "route add {} via 200.0.0.77 proto static",
    "bird": "route add {} via 200.0.0.77 proto bird",
    "blackhole": "route add blackhole {} proto static",
    "unreachable": "route add unreachable {}",
    "another metric": "route add {} via 200.0.0.77 metric 50",
    "another metric of bird": "route add {} via 200.0.0.77 proto bird metric 32",
    "multipath": "route add {} nexthop via 200.0.0.77 nexthop via 200.0.0.78",
    "another type of service": "route add {} tos 0x10 via 200.0.0.77",
}


HOLDERS_V6 = {
    "boot": "-6 route add {} via fd00:200::77",
    "static": "-6 route add {} via fd00:200::77 proto static",
    "blackhole": "-6 route add blackhole {} proto bird",
    "another metric": "-6 route add {} via fd00:200::77 metric 50",
    "connected": "-6 route add {} dev enp1s0 proto kernel",
}


def pod_bridge(node: Node) -> None:
    node.ip("link add humanz-cni0 type bridge")
    node.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    node.ip("link set humanz-cni0 up")


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_a_prefix_that_is_held_is_an_error_that_names_the_holder(nested: Node, holder: str) -> None:
    nested.ip(holder.format("100.100.1.0/24"))
    before = nested.ip("route show table all")
    for check in (True, False):
        result = nested.module("node_routes", {"routes": PEERS}, check=check)
        assert result["failed"]
        assert "route 100.100.1.0/24: is held by somebody else: " in result["msg"]
        assert "proto " in result["msg"]
        assert nested.ip("route show table all") == before


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_routes_of_others_beside_ours_stay(nested: Node, holder: str) -> None:
    nested.ip(holder.format("100.100.77.0/24"))
    nested.ip(holder.format("100.100.1.0/25"))
    pod_bridge(nested)
    before = nested.ip("route show table all")
    nested.module("node_routes", {"routes": PEERS})
    assert nested.module("node_routes", {"routes": PEERS[:1]})["removed"]
    assert nested.module("node_routes", {"state": "absent"})["removed"]
    assert nested.ip("route show table all") == before


@pytest.mark.parametrize("holder", HOLDERS_V6.values(), ids=list(HOLDERS_V6))
def test_ipv6_prefixes_of_others_are_theirs_too(nested: Node, holder: str) -> None:
    peers = [{"dst": "fd01:1::/64", "via": "fd00:200::20"}]
    nested.ip(holder.format("fd01:1::/64"))
    nested.ip(holder.format("fd01:77::/64"))
    before = nested.ip("-6 route show table all")
    result = nested.module("node_routes", {"routes": peers})
    assert "route fd01:1::/64: is held by somebody else: " in result["msg"]
    assert nested.module("node_routes", {"routes": [{"dst": "fd01:2::/64", "via": "fd00:200::20"}]})["added"]
    assert nested.module("node_routes", {"state": "absent"})["removed"]
    assert nested.ip("-6 route show table all") == before


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_dead_ends_in_other_tables_stay(nested: Node, kind: str) -> None:
    nested.ip(f"route add {kind} 100.100.1.0/24 table 300 proto bird")
    before = nested.ip("route show table all")
    assert nested.module("node_routes", {"routes": PEERS})["changed"]
    assert nested.module("node_routes", {"state": "absent"})["changed"]
    assert nested.ip("route show table all") == before


def test_routes_in_other_tables_stay_whatever_their_protocol(nested: Node) -> None:
    for protocol in ("boot", "217"):
        nested.ip(f"route add 100.100.1.0/24 via 200.0.0.77 table {300 + len(protocol)} proto {protocol}")
    before = nested.ip("route show table all")
    assert nested.module("node_routes", {"routes": PEERS})["changed"]
    assert nested.module("node_routes", {"state": "absent"})["changed"]
    assert nested.ip("route show table all") == before


def test_the_pod_bridge_keeps_its_connected_route(nested: Node) -> None:
    pod_bridge(nested)
    before = nested.ip("route")
    result = nested.module("node_routes", {"routes": [*PEERS, {"dst": "100.100.0.0/24", "via": "200.0.0.20"}]})
    assert "100.100.0.0/24 dev humanz-cni0 proto kernel" in result["msg"]
    assert nested.ip("route") == before
