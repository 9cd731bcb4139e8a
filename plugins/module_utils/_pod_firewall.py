# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod network's rules on one node, by iptables, and the file that they can be replayed from.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from ansible_collections.humanz.cni.plugins.module_utils import _owned, _pod_rules
from ansible_collections.humanz.cni.plugins.module_utils._converge import Resource

# Opened last and closed first: nothing is forwarded that is not yet, or no longer, masqueraded.
HOOKS = (_pod_rules.NAT_HOOK, _pod_rules.FILTER_HOOK)


class Firewall(Resource):
    """Our two chains, the jumps to them and the state file.

    The state is a dict: each table's lines as of _pod_rules.seen, and under ``file`` the file's text or None.
    """

    def __init__(self, iptables, rules, state_file):
        """Take an _iptables.Iptables, or None where there is none, to remove; *rules* maps each table to its rules."""
        self._iptables = iptables
        self._rules = rules
        self._state_file = state_file

    def read(self):
        """Return the state."""
        state = {hook.table: self._seen(hook) for hook in HOOKS}
        state["file"] = _owned.read(self._state_file)
        return state

    def desired(self, actual):
        """Return the state wanted."""
        state = {hook.table: _pod_rules.wanted(hook, self._rules[hook.table]) for hook in HOOKS}
        lines = _pod_rules.replay_text([(hook, self._rules[hook.table]) for hook in HOOKS])
        if lines:
            lines.insert(0, "# command: %s" % self._iptables.name)
        state["file"] = _owned.compose("pod_firewall", lines) if lines else None
        return state

    def render(self, state):
        """Return the state as iptables-restore text, followed by the file."""
        lines = [line for hook in HOOKS for line in _pod_rules.listing(hook, state[hook.table])]
        if state["file"] is not None:
            lines += ["", "# %s" % self._state_file, state["file"].rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def apply(self, actual, desired):
        """Write the tables that differ, then the file."""
        hooks = [hook for hook in HOOKS if actual[hook.table] != desired[hook.table]]
        if not any(desired[hook.table] for hook in hooks):
            hooks.reverse()
        lines = []
        for hook in hooks:
            # Read again: other programs place their rules in these chains at any time.
            base, own = self._chains(hook)
            lines += _pod_rules.transaction(hook, base, own, self._rules[hook.table])
        if lines:
            self._iptables.restore("\n".join(lines) + "\n")
        if actual["file"] != desired["file"]:
            _owned.write(self._state_file, desired["file"])

    def result(self, actual, desired):
        """Return the return values."""
        lines = [line for hook in HOOKS for line in _pod_rules.listing(hook, desired[hook.table])]
        return {"rules": lines, "backend": self._iptables.backend if self._iptables else None}

    def _seen(self, hook):
        return _pod_rules.seen(hook, *self._chains(hook)) if self._iptables else []

    def _chains(self, hook):
        return self._iptables.builtin(hook.table, hook.base), self._iptables.own(hook.table, hook.chain)
