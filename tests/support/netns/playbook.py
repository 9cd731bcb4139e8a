# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook of this collection on a throw-away node, by a local connection, and returns each task's results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.netns.node import Node

CALLBACK = Path(__file__).with_name("callback")


class Playbook:
    """An inventory of three nodes, of which the first is the real one.

    :param directory: an empty one, for inventory, playbook and results.
    :param python: the Python that modules run with.
    """

    def __init__(self, directory: Path, node: Node, python: str = sys.executable) -> None:
        self.directory = directory
        self.node = node
        self.nodes: dict[str, dict[str, Any]] = {
            f"n{number}": {
                "pod_network_pod_cidr": f"100.100.{number - 1}.0/24",
                "pod_network_node_ip": f"200.0.0.{number}0",
            }
            for number in (1, 2, 3)
        }
        interpreter = node.write_python(directory / "python", python)
        self.variables: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
        collections = directory / "ansible_collections" / "humanz"
        collections.mkdir(parents=True)
        (collections / "cni").symlink_to(ROOT)

    def run(
        self, *tasks: dict[str, Any], limit: str = "n1", check: bool = False, tags: str = "all", umask: int = -1
    ) -> dict[str, list[dict[str, Any]]]:
        """Run *tasks* and return the results of each host in their order, whether they failed or not."""
        record = self.directory / "results.json"
        record.unlink(missing_ok=True)
        self._write("hosts.json", {"k8s_cluster": {"hosts": self.nodes, "vars": self.variables}})
        self._write("play.json", [{"hosts": "k8s_cluster", "gather_facts": False, "tasks": tasks}])
        ansible_playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        check_mode = ["--check"] if check else []
        self.node.run(
            *(ansible_playbook, "-i", str(self.directory / "hosts.json"), "--limit", limit, "--tags", tags),
            *check_mode,
            str(self.directory / "play.json"),
            check=False,
            umask=umask,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(self.directory),
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACK),
                "ANSIBLE_CALLBACKS_ENABLED": "record",
                "ANSIBLE_HOME": str(self.directory / "home"),
                "RECORD": str(record),
            },
        )
        results: dict[str, list[dict[str, Any]]] = {}
        for line in record.read_text().splitlines():
            host, result = json.loads(line)
            results.setdefault(host, []).append(result)
        return results

    def _write(self, name: str, content: Any) -> None:
        (self.directory / name).write_text(json.dumps(content))


def without_pyroute2(directory: Path) -> str:
    """Return a Python that has no package installed, and so no pyroute2; as if by sudo, PYTHONPATH is lost."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    python = directory / "isolated-python"
    python.write_text(f'#!/bin/sh\nexec {directory}/bin/python -I "$@"\n')
    python.chmod(0o755)
    return str(python)
