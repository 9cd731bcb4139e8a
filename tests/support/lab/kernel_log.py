# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has lost of its routes and rules, and for how long, as the kernel tells it: however soon it is back.

The rules are those of iptables-nft. Legacy iptables tells nobody what it changes.
"""

from __future__ import annotations

import contextlib
import re
import subprocess

from tests.support.kernel_events import Monitor
from tests.support.lab.service_events import ADDRESS, INTERFACE

ROUTES = ("ip", "-N", "-o", "-4", "monitor", "address", "route", "link")
RULES = ("nft", "-a", "monitor")
_PRINTED = re.compile(r"^(add|insert|delete) rule (\S+ \S+) .*?handle (\d+)$")
_ADDRESS = re.compile(r"\b%s inet %s " % (INTERFACE, re.escape(ADDRESS)))
_DOWN = re.compile(r"^\d+: %s[:@][^<]*<(?!([^>]*,)?UP\b)" % INTERFACE)
_GENERATION = "# new generation"

Lines = list[tuple[float, str]]
Rules = set[tuple[str, str]]  # the family and name of a table, and the handle of a rule in it


def is_ours(rule: str) -> bool:
    """Return whether a rule is in a chain of ours, or leads to one."""
    return "HUMANZ-" in rule


def listed(ruleset: str) -> Rules:
    """Return our rules in what ``nft -a list ruleset`` prints."""
    found, table, chain = set(), "", ""
    for line in ruleset.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif words[-2:-1] == ["handle"] and is_ours(chain + line):
            found.add((table, words[-1]))
    return found


def routes_away(lines: Lines) -> list[float]:
    """Return for how long each route of ours was away that came back, or 0.0 for one that has not come back yet.

    The kernel does not tell of routes that go with an address, or with an interface that goes down. That a route is
    added shows that it was gone, and what befell the interface last, since when; without the address, nobody can heal.
    """
    away, since = [], 0.0
    for time, line in lines:
        ours = " proto 217" in line
        if ours and not line.startswith("Deleted "):
            away.append(time - since if since else 0.0)
        elif ours:
            since = time
            away.append(0.0)
        elif _ADDRESS.search(line) or _DOWN.search(line):
            since = time
    return away


def rules_away(lines: Lines, present: Rules) -> list[float]:
    """Return for how long rules of ours were away each time, of which *present* were there before.

    What a program replaces in one transaction was not away.
    """
    present, number = set(present), len(present)
    away, since = [], 0.0
    for time, line in lines:
        printed = _PRINTED.match(line)
        if printed:
            word, *rule = printed.groups()
            if word == "delete":
                present.discard((rule[0], rule[1]))
            elif is_ours(line):
                present.add((rule[0], rule[1]))
        elif line.startswith(_GENERATION):
            if len(present) < number and not since:
                since = time
                away.append(0.0)
            elif len(present) >= number and since:
                away[-1], since = time - since, 0.0
    return away


class KernelLog:
    """Listens from the start in the network namespace at a path; a context manager."""

    def __init__(self, namespace: str) -> None:
        with contextlib.ExitStack() as stack:
            self.routes = stack.enter_context(Monitor(namespace, *ROUTES))
            self.rules = stack.enter_context(Monitor(namespace, *RULES))
            command = ["nsenter", "--net=" + namespace, "--", "nft", "-a", "list", "ruleset"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            self._present = listed(done.stdout)
            self._stack = stack.pop_all()

    def __enter__(self) -> KernelLog:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def _away(self) -> dict[str, list[float]]:
        rules = rules_away(list(self.rules.lines), self._present)
        return {"routes": routes_away(list(self.routes.lines)), "rules": rules}

    def lost(self) -> set[str]:
        """Return what was missing at any time, in words."""
        return {what for what, away in self._away().items() if away}

    def longest(self) -> float:
        """Return for how many seconds something was missing at a stretch."""
        return max((seconds for away in self._away().values() for seconds in away), default=0.0)
