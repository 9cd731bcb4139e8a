# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's variables for the plugin's log and checks, from the inventory to the configuration on the node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

ROLE = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
CHECKS = ("ipspoofchk", "portIsolation")
CHECKED = {"ipspoofchk": True}  # as the role has it by default
CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"


@pytest.fixture
def playbook(nested: Node, tmp_path: Path) -> Playbook:
    made = Playbook(tmp_path, nested)
    made.variables["pod_network_node_cidrs"] = ["200.0.0.0/24"]
    return made


def written(playbook: Playbook, **variables: Any) -> dict[str, Any]:
    """Return what the plugin's configuration says of its log and its checks when the role has *variables*."""
    playbook.variables.update(variables)
    result = playbook.run(ROLE, tags="pod_network_conf")["n1"][-1]
    assert "file" in result, result
    (plugin,) = json.loads(playbook.node.run("cat", CONF).stdout)["plugins"]
    return {key: value for key, value in plugin.items() if key.startswith("log") or key in CHECKS}


def test_log_is_where_and_as_much_as_the_role_is_told(playbook: Playbook) -> None:
    assert written(playbook) == CHECKED
    file = "/var/log/humanz_cni.log"
    assert written(playbook, pod_network_log_file=file) == {**CHECKED, "logFile": file}
    assert written(playbook, pod_network_log_level="debug") == {**CHECKED, "logFile": file, "logLevel": "debug"}


@pytest.mark.parametrize("off", ["off", False])
def test_log_is_off_also_where_yaml_takes_the_word_for_false(playbook: Playbook, off: Any) -> None:
    assert written(playbook, pod_network_log_level=off) == {**CHECKED, "logLevel": "off"}


def test_pods_are_checked_and_not_isolated_unless_the_role_is_told_otherwise(playbook: Playbook) -> None:
    others = {"pod_network_spoof_check": False, "pod_network_port_isolation": True}
    assert written(playbook, **others) == {"portIsolation": True}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("pod_network_log_level", "loud", "pod_network_log_level must be one of: off, info, debug, got: loud"),
        ("pod_network_log_file", "humanz_cni.log", "log_file: humanz_cni.log must be an absolute path"),
    ],
)
def test_a_log_that_cannot_be_is_refused_before_anything_is_written(
    playbook: Playbook, variable: str, value: str, said: str
) -> None:
    playbook.variables[variable] = value
    result = playbook.run(ROLE, tags="pod_network_conf")["n1"][-1]
    assert said in " ".join([result["msg"], *result.get("problems", [])])
    assert playbook.node.run("test", "-e", CONF, check=False).returncode == 1
