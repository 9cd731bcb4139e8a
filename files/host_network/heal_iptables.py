# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of iptables' rules say, and where a jump to our chains belongs, for heal.py.

A file, which humanz.cni.pod_firewall writes, is for ``iptables-restore``. What else is to be known stands in comments:
the command, and the jumps, each with its place.
"""

from __future__ import annotations

import shlex
from typing import Callable, NamedTuple


class Jump(NamedTuple):
    """The *rule* of a built-in chain that jumps to ours.

    Either it stands right behind the leading rules that go to chains whose names start with one of *behind*, or
    anywhere ahead of the first rule that gives every packet one of the targets *ahead*.
    """

    rule: str
    behind: tuple[str, ...]
    ahead: tuple[str, ...]


class Table(NamedTuple):
    """A table of the file of rules: *chains* maps our chains to lists of rules."""

    name: str
    chains: dict[str, list[str]]
    jumps: list[Jump]


def parse_rules(lines: list[str]) -> tuple[str, list[Table]]:
    """Return the command that *lines* are for, and the list of its Table."""
    command = "iptables"
    tables: list[Table] = []
    for line in lines:
        comment, _separator, value = line.partition(": ")
        if comment == "# command":
            command = value
        elif comment == "# jump":
            tables[-1].jumps.append(Jump(value, (), ()))
        elif comment == "# jump behind":
            tables[-1].jumps[-1] = tables[-1].jumps[-1]._replace(behind=tuple(value.split()))
        elif comment == "# jump ahead of":
            tables[-1].jumps[-1] = tables[-1].jumps[-1]._replace(ahead=tuple(value.split()))
        elif line.startswith("*"):
            tables.append(Table(line[1:], {}, []))
        elif line.startswith(":"):
            tables[-1].chains[line[1:].split()[0]] = []
        elif line.startswith("-A "):
            tables[-1].chains[chain_of(line)].append(line)
    return command, tables


def chain_of(rule: str) -> str:
    """Return the chain that *rule*, such as ``-A FORWARD -j ACCEPT``, stands in."""
    return rule.split()[1]


def place(jump: Jump, base: list[str]) -> list[str]:
    """Return the lines for iptables-restore that put *jump* where it belongs among *base*; none if it is there."""
    own = target_of(jump.rule)
    jumps = [rule for rule in base if target_of(rule) == own]
    others = [rule for rule in base if target_of(rule) != own]
    if jump.behind:
        last = leading(others, lambda rule: target_of(rule).startswith(jump.behind))
        first = last
    else:
        first = 0
        last = leading(others, lambda rule: not (target_of(rule) in jump.ahead and matches_all(rule)))
    if len(jumps) == 1 and first <= base.index(jumps[0]) <= last:
        return []
    insertion = jump.rule
    if last < len(others):
        chain = chain_of(jump.rule)
        insertion = jump.rule.replace("-A %s" % chain, "-I %s %d" % (chain, last + 1), 1)
    return ["-D" + rule[2:] for rule in jumps] + [insertion]


def leading(rules: list[str], wanted: Callable[[str], bool]) -> int:
    """Return how many rules at the beginning of *rules* are *wanted*."""
    return next((number for number, rule in enumerate(rules) if not wanted(rule)), len(rules))


def words_of(rule: str) -> list[str]:
    """Return the words of *rule*; to look for quotes in thousands of rules takes seconds."""
    return shlex.split(rule) if '"' in rule else rule.split()


def target_of(rule: str) -> str:
    """Return the target or chain that *rule* goes to, or an empty text."""
    words = words_of(rule)
    return next((words[number + 1] for number, word in enumerate(words) if word in ("-j", "-g")), "")


def matches_all(rule: str) -> bool:
    """Return whether *rule* is for every packet: nothing but a comment stands ahead of its target."""
    words = words_of(rule)[2:]
    return words[0] in ("-j", "-g") or words[:3] == ["-m", "comment", "--comment"] and words[4] in ("-j", "-g")
