# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rules, their place among others', and the transactions that put them there."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._firewall import iptables_syntax, rules_iptables
from ansible_collections.humanz.cni.plugins.module_utils._firewall.rules_iptables import (
    FILTER_HOOK,
    NAT_HOOK,
    RAW_HOOK,
    Hook,
)

JUMP = rules_iptables.jump(FILTER_HOOK)
NAT_JUMP = rules_iptables.jump(NAT_HOOK)
RULES = rules_iptables.forward_rules(["100.100.0.0/24"], "humanz-cni0")
DECLARED = ":HUMANZ-FORWARD - [0:0]"
KUBE = "-A FORWARD -m comment --comment kube -j KUBE-FORWARD"
CALICO = "-A FORWARD -j cali-FORWARD"
DROP = "-A FORWARD -j DROP"


@pytest.mark.parametrize(
    ("hook", "others", "places"),
    [
        (FILTER_HOOK, [], (0, 0)),
        (FILTER_HOOK, [DROP, KUBE], (0, 0)),
        (FILTER_HOOK, [KUBE, CALICO, "-A FORWARD -j CILIUM_FORWARD", DROP], (3, 3)),
        (RAW_HOOK, ["-A PREROUTING -j cali-PREROUTING", "-A PREROUTING -j ACCEPT"], (1, 1)),
        (NAT_HOOK, [], (0, 0)),
        (NAT_HOOK, ["-A POSTROUTING -s 10.0.0.0/8 -j ACCEPT", "-A POSTROUTING -j X"], (0, 2)),
        (NAT_HOOK, ["-A POSTROUTING -j X", "-A POSTROUTING -m comment --comment all -j MASQUERADE"], (0, 1)),
    ],
)
def test_where(hook: Hook, others: list[str], places: tuple[int, int]) -> None:
    assert iptables_syntax.where(rules_iptables.PLACES[hook], others) == places


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        ([JUMP], []),
        ([KUBE, JUMP, DROP], []),
        ([DROP, JUMP], ["# it stands behind: -A FORWARD -j DROP"]),
        ([JUMP, KUBE], ["# it stands ahead of: " + KUBE]),
    ],
)
def test_seen(base: list[str], complaint: list[str]) -> None:
    seen = rules_iptables.seen(FILTER_HOOK, base, RULES)
    assert seen == [DECLARED, *complaint, JUMP, *RULES]
    assert (seen == rules_iptables.wanted(FILTER_HOOK, RULES)) == (not complaint)


def test_nothing_is_seen_of_others() -> None:
    assert rules_iptables.seen(FILTER_HOOK, [KUBE, DROP], None) == []
    assert rules_iptables.seen(FILTER_HOOK, [DROP], []) == [DECLARED]


@pytest.mark.parametrize(
    ("base", "placing"),
    [
        ([], [JUMP]),
        ([DROP], [JUMP.replace("-A FORWARD", "-I FORWARD 1")]),
        ([KUBE, DROP], [JUMP.replace("-A FORWARD", "-I FORWARD 2")]),
        ([KUBE], [JUMP]),
        ([KUBE, JUMP, DROP], []),
        ([DROP, JUMP], [JUMP.replace("-A", "-D", 1), JUMP.replace("-A FORWARD", "-I FORWARD 1")]),
        (
            [JUMP, "-A FORWARD -s 10.0.0.0/8 -j HUMANZ-FORWARD"],
            [JUMP.replace("-A", "-D", 1), "-D FORWARD -s 10.0.0.0/8 -j HUMANZ-FORWARD", JUMP],
        ),
    ],
)
def test_transaction(base: list[str], placing: list[str]) -> None:
    lines = rules_iptables.transaction(FILTER_HOOK, base, None, RULES)
    assert lines == ["*filter", DECLARED, *placing, *RULES, "COMMIT"]


def test_removal() -> None:
    assert rules_iptables.transaction(NAT_HOOK, [NAT_JUMP], [], []) == [
        "*nat",
        NAT_JUMP.replace("-A", "-D", 1),
        "-F HUMANZ-POSTROUTING",
        "-X HUMANZ-POSTROUTING",
        "COMMIT",
    ]
    assert rules_iptables.transaction(NAT_HOOK, [], None, []) == ["*nat", "COMMIT"]


def test_masquerade_comes_after_every_exception() -> None:
    kept = ["100.100.0.0/16", "224.0.0.0/4"]
    rules = rules_iptables.masquerade_rules(["100.100.0.0/24"], kept, "enp1s0", True)
    assert [rule.split(" -j ")[1] for rule in rules] == ["RETURN", "RETURN", "MASQUERADE --random-fully"]
    assert " -o enp1s0 " in rules[2]
    plain = rules_iptables.masquerade_rules(["100.100.0.0/24"], [], "", False)
    assert plain == [
        '-A HUMANZ-POSTROUTING -s 100.100.0.0/24 -m comment --comment "Nat from pods to outside" -j MASQUERADE'
    ]


PODS = ["100.100.0.0/24", "100.100.8.0/24"]


def test_of_several_networks_each_may_be_the_source() -> None:
    """As iptables -S shows them."""
    assert rules_iptables.forward_rules(PODS, "humanz-cni0") == [
        "-A HUMANZ-FORWARD -s 100.100.0.0/24 ! -i humanz-cni0 "
        '-m comment --comment "DROP src pods network from elsewhere" -j DROP',
        "-A HUMANZ-FORWARD -s 100.100.8.0/24 ! -i humanz-cni0 "
        '-m comment --comment "DROP src pods network from elsewhere" -j DROP',
        '-A HUMANZ-FORWARD -s 100.100.0.0/24 -i humanz-cni0 -m comment --comment "ACCEPT src pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -s 100.100.8.0/24 -i humanz-cni0 -m comment --comment "ACCEPT src pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -i humanz-cni0 -m comment --comment "DROP src not pods network" -j DROP',
        '-A HUMANZ-FORWARD -d 100.100.0.0/24 -o humanz-cni0 -m comment --comment "ACCEPT dst pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -d 100.100.8.0/24 -o humanz-cni0 -m comment --comment "ACCEPT dst pods network" -j ACCEPT',
    ]
    guard = rules_iptables.guard_rules(PODS, "humanz-cni0")
    targets = [rule.split(" -j ")[1] for rule in guard]
    assert targets == ["RETURN", "DROP", "DROP", "DROP", "RETURN", "RETURN", "DROP"]


@pytest.mark.parametrize(
    ("peers", "to_the_node"),
    [
        (["200.0.1.30", "200.0.1.40"], ["-m addrtype --dst-type LOCAL,BROADCAST,MULTICAST"]),
        (["fd00:201::30"], ["-m addrtype --dst-type LOCAL,ANYCAST", "-d ff00::/8"]),
    ],
    ids=["IPv4", "IPv6"],
)
def test_vxlan_packets_to_the_node_come_from_its_peers(peers: list[str], to_the_node: list[str]) -> None:
    tunnels = rules_iptables.Tunnels(8472, peers)
    alone = rules_iptables.guard_rules([], "humanz-cni0", tunnels)
    drops = len(to_the_node)
    assert [rule for rule in alone if " -j DROP" in rule] == alone[1 : 1 + drops] + alone[-drops:]
    for by_bridge, drop, words in zip(alone[1:], alone[-drops:], to_the_node):
        assert by_bridge.replace(" -i humanz-cni0", "") == drop
        assert words in drop
        assert "-p udp -m udp --dport 8472 " in drop
        assert '-m comment --comment "DROP VXLAN from no node" -j DROP' in drop
    assert [rule.split(" ", 2)[2] for rule in alone[1 + drops : -drops]] == [
        "! -p udp -j RETURN",
        "-p udp -m udp ! --dport 8472 -j RETURN",
        *(f"-s {peer}/{128 if ':' in peer else 32} -j RETURN" for peer in peers),
    ]
    # What comes by the bridge is decided on before a pod's source, or a forged one of a peer, lets it return.
    both = rules_iptables.guard_rules(PODS, "humanz-cni0", tunnels)
    assert both == alone[: 1 + drops] + rules_iptables.guard_rules(PODS, "humanz-cni0")[1:] + alone[1 + drops :]
    rules = rules_iptables.masquerade_rules(PODS[:1], ["224.0.0.0/4"], "", False, tunnels)
    assert rules[1] == (
        "-A HUMANZ-POSTROUTING -s 100.100.0.0/24 -p udp -m udp --dport 8472 "
        '-m comment --comment "No VXLAN of pods from the node" -j ACCEPT'
    )


def test_those_who_may_open_connections_are_asked_after_answers() -> None:
    rules = rules_iptables.forward_rules(PODS[:1], "humanz-cni0", ["100.100.0.0/16", "192.168.122.0/24"])
    assert rules[3:] == [
        "-A HUMANZ-FORWARD -d 100.100.0.0/24 -o humanz-cni0 -m conntrack --ctstate RELATED,ESTABLISHED "
        '-m comment --comment "ACCEPT answers to pods" -j ACCEPT',
        "-A HUMANZ-FORWARD -s 100.100.0.0/16 -d 100.100.0.0/24 -o humanz-cni0 "
        '-m comment --comment "ACCEPT dst pods network" -j ACCEPT',
        "-A HUMANZ-FORWARD -s 192.168.122.0/24 -d 100.100.0.0/24 -o humanz-cni0 "
        '-m comment --comment "ACCEPT dst pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -o humanz-cni0 -m comment --comment "DROP dst pods network" -j DROP',
    ]


def test_without_subnets() -> None:
    cidrs = ["100.100.0.0/24", "100.100.0.0/16", "200.0.0.0/24", "200.0.0.0/24", "200.0.1.0/24"]
    assert rules_iptables.without_subnets(cidrs) == ["100.100.0.0/16", "200.0.0.0/24", "200.0.1.0/24"]


def test_replay_text_adds_no_jump_but_says_what_it_is_and_where() -> None:
    lines = rules_iptables.replay_text([(NAT_HOOK, []), (FILTER_HOOK, RULES)])
    assert [line for line in lines if line[0] != "#"] == ["*filter", DECLARED, *RULES, "COMMIT"]
    assert [line for line in lines if line[0] == "#"] == [f"# jump: {JUMP}", "# jump behind: KUBE- cali- CILIUM"]
    ahead = "# jump ahead of: ACCEPT DROP RETURN MASQUERADE SNAT NETMAP"
    assert [line for line in rules_iptables.replay_text([(NAT_HOOK, RULES)]) if line[0] == "#"] == [
        f"# jump: {NAT_JUMP}",
        ahead,
    ]
