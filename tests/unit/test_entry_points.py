# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks take hold of: the role's tags, and the groups of modules that defaults can be given to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
TAGS = {
    "pod_network_install": ["node_python", "cni_plugin"],
    "pod_network_kernel": ["node_kernel"],
    "pod_network_firewall": ["pod_firewall"],
    "pod_network_routes": ["node_vxlan", "node_routes", "node_vxlan"],
    "pod_network_persistence": ["node_persistence"],
    "pod_network_conf": ["pod_bridge", "cni_conf"],
}


def groups() -> dict[str, list[str]]:
    found = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert isinstance(found, dict)
    return found


def options(module: str) -> set[str]:
    """The options that a module's documentation and its fragment about the plan have."""
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text()
    match = re.search(r'^DOCUMENTATION = r"""(.*?)"""', text, re.MULTILINE | re.DOTALL)
    assert match
    documented = yaml.safe_load(match.group(1))
    plan = {"plan"} if "humanz.cni._plan" in documented.get("extends_documentation_fragment", []) else set()
    return {*documented.get("options", {}), *plan}


def test_all_modules_are_in_the_group_of_all() -> None:
    assert groups()["all"] == MODULES


@pytest.mark.parametrize("option", sorted(set(groups()) - {"all"}))
def test_a_group_of_an_option_has_the_modules_that_have_it(option: str) -> None:
    assert groups()[option] == [module for module in MODULES if option in options(module)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ansible finds this collection."""
    found = tmp_path_factory.mktemp("play")
    (found / "ansible_collections" / "humanz").mkdir(parents=True)
    (found / "ansible_collections" / "humanz" / "cni").symlink_to(ROOT)
    return found


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with *arguments*."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), *arguments]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(directory), "ANSIBLE_HOME": str(directory)}
    return subprocess.run(command, cwd=directory, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def tagged(directory: Path) -> list[tuple[str, set[str]]]:
    """Each task of the role, by its name, with the tags that Ansible says it has."""
    role = {"name": "humanz.cni.pod_network", "tasks_from": "present"}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role}]}]
    (directory / "play.json").write_text(json.dumps(play))
    done = run(directory, "-i", "node,", "--list-tasks", "play.json")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^      humanz\.cni\.pod_network : (.*)\tTAGS: \[(.*)\]$", done.stdout, re.MULTILINE)
    return [(name, set(tags.split(", "))) for name, tags in lines]


def modules_by_task() -> dict[str, str]:
    """The module of each task of the role, by the task's name."""
    files = [ROOT / "roles" / "pod_network" / "tasks" / name for name in ("present.yml", "preflight.yml", "plan.yml")]
    tasks = [task for path in files for task in yaml.safe_load(path.read_text())]
    return {task["name"]: key.rpartition(".")[2] for task in tasks for key in task if "." in key}


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_selects_its_modules_behind_the_checks(tagged: list[tuple[str, set[str]]], tag: str) -> None:
    modules = modules_by_task()
    selected = [modules[name] for name, tags in tagged if tags & {tag, "always"}]
    assert selected == ["cluster_plan", "node_preflight", "play_check", *TAGS[tag]]


def test_every_task_has_a_tag_that_is_documented(tagged: list[tuple[str, set[str]]]) -> None:
    assert set().union(*(tags for _name, tags in tagged)) == {*TAGS, "always"}
    documented = re.findall(
        r"^\| `(pod_network_\w+)` \|", (ROOT / "roles/pod_network/README.md").read_text(), re.MULTILINE
    )
    assert [name for name in documented if name in TAGS] == list(TAGS)


@pytest.mark.parametrize("options", [("--skip-tags", "always"), ("--start-at-task", "*Plan the cluster")])
@pytest.mark.parametrize("playbook", ["reset", "site", "upgrade", "verify"])
def test_a_run_without_the_tasks_that_find_the_nodes_says_so(
    directory: Path, playbook: str, options: tuple[str, str]
) -> None:
    hosts = {"node": {"ansible_connection": "local"}}
    group = {"hosts": hosts, "vars": {"pod_network_group": "nodes"}}
    (directory / "inventory.json").write_text(json.dumps({"nodes": group}))
    done = run(directory, "-i", "inventory.json", f"humanz.cni.{playbook}", *options)
    assert done.returncode != 0, done.stdout
    assert "--skip-tags always or --start-at-task has left out the tasks" in " ".join(done.stderr.split())


@pytest.mark.parametrize("options", [("-e", "wanted=false"), ("-e", "wanted=true", "--skip-tags", "pods")])
@pytest.mark.parametrize("playbook", ["reset", "site", "upgrade", "verify"])
def test_who_imports_a_playbook_may_pass_over_it(directory: Path, playbook: str, options: tuple[str, ...]) -> None:
    imported = {"import_playbook": f"humanz.cni.{playbook}", "when": "wanted | bool", "tags": ["pods"]}
    after = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "what comes after"}}]}
    (directory / "mine.json").write_text(json.dumps([imported, after]))
    (directory / "inventory.json").write_text(
        json.dumps({"nodes": {"hosts": {"node": {"ansible_connection": "local"}}}})
    )
    done = run(directory, "-i", "inventory.json", "mine.json", "-e", "pod_network_reset_confirmation=no", *options)
    assert done.returncode == 0, done.stderr
    assert "what comes after" in done.stdout
