# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod network's rules in nf_tables: our own table, and what must be accepted in chains of others.

A packet that one chain of the hook forward accepts is still dropped by another one: where somebody's chain drops what
no rule of it accepts, our rules stand in that very chain.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from .._shared import marked_files
from .._shared.converge import ConvergeError
from . import nft_syntax, rules_nft

if TYPE_CHECKING:
    from typing import TypedDict

    from .nft import Nft
    from .nft_syntax import BaseChain

    class State(TypedDict):
        table: list[str]
        chains: dict[str, list[str]]
        file: str | None


class NftRules:
    """Our table, our rules in others' chains, and the state file.

    The state is a dict of ``table`` (lines), ``chains`` (family, table and name as one text to lines as of
    nft_syntax.seen; chains without any are left out) and ``file`` (text or None).
    """

    command = "nft"
    backend = "nftables"

    def __init__(
        self,
        nft: Nft | None,
        table: list[str],
        accepted: Callable[[str], list[str]],
        left_alone: Collection[tuple[str, str, str]],
        state_file: str,
    ) -> None:
        """Take what is wanted.

        :param nft: an nft.Nft, or None where there is none, to remove.
        :param table: the lines of our own table, or none.
        :param accepted: called with ip, ip6 or inet, returns the rules for chains of that family.
        :param left_alone: (family, table, chain) of chains that iptables looks after.
        """
        self._nft = nft
        self._table = table
        self._accepted = accepted
        self._left_alone = left_alone
        self._state_file = state_file
        self._dropping: list[BaseChain] = []

    def read(self) -> State:
        """Return the state."""
        state: State = {"table": [], "chains": {}, "file": marked_files.read(self._state_file)}
        if self._nft is None:
            return state
        # Others' tables may have the same name in another family.
        state["table"] = self._nft.table(rules_nft.FAMILY, rules_nft.TABLE)
        self._dropping = []
        for chain in self._chains(self._nft):
            ours = nft_syntax.seen(self._nft.rules(chain))
            if ours:
                state["chains"][_key(chain)] = ours
            if self._nft.drops(chain):
                self._dropping.append(chain)
        return state

    def desired(self) -> State:
        """Return the state wanted, given what was read last."""
        chains = {_key(chain): self._accepted(chain.family) for chain in self._dropping}
        chains = {key: lines for key, lines in chains.items() if lines}
        lines = rules_nft.replay_text(self._table, chains)
        text = marked_files.compose("pod_firewall", lines) if lines else None
        return {"table": self._table, "chains": chains, "file": text}

    def rules(self, state: State) -> list[str]:
        """Return the state in nft's syntax."""
        return [
            "insert rule %s %s" % (key, text) for key in sorted(state["chains"]) for text in state["chains"][key]
        ] + (state["table"])

    def render(self, state: State) -> str:
        """Return the state in nft's syntax, followed by the file."""
        lines = self.rules(state)
        if lines:
            lines.insert(0, "# nft")
        if state["file"] is not None:
            lines += ["", "# %s" % self._state_file, state["file"].rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def apply(self, actual: State, desired: State) -> None:
        """Write rules in one transaction, then the file."""
        if self._nft:
            self._write(self._nft, actual, desired)
        if actual["file"] != desired["file"]:
            marked_files.write(self._state_file, desired["file"])

    def try_rules(self) -> None:
        """Have the kernel take our own table."""
        if self._nft and self._table:
            self._nft.apply(rules_nft.replacement(self._table))

    def firewalls(self) -> list[dict[str, str]]:
        """Return what was found, each as a dict of name, where and handled."""
        return [
            {"name": "nftables", "where": _key(chain), "handled": "rules ahead of it"}
            for chain in self._dropping
            if self._accepted(chain.family)
        ]

    def _write(self, nft: Nft, actual: State, desired: State) -> None:
        lines = []
        if actual["table"] != desired["table"]:
            lines += rules_nft.replacement(desired["table"])
        for chain in self._chains(nft):
            wanted = desired["chains"].get(_key(chain), [])
            lines += nft_syntax.transaction(_key(chain), nft.rules(chain), wanted)
        if not lines:
            return
        try:
            nft.apply(lines)
        except ConvergeError as exc:
            by_hand = [
                "nft insert rule %s %s" % (key, text) for key, texts in desired["chains"].items() for text in texts
            ]
            if not by_hand:
                raise
            raise ConvergeError(
                "%s. Pods are cut off by chains that drop: %s. Have the program that manages them accept this: %s"
                % (exc, ", ".join(desired["chains"]), "; ".join(by_hand)),
                **exc.facts,
            ) from exc

    def _chains(self, nft: Nft) -> list[BaseChain]:
        return [
            chain
            for chain in nft.forward_chains()
            if chain[:3] not in self._left_alone and chain.table not in nft_syntax.FIREWALLD_TABLES
        ]


def _key(chain: BaseChain) -> str:
    return " ".join(chain[:3])
