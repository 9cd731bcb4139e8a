# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's nf_tables, as ``nft`` lists and takes them.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._shared.converge import ConvergeError
from . import nft_syntax

if TYPE_CHECKING:
    from .._shared.converge import RunCommand
    from .nft_syntax import BaseChain, Rule

_ELEMENTS = re.compile(r"^\s*elements = \{[^}]*\}", re.MULTILINE)


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
        return nft_syntax.forward_chains(output) if status == 0 else []

    def rules(self, chain: BaseChain) -> list[Rule]:
        """Return the Rules of a BaseChain, none if it has gone. A chain of the same table can be asked for likewise."""
        status, output, _error = self._run(
            [self._command, "-a", "list", "chain", chain.family, chain.table, chain.name]
        )
        return nft_syntax.rules(output) if status == 0 else []

    def drops(self, chain: BaseChain) -> bool:
        """Return whether the BaseChain drops, or rejects, whatever no rule of it accepts."""
        return nft_syntax.drops(chain, self.rules) and not self.is_dormant(chain.family, chain.table)

    def is_dormant(self, family: str, table: str) -> bool:
        """Return whether the kernel calls no chain of the table."""
        return nft_syntax.is_dormant("\n".join(self.table(family, table)))

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
