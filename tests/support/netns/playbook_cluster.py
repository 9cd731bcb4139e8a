# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs this collection's own playbooks on several throw-away nodes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.netns.node import Node


class PlaybookCluster:
    """The cluster's *nodes* by name, each with its variables in *hosts*; *variables* are those of all.

    *further* are hosts of the inventory beside the nodes, or instead of them; *group* is the group of all these.

    :param directory: an empty one, for inventory and Pythons.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.nodes: dict[str, Node] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.further: dict[str, dict[str, Any]] = {}
        # systemd does not run there.
        self.group = "k8s_cluster"
        self.variables: dict[str, Any] = {"ansible_connection": "local", "pod_network_persistence": False}
        (directory / "ansible_collections" / "humanz").mkdir(parents=True)
        self.use(ROOT)

    def use(self, collection: Path) -> None:
        """From now on, have humanz.cni be what lies in the directory *collection*."""
        link = self.directory / "ansible_collections" / "humanz" / "cni"
        link.unlink(missing_ok=True)
        link.symlink_to(collection)

    def _inventory(self) -> dict[str, Any]:
        """Modules run on a node because its Python is one that enters it."""
        for name, node in self.nodes.items():
            python = node.write_python(self.directory / f"python-{name}")
            self.hosts[name]["ansible_python_interpreter"] = str(python)
        hosts = dict(sorted({**self.hosts, **self.further}.items()))
        return {self.group: {"hosts": hosts, "vars": self.variables}}

    def playbook(self, name: str, *options: str, status: int = 0, **variables: Any) -> str:
        """Run the playbook humanz.cni.*name*, which is to end with *status*, and return what it prints."""
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps(self._inventory()))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), f"humanz.cni.{name}", *options]
        environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(self.directory), ANSIBLE_NOCOLOR="1")
        command += ["-e", json.dumps(variables)]
        done = subprocess.run(command, env=environment, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout
