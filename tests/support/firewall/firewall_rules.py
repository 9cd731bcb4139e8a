# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's rules by one iptables backend, and the module under test on it."""

from __future__ import annotations

from typing import Any

from tests.support.netns.node import Node

ARGS = {"pod_cidrs": ["100.100.0.0/24"], "non_masquerade_cidrs": ["100.100.0.0/16", "200.0.0.0/24"]}


class Firewall:
    """The rules of *node* by one backend, nft or legacy."""

    def __init__(self, node: Node, backend: str) -> None:
        self.node = node
        self.backend = backend

    def converge(self, *, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        """Run the module with ARGS and *args*; it must succeed."""
        result = self.node.module("pod_firewall", {**ARGS, "backend": self.backend, **args}, check=check, diff=diff)
        assert not result.get("failed"), result
        return result

    def remove(self) -> dict[str, Any]:
        """Run the module with state absent; it must succeed."""
        result = self.node.module("pod_firewall", {"state": "absent", "backend": self.backend})
        assert not result.get("failed"), result
        return result

    def iptables(self, words: str, command: str = "iptables") -> None:
        """Run iptables, or ip6tables, with *words*, separated by spaces."""
        self.node.run(f"{command}-{self.backend}", *words.split())

    def load(self, text: str, command: str = "iptables") -> None:
        """Replace all rules, and their counters, by *text*."""
        self.node.run(f"{command}-{self.backend}-restore", "--counters", input=text)

    def save(self, *options: str, command: str = "iptables") -> list[str]:
        """Return all rules and policies, without what differs between two calls; ``-c`` adds the rules' counters."""
        lines = self.node.run(f"{command}-{self.backend}-save", *options).stdout.splitlines()
        return [line for line in lines if not line.startswith("#")]
