# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod network's rules on one node, by iptables, and the files that they can be replayed from.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._shared import marked_files
from .._shared.converge import Resource
from . import iptables_syntax, rules_iptables

if TYPE_CHECKING:
    from typing import Protocol

    from .iptables import Iptables

    class Part(Protocol):
        """Rules that one command keeps, read, compared and written by themselves; its state is its own business."""

        @property
        def command(self) -> str: ...
        @property
        def backend(self) -> str: ...
        def read(self) -> Any: ...
        def desired(self) -> Any: ...
        def rules(self, state: Any) -> list[str]: ...
        def render(self, state: Any) -> str: ...
        def firewalls(self) -> list[dict[str, str]]: ...
        def apply(self, actual: Any, desired: Any) -> None: ...
        def try_rules(self) -> None: ...


# Opened last and closed first: nothing is forwarded that is not yet, or no longer, masqueraded and guarded.
HOOKS = (rules_iptables.NAT_HOOK, rules_iptables.RAW_HOOK, rules_iptables.FILTER_HOOK)
# Who keeps the chains that FORWARD jumps to, by how their names start.
KEEPERS = {"ufw-": "ufw", "ufw6-": "ufw", "DOCKER": "Docker", "FORWARD_": "firewalld"}


class Firewall(Resource):
    """All rules of ours, a list of parts that each are read, compared and written like a Resource.

    The state is the list of their states.
    """

    def __init__(self, parts: list[Part]) -> None:
        """Take the parts, in the order in which they are written."""
        self._parts = parts

    def read(self) -> list[Any]:
        """Return the state."""
        return [part.read() for part in self._parts]

    def desired(self, actual: list[Any]) -> list[Any]:
        """Return the state wanted."""
        return [part.desired() for part in self._parts]

    def render(self, state: list[Any]) -> str:
        """Return the state as text in the syntax of each part's tool."""
        return "\n".join(filter(None, (part.render(each) for part, each in zip(self._parts, state))))

    def apply(self, actual: list[Any], desired: list[Any]) -> None:
        """Write the parts that differ: first those that get rules, so that there is no moment without any."""
        changes = [change for change in zip(self._parts, actual, desired) if change[1] != change[2]]
        changes.sort(key=lambda change: not change[0].rules(change[2]))
        for part, before, after in changes:
            part.apply(before, after)

    def try_rules(self) -> None:
        """Have the kernel take the rules wanted, for a namespace of its own; raises ConvergeError if it does not."""
        for part in self._parts:
            part.try_rules()

    def result(self, actual: list[Any], desired: list[Any]) -> dict[str, Any]:
        """Return the return values."""
        wanted = [(part, part.rules(each)) for part, each in zip(self._parts, desired)]
        return {
            "rules": {part.command: lines for part, lines in wanted if lines},
            "backends": {part.command: part.backend for part, lines in wanted if lines},
            "firewalls": [found for part in self._parts for found in part.firewalls()],
        }


class Ruleset:
    """Our chains in one family's tables, the jumps to them and the state file.

    The state is a dict: each table's lines as of rules_iptables.seen, and under ``file`` the file's text or None.
    """

    def __init__(self, iptables: Iptables | None, command: str, rules: dict[str, list[str]], state_file: str) -> None:
        """Take what is wanted.

        :param iptables: an iptables.Iptables, or None where there is none, to remove.
        :param command: iptables, ip6tables, or another backend's, such as iptables-legacy.
        :param rules: maps each table to its rules.
        """
        self._iptables = iptables
        self.command = command
        self._rules = rules
        self._state_file = state_file

    @property
    def backend(self) -> str:
        """What is behind the iptables, nft or legacy; an empty text where there is none."""
        return self._iptables.backend if self._iptables else ""

    def read(self) -> dict[str, Any]:
        """Return the state."""
        state: dict[str, Any] = {hook.table: self._seen(hook) for hook in HOOKS}
        state["file"] = marked_files.read(self._state_file)
        return state

    def desired(self) -> dict[str, Any]:
        """Return the state wanted."""
        state: dict[str, Any] = {hook.table: rules_iptables.wanted(hook, self._rules[hook.table]) for hook in HOOKS}
        lines = rules_iptables.replay_text([(hook, self._rules[hook.table]) for hook in HOOKS])
        if lines and self._iptables:
            lines.insert(0, iptables_syntax.COMMAND + self._iptables.name)
        state["file"] = marked_files.compose("pod_firewall", lines) if lines else None
        return state

    def rules(self, state: dict[str, Any]) -> list[str]:
        """Return the state's tables as lines for iptables-restore."""
        return [line for hook in HOOKS for line in rules_iptables.listing(hook, state[hook.table])]

    def render(self, state: dict[str, Any]) -> str:
        """Return the state as iptables-restore text, followed by the file."""
        lines = self.rules(state)
        if lines:
            lines.insert(0, "# %s" % self.command)
        if state["file"] is not None:
            lines += ["", "# %s" % self._state_file, state["file"].rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def firewalls(self) -> list[dict[str, str]]:
        """Return who else decides in FORWARD, each as a dict of name, where and handled."""
        hook = rules_iptables.FILTER_HOOK
        if self._iptables is None or not self._rules[hook.table]:
            return []
        policy, rules = self._iptables.listing(hook.table, hook.base)
        targets = [iptables_syntax.target(rule) for rule in rules]
        names = [name for start, name in KEEPERS.items() if any(target.startswith(start) for target in targets)]
        if not names and (policy == "DROP" or {"DROP", "REJECT"} & set(targets)):
            names = ["iptables"]
        where = "%s FORWARD, policy %s" % (self._iptables.name, policy)
        return [{"name": name, "where": where, "handled": "a jump ahead of it"} for name in names]

    def apply(self, actual: dict[str, Any], desired: dict[str, Any]) -> None:
        """Write the tables that differ, then the file."""
        hooks = [hook for hook in HOOKS if actual[hook.table] != desired[hook.table]]
        if not any(desired[hook.table] for hook in hooks):
            hooks.reverse()
        lines: list[str] = []
        for hook in hooks:
            # Read again: other programs place their rules in these chains at any time.
            base, own = self._chains(hook)
            lines += rules_iptables.transaction(hook, base, own, rules_iptables.own_rules(hook, desired[hook.table]))
        if self._iptables and lines:
            self._iptables.restore("\n".join(lines) + "\n")
        if actual["file"] != desired["file"]:
            marked_files.write(self._state_file, desired["file"])

    def try_rules(self) -> None:
        """Have the kernel take the rules wanted."""
        lines = self.rules(self.desired())
        if self._iptables and lines:
            self._iptables.restore("\n".join(lines) + "\n")

    def _seen(self, hook: rules_iptables.Hook) -> list[str]:
        return rules_iptables.seen(hook, *self._chains(hook))

    def _chains(self, hook: rules_iptables.Hook) -> tuple[list[str], list[str] | None]:
        if self._iptables is None or not (self._rules[hook.table] or self._iptables.has_table(hook.table)):
            return [], None
        return self._iptables.builtin(hook.table, hook.base), self._iptables.own(hook.table, hook.chain)
