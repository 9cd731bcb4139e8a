# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back our chains in iptables' tables, and the jumps to them.

A file, which humanz.cni.pod_firewall writes, is for ``iptables-restore``. What else is to be known stands in comments:
the command, and the jumps, each with its place.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Callable, NamedTuple

from . import commands

if TYPE_CHECKING:
    from .outcome import Outcome

WAIT = ["-w", "5"]  # seconds for the lock of legacy iptables


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


def put_back(lines: list[str], outcome: Outcome) -> None:
    """Fill our chains again and place the jumps to them, each table in one transaction."""
    command, tables = parse_rules(lines)
    for table in tables:
        try:
            broken, placing = damage(command, table)
            if broken:
                restore(command, table, placing)
                outcome.done.append("put back in table %s of %s: %s" % (table.name, command, ", ".join(broken)))
        except commands.Refused as exc:
            outcome.wrong.append("table %s of %s: %s" % (table.name, command, exc))


def damage(command: str, table: Table) -> tuple[list[str], list[str]]:
    """Return names of what is missing of *table*, and the lines for iptables-restore that place its jumps."""
    names, placing = [], []
    for chain, rules in table.chains.items():
        if not holds(command, table.name, chain, rules):
            names.append("chain %s" % chain)
    for jump in table.jumps:
        base = chain_of(jump.rule)
        changes = place(jump, rules_of(command, table.name, base))
        if changes:
            names.append("the jump in %s" % base)
            placing += changes
    return names, placing


def restore(command: str, table: Table, placing: list[str]) -> None:
    """Fill our chains of *table*; to declare a chain empties it, so that there is no moment without its rules."""
    declared = [":%s - [0:0]" % chain for chain in table.chains]
    rules = [rule for chain in table.chains.values() for rule in chain]
    text = "\n".join(["*" + table.name, *declared, *placing, *rules, "COMMIT"]) + "\n"
    status, _output, error = commands.run([command + "-restore", "--noflush", *WAIT], text)
    if status:
        raise commands.Refused("%s-restore: %s" % (command, error.strip()))


def rules_of(command: str, table: str, chain: str) -> list[str]:
    """Return the rules of a built-in chain; Refused if iptables does not work."""
    return listed(commands.output_of([command, *WAIT, "-t", table, "-S", chain]))


def listed(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("-A ")]


def holds(command: str, table: str, chain: str, wanted: list[str]) -> bool:
    """Say whether our *chain* has the rules *wanted*, also where this iptables writes them in other words."""
    status, output, _error = commands.run([command, *WAIT, "-t", table, "-S", chain])
    rules = listed(output)
    if status or len(rules) != len(wanted):
        return False
    if sorted(rules) == sorted(wanted):
        return rules == wanted
    return all(commands.run([command, *WAIT, "-t", table, "-C", *shlex.split(rule)[1:]])[0] == 0 for rule in wanted)


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
    """Say whether *rule* is for every packet: nothing but a comment stands ahead of its target."""
    words = words_of(rule)[2:]
    return words[0] in ("-j", "-g") or words[:3] == ["-m", "comment", "--comment"] and words[4] in ("-j", "-g")
