# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On nodes that have no iptables, the rule of nf_tables that drops or masquerades is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.netns.fleet import Fleet, by_nft, checks, reasons

OURS = '"humanz-cni: ACCEPT %s pods network"'
POSTROUTING = "inet humanz-cni postrouting"
SOURCE = 'iifname "humanz-cni0" ip saddr %s accept comment ' + OURS % "src"
TARGET = 'oifname "humanz-cni0" ip daddr %s accept comment ' + OURS % "dst"
FROM_3 = {"pod on node-3 -> pod on node-1", "pod on node-3 -> pod on node-2", "pod on node-3 -> outside 192.168.122.1"}
TO_2 = {f"{end} -> pod on node-2" for end in ("pod on node-1", "pod on node-3", "node node-1", "node node-3")}
# In nft's syntax what is done to which node, the checks that fail, and the reason that is named.
BREAKS = {
    "the policy of a chain without our rules": (
        "node-3",
        "flush chain inet guard way; add rule inet guard way ct state established accept",
        FROM_3
        | {f"{end} -> pod on node-3" for end in ("pod on node-1", "pod on node-2", "node node-1", "node node-2")},
        "node-3 drops it by the policy of inet guard way, as no rule accepts it (nft)",
    ),
    "a rule ahead of ours": (
        "node-2",
        "insert rule inet guard way iifname enp8s0 tcp dport { 7000-7999, 80 } counter drop",
        TO_2,
        'node-2 drops it by the rule iifname "enp8s0" tcp dport { 80, 7000-7999 } counter packets {n} bytes {n} drop '
        "in chain inet guard way (nft)",
    ),
    "another table's chain, by a set": (
        "node-2",
        "add table ip late { set pods { type ipv4_addr; flags interval; elements = { 100.100.1.0/24 }; }; "
        "chain check { ip daddr @pods drop; }; "
        "chain way { type filter hook forward priority 20; ct state vmap { new : jump check }; }; }",
        TO_2,
        "node-2 drops it by the rule ip daddr @pods drop in chain ip late check (nft)",
    ),
    "pods' traffic is masqueraded": (
        "node-3",
        f"flush chain {POSTROUTING}; add rule {POSTROUTING} ip saddr 100.100.2.0/24 masquerade",
        {"pod on node-3 -> pod on node-1", "pod on node-3 -> pod on node-2"},
        "node-3 translates the source by the rule ip saddr 100.100.2.0/24 masquerade in chain inet humanz-cni "
        "postrouting (nft): no rule ahead of it leaves traffic between pods and nodes out",
    ),
    "outside is not masqueraded": (
        "node-3",
        f"flush chain {POSTROUTING}",
        {"pod on node-3 -> outside 192.168.122.1"},
        "node-3 has no MASQUERADE rule that applies to 100.100.2.{n} on its way to 192.168.122.1: answers do not find "
        "the way back",
    ),
    "only what leaves by another interface is masqueraded": (
        "node-3",
        f"flush chain {POSTROUTING}; "
        f"add rule {POSTROUTING} ip saddr 100.100.2.0/24 ip daddr 100.100.0.0/16 return; "
        f'add rule {POSTROUTING} oifname "eth9" ip saddr 100.100.2.0/24 masquerade',
        {"pod on node-3 -> outside 192.168.122.1"},
        "node-3 has no MASQUERADE rule that applies to 100.100.2.{n} on its way to 192.168.122.1 by enp1s0: the rule "
        'oifname "eth9" ip saddr 100.100.2.0/24 masquerade in chain inet humanz-cni postrouting (nft) is for another '
        "interface (pod_network_uplink): answers do not find the way back",
    ),
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Three nodes with nothing but nft, on which all is well."""
    made = Fleet(by_nft)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """The probe pods of a run."""
    yield fleet.start()
    fleet.stop()


def without_numbers(text: str) -> str:
    """*text* without what differs from run to run: counters, and which address a pod has."""
    words = text.replace("100.100.2.", "100.100.2. ").split()
    return " ".join("{n}" if word.isdecimal() else word for word in words).replace("100.100.2. ", "100.100.2.")


def test_all_is_well(fleet: Fleet, cluster: dict[str, Any]) -> None:
    assert fleet.probe(cluster) == []


@pytest.mark.parametrize("name", BREAKS)
def test_reason(fleet: Fleet, cluster: dict[str, Any], name: str) -> None:
    node, breaks, failed, reason = BREAKS[name]
    machine = fleet.nodes[node]
    ruleset = machine.run("nft", "list", "ruleset").stdout
    machine.run("nft", "-f", "-", input=breaks.replace("; ", "\n") + "\n")
    try:
        failures = fleet.probe(cluster)
    finally:
        machine.run("nft", "-f", "-", input="flush ruleset\n" + ruleset)
    assert checks(failures) == failed
    assert reason in {without_numbers(said) for said in reasons(failures)}


GUARD = (
    'iifname "lo" return',
    'iifname != "humanz-cni0" ip saddr 100.100.0.0/24 drop comment "DROP src pods network from elsewhere"',
    'iifname "humanz-cni0" fib saddr type local drop comment "DROP src this node"',
    'iifname "humanz-cni0" ip saddr 100.100.0.0/24 return',
    'iifname "humanz-cni0" drop comment "DROP src not pods network"',
)


def test_the_rules_are_shown(fleet: Fleet) -> None:
    chain = "insert rule inet guard way "
    postrouting = f"add rule {POSTROUTING} "
    assert fleet.nodes["node-1"].module("pod_network_info")["rules"] == {
        "nft": [
            "add set inet humanz-cni non_masquerade_ipv4 { type ipv4_addr; flags interval; "
            "elements = { 100.100.0.0/16, 200.0.0.0/24, 224.0.0.0/4 }; }",
            postrouting + "ip daddr @non_masquerade_ipv4 return",
            postrouting + 'ip saddr 100.100.0.0/24 masquerade fully-random comment "Nat from pods to outside"',
            *(f"add rule inet humanz-cni prerouting {rule}" for rule in GUARD),
            chain + SOURCE % "100.100.0.0/24",
            chain + TARGET % "100.100.0.0/24",
        ]
    }


def test_what_decides_is_named_where_all_is_well(fleet: Fleet) -> None:
    args = {"paths": [{"source": "100.100.0.2", "destination": "192.168.122.1", "port": 80}]}
    found = fleet.nodes["node-1"].module("pod_network_info", args)["paths"][0]
    assert (found["drop"], found["undecided"]) == (None, [])
    assert found["nat"] == {
        "tool": "nft",
        "rule": 'ip saddr 100.100.0.0/24 masquerade fully-random comment "Nat from pods to outside" '
        "in chain inet humanz-cni postrouting",
    }
