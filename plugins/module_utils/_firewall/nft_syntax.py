# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nft's texts are read: which chains drop what the node forwards, and where our rules stand in them. Pure.

A *rule* is a line as ``nft list chain`` prints it, such as ``ip saddr 192.0.2.0/24 accept``.

A file of rules is for ``nft -f``, but for lines such as ``# insert: inet filter forward: RULE``, of rules that stand
first in somebody's chain: every replay would add one once more.

The repair on a node has this same file: files/host_network/healing has a link to it. The standard library only, and
nothing of the collection.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

FAMILIES = ("ip", "ip6", "inet")
OURS = 'comment "humanz-cni: '
INSERT = "# insert: "
# Their rules are firewalld's own business, which a policy of ours, in that file, has accept pods.
FIREWALLD_TABLES = ("firewalld", "firewalld_policy_drop")
FIREWALLD_POLICY = "/etc/firewalld/policies/humanz-cni.xml"

_IGNORED = re.compile(
    r'comment "[^"]*"|counter( packets \d+ bytes \d+)?|log( prefix "[^"]*"| (level|group|flags|snaplen) \S+)*'
)
_JUMP = re.compile(r"(jump|goto) (\S+)\Z")


class BaseChain(NamedTuple):
    """A chain that the kernel calls for what it forwards; *policy* is accept or drop."""

    family: str
    table: str
    name: str
    policy: str


class Rule(NamedTuple):
    """A rule of a chain, and the number that it can be deleted by."""

    text: str
    handle: int


# Listings


def forward_chains(output: str) -> list[BaseChain]:
    """Return the BaseChains of the hook forward in what ``nft list chains`` prints."""
    found = []
    family = table = name = ""
    for line in output.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            family, table = words[1:3]
        elif words[:1] == ["chain"]:
            name = words[1]
        elif line.strip().startswith("type filter hook forward ") and family in FAMILIES:
            policy = re.search(r"policy (\w+);", line)
            found.append(BaseChain(family, table, name, policy.group(1) if policy else "accept"))
    return found


def rules(output: str) -> list[Rule]:
    """Return the Rules in what ``nft -a list chain`` prints; a long rule may take several lines."""
    found: list[Rule] = []
    text: list[str] = []
    for line in output.splitlines():
        if not line.startswith("\t\t") or line.strip().startswith("type "):
            continue
        body, _mark, handle = line.strip().rpartition(" # handle ")
        text.append(body or handle)
        if body:
            found.append(Rule(" ".join(text), int(handle)))
            text = []
    return found


def for_every_packet(text: str) -> str | None:
    """Return what the rule *text* does with every packet, such as ``drop`` or ``jump X``; None if it has a condition.

    What leaves the packet to the next rule, such as a log, is None too.
    """
    verdict = " ".join(_IGNORED.sub("", text).split())
    return verdict if re.match(r"(accept|drop|return|reject|jump|goto|queue)\b", verdict) else None


def is_dormant(table: str) -> bool:
    """Return whether the kernel calls no chain of the *table*, as ``nft list table`` prints it."""
    return bool(re.search(r"^\s*flags .*\bdormant\b", table, re.MULTILINE))


def drops(chain: BaseChain, rules_of: Callable[[BaseChain], list[Rule]]) -> bool:
    """Return whether *chain* drops, or rejects, whatever no rule of it accepts, unless its table is dormant.

    :param rules_of: returns the Rules of a chain, none if there is none; also of others of the same table.
    """
    return chain.policy == "drop" or bool(_rules_drop(chain, rules_of, set()))


def _rules_drop(chain: BaseChain, rules_of: Callable[[BaseChain], list[Rule]], visited: set[str]) -> bool | None:
    """Return whether the rules of *chain* for every packet drop it; None if they pass it on, or back."""
    visited.add(chain.name)
    for rule in rules_of(chain):
        verdict = for_every_packet(rule.text)
        if verdict is None:
            continue
        jump = _JUMP.match(verdict)
        if jump is None:
            return None if verdict == "return" else verdict.startswith(("drop", "reject"))
        if jump.group(2) not in visited:
            found = _rules_drop(chain._replace(name=jump.group(2)), rules_of, visited)
            if found is not None:
                return found
        if jump.group(1) == "goto":
            return None
    return None


# Our rules in chains of others


def seen(rules: list[Rule]) -> list[str]:
    """Return the texts of our rules among *rules*; one that stands behind others' is said to."""
    lines: list[str] = []
    for place, rule in enumerate(rules):
        if OURS in rule.text:
            if place > len([line for line in lines if not line.startswith("#")]):
                lines.append("# it stands behind: %s" % rules[place - 1].text)
            lines.append(rule.text)
    return lines


def transaction(chain: str, rules: list[Rule], wanted: list[str]) -> list[str]:
    """Return the lines for ``nft -f`` that make *wanted* our rules of *chain*, ahead of everybody else's.

    :param chain: family, table and name, as one text.
    :param rules: the chain's rules.
    """
    if seen(rules) == wanted:
        return []
    lines = ["delete rule %s handle %d" % (chain, rule.handle) for rule in rules if OURS in rule.text]
    return lines + ["insert rule %s %s" % (chain, text) for text in reversed(wanted)]


def insert_comments(chains: dict[str, list[str]]) -> list[str]:
    """Return the comments that say our rules in others' *chains* in a file of rules."""
    return ["%s%s: %s" % (INSERT, chain, text) for chain in sorted(chains) for text in chains[chain]]


def inserted(lines: list[str]) -> dict[str, list[str]]:
    """Return ``{chain: [rule]}`` of our rules in others' chains, as *lines*, of a file of rules, say them."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(INSERT):
            chain, _separator, rule = line[len(INSERT) :].partition(": ")
            found.setdefault(chain, []).append(rule)
    return found
