# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rule of nf_tables decides on a packet. What real nodes say is in tests/integration_netns/probe."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._trace.iptables_walk import Packet
from ansible_collections.humanz.cni.plugins.module_utils._trace.nft_walk import decide, parse

PACKET = Packet("100.100.0.2", "100.100.1.2", "humanz-cni0", "enp8s0", 7217, "NEW")
PACKET6 = Packet("fd00:100::2", "fd00:100:0:1::2", "humanz-cni0", "enp8s0", 7217, "NEW")
CHAIN = {"family": "inet", "table": "filter", "name": "way", "policy": "accept"}
DROP: dict[str, Any] = {"drop": None}
ACCEPT: dict[str, Any] = {"accept": None}
SETS: list[dict[str, Any]] = [
    {"set": {"name": "pods", "elem": [{"prefix": {"addr": "100.100.0.0", "len": 16}}, "192.0.2.1"]}},
    {"set": {"name": "empty"}},
    {"map": {"name": "fate", "map": "verdict", "elem": [["100.100.1.2", DROP]]}},
]


class Found(NamedTuple):
    """A Decision without what it says of marks."""

    verdict: str
    rule: str
    undecided: list[str]


def header(field: str, right: Any, op: str = "==", protocol: str = "ip") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


def saddr(right: Any, op: str = "==", protocol: str = "ip") -> dict[str, Any]:
    return header("saddr", right, op, protocol)


def concatenated(source: str, mark: int) -> dict[str, Any]:
    """A match on the source and on the connection's mark."""
    left = {"concat": [saddr("")["match"]["left"], {"ct": {"key": "mark"}}]}
    return {"match": {"op": "==", "left": left, "right": {"set": [{"concat": [source, mark]}]}}}


def meta(key: str, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def dport(right: Any, protocol: str = "tcp") -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": right}}


def ct(key: str, right: Any) -> dict[str, Any]:
    return {"match": {"op": "in", "left": {"ct": {"key": key}}, "right": right}}


def daddr_map(data: Any) -> dict[str, Any]:
    return {"vmap": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "data": data}}


def decided(*rules: list[dict[str, Any]], packet: Packet = PACKET, **chains: list[list[dict[str, Any]]]) -> Any:
    """The decision of a chain with these rules, which accepts by its policy; handles count from 1."""
    listed: list[dict[str, Any]] = [
        {"rule": {"chain": "way", "handle": number, "expr": rule}} for number, rule in enumerate(rules, 1)
    ]
    for name, others in chains.items():
        listed += [{"rule": {"chain": name, "handle": name, "expr": rule}} for rule in others]
    return Found(*decide(parse([*SETS, *listed]), CHAIN, packet, lambda rule: str(rule["handle"]))[:3])


MATCHING = {
    "prefix": saddr({"prefix": {"addr": "100.100.0.0", "len": 24}}),
    "not another prefix": saddr({"prefix": {"addr": "10.0.0.0", "len": 8}}, "!="),
    "set": saddr({"set": ["10.0.0.1", {"range": ["100.100.0.0", "100.100.0.9"]}]}),
    "named set": saddr("@pods"),
    "element with a timeout": saddr({"set": [{"elem": {"val": "100.100.0.2", "timeout": 5}}]}),
    "device": meta("iifname", "humanz-cni0"),
    "devices": meta("oifname", {"set": ["lo", "enp8s0"]}),
    "wildcard": meta("iifname", "humanz*"),
    "not another device": meta("iifname", "enp1s0", "!="),
    "port": dport(7217),
    "ports": dport({"set": [80, {"range": [7000, 8000]}]}, "th"),
    "protocol": meta("l4proto", {"set": ["tcp", "udp"]}),
    "protocol by number": meta("l4proto", 6),
    "protocols by number": meta("l4proto", {"range": [6, 17]}),
    "protocols by number in a set": meta("l4proto", {"set": [{"range": [1, 6]}]}),
    "not other protocols": header("protocol", {"range": [7, 17]}, "!="),
    "family": meta("nfproto", "ipv4"),
    "state": ct("state", ["established", "new"]),
    "mark": {"match": {"op": "!=", "left": {"&": [{"meta": {"key": "mark"}}, 16384]}, "right": 16384}},
    "concatenation": {
        "match": {
            "op": "==",
            "left": {"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "ip", "field": "saddr"}}]},
            "right": {"set": [{"concat": ["humanz-cni0", "100.100.0.2"]}]},
        }
    },
    "an iptables comment": {"xt": {"type": "match", "name": "comment"}},
    "what only counts": {"counter": {"packets": 0, "bytes": 0}},
}
OTHERS = {
    "prefix": saddr({"prefix": {"addr": "10.0.0.0", "len": 8}}),
    "not its own prefix": saddr({"prefix": {"addr": "100.100.0.0", "len": 16}}, "!="),
    "empty set": saddr("@empty"),
    "source is the node's own": {
        "match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["saddr"]}}, "right": "local"}
    },
    "IPv6": saddr({"prefix": {"addr": "::", "len": 0}}, "!=", "ip6"),
    "device": meta("oifname", "humanz*"),
    "UDP": dport(7217, "udp"),
    "port": dport({"range": [1, 1023]}),
    "protocol": meta("l4proto", "gre"),
    "protocol by number": meta("l4proto", 253),
    "protocols by number": header("protocol", {"range": [7, 17]}),
    "concatenation of which one part cannot be known": concatenated("10.0.0.1", 5),
    "family": meta("nfproto", "ipv6"),
    "state": ct("state", "invalid"),
}
UNKNOWN = {
    "set that is not there": saddr("@gone"),
    "rate": {"limit": {"rate": 1, "per": "second"}},
    "connection mark": ct("mark", 5),
    "comparison": {"match": {**dport(1024)["match"], "op": ">"}},
    "Ethernet": header("saddr", "00:11:22:33:44:55", protocol="ether"),
    "VLAN": header("id", 5, protocol="vlan"),
    "protocols of which one has a name": meta("l4proto", {"range": [1, "gre"]}),
    "addresses of the other family": saddr({"range": ["::", "ffff::"]}),
    "a mark by its name": meta("mark", "blue"),
    "concatenation": concatenated("100.100.0.2", 5),
    "an iptables extension that nft does not name": {"xt": None},
    "an iptables extension": {"xt": {"type": "match", "name": "addrtype"}},
}


@pytest.mark.parametrize("condition", MATCHING.values(), ids=list(MATCHING))
def test_a_rule_that_matches_decides(condition: dict[str, Any]) -> None:
    assert decided([saddr("10.0.0.1"), ACCEPT], [condition, DROP], [ACCEPT]) == ("DROP", "2", [])


@pytest.mark.parametrize("condition", OTHERS.values(), ids=list(OTHERS))
def test_a_rule_for_other_packets_does_not(condition: dict[str, Any]) -> None:
    assert decided([condition, DROP], [ACCEPT]) == ("ACCEPT", "2", [])


@pytest.mark.parametrize("condition", UNKNOWN.values(), ids=list(UNKNOWN))
def test_what_cannot_be_known_is_reported(condition: dict[str, Any]) -> None:
    assert decided([condition, DROP], [condition, {"counter": {}}], [ACCEPT]) == ("ACCEPT", "3", ["1"])


def test_ipv6() -> None:
    own = saddr({"prefix": {"addr": "fd00:100::", "len": 64}}, protocol="ip6")
    assert decided([saddr("@pods"), DROP], [own, DROP], packet=PACKET6).rule == "2"


def test_the_policy_decides_last() -> None:
    said = "the policy of inet filter way, as no rule accepts it"
    assert decide(parse([]), {**CHAIN, "policy": "drop"}, PACKET, str)[:3] == ("DROP", said, [])
    assert decided([ACCEPT, DROP], [{"return": None}], [DROP]) == ("ACCEPT", "1", [])
    assert decided([{"return": None}], [DROP]) == ("ACCEPT", said, [])


def test_chains_are_followed_and_left_as_the_kernel_does() -> None:
    jump, leave = [{"jump": {"target": "guard"}}], [{"goto": {"target": "guard"}}]
    passing = [[saddr("100.100.0.2"), {"return": None}], [DROP]]
    assert decided(jump, [DROP], guard=passing) == ("DROP", "2", [])
    assert decided(leave, [DROP], guard=passing).verdict == "ACCEPT"
    assert decided(jump, [ACCEPT], guard=[[saddr("10.0.0.1"), ACCEPT], [{"reject": {}}]]) == ("REJECT", "guard", [])
    assert decided(jump, [DROP], guard=[jump]).rule == "2"


def test_verdict_maps() -> None:
    assert decided([daddr_map({"set": [["10.0.0.1", ACCEPT], ["100.100.1.2", DROP]]})]).verdict == "DROP"
    assert decided([daddr_map("@fate")]).verdict == "DROP"
    assert decided([daddr_map({"set": [["10.0.0.1", DROP]]})]).verdict == "ACCEPT"
    jumping = daddr_map({"set": [["10.0.0.1", ACCEPT], ["*", {"jump": {"target": "guard"}}]]})
    assert decided([jumping], guard=[[DROP]]).rule == "guard"
    of_mark = {"vmap": {"key": {"ct": {"key": "mark"}}, "data": {"set": [[1, DROP]]}}}
    assert decided([of_mark], [ACCEPT]) == ("ACCEPT", "2", ["1"])


@pytest.mark.parametrize("turn", [1, -1])
def test_the_key_for_all_the_rest_comes_last(turn: int) -> None:
    def listed(*elements: list[Any]) -> dict[str, Any]:
        return {"set": list(elements)[::turn]}

    mark = {"key": {"ct": {"key": "mark"}}, "data": listed([1, ACCEPT], ["*", DROP])}
    assert decided([{"vmap": mark}], [ACCEPT]) == ("ACCEPT", "2", ["1"])
    assert decided([daddr_map(listed(["100.100.1.2", DROP], ["*", ACCEPT]))]) == ("DROP", "1", [])
    assert decided([daddr_map(listed(["10.0.0.1", DROP], ["*", ACCEPT]))], [DROP]) == ("ACCEPT", "1", [])
    assert decided([daddr_map(listed(["10.0.0.1", ACCEPT], ["*", DROP]))], [ACCEPT], packet=PACKET6).rule == "2"


def test_targets_of_iptables() -> None:
    assert decided([{"xt": {"type": "target", "name": "MASQUERADE"}}]).verdict == "MASQUERADE"
    assert decided([{"xt": {"type": "target", "name": "LOG"}}], [DROP]).rule == "2"


def test_a_packet_that_a_rule_may_have_marked_has_a_mark_that_is_not_known() -> None:
    marking = [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}]
    assert decided(marking, [meta("mark", 1), DROP])[2] == ["2"]
    by_iptables = [{"xt": {"type": "target", "name": "MARK"}}]
    assert decided(by_iptables, [meta("mark", 1), DROP])[2] == ["2"]
    assert decided([saddr("10.0.0.1"), *marking], [meta("mark", 1), DROP])[2] == []


def test_what_a_program_decides_on_is_reported() -> None:
    assert decided([{"queue": {"num": 0}}])[2] == ["1"]


def test_other_protocols_than_tcp() -> None:
    udp, icmp = PACKET._replace(protocol="udp"), PACKET._replace(protocol="icmp", port=0)
    assert decided([dport(7217, "udp"), DROP], packet=udp)[0] == "DROP"
    assert decided([dport(7217), DROP], packet=udp)[0] == "ACCEPT"
    assert decided([meta("l4proto", "icmp"), DROP], packet=icmp)[0] == "DROP"
    assert decided([meta("iifname", "veth1"), DROP], packet=PACKET._replace(in_device="?"))[2] == ["1"]
