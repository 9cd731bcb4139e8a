# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection failed, from both ends' tables. What real nodes say is in tests/integration_netns/probe."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._reachability.reasons import explain

CLUSTER = {
    "nodes": {"a": {"own": ["200.0.0.10"]}, "b": {"own": ["200.0.0.20"]}},
    "outside": [],
    "sample": 50,
    "masquerade": [4, 6],
}
AWAY = {"type": "unicast", "dst": "100.0.2.0/24", "gateway": "200.0.0.20", "dev": "enp8s0", "neighbour": "REACHABLE"}
BACK = {"type": "unicast", "dst": "100.0.1.0/24", "gateway": "200.0.0.10", "dev": "enp8s0", "neighbour": "REACHABLE"}
OWN = {"type": "unicast", "dst": "100.0.1.0/24", "dev": "humanz-cni0", "neighbour": "REACHABLE"}
DROP = {"tool": "iptables", "rule": "-A FORWARD -j DROP", "answer": False}
MASQUERADE = {"tool": "iptables", "rule": "-A POSTROUTING -j MASQUERADE"}
FAILURE = {
    "kind": "pod",
    "from": "a",
    "to": "b",
    "family": 4,
    "address": "100.0.2.2",
    "port": 7217,
    "local": "100.0.1.2",
    "what": "no answer in 5 s",
    "seen_as": None,
}


def evidence(**changes: Any) -> dict[str, Any]:
    return {
        "destination": "100.0.2.2",
        "forwarding": True,
        "drop": None,
        "nat": None,
        "undecided": [],
        **changes,
    }


def near(**changes: Any) -> dict[str, Any]:
    return evidence(**{"route": AWAY, "back": OWN, **changes})


def far(**changes: Any) -> dict[str, Any]:
    return evidence(**{"route": OWN, "back": BACK, **changes})


def why(failure: dict[str, Any] | None = None, **tables: Any) -> list[str]:
    return explain(CLUSTER, {**FAILURE, **(failure or {})}, tables)


def test_what_was_not_tried_says_why() -> None:
    assert why({"reason": "b has no probe pod: gone"}) == ["b has no probe pod: gone"]


def test_tables_that_were_not_read() -> None:
    assert why() == ["the tables of a were not read"]


def test_a_node_without_an_address_of_the_family() -> None:
    assert why({"kind": "node", "family": 6, "address": "fd00:100:0:2::2", "local": None}) == [
        "a has no IPv6 address to reach fd00:100:0:2::2 from"
    ]


def test_ipv6_has_words_of_its_own() -> None:
    away = {**AWAY, "dst": "fd00:100:0:2::/64", "gateway": "fd00:200::20", "neighbour": "FAILED"}
    own = {**OWN, "dst": "fd00:100:0:1::/64"}
    evidence = {"destination": "fd00:100:0:2::2", "route": away, "back": own, "forwarding": False}
    failure = {"family": 6, "address": "fd00:100:0:2::2", "local": "fd00:100:0:1::2"}
    cluster = {**CLUSTER, "nodes": {"a": {"own": ["fd00:200::10"]}, "b": {"own": ["fd00:200::20"]}}}
    assert explain(cluster, {**FAILURE, **failure}, {"a": near(**evidence)}) == [
        "a gets no answer to neighbour discovery from fd00:200::20 (b) on enp8s0: the link between them is down, or is "
        "another one",
        "a does not forward packets: its sysctl net.ipv6.conf.all.forwarding is 0",
    ]


def test_the_far_end_has_no_way_back() -> None:
    assert why(a=near(), b=far(back={"error": "Network is unreachable"})) == [
        "b has no route to 100.0.1.2, a pod on a (Network is unreachable)"
    ]


def test_a_route_that_refuses_is_named_whatever_else_stops_packets() -> None:
    blackhole = {"error": "Invalid argument, by the route `blackhole 100.0.2.0/24`", "refused_by": "the route"}
    assert why(a=near(route=blackhole, forwarding=False), b=far(route=blackhole)) == [
        "a has no route to 100.0.2.2, a pod on b (Invalid argument, by the route `blackhole 100.0.2.0/24`)",
        "b has no route to its own pod 100.0.2.2 (Invalid argument, by the route `blackhole 100.0.2.0/24`)",
        "a does not forward packets: its sysctl net.ipv4.ip_forward is 0",
    ]


def test_the_way_back_leads_elsewhere() -> None:
    assert why(a=near(), b=far(back={**BACK, "gateway": "200.0.0.99"})) == [
        "b sends 100.0.1.0/24 via 200.0.0.99 dev enp8s0, but that is not an address of a (its own are 200.0.0.10)"
    ]


def test_a_pod_network_that_is_taken_to_be_on_a_link() -> None:
    on_link = {"type": "unicast", "dst": "100.0.0.0/16", "dev": "enp1s0", "neighbour": "FAILED"}
    assert why(a=near(route=on_link), b=far()) == [
        "a sends 100.0.0.0/16 on dev enp1s0, but that is not an address of b (its own are 200.0.0.20)"
    ]


def test_everything_that_is_wrong_is_said_in_the_order_of_the_way() -> None:
    found = why(a=near(route={"error": "Network is unreachable"}, drop=DROP), b=far(forwarding=False))
    assert found == [
        "a has no route to 100.0.2.2, a pod on b (Network is unreachable)",
        "a drops it by the rule -A FORWARD -j DROP (iptables)",
        "b does not forward packets: its sysctl net.ipv4.ip_forward is 0",
    ]


def test_a_node_needs_no_forwarding_of_its_own() -> None:
    node = {"kind": "node", "local": "200.0.0.10"}
    assert "ip_forward" not in " ".join(
        why(node, a=near(forwarding=False), b=far(back={**BACK, "dst": "200.0.0.0/24"}))
    )


def test_the_answer_is_dropped() -> None:
    assert why(a=near(), b=far(drop={**DROP, "answer": True})) == [
        "b drops the answer by the rule -A FORWARD -j DROP (iptables)"
    ]


def test_the_rule_that_drops_is_named_whatever_tool_shows_it() -> None:
    by_policy = {"tool": "nft", "rule": "the policy of inet guard fw, as no rule accepts it", "answer": False}
    by_rule = {"tool": "nft", "rule": "ip saddr 100.0.0.0/8 drop in chain inet guard fw", "answer": False}
    assert why(a=near(drop=by_rule), b=far(drop=by_policy)) == [
        "a drops it by the rule ip saddr 100.0.0.0/8 drop in chain inet guard fw (nft)",
        "b drops it by the policy of inet guard fw, as no rule accepts it (nft)",
    ]


EXAMINED = "(routes by source and interface, settings of interfaces, rules of iptables and nftables, IPsec policies); "
REST = (
    "legacy ebtables and arptables, eBPF programs of sockets and cgroups, and what lies between (switch, security "
    "group, firewall)"
)


def test_what_nothing_explains_says_what_was_not_examined() -> None:
    found = "nothing was found on a and b that drops it " + EXAMINED
    assert why(a=near(), b=far()) == [f"{found}not examined: {REST}"]
    rules = [f"-A FORWARD -m set --match-set {name} src -j DROP" for name in "wxyz"]
    assert why(a=near(undecided=rules), b=far(not_examined=["nftables (nft is not installed)"])) == [
        f"{found}what may drop it on a: {'; '.join(rules[:3])}; and 1 more; not examined: nftables (nft is not "
        f"installed) on b, {REST}"
    ]
    assert why(a=near()) == [f"nothing was found on a that drops it {EXAMINED}not examined: all of b, {REST}"]
    assert why({"what": "Connection refused (ECONNREFUSED)"}, a=near(), b=far()) == [
        "nothing listens at 100.0.2.2 any more, or what was not examined refuses it"
    ]


def test_a_setting_that_stops_it_is_named_in_place_of_the_error_that_it_brings() -> None:
    refused = {"error": "No route to host", "arriving_on": "enp8s0", "instead_of": "dev humanz-cni0"}
    text = "does not forward what arrives on enp8s0: its sysctl net.ipv4.conf.enp8s0.forwarding is 0"
    assert why(a=near(), b=far(route=refused, stops=[text])) == [f"b {text}"]


def test_what_arrives_is_looked_at_on_the_interface_that_the_other_end_sends_to() -> None:
    other = {**far(drop=DROP), "addresses": ["200.0.0.20"]}
    wrong = {**far(stops=["is not asked"]), "addresses": ["192.168.122.12"]}
    assert why(a=near(), b=far(arrivals={"enp1s0": wrong, "enp8s0": other})) == [
        "b drops it by the rule -A FORWARD -j DROP (iptables)"
    ]
    through_a_tunnel = {**AWAY, "kind": "vxlan"}
    assert "drops it by" not in why(a=near(route=through_a_tunnel), b=far(arrivals={"enp8s0": other}))[0]


def test_a_rule_that_sends_it_to_another_address() -> None:
    dnat = {"tool": "iptables", "rule": "-A PREROUTING -j DNAT --to-destination 10.0.0.1"}
    assert why(a=near(), b=far(dnat=dnat)) == [
        "b sends it to another address by the rule -A PREROUTING -j DNAT --to-destination 10.0.0.1 (iptables)"
    ]


@pytest.mark.parametrize("node", ["a", "b"])
def test_the_end_that_translates_is_named(node: str) -> None:
    tables = {"a": near(), "b": far()}
    tables[node]["nat"] = MASQUERADE
    assert why({"seen_as": "200.0.0.10"}, **tables) == [
        f"{node} translates the source by the rule -A POSTROUTING -j MASQUERADE (iptables): no rule ahead of it leaves "
        "traffic between pods and nodes out"
    ]


def test_a_translation_between_the_nodes() -> None:
    assert why({"seen_as": "203.0.113.1"}, a=near(), b=far()) == [
        "something translates the source to 203.0.113.1, and no rule of a and b was found to do it: look at what lies "
        "between"
    ]


OUTSIDE = {"kind": "outside", "to": "192.0.2.1:80", "address": "192.0.2.1", "port": 80, "node_error": None}
DEFAULT = {"type": "unicast", "dst": "default", "gateway": "192.168.122.1", "dev": "enp1s0", "neighbour": "REACHABLE"}


def test_outside_over_the_default_route_is_right() -> None:
    assert why(OUTSIDE, a=near(route=DEFAULT, nat=MASQUERADE)) == [
        f"nothing was found on a that drops it {EXAMINED}not examined: {REST}"
    ]


def test_outside_without_masquerade() -> None:
    text = "a has no MASQUERADE rule that applies to 100.0.1.2 on its way to 192.0.2.1:80"
    assert why(OUTSIDE, a=near(route=DEFAULT)) == [text + ": answers do not find the way back"]
    assert why({**OUTSIDE, "seen_as": "100.0.1.2"}, a=near(route=DEFAULT)) == [text]


def test_outside_that_the_node_does_not_reach_either() -> None:
    assert why({**OUTSIDE, "node_error": "no answer in 5 s"}, a=near(route=DEFAULT, drop=DROP)) == [
        "the node itself does not reach 192.0.2.1:80 either: no answer in 5 s"
    ]


@pytest.mark.parametrize(
    ("mtus", "reason"),
    [
        ((9000, 1500), "enp8s0 of a has MTU 9000 and enp8s0 of b has MTU 1500: give both the same"),
        (
            (9000, 9000),
            "enp8s0 of a has MTU 9000 and enp8s0 of b has MTU 9000: what lies between (switch, tunnel) may carry less: "
            "raise it, or lower both and pod_network_mtu",
        ),
    ],
)
def test_large_packets_are_lost(mtus: tuple[int, int], reason: str) -> None:
    failure = {"what": "packets of 9000 bytes are lost", "lost_size": 9000, "protocol": "udp"}
    tables = {"a": near(route={**AWAY, "mtu": mtus[0]}), "b": far(back={**BACK, "mtu": mtus[1]})}
    text = "packets of 9000 bytes are lost between a and b, small ones pass: "
    assert why(failure, **tables) == [text + reason]
    assert why(failure, a=near()) == [text + "compare the MTUs of all interfaces between them"]
