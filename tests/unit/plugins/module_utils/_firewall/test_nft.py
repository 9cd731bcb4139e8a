# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nft lists, as chains and rules. Which of them drop is in test_nft_drops."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._firewall import nft_syntax, rules_iptables, rules_nft
from ansible_collections.humanz.cni.plugins.module_utils._firewall.nft import Nft
from ansible_collections.humanz.cni.plugins.module_utils._firewall.nft_syntax import BaseChain, Rule
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError

CHAINS = """\
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
    }
    chain other {
    }
}
table bridge filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
    }
}
table ip old {
    chain way {
        type filter hook forward priority filter - 5;
    }
}
"""
FORWARD = BaseChain("inet", "filter", "forward", "accept")


def test_forward_chains() -> None:
    assert nft_syntax.forward_chains(CHAINS) == [
        BaseChain("inet", "filter", "forward", "drop"),
        BaseChain("ip", "old", "way", "accept"),
    ]


def listing(*rules: str, name: str = "forward") -> str:
    hook = ["\t\ttype filter hook forward priority filter; policy accept;"] if name == "forward" else []
    body = ["\t\t%s # handle %d" % (rule, number) for number, rule in enumerate(rules, 5)]
    return "\n".join(["table inet filter {", "\tchain %s { # handle 2" % name, *hook, *body, "\t}", "}"]) + "\n"


def test_rules() -> None:
    long = "ip saddr { 192.0.2.1,\n\t\t\t     192.0.2.2 } accept"
    assert nft_syntax.rules(listing("ct state established accept", long)) == [
        Rule("ct state established accept", 5),
        Rule("ip saddr { 192.0.2.1, 192.0.2.2 } accept", 6),
    ]


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("drop", "drop"),
        ("counter packets 3 bytes 180 drop", "drop"),
        ('log prefix "no drop: " level info counter packets 0 bytes 0 drop comment "accept"', "drop"),
        ("reject with icmpx admin-prohibited", "reject with icmpx admin-prohibited"),
        ("jump other", "jump other"),
        ('iifname vmap { "eth0" : drop }', None),
        ("ct state invalid drop", None),
        ('log prefix "seen"', None),
        ("counter packets 0 bytes 0", None),
        ("limit rate 5/second accept", None),
    ],
)
def test_for_every_packet(rule: str, verdict: str | None) -> None:
    assert nft_syntax.for_every_packet(rule) == verdict


def test_a_kernel_without_nf_tables_has_no_chains_and_takes_no_rules() -> None:
    nft = Nft(lambda command, data="": (1, "", "Protocol not supported"), "nft")
    assert nft.forward_chains() == []
    assert nft.rules(FORWARD) == []
    assert nft.table("inet", "humanz-cni") == []
    with pytest.raises(ConvergeError, match="nft refused the rules: Protocol not supported"):
        nft.apply(["add table inet x"])


PODS = ["100.100.0.0/24", "fd00:100::/64"]
SOURCE = 'iifname "humanz-cni0" ip saddr 100.100.0.0/24 accept comment "humanz-cni: ACCEPT src pods network"'
DESTINATION = 'oifname "humanz-cni0" ip daddr 100.100.0.0/24 accept comment "humanz-cni: ACCEPT dst pods network"'


def test_each_family_of_chains_gets_the_rules_that_it_can_have() -> None:
    assert rules_nft.accept_rules("ip", PODS, "humanz-cni0") == [SOURCE, DESTINATION]
    assert len(rules_nft.accept_rules("ip6", PODS, "humanz-cni0")) == 2
    assert len(rules_nft.accept_rules("inet", PODS, "humanz-cni0")) == 4


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        ([Rule(SOURCE, 7), Rule(DESTINATION, 8), Rule("drop", 3)], []),
        ([Rule("drop", 3)], ["insert rule c " + DESTINATION, "insert rule c " + SOURCE]),
        (
            [Rule("drop", 3), Rule(SOURCE, 7), Rule(DESTINATION, 8)],
            [
                "delete rule c handle 7",
                "delete rule c handle 8",
                "insert rule c " + DESTINATION,
                "insert rule c " + SOURCE,
            ],
        ),
    ],
)
def test_transaction(rules: list[Rule], lines: list[str]) -> None:
    assert nft_syntax.transaction("c", rules, [SOURCE, DESTINATION]) == lines


def test_a_rule_behind_others_is_said_to_be() -> None:
    rules = [Rule(SOURCE, 7), Rule("drop", 3), Rule(DESTINATION, 8)]
    assert nft_syntax.seen(rules) == [SOURCE, "# it stands behind: drop", DESTINATION]


def test_own_table() -> None:
    kept = ["224.0.0.0/4", "192.0.2.1/32", "fd00::1/128"]
    chain = rules_nft.masquerade_chain(["100.100.0.0/24"], kept, "enp1s0", False)
    sets = rules_nft.masquerade_sets(kept)
    assert [(block[0], block[3]) for block in sets] == [
        ("set non_masquerade_ipv4 {", "elements = { 192.0.2.1, 224.0.0.0/4 }"),
        ("set non_masquerade_ipv6 {", "elements = { fd00::1 }"),
    ]
    assert chain[2:-1] == [
        "ip daddr @non_masquerade_ipv4 return",
        "ip6 daddr @non_masquerade_ipv6 return",
        'ip saddr 100.100.0.0/24 oifname "enp1s0" masquerade comment "Nat from pods to outside"',
    ]
    guard = rules_nft.guard_chain(PODS, "humanz-cni0")
    assert guard[2:-1] == [
        'iifname "lo" return',
        'iifname != "humanz-cni0" ip saddr 100.100.0.0/24 drop comment "DROP src pods network from elsewhere"',
        'iifname != "humanz-cni0" ip6 saddr fd00:100::/64 drop comment "DROP src pods network from elsewhere"',
        'iifname "humanz-cni0" fib saddr type local drop comment "DROP src this node"',
        'iifname "humanz-cni0" ip saddr 100.100.0.0/24 return',
        'iifname "humanz-cni0" ip6 saddr fd00:100::/64 return',
        'iifname "humanz-cni0" ip6 saddr fe80::/10 meta l4proto ipv6-icmp return',
        'iifname "humanz-cni0" ip6 saddr :: meta l4proto ipv6-icmp return',
        'iifname "humanz-cni0" drop comment "DROP src not pods network"',
    ]
    assert [line for line in rules_nft.guard_chain(PODS[:1], "humanz-cni0") if "ip6" in line or "ipv6" in line] == []
    tunnels = rules_iptables.Tunnels(8472, ["200.0.1.30", "200.0.1.40"])
    assert rules_nft.tunnels_chain(tunnels)[2:-1] == [
        "meta nfproto != ipv4 return",
        "meta l4proto != udp return",
        "udp dport != 8472 return",
        "ip saddr 200.0.1.30 return",
        "ip saddr 200.0.1.40 return",
        'drop comment "DROP VXLAN from no node"',
    ]
    # Its family alone.
    assert rules_nft.masquerade_chain(PODS, [], "", False, tunnels)[2:3] == [
        'ip saddr 100.100.0.0/24 udp dport 8472 return comment "No VXLAN of pods from the node"'
    ]
    assert rules_nft.tunnels_chain(rules_iptables.NO_TUNNELS) == []
    table = ["table inet humanz-cni {", *sets[0], *sets[1], *chain, *guard, "}"]
    assert rules_nft.own_table([*sets, chain, guard]) == table
    assert rules_nft.own_table([rules_nft.masquerade_chain([], ["192.0.2.1/32"], "", True)]) == []
