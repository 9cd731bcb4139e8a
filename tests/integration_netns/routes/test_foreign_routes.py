# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of anybody else are never overwritten and never removed, whatever they are."""

from __future__ import annotations

import shutil

import pytest

from tests.support.netns.node import Node
from tests.support.netns.route_monitor import route_events

PEERS = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}]

HOLDERS = {
    "kernel": "route add {} dev enp1s0 proto kernel scope link",
    "boot": "route add {} via 200.0.0.20",
    "static": "route add {} via 200.0.0.77 proto static",
    "bird": "route add {} via 200.0.0.77 proto bird",
    "dhcp": "route add {} via 200.0.0.77 proto dhcp",
    "a number without a name": "route add {} via 200.0.0.77 proto 218",
    "blackhole": "route add blackhole {} proto static",
    "unreachable": "route add unreachable {}",
    "another metric": "route add {} via 200.0.0.77 metric 50",
    "another metric of bird": "route add {} via 200.0.0.77 proto bird metric 32",
    "multipath": "route add {} nexthop via 200.0.0.77 nexthop via 200.0.0.78",
    "another type of service": "route add {} tos 0x10 via 200.0.0.77",
    "attributes": "route add {} via 200.0.0.77 src 200.0.0.10 mtu 1400 initcwnd 20 realm 7",
}


HOLDERS_V6 = {
    "boot": "-6 route add {} via fd00:200::77",
    "static": "-6 route add {} via fd00:200::77 proto static",
    "blackhole": "-6 route add blackhole {} proto bird",
    "another metric": "-6 route add {} via fd00:200::77 metric 50",
    "connected": "-6 route add {} dev enp1s0 proto kernel",
}


def state(node: Node) -> str:
    """All routes, and the files that the module writes."""
    files = "find /etc/humanz-cni /etc/iproute2/rt_protos.d -type f -exec sha256sum {} + 2> /dev/null || true"
    return "".join(
        [node.ip("route show table all"), node.ip("-6 route show table all"), node.run("sh", "-c", files).stdout]
    )


def pod_bridge(node: Node) -> None:
    node.ip("link add humanz-cni0 type bridge")
    node.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    node.ip("link set humanz-cni0 up")


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_a_prefix_that_is_held_is_an_error_that_names_the_holder(nested: Node, holder: str) -> None:
    nested.ip(holder.format("100.100.1.0/24"))
    before = state(nested)
    with route_events(nested) as events:
        for check in (True, False):
            result = nested.module("node_routes", {"routes": PEERS}, check=check)
            assert result["failed"]
            assert "route 100.100.1.0/24: exists already and is not ours: " in result["problems"][0]
            assert "proto " in result["problems"][0]
    assert events == []
    assert state(nested) == before


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_routes_of_others_beside_ours_stay(nested: Node, holder: str) -> None:
    nested.ip(holder.format("100.100.77.0/24"))
    nested.ip(holder.format("100.100.1.0/25"))
    pod_bridge(nested)
    before = nested.ip("route show table all")
    with route_events(nested) as events:
        nested.module("node_routes", {"routes": PEERS})
        assert nested.module("node_routes", {"routes": [dict(PEERS[0], via="200.0.0.21")]})["removed"]
        assert nested.module("node_routes", {"state": "absent"})["removed"]
    assert [event.split(" dev ")[0] for event in events] == [
        "unicast 100.100.1.0/24 via 200.0.0.20",
        "unicast 100.100.2.0/24 via 200.0.0.30",
        "unicast 100.100.1.0/24 via 200.0.0.21",
        "Deleted unicast 100.100.2.0/24 via 200.0.0.30",
        "Deleted unicast 100.100.1.0/24 via 200.0.0.21",
    ]
    assert nested.ip("route show table all") == before


@pytest.mark.parametrize("holder", [text for text in HOLDERS.values() if "metric" in text or "tos" in text])
def test_a_route_that_comes_beside_ours_is_a_conflict_and_outlives_ours(nested: Node, holder: str) -> None:
    nested.module("node_routes", {"routes": PEERS})
    ours = nested.ip("route")
    nested.ip(holder.format("100.100.1.0/24"))
    both = nested.ip("route")
    for wanted in (PEERS, [dict(PEERS[0], via="200.0.0.21")]):
        result = nested.module("node_routes", {"routes": wanted})
        assert "route 100.100.1.0/24: exists already and is not ours: " in result["problems"][0]
        assert nested.ip("route") == both
    assert nested.module("node_routes", {"state": "absent"})["removed"]
    left = [line for line in nested.ip("route").splitlines() if line.startswith("100.100.")]
    assert left == [line for line in both.splitlines() if line.startswith("100.100.") and line not in ours]


@pytest.mark.parametrize("holder", ["kernel", "static", "blackhole"])
def test_a_route_that_comes_in_between_is_left_alone_and_all_else_undone(nested: Node, holder: str) -> None:
    """Somebody takes one of the prefixes between the module's look and its change."""
    ip, taken = shutil.which("ip"), HOLDERS[holder].format("100.100.2.0/24")
    before = state(nested)
    script = f'#!/bin/sh\n[ "$1" != -batch ] || {ip} {taken}\nexec {ip} "$@"\n'
    nested.run("sh", "-c", "cat > /usr/local/bin/ip; chmod 755 /usr/local/bin/ip", input=script)
    result = nested.module("node_routes", {"routes": PEERS}, path="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert (
        "`route add 100.100.2.0/24 via 200.0.0.30 proto 217 table 254`: RTNETLINK answers: File exists" in result["msg"]
    )
    nested.run("rm", "/usr/local/bin/ip")
    nested.ip(taken.replace(" add ", " del "))
    assert state(nested) == before


@pytest.mark.parametrize("holder", HOLDERS_V6.values(), ids=list(HOLDERS_V6))
def test_ipv6_prefixes_of_others_are_theirs_too(nested: Node, holder: str) -> None:
    peers = [{"dst": "fd01:1::/64", "via": "fd00:200::20"}]
    nested.ip(holder.format("fd01:1::/64"))
    nested.ip(holder.format("fd01:77::/64"))
    before = nested.ip("-6 route show table all")
    result = nested.module("node_routes", {"routes": peers})
    assert "route fd01:1::/64: exists already and is not ours: " in result["problems"][0]
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
    assert "100.100.0.0/24 dev humanz-cni0 proto kernel" in result["problems"][0]
    assert nested.ip("route") == before
