# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the repair that uses nft: our own table, and our rules in chains of others.

humanz.cni.pod_firewall writes the file that says what these are: see nft_syntax. A chain that is not there drops
nothing and needs no rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import commands, nft_syntax

if TYPE_CHECKING:
    from .commands import Run
    from .outcome import Outcome


def put_back(lines: list[str], outcome: Outcome) -> None:
    """Put back what is missing of *lines*; ValueError if nft refuses it."""
    names = restore(lines, commands.run)
    if names:
        outcome.done.append("put back by nft: %s" % ", ".join(names))


def restore(lines: list[str], run: Run) -> list[str]:
    """Put back what is missing of *lines* and return names of that; ValueError if nft refuses it.

    *run* is called with a command and its input, and returns its status, output and error output.
    """
    names, changes = [], []
    table = [line for line in lines if line and not line.startswith("#")]
    if table:
        name = table[0]  # to make sure that there is one to delete
        listed = run(["nft", "list", *name.split()])[1]
        if listed.split() != " ".join(table[2:]).split():  # nft breaks the lines of a set's elements
            names.append(name)
            changes += table
    for chain, rules in nft_syntax.inserted(lines).items():
        status, output, _error = run(["nft", "-a", "list", "chain", *chain.split()])
        if status == 0:
            missing = nft_syntax.transaction(chain, nft_syntax.rules(output), rules)
            names += ["rules in chain %s" % chain] if missing else []
            changes += missing
    if changes:
        status, _output, error = run(["nft", "-f", "-"], "\n".join(changes) + "\n")
        if status:
            raise ValueError("nft: %s" % error.strip())
    return names
