# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back our chains in iptables' tables, and the jumps to them.

humanz.cni.pod_firewall writes the files that say what these are: see iptables_syntax.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from . import commands, iptables_syntax

if TYPE_CHECKING:
    from .outcome import Outcome


def put_back(lines: list[str], outcome: Outcome) -> None:
    """Fill our chains again and place the jumps to them, each table in one transaction."""
    command, tables = iptables_syntax.parse(lines)
    for table in tables:
        try:
            broken, placing = damage(command, table)
            if broken:
                restore(command, table, placing)
                outcome.done.append("put back in table %s of %s: %s" % (table.name, command, ", ".join(broken)))
        except commands.Refused as exc:
            outcome.wrong.append("table %s of %s: %s" % (table.name, command, exc))


def damage(command: str, table: iptables_syntax.Table) -> tuple[list[str], list[str]]:
    """Return names of what is missing of *table*, and the lines for iptables-restore that place its jumps."""
    names, placing = [], []
    for chain, rules in table.chains.items():
        if not holds(command, table.name, chain, rules):
            names.append("chain %s" % chain)
    for jump in table.jumps:
        base = iptables_syntax.chain_of(jump.rule)
        rules = rules_of(command, table.name, base)
        if not iptables_syntax.is_placed(jump.place, rules, iptables_syntax.target(jump.rule)):
            names.append("the jump in %s" % base)
            placing += iptables_syntax.placing(jump, rules)
    return names, placing


def restore(command: str, table: iptables_syntax.Table, placing: list[str]) -> None:
    """Fill our chains of *table*; to declare a chain empties it, so that there is no moment without its rules."""
    declared = [":%s - [0:0]" % chain for chain in table.chains]
    rules = [rule for chain in table.chains.values() for rule in chain]
    text = "\n".join(["*" + table.name, *declared, *placing, *rules, "COMMIT"]) + "\n"
    status, _output, error = commands.run([command + "-restore", "--noflush", *iptables_syntax.WAIT], text)
    if status:
        raise commands.Refused("%s-restore: %s" % (command, error.strip()))


def rules_of(command: str, table: str, chain: str) -> list[str]:
    """Return the rules of a built-in chain; Refused if iptables does not work."""
    return iptables_syntax.rules(commands.output_of([command, *iptables_syntax.WAIT, "-t", table, "-S", chain]))


def holds(command: str, table: str, chain: str, wanted: list[str]) -> bool:
    """Return whether our *chain* has the rules *wanted*, also where this iptables writes them in other words."""
    status, output, _error = commands.run([command, *iptables_syntax.WAIT, "-t", table, "-S", chain])
    rules = iptables_syntax.rules(output)
    if status or len(rules) != len(wanted):
        return False
    if sorted(rules) == sorted(wanted):
        return rules == wanted
    return all(
        commands.run([command, *iptables_syntax.WAIT, "-t", table, "-C", *shlex.split(rule)[1:]])[0] == 0
        for rule in wanted
    )
