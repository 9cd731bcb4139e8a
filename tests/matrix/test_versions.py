# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the tests that a version may break, with the versions of Python, ansible-core and pyroute2 supported.

Every run of all tests has the oldest and the newest together; `tests/run versions` has those in between.
Pythons are those that are on the search path; what is not there is not proven, and named at the head of the run.
The CNI plugin itself runs on each of them in tests/integration_netns/plugin/test_plugin_pythons.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environments import PYTHONS, environment, first_of, library

ROOT = Path(__file__).resolve().parents[2]
NETNS = "tests/integration_netns"
CONVERGENCE = f"{NETNS}/role/test_convergence.py"
REFUSAL = f"{NETNS}/role/test_user_settings.py::test_a_node_that_fails_anywhere_before_a_change_stops_all"
# What runs on nodes without Ansible.
HEALING = [
    f"{NETNS}/heal/test_heal.py::test_both_families",
    f"{NETNS}/heal/test_heal.py::test_everything_is_put_back_after_all_rules_are_gone",
    f"{NETNS}/heal/test_heal_vxlan.py::test_what_is_missing_is_put_back",
    f"{NETNS}/heal/test_check.py::test_what_lasts_is_reported_when_it_begins_and_when_it_ends",
]
KERNEL = [
    f"{NETNS}/routes/test_node_routes.py::test_a_second_run_over_1000_routes_writes_nothing",
    f"{NETNS}/routes/test_node_routes.py::test_a_next_hop_is_replaced_and_only_what_is_gone_is_removed",
    f"{NETNS}/routes/test_node_routes.py::test_both_families_in_one_list",
    f"{NETNS}/routes/test_node_routes.py::test_damage_to_ipv6_routes_is_seen_and_repaired",
    f"{NETNS}/routes/test_node_vxlan.py",
    f"{NETNS}/probe/test_pod_network_info.py",
]
CONTROLLER = ["netaddr", "pyroute2", "pytest", "hypothesis"]
# The newest that reaches nodes with the oldest Python.
FOR_ALL_NODES = "ansible-core~=2.19.0"


def node_environment(minor: int) -> str:
    """Return the Python 3.*minor* of a node."""
    # Releases 0.9.1 and 0.9.2 of pyroute2 let themselves be installed with Python 3.8, but do not run there.
    return str(environment(f"node-3.{minor}", PYTHONS[minor], "pyroute2" if minor > 8 else "pyroute2<0.9"))


def run(python: Path | str, *arguments: str, **variables: str) -> None:
    """Run tests by *python*, with further environment *variables*; all must pass."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("requirement", "pythons", "minor"),
    [("ansible-core~=2.16.0", (10, 11, 12), min(PYTHONS)), ("ansible-core", (13, 12, 11), max(PYTHONS))],
    ids=["oldest", "newest"],
)
def test_a_controller_and_nodes(requirement: str, pythons: tuple[int, ...], minor: int) -> None:
    python = environment(f"{requirement}-3.{first_of(*pythons)}", PYTHONS[first_of(*pythons)], requirement, *CONTROLLER)
    node = node_environment(minor)
    run(python, CONVERGENCE, REFUSAL, "tests/unit/plugins", NODE_PYTHON=node)
    run(sys.executable, *HEALING, HEAL_PYTHON=node)


@pytest.mark.between
@pytest.mark.parametrize("minor", PYTHONS, ids="3.{}".format)
def test_a_node_with_python(minor: int) -> None:
    controller = environment("nodes", PYTHONS[first_of(13, 12, 11)], FOR_ALL_NODES, *CONTROLLER)
    node = node_environment(minor)
    run(controller, CONVERGENCE, NODE_PYTHON=node)
    run(controller, *HEALING, HEAL_PYTHON=node)


BETWEEN = [pytest.param(version, marks=pytest.mark.between) for version in ("0.7", "0.8", "0.9")]


@pytest.mark.parametrize("version", ["0.6", *BETWEEN])
def test_modules_with_pyroute2(version: str) -> None:
    run(sys.executable, *KERNEL, PYTHONPATH=str(library(f"pyroute2=={version}.*")))
