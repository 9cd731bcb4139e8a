# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules as any iptables prints them, in one form; and what is made of iptables' answers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._firewall import iptables as _iptables
from ansible_collections.humanz.cni.plugins.module_utils._firewall import iptables_syntax
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError

ACCEPT = '-A C -s 10.0.0.0/24 -i br0 -m comment --comment "two words" -j ACCEPT'


@pytest.mark.parametrize(
    ("printed", "form"),
    [
        (ACCEPT, ACCEPT),
        ('-A C -i br0 -s 10.0.0.0/255.255.255.0 -m comment --comment "two words" -j ACCEPT', ACCEPT),
        ('-A C -m comment --comment "two words" -s 10.0.0.0/24 -i br0 -j ACCEPT', ACCEPT),
        ("-A C -d 10.0.0.1 -j RETURN", "-A C -d 10.0.0.1/32 -j RETURN"),
        ("-A C -d fd00::1 -j RETURN", "-A C -d fd00::1/128 -j RETURN"),
        ('-A C -m comment --comment "word" -j X', "-A C -m comment --comment word -j X"),
        ('-A C -m comment --comment "-j \\"!\\" DROP" -g X', '-A C -m comment --comment "-j \\"!\\" DROP" -g X'),
        ("-A C ! -o br0 ! -s 10.0.0.1/32 -j X", "-A C ! -s 10.0.0.1/32 ! -o br0 -j X"),
        (
            "-A C -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j X",
            "-A C -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j X",
        ),
        ("-A C -s 10.0.0.0/8 -j MASQUERADE --random-fully", "-A C -s 10.0.0.0/8 -j MASQUERADE --random-fully"),
        ("-A C -s 10.0.0.0/8", "-A C -s 10.0.0.0/8"),
    ],
)
def test_canonical(printed: str, form: str) -> None:
    assert _iptables.canonical(printed) == form
    assert _iptables.canonical(form) == form


def test_rule_is_canonical() -> None:
    rule = _iptables.rule("C", ["ACCEPT"], comment="two words", in_device="br0", source="10.0.0.0/24")
    assert rule == ACCEPT
    assert _iptables.rule("C", ["MASQUERADE", "--random-fully"], out_device="") == "-A C -j MASQUERADE --random-fully"


@pytest.mark.parametrize(
    ("rule", "target", "all_packets"),
    [
        ("-A FORWARD -j DROP", "DROP", True),
        ('-A FORWARD -m comment --comment "-j ACCEPT" -j DROP', "DROP", True),
        ("-A FORWARD -i eth0 -g CHAIN", "CHAIN", False),
        ("-A FORWARD -m conntrack --ctstate NEW", "", False),
    ],
)
def test_target(rule: str, target: str, all_packets: bool) -> None:
    assert iptables_syntax.target(rule) == target
    assert iptables_syntax.matches_all(rule) is all_packets


class Node:
    """Answers commands: ``answers`` maps the end of a command line to (status, output, error output)."""

    def __init__(self, version: str, **answers: tuple[int, str, str]) -> None:
        self.answers = {"--version": (0, version, ""), **{key.replace("_", " "): a for key, a in answers.items()}}

    def get_bin_path(self, name: str) -> str:
        return "/usr/sbin/" + name

    def run_command(self, command: list[str], data: str = "", **_options: Any) -> tuple[int, str, str]:
        line = " ".join(command)
        return next(answer for end, answer in self.answers.items() if line.endswith(end))


@pytest.mark.parametrize(
    ("printed", "version", "backend", "random_fully"),
    [
        ("iptables v1.8.11 (nf_tables)", (1, 8, 11), "nft", True),
        ("iptables v1.8.4 (legacy)", (1, 8, 4), "legacy", True),
        ("iptables v1.6.1", (1, 6, 1), "legacy", False),
    ],
)
def test_version(printed: str, version: tuple[int, ...], backend: str, random_fully: bool) -> None:
    iptables = _iptables.locate(Node(printed))
    assert iptables is not None
    assert (iptables.version, iptables.backend, iptables.random_fully) == (version, backend, random_fully)


def test_unknown_version_is_an_error() -> None:
    with pytest.raises(ConvergeError, match="prints no version"):
        _iptables.locate(Node("busybox"))


def test_chains() -> None:
    node = Node(
        "iptables v1.8.9 (nf_tables)",
        FORWARD=(0, "-P FORWARD DROP\n-A FORWARD -j X\n", ""),
        OURS=(1, "", "iptables: No chain/target/match by that name."),
        LOCKED=(4, "", "Another app is currently holding the xtables lock"),
        POSTROUTING=(3, "", "can't initialize iptables table `nat': Table does not exist"),
    )
    iptables = _iptables.locate(node)
    assert iptables is not None
    assert iptables.builtin("filter", "FORWARD") == ["-A FORWARD -j X"]
    assert iptables.own("filter", "OURS") is None
    with pytest.raises(ConvergeError, match="chain LOCKED of table filter cannot be read: Another app"):
        iptables.own("filter", "LOCKED")
    with pytest.raises(ConvergeError, match="-S POSTROUTING failed: can't initialize"):
        iptables.builtin("nat", "POSTROUTING")


def test_refused_rules_are_shown() -> None:
    iptables = _iptables.locate(Node("iptables v1.8.9 (nf_tables)", **{"5": (1, "", "line 2 failed\n")}))
    assert iptables is not None
    with pytest.raises(ConvergeError, match="line 2 failed") as raised:
        iptables.restore("*nat\nbad\nCOMMIT\n")
    assert raised.value.facts == {"rules": ["*nat", "bad", "COMMIT"]}


def test_thousands_of_rules_of_others_cost_little() -> None:
    rules = ["-A FORWARD -s 10.0.%d.%d/32 -j DROP" % divmod(number, 256) for number in range(10_000)]
    started = time.process_time()
    assert {iptables_syntax.target(rule) for rule in rules} == {"DROP"}
    assert not any(iptables_syntax.matches_all(rule) for rule in rules)
    assert time.process_time() - started < 0.2  # seconds of a processor; a search for quotes takes more
