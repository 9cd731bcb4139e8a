# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's nf_tables, as ``nft`` lists and takes them: which chains drop what the node forwards, and their rules.

A *rule* is a line as ``nft list chain`` prints it, such as ``ip saddr 192.0.2.0/24 accept``.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

FAMILIES = ("ip", "ip6", "inet")

_IGNORED = re.compile(
    r'comment "[^"]*"|counter( packets \d+ bytes \d+)?|log( prefix "[^"]*"| (level|group|flags|snaplen) \S+)*'
)
_ELEMENTS = re.compile(r"^\s*elements = \{[^}]*\}", re.MULTILINE)
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


class Nft:
    """The node's ``nft``."""

    def __init__(self, run: RunCommand, command: str) -> None:
        """Take AnsibleModule.run_command, and the path of nft."""
        self._run = run
        self._command = command

    def forward_chains(self) -> list[BaseChain]:
        """Return the BaseChain of every table in which what is forwarded can be dropped.

        A kernel without nf_tables has none.
        """
        status, output, _error = self._run([self._command, "list", "chains"])
        return forward_chains(output) if status == 0 else []

    def rules(self, chain: BaseChain) -> list[Rule]:
        """Return the Rules of a BaseChain, none if it has gone. A chain of the same table can be asked for likewise."""
        status, output, _error = self._run(
            [self._command, "-a", "list", "chain", chain.family, chain.table, chain.name]
        )
        return rules(output) if status == 0 else []

    def drops(self, chain: BaseChain) -> bool:
        """Return whether the BaseChain drops, or rejects, whatever no rule of it accepts.

        files/host_network/healing/drops.py decides by the same rules.
        """
        drops = chain.policy == "drop" or self._drops(chain, set())
        return bool(drops) and not self.is_dormant(chain.family, chain.table)

    def is_dormant(self, family: str, table: str) -> bool:
        """Return whether the kernel calls no chain of the table."""
        return any(re.match(r"flags .*\bdormant\b", line) for line in self.table(family, table))

    def _drops(self, chain: BaseChain, visited: set[str]) -> bool | None:
        """Return whether the rules of *chain* for every packet drop it; None if they pass it on, or back."""
        visited.add(chain.name)
        for rule in self.rules(chain):
            verdict = for_every_packet(rule.text)
            if verdict is None:
                continue
            jump = _JUMP.match(verdict)
            if jump is None:
                return None if verdict == "return" else verdict.startswith(("drop", "reject"))
            if jump.group(2) not in visited:
                drops = self._drops(chain._replace(name=jump.group(2)), visited)
                if drops is not None:
                    return drops
            if jump.group(1) == "goto":
                return None
        return None

    def table(self, family: str, name: str) -> list[str]:
        """Return the lines of a table, without indentation; none if there is none. A set's elements are one line."""
        status, output, _error = self._run([self._command, "list", "table", family, name])
        text = _ELEMENTS.sub(lambda found: " ".join(found.group().split()), output)
        return [line.strip() for line in text.splitlines() if line.strip()] if status == 0 else []

    def apply(self, lines: list[str]) -> None:
        """Apply *lines* at once or not at all. Raises ConvergeError."""
        status, _output, error = self._run([self._command, "-f", "-"], data="\n".join(lines) + "\n")
        if status:
            raise ConvergeError("%s refused the rules: %s" % (self._command, error.strip()), rules=lines)


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
