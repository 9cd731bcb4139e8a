# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A converged node, and the program that puts its routes and rules back."""

from __future__ import annotations

import os
import subprocess

from tests.support import ROOT
from tests.support.netns.node import Node

PROGRAM = ROOT / "files" / "host_network" / "heal.py"
# Modules run with the tests' Python, the program with the node's own.
PYTHON = os.environ.get("HEAL_PYTHON", "/usr/bin/python3")
PEERS = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}]
PODS = {"pod_cidrs": ["100.100.0.0/24"], "non_masquerade_cidrs": ["100.100.0.0/16", "200.0.0.0/24"]}


class HealedNode:
    """Node 1 of the topology ubuntu-nested, converged with one of the iptables backends."""

    def __init__(self, node: Node, backend: str) -> None:
        self.node = node
        self.backend = backend
        self.iptables_command = f"iptables-{backend}"

    def converge(self) -> list[bool]:
        """Run both modules; return whether each of them changed something."""
        rules = self.node.module("pod_firewall", {**PODS, "backend": self.backend})
        routes = self.node.module("node_routes", {"routes": PEERS})
        assert not rules.get("failed"), rules
        assert not routes.get("failed"), routes
        return [rules["changed"], routes["changed"]]

    def heal(self, *options: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run the program."""
        return self.node.run(PYTHON, "-I", str(PROGRAM), *options, check=False, timeout=timeout)

    def iptables(self, words: str) -> None:
        """Run iptables with *words*, separated by spaces."""
        self.node.run(self.iptables_command, *words.split())

    def routes(self) -> list[str]:
        """Return all routes of the main table, in both families."""
        return [line.strip() for family in ("-4", "-6") for line in self.node.ip(family, "route").splitlines()]

    def rules(self) -> list[str]:
        """Return all rules and policies, in an order that does not depend on when a chain was made."""
        lines = self.node.run(f"{self.iptables_command}-save").stdout.splitlines()
        return [line.split(" [")[0] for line in lines if line[0] == "-"]
