# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chains drop whatever is not accepted."""

from __future__ import annotations

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._firewall.nft import Nft
from ansible_collections.humanz.cni.plugins.module_utils._firewall.nft_syntax import BaseChain

FORWARD = BaseChain("inet", "filter", "forward", "accept")


DROPPING: dict[str, dict[str, list[str]]] = {
    "a last rule": {
        "forward": ["ct state invalid drop", "ip saddr { 192.0.2.1,\n\t\t\t     192.0.2.2 } accept", "drop"]
    },
    "counted, logged and commented": {
        "forward": ['log prefix "no accept: " level info counter packets 0 bytes 0 drop comment "accept"']
    },
    "without figures": {"forward": ["counter drop"]},
    "with an answer": {"forward": ["reject with icmpx admin-prohibited"]},
    "in another chain": {"forward": ["jump last"], "last": ["ip saddr 192.0.2.1 accept", "reject"]},
    "in another chain, for good": {"forward": ["counter packets 1 bytes 60 goto last"], "last": ["drop"]},
    "after another chain": {"forward": ["jump other", "drop"], "other": ["return"]},
    "after a chain that goes round": {"forward": ["jump other", "drop"], "other": ["jump forward"]},
}
PASSING: dict[str, dict[str, list[str]]] = {
    "no rules": {"forward": []},
    "behind what accepts": {"forward": ["ct state established accept", "accept", "drop"]},
    "behind a chain that accepts": {"forward": ["jump other", "drop"], "other": ["accept"]},
    "behind what leaves": {"forward": ["jump other", "accept"], "other": ["return", "drop"]},
    "behind what does not come back": {"forward": ["goto other", "drop"], "other": ["return"]},
    "a condition": {
        "forward": ["ip saddr 192.0.2.1 drop", "limit rate 5/second drop", 'iifname vmap { "eth0" : drop }']
    },
    "a name": {"forward": ["jump drop"], "drop": ["accept"]},
    "a program": {"forward": ["queue", "drop"]},
}
LISTINGS = [(chains, True) for chains in DROPPING.values()] + [(chains, False) for chains in PASSING.values()]


class Listed:
    """What nft says of one table, ``inet filter``; *chains* maps names to rules."""

    def __init__(self, chains: dict[str, list[str]], policy: str = "accept", flags: str = "") -> None:
        self.chains = chains
        self.policy = policy
        self.flags = flags

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        if command[-3:] == ["table", "inet", "filter"]:
            head = f"\tflags {self.flags}\n\n" if self.flags else ""
            return 0, "table inet filter {\n%s%s}\n" % (head, "".join(map(self.listed, self.chains))), ""
        if command[-1] not in self.chains:
            return 1, "", "Error: No such file or directory"
        return 0, "table inet filter {\n%s}\n" % self.listed(command[-1], "-a" in command), ""

    def listed(self, name: str, handles: bool = False) -> str:
        hook = f"type filter hook forward priority filter; policy {self.policy};"
        lines = ["\tchain %s {%s" % (name, " # handle 2" if handles else "")]
        lines += ["\t\t" + hook] if name == "forward" else []
        for number, rule in enumerate(self.chains[name], 5):
            lines.append("\t\t%s%s" % (rule, f" # handle {number}" if handles else ""))
        return "\n".join([*lines, "\t}", ""])


def dropped(listed: Listed) -> bool:
    return Nft(listed, "nft").drops(FORWARD._replace(policy=listed.policy))


@pytest.mark.parametrize(("chains", "drops"), LISTINGS, ids=[*DROPPING, *PASSING])
def test_a_chain_drops_by_its_rules_or_its_policy(chains: dict[str, list[str]], drops: bool) -> None:
    assert dropped(Listed(chains)) == drops
    assert dropped(Listed(chains, "drop"))


def test_a_dormant_table_drops_nothing() -> None:
    assert not dropped(Listed({"forward": ["drop"]}, flags="dormant"))
    assert not dropped(Listed({"forward": []}, "drop", "owner,dormant"))
    assert dropped(Listed({"forward": []}, "drop", "owner"))
