# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories in inventory/ as Ansible reads them, and the plan that the role makes of each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubernetes_api_server import Certificates, node, serving

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "pod_network"
EXAMPLES = sorted(path.name for path in (ROOT / "inventory").iterdir())
# The pod CIDRs of each example, in the order of its nodes; of both families with dual stack.
POD_CIDRS = {
    "from-the-cluster": [["100.100.0.0/24"], ["100.100.1.0/24"]],
    "one-network": [["100.100.%d.0/24" % number] for number in range(3)],
    "minimal": [["100.100.0.0/24"], ["100.100.1.0/24"]],
    "two-segments": [["100.100.%d.0/24" % number] for number in range(4)],
    "ubuntu-nested": [["100.100.%d.0/24" % number] for number in range(3)],
    "ubuntu-nested-dual-stack": [
        ["100.100.%d.0/24" % number, "fd00:100:0:%d::/64" % (number + 1)] for number in range(3)
    ],
}
NODES = [
    node("node-1", ["100.100.0.0/24"], ["200.0.0.10"], {}),
    node("node-2", ["100.100.1.0/24"], ["200.0.0.20"], {}),
]


class Controller:
    """Ansible's commands in a directory that has the role as far as it plans, and a kubeconfig of a cluster."""

    def __init__(self, directory: Path, kubeconfig: dict[str, Any]) -> None:
        self.directory = directory
        (directory / "collections/ansible_collections/humanz").mkdir(parents=True)
        (directory / "collections/ansible_collections/humanz/cni").symlink_to(ROOT)
        (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
        self._write_role()

    def _write_role(self) -> None:
        tasks = self.directory / "roles" / "pod_network" / "tasks"
        tasks.mkdir(parents=True)
        shutil.copytree(ROLE / "defaults", tasks.parent / "defaults")
        (plan,) = yaml.safe_load((ROLE / "tasks" / "plan.yml").read_text())
        # The file is gone when the play ends.
        keep = {
            "ansible.builtin.copy": {"src": "{{ __pod_network_plan.plan }}", "dest": str(self.directory / "plan.json")},
            "delegate_to": "localhost",
            "run_once": True,
        }
        (tasks / "main.yml").write_text(json.dumps([plan, keep]))
        play = {"hosts": "k8s_cluster", "gather_facts": False, "roles": ["pod_network"]}
        (self.directory / "plan.yml").write_text(json.dumps([play]))

    def run(self, *command: str) -> str:
        """Run *command*, which must succeed without a warning, and return what it prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment.update(
            ANSIBLE_COLLECTIONS_PATH=str(self.directory / "collections"),
            ANSIBLE_HOME=str(self.directory / "home"),
            ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true",
            KUBECONFIG=str(self.directory / "kubeconfig"),
        )
        program = str(Path(sys.executable).with_name(command[0]))
        done = subprocess.run(
            [program, *command[1:]], cwd=self.directory, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[WARNING]" not in done.stderr, done.stderr
        return done.stdout

    def plan(self, example: str) -> dict[str, Any]:
        """Return what the role's first task plans of an example."""
        self.run("ansible-playbook", "-i", str(ROOT / "inventory" / example), "plan.yml")
        plan = json.loads((self.directory / "plan.json").read_text())
        assert isinstance(plan, dict)
        return plan


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with serving(Certificates(tmp_path / "certificates")) as server:
        server.nodes = list(NODES)
        yield Controller(tmp_path, server.kubeconfig())


def test_every_example_is_tried() -> None:
    assert sorted(POD_CIDRS) == EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_read_and_planned_without_a_problem(controller: Controller, example: str) -> None:
    listed = json.loads(controller.run("ansible-inventory", "-i", str(ROOT / "inventory" / example), "--list"))
    plan = controller.plan(example)
    assert plan["problems"] == []
    assert sorted(plan["nodes"]) == sorted(listed["_meta"]["hostvars"])
    assert [member["pod_cidrs"] for member in plan["nodes"].values()] == POD_CIDRS[example]


def test_nodes_of_two_segments_reach_each_other_by_vxlan(controller: Controller) -> None:
    plan = controller.plan("two-segments")
    segments = {name: member["segments"] for name, member in plan["nodes"].items()}
    assert segments == {
        **dict.fromkeys(("rack-a-1", "rack-a-2"), ["200.0.0.0/24"]),
        **dict.fromkeys(("rack-b-1", "rack-b-2"), ["200.0.1.0/24"]),
    }
