# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How iptables' texts are read, where the jumps to our chains belong, and what the files of our rules say. Pure.

A *rule* is a line as ``iptables -S CHAIN`` prints it, such as ``-A FORWARD -s 192.0.2.0/24 -j ACCEPT``.

A file of rules is for ``iptables-restore``. What else is to be known stands in comments: the command, and the jumps,
each with its place, as every replay would add one once more.

The repair on a node has this same file: files/host_network/healing has a link to it. The standard library only, and
nothing of the collection.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import NamedTuple

FORWARD = "HUMANZ-FORWARD"
PREROUTING = "HUMANZ-PREROUTING"
POSTROUTING = "HUMANZ-POSTROUTING"
# Seconds to wait for the lock of legacy iptables, which another program may hold.
WAIT = ["-w", "5"]
# The tables that legacy iptables has; to ask itself makes them.
LEGACY_TABLES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
COMMAND = "# command: "
JUMP = "# jump: "
JUMP_BEHIND = "# jump behind: "
JUMP_AHEAD = "# jump ahead of: "


class Place(NamedTuple):
    """Where a jump belongs in a built-in chain.

    Either right behind the leading rules that go to chains whose names start with one of *behind*, or anywhere ahead of
    the first rule that gives every packet one of the targets *ahead*.
    """

    behind: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()


class Jump(NamedTuple):
    """The *rule* of a built-in chain that jumps to ours, and its place."""

    rule: str
    place: Place


class Table(NamedTuple):
    """A table of a file of rules: *chains* maps our chains to lists of rules."""

    name: str
    chains: dict[str, list[str]]
    jumps: list[Jump]


# Rules


def rules(output: str) -> list[str]:
    """Return the rules in what ``iptables -S`` prints."""
    return [line for line in output.splitlines() if line.startswith("-A ")]


def chain_of(rule: str) -> str:
    """Return the chain that *rule* stands in."""
    return rule.split()[1]


def target(rule: str) -> str:
    """Return the name of the target or chain that *rule* goes to, or an empty text."""
    words = split(rule)[1]
    return words[1] if words else ""


def matches_all(rule: str) -> bool:
    """Return whether *rule* matches every packet."""
    return all(is_comment(option) for option in split(rule)[0])


def words_of(rule: str) -> list[str]:
    """Return the words of *rule*; to look for quotes in all rules of a large cluster takes seconds."""
    return shlex.split(rule) if '"' in rule else rule.split()


def is_comment(option: list[str]) -> bool:
    """Return whether *option*, as of :func:`split`, is a part of a comment."""
    return option[1] == "--comment" or option[1:] == ["-m", "comment"]


def split(rule: str) -> tuple[list[list[str]], list[str]]:
    """Return the match options of *rule*, each ``["!" or "", name, value…]``, and the words from -j or -g on."""
    words = words_of(rule)[2:]
    options = []
    while words and words[0] not in ("-j", "-g"):
        negation = words.pop(0) if words[0] == "!" else ""
        option = [negation, words.pop(0)]
        if option[1] == "--comment":
            option.append(words.pop(0))
        while words and not words[0].startswith("-") and words[0] != "!":
            option.append(words.pop(0))
        options.append(option)
    return options, words


# Places


def where(place: Place, others: list[str]) -> tuple[int, int]:
    """Return the first and the last position, from 0, where a jump may stand among *others*, the chain's rules."""
    if place.behind:
        number = _leading(others, lambda rule: target(rule).startswith(place.behind))
        return number, number
    return 0, _leading(others, lambda rule: not (target(rule) in place.ahead and matches_all(rule)))


def _leading(rules: list[str], wanted: Callable[[str], bool]) -> int:
    """Return how many rules at the beginning of *rules* are *wanted*."""
    return next((number for number, rule in enumerate(rules) if not wanted(rule)), len(rules))


def apart(base: list[str], chain: str) -> tuple[list[str], list[str]]:
    """Return the jumps to *chain* among the rules *base*, and all other rules."""
    jumps: list[str] = []
    others: list[str] = []
    for rule in base:
        (jumps if target(rule) == chain else others).append(rule)
    return jumps, others


def is_placed(place: Place, base: list[str], chain: str) -> bool:
    """Return whether the rules *base* have one jump to *chain*, in its place."""
    jumps, others = apart(base, chain)
    first, last = where(place, others)
    return len(jumps) == 1 and first <= base.index(jumps[0]) <= last


def placing(jump: Jump, base: list[str]) -> list[str]:
    """Return the lines for iptables-restore that put *jump* in its place among the rules *base*."""
    jumps, others = apart(base, target(jump.rule))
    last = where(jump.place, others)[1]
    insertion = jump.rule
    if last < len(others):
        chain = chain_of(jump.rule)
        insertion = jump.rule.replace("-A %s" % chain, "-I %s %d" % (chain, last + 1), 1)
    return [deletion(rule) for rule in jumps] + [insertion]


def deletion(rule: str) -> str:
    """Return the line for iptables-restore that deletes *rule*."""
    return "-D" + rule[2:]


# Files of rules


def jump_comments(jump: Jump) -> list[str]:
    """Return the comments that say *jump* in a file of rules."""
    place = jump.place
    in_words = JUMP_BEHIND + " ".join(place.behind) if place.behind else JUMP_AHEAD + " ".join(place.ahead)
    return [JUMP + jump.rule, in_words]


def parse(lines: list[str]) -> tuple[str, list[Table]]:
    """Return the command that *lines*, of a file of rules, are for, and its Tables."""
    command = "iptables"
    tables: list[Table] = []
    for line in lines:
        comment, separator, value = line.partition(": ")
        comment += separator
        if comment == COMMAND:
            command = value
        elif comment == JUMP:
            tables[-1].jumps.append(Jump(value, Place()))
        elif comment == JUMP_BEHIND:
            tables[-1].jumps[-1] = Jump(tables[-1].jumps[-1].rule, Place(behind=tuple(value.split())))
        elif comment == JUMP_AHEAD:
            tables[-1].jumps[-1] = Jump(tables[-1].jumps[-1].rule, Place(ahead=tuple(value.split())))
        elif line.startswith("*"):
            tables.append(Table(line[1:], {}, []))
        elif line.startswith(":"):
            tables[-1].chains[line[1:].split()[0]] = []
        elif line.startswith("-A "):
            tables[-1].chains[chain_of(line)].append(line)
    return command, tables
