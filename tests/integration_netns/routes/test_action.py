# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to the node in one task each: the plan, its parts, and pyroute2 for nodes that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook, without_pyroute2

ARCHIVE = "/usr/local/lib/humanz-cni/pyroute2.zip"
PLAN = {
    "humanz.cni.cluster_plan": {
        "cluster_cidr": "100.100.0.0/16",
        "node_cidrs": ["200.0.0.0/24"],
        "defer_problems": True,
    },
    "register": "cluster",
    "run_once": True,
}
PREFLIGHT = {"humanz.cni.node_preflight": {"plan": "{{ cluster.plan }}"}}
ROLE_PREFLIGHT = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network", "tasks_from": "preflight"}}
ON_A_NODE = {"pod_network_node_cidrs": ["200.0.0.0/24"], "pod_network_persistence": False}  # without systemd
CHANGE = {"ansible.builtin.command": "true"}
ROUTES = {"humanz.cni.node_routes": {"plan": "{{ cluster.plan }}"}}
PYTHON: dict[str, Any] = {"humanz.cni.node_python": {}}
ADDED = ["100.100.1.0/24 via 200.0.0.20", "100.100.2.0/24 via 200.0.0.30"]


@pytest.fixture
def playbook(nested: Node, tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, nested)


@pytest.fixture
def bare(nested: Node, tmp_path: Path) -> Playbook:
    """A playbook on a node without pyroute2."""
    (tmp_path / "play").mkdir()
    return Playbook(tmp_path / "play", nested, without_pyroute2(tmp_path / "python"))


def test_one_node_gets_its_routes_though_the_others_are_left_out(playbook: Playbook) -> None:
    _plan, _preflight, routes = playbook.run(PLAN, PREFLIGHT, ROUTES)["n1"]
    assert routes["added"] == ADDED
    assert "100.100.1.0/24 via 200.0.0.20 dev enp8s0" in playbook.node.ip("route")


def test_the_table_is_in_no_result(playbook: Playbook) -> None:
    plan, preflight, routes = playbook.run(PLAN, PREFLIGHT, ROUTES)["n1"]
    assert set(plan) - {"_ansible_no_log", "deprecations", "warnings"} <= {"changed", "nodes", "plan", "problems"}
    assert "routes" not in preflight["invocation"]["module_args"]
    assert "routes" not in routes["invocation"]["module_args"]


def test_an_option_beside_the_plan_wins(playbook: Playbook) -> None:
    one = [{"dst": "100.100.7.0/24", "via": "200.0.0.70"}]
    task = {"humanz.cni.node_routes": {"plan": "{{ cluster.plan }}", "routes": one}}
    assert playbook.run(PLAN, task)["n1"][-1]["added"] == ["100.100.7.0/24 via 200.0.0.70"]


def test_three_faults_are_three_lines_and_nothing_changes(playbook: Playbook) -> None:
    playbook.nodes["n1"]["pod_network_node_ip"] = "200.0.0.11"
    playbook.nodes["n2"]["pod_network_pod_cidr"] = "100.101.1.0/24"
    del playbook.nodes["n3"]["pod_network_node_ip"]
    before = playbook.node.ip("route")
    plan, preflight = playbook.run(PLAN, PREFLIGHT, ROUTES)["n1"]
    assert len(plan["problems"]) == 2
    assert [line.split(": ")[:2] for line in preflight["problems"]] == [
        ["n2", "pod_network_pod_cidr 100.101.1.0/24"],
        ["n3", "pod_network_node_ip is not set"],
        ["n1", "pod_network_node_ip 200.0.0.11"],
    ]
    assert playbook.node.ip("route") == before


def unreachable(playbook: Playbook, *nodes: str) -> None:
    """Have Ansible connect to *nodes* by an ssh that fails."""
    ssh = playbook.directory / "ssh"
    ssh.write_text("#!/bin/sh\nexit 255\n")
    ssh.chmod(0o755)
    for name in nodes:
        playbook.nodes[name].update(ansible_connection="ssh", ansible_ssh_executable=str(ssh))


def test_the_run_goes_on_without_nodes_that_cannot_be_reached(playbook: Playbook) -> None:
    playbook.variables.update(ON_A_NODE)
    unreachable(playbook, "n2", "n3")
    results = playbook.run(ROLE_PREFLIGHT, CHANGE, limit="all")
    assert [results[name][-1].get("unreachable", False) for name in ("n1", "n2", "n3")] == [False, True, True]
    assert results["n1"][-1]["changed"]


def test_one_nodes_problem_stops_all_others_while_another_cannot_be_reached(playbook: Playbook) -> None:
    playbook.variables.update(ON_A_NODE)
    playbook.nodes["n2"]["pod_network_node_ip"] = "200.0.0.11"
    unreachable(playbook, "n3")
    results = playbook.run(ROLE_PREFLIGHT, CHANGE, limit="all")
    said = (
        "Nothing was changed on any node, as 2 problems must be solved first:\nn2: pod_network_node_ip 200.0.0.11: is"
    )
    assert said in results["n1"][-1]["msg"]
    assert not any(result.get("changed") for name in results for result in results[name])


def test_the_plans_problems_of_a_node_that_cannot_be_reached_are_reported(playbook: Playbook) -> None:
    playbook.nodes["n2"]["pod_network_pod_cidr"] = "100.101.1.0/24"
    unreachable(playbook, "n2")
    problems = playbook.run(PLAN, PREFLIGHT, limit="all")["n2"][-1]["problems"]
    assert [line.split(": ")[1] for line in problems] == ["pod_network_pod_cidr 100.101.1.0/24", "cannot be reached"]


def test_variables_that_cannot_be_templated_are_named_with_their_nodes(playbook: Playbook) -> None:
    playbook.nodes["n2"]["pod_network_node_ip"] = "{{ ansible_facts.default_ipv4.address }}"
    playbook.nodes["n3"]["pod_network_pod_cidr"] = "{{ nowhere }}"
    result = playbook.run(PLAN)["n1"][0]
    assert [line.split(":")[0] for line in result["problems"]] == ["n2", "n3"]
    assert "pod_network_node_ip cannot be read from the inventory" in result["problems"][0]
    assert "nowhere" in result["problems"][1]


def test_hosts_that_disagree_about_the_cluster_are_named_whatever_the_limit(playbook: Playbook) -> None:
    playbook.variables["pod_network_vxlan_id"] = "{{ 218 if inventory_hostname == 'n3' else 217 }}"
    playbook.nodes["n2"].update(pod_network_non_masquerade_cidrs=["10.0.0.0/8"], verify_outside=["10.0.0.1"])
    verify = {"humanz.cni.pod_reachability": {"stage": "settings"}, "run_once": True}
    for limit in ("n1", "n2"):
        plan, settings = playbook.run(PLAN, verify, limit=limit)[limit]
        assert [line.partition(": must be the same on all nodes")[0] for line in plan["problems"]] == [
            "cluster: pod_network_vxlan_id is 217 on n1, n2; 218 on n3",
            "cluster: pod_network_non_masquerade_cidrs is empty on n1, n3; 10.0.0.0/8 on n2",
        ]
        assert "verify_outside is empty on n1, n3; 10.0.0.1 on n2" in settings["msg"]


def test_a_plan_with_problems_is_carried_out_by_nobody(playbook: Playbook) -> None:
    playbook.nodes["n3"]["pod_network_pod_cidr"] = "100.100.1.0/24"
    assert "plan: has 1 problem, see" in playbook.run(PLAN, ROUTES)["n1"][-1]["msg"]


def test_a_plan_of_another_run_is_named(playbook: Playbook) -> None:
    task = {"humanz.cni.node_routes": {"plan": "/nonexistent/plan.json"}}
    assert "plan: /nonexistent/plan.json cannot be read" in playbook.run(task)["n1"][0]["msg"]


def test_check_on_a_node_without_pyroute2_predicts_and_leaves_nothing(bare: Playbook) -> None:
    results = bare.run(PLAN, PREFLIGHT, PYTHON, ROUTES, check=True)["n1"]
    assert [result["changed"] for result in results] == [False, False, True, True]
    assert results[-1]["added"] == ADDED
    assert bare.node.run("ls", ARCHIVE, check=False).returncode
    assert "100.100." not in bare.node.ip("route")


def test_the_node_keeps_the_controllers_pyroute2_until_it_is_taken_away(bare: Playbook) -> None:
    absent = {"humanz.cni.node_python": {"state": "absent"}}
    results = bare.run(PYTHON, PYTHON, PLAN, ROUTES)["n1"]
    assert [result["changed"] for result in results] == [True, False, False, True]
    assert results[-1]["added"] == ADDED
    bare.node.run("ls", ARCHIVE)
    results = bare.run(absent, absent)["n1"]
    assert [result["changed"] for result in results] == [True, False]
    assert bare.node.run("ls", ARCHIVE, check=False).returncode


def test_the_controllers_pyroute2_moves_with_the_librarys_directory(bare: Playbook) -> None:
    moved = {"humanz.cni.node_python": {"library_dir": "/var/lib/humanz"}}
    absent = {"humanz.cni.node_python": {"state": "absent"}}
    results = bare.run(PYTHON, moved, moved, PLAN, ROUTES)["n1"]
    assert [result["changed"] for result in results] == [True, True, False, False, True]
    look = "ls /var/lib/humanz/pyroute2.zip; ls -d /usr/local/lib/humanz-cni /etc/humanz-cni/library-directories; true"
    assert bare.node.run("sh", "-c", look).stdout.split() == [
        "/var/lib/humanz/pyroute2.zip",
        "/etc/humanz-cni/library-directories",
    ]
    assert [result["changed"] for result in bare.run(absent, absent)["n1"]] == [True, False]
    assert bare.node.run("sh", "-c", look).stdout == ""


def test_a_broken_archive_is_replaced(bare: Playbook) -> None:
    bare.node.run("sh", "-c", f"mkdir -p {Path(ARCHIVE).parent}; echo broken > {ARCHIVE}")
    assert [result["changed"] for result in bare.run(PYTHON, PYTHON)["n1"]] == [True, False]


def test_a_node_with_pyroute2_gets_no_archive(playbook: Playbook) -> None:
    result = playbook.run(PYTHON)["n1"][0]
    assert (result["changed"], result["own"]) == (False, True)
    assert playbook.node.run("ls", ARCHIVE, check=False).returncode
