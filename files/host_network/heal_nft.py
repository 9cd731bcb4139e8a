# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the repair that uses nft: our own table, and our rules in chains of others.

The file, which humanz.cni.pod_firewall writes, is for ``nft -f``, but for lines such as
``# insert: inet filter forward: RULE``, of rules that stand first in somebody's chain. A chain that is not there drops
nothing and needs no rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from heal import Result

INSERT = "# insert: "
OURS = 'comment "humanz-cni: '


def put_back(lines: list[str], run: Callable[..., Result]) -> list[str]:
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
    for chain, rules in inserted(lines).items():
        status, output, _error = run(["nft", "-a", "list", "chain", *chain.split()])
        if status == 0:
            missing = insertions(chain, rules, output)
            names += ["rules in chain %s" % chain] if missing else []
            changes += missing
    if changes:
        status, _output, error = run(["nft", "-f", "-"], "\n".join(changes) + "\n")
        if status:
            raise ValueError("nft: %s" % error.strip())
    return names


def inserted(lines: list[str]) -> dict[str, list[str]]:
    """Return ``{chain: [rule]}`` of the rules that stand in chains of others."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(INSERT):
            chain, _separator, rule = line[len(INSERT) :].partition(": ")
            found.setdefault(chain, []).append(rule)
    return found


def insertions(chain: str, wanted: list[str], output: str) -> list[str]:
    """Return the lines for nft that make *wanted* the first rules of *chain*, as *output* lists it; none if so."""
    listed = [line.strip().rpartition(" # handle ") for line in output.splitlines() if line.startswith("\t\t")]
    rules = [(text or handle, handle) for text, _mark, handle in listed if not handle.startswith("type ")]
    ours = [(text, handle) for text, handle in rules if OURS in text]
    if ours == rules[: len(ours)] and [text for text, _handle in ours] == wanted:
        return []
    deletions = ["delete rule %s handle %s" % (chain, handle) for _text, handle in ours]
    return deletions + ["insert rule %s %s" % (chain, rule) for rule in reversed(wanted)]
