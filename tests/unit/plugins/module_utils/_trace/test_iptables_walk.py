# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rule decides on a packet."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._trace.iptables_walk import Packet, decide, parse

PACKET = Packet("100.100.0.2", "100.100.1.2", "humanz-cni0", "enp8s0", 7217, "NEW")


def verdict(*rules: str, packet: Packet = PACKET, policy: str = "ACCEPT") -> tuple[str, str]:
    declared = {rule.split()[1] for rule in rules} - {"FORWARD"}
    lines = ["*filter", f":FORWARD {policy} [0:0]", *(f":{chain} - [0:0]" for chain in declared), *rules, "COMMIT"]
    decision = decide(parse("\n".join(lines))["filter"], "FORWARD", packet)
    return decision.verdict, decision.rule


def test_tables_and_policies_are_read() -> None:
    tables = parse("# made by\n*nat\n:POSTROUTING ACCEPT [3:4]\n:OWN - [0:0]\n-A POSTROUTING -j OWN\nCOMMIT\n*filter\n")
    assert tables == {"nat": {"POSTROUTING": ("ACCEPT", ["-A POSTROUTING -j OWN"]), "OWN": (None, [])}, "filter": {}}


def test_the_policy_decides_last() -> None:
    assert verdict(policy="DROP") == ("DROP", "the policy of FORWARD, as no rule accepts it")


def test_a_chain_that_is_not_there_accepts() -> None:
    assert decide({}, "FORWARD", PACKET).verdict == "ACCEPT"


def test_the_first_rule_that_matches_decides() -> None:
    assert verdict("-A FORWARD -s 10.0.0.0/8 -j DROP", "-A FORWARD -j REJECT", "-A FORWARD -j ACCEPT") == (
        "REJECT",
        "-A FORWARD -j REJECT",
    )


@pytest.mark.parametrize(
    "match",
    [
        "-s 100.100.0.0/16",
        "! -s 10.0.0.0/8",
        "-d 100.100.1.2/32",
        "-i humanz+",
        "! -o enp1s0",
        "-p tcp",
        "-p tcp -m tcp --dport 7217",
        "-p tcp -m multiport --dports 80,7000:8000",
        "-m conntrack --ctstate NEW,ESTABLISHED",
        "-m state --state NEW",
        "-m mark ! --mark 0x4000/0x4000",
        "-m addrtype ! --dst-type LOCAL",
        '-m comment --comment "a -j b, ! c"',
    ],
)
def test_matches(match: str) -> None:
    assert verdict(f"-A FORWARD {match} -j DROP")[0] == "DROP"


@pytest.mark.parametrize(
    "match",
    [
        "! -s 100.100.0.0/16",
        "-d 100.100.2.0/24",
        "-i enp+",
        "-p udp",
        "-p icmp -m icmp --icmp-type 8",
        "-p tcp -m tcp --dport 7218:",
        "-m conntrack --ctstate RELATED,ESTABLISHED",
        "-m conntrack --ctstate INVALID",
        "-m mark --mark 0x4000/0x4000",
        "-m addrtype --dst-type LOCAL",
        "-m set --match-set blocked src -s 10.0.0.0/8",
    ],
)
def test_does_not_match(match: str) -> None:
    assert verdict(f"-A FORWARD {match} -j DROP")[0] == "ACCEPT"


def test_chains_are_followed_and_come_back() -> None:
    rules = (
        "-A FORWARD -j OWN",
        "-A OWN -s 10.0.0.0/8 -j DROP",
        "-A OWN -j RETURN",
        "-A OWN -j DROP",
        "-A FORWARD -j REJECT",
    )
    assert verdict(*rules)[0] == "REJECT"


def test_goto_does_not_come_back() -> None:
    rules = ("-A FORWARD -j ONE", "-A ONE -g TWO", "-A ONE -j DROP", "-A TWO -s 10.0.0.0/8 -j DROP")
    assert verdict(*rules)[0] == "ACCEPT"


def test_targets_that_decide_nothing_are_passed() -> None:
    assert (
        verdict("-A FORWARD -j LOG --log-prefix x", "-A FORWARD -j MARK --set-xmark 0x1", "-A FORWARD -j DROP")[0]
        == "DROP"
    )


def test_a_loop_in_the_text_ends() -> None:
    assert verdict("-A FORWARD -j ONE", "-A ONE -j TWO", "-A TWO -j ONE", policy="DROP")[0] == "DROP"


def test_a_rule_that_cannot_be_judged_is_passed_and_reported() -> None:
    rule = "-A FORWARD -m set --match-set blocked src -j DROP"
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n{rule}\n-A FORWARD -m limit --limit 5/min -j LOG\nCOMMIT\n"
    decision = decide(parse(text)["filter"], "FORWARD", PACKET)
    assert (decision.verdict, decision.undecided) == ("ACCEPT", [rule])


def test_ipv6() -> None:
    packet = Packet("fd00:1::2", "fd00:2::2", "humanz-cni0", "enp8s0", 7217, "NEW")
    assert verdict("-A FORWARD -s fd00:1::/64 -j DROP", packet=packet)[0] == "DROP"


def test_a_packet_that_a_rule_may_have_marked_has_a_mark_that_is_not_known() -> None:
    dropping = "-A FORWARD -m mark --mark 0x1 -j DROP"
    chains: dict[str, tuple[str | None, list[str]]] = {
        "FORWARD": ("ACCEPT", ["-A FORWARD -j MARK --set-xmark 0x1/0xffffffff", dropping])
    }
    decision = decide(chains, "FORWARD", PACKET)
    assert (decision.verdict, decision.undecided, decision.marks) == ("ACCEPT", [dropping], True)
    chains = {"FORWARD": ("ACCEPT", ["-A FORWARD -s 10.0.0.1/32 -j MARK --set-xmark 0x1/0xffffffff", dropping])}
    assert decide(chains, "FORWARD", PACKET)[2:] == ([], False)
    assert decide({"FORWARD": ("ACCEPT", [dropping])}, "FORWARD", PACKET._replace(marked=True)).undecided == [dropping]


def test_what_a_program_decides_on_is_reported() -> None:
    rule = "-A FORWARD -j NFQUEUE --queue-num 0"
    assert decide({"FORWARD": ("ACCEPT", [rule])}, "FORWARD", PACKET).undecided == [rule]


def test_other_protocols_than_tcp() -> None:
    icmp = PACKET._replace(protocol="icmp", port=0)
    assert verdict("-A FORWARD -p icmp -j DROP", packet=icmp)[0] == "DROP"
    assert verdict("-A FORWARD -p tcp -j DROP", packet=icmp)[0] == "ACCEPT"
    assert verdict("-A FORWARD -p udp -j DROP", packet=PACKET._replace(protocol="udp"))[0] == "DROP"
