# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's Ansible and variables may be like: one node that is refused keeps all others from being changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook
from tests.support.netns.two_nodes import Cluster

ROLE: dict[str, Any] = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
RESCUED: dict[str, Any] = {"block": [ROLE], "rescue": [{"ansible.builtin.debug": {"msg": "rescued"}}]}
REFUSED = {"pod_network_mtu": "9k"}
EARLY = "Nothing was changed on any node, as n2 failed before the checks, see above."
PROBLEMS = """\
Nothing was changed on any node, as 2 problems must be solved first:
n2: pod_network_node_ip 200.0.0.21: is on no interface of this node"""


@pytest.fixture
def playbook(nested: Node, tmp_path: Path) -> Playbook:
    """n1 and n2, which are the same machine. n2 fails there, as it has not the address that it should."""
    made = Playbook(tmp_path, nested)
    made.variables.update(pod_network_node_cidrs=["200.0.0.0/24"], pod_network_persistence=False)
    return made


@pytest.mark.parametrize(
    ("role", "variables", "said"),
    [
        (ROLE, REFUSED, EARLY),
        (ROLE, {"pod_network_persistence": "maybe"}, EARLY),
        (RESCUED, REFUSED, EARLY),
        (ROLE, {"pod_network_node_ip": "200.0.0.21"}, PROBLEMS),
    ],
)
def test_a_node_that_fails_anywhere_before_a_change_stops_all(
    playbook: Playbook, role: dict[str, Any], variables: dict[str, Any], said: str
) -> None:
    playbook.nodes["n2"].update(variables)
    results = playbook.run(role, limit="n1,n2")
    refusals = [result["msg"] for result in results["n1"] if result.get("failed")]
    assert [text for text in refusals if text.startswith(said)], refusals
    assert not any(result.get("changed") for host in results.values() for result in host)


def test_a_host_that_is_kept_from_an_included_role_stops_nobody(playbook: Playbook) -> None:
    include: dict[str, Any] = {"ansible.builtin.include_role": {"name": "humanz.cni.pod_network"}}
    results = playbook.run({**include, "when": "inventory_hostname != 'n2'"}, limit="n1,n2", check=True)
    assert not [result["msg"] for host in results.values() for result in host if result.get("failed")]


@pytest.mark.parametrize(("strategy", "role"), [("free", "pod_network"), ("ansible.builtin.host_pinned", "verify")])
def test_a_play_that_does_not_run_in_lockstep_is_refused(
    playbook: Playbook, strategy: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", strategy)
    results = playbook.run({"ansible.builtin.import_role": {"name": f"humanz.cni.{role}"}})["n1"]
    assert len(results) == 1
    assert f"the strategy of this play is {strategy}: one node would be changed" in results[0]["msg"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


def test_playbooks_hold_what_they_promise_with_a_configuration_of_another_kind(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "STRATEGY": "free",
        "ANY_ERRORS_FATAL": "true",
        "FORKS": "1",
        "GATHERING": "implicit",
        "PIPELINING": "true",
        "HASH_BEHAVIOUR": "merge",
        "INJECT_FACT_VARS": "false",
        "JINJA2_NATIVE": "true",
        "FORCE_HANDLERS": "true",
        "JINJA2_EXTENSIONS": "jinja2.ext.do,jinja2.ext.loopcontrols",
        "STDOUT_CALLBACK": "ansible.builtin.minimal",
    }.items():
        monkeypatch.setenv(f"ANSIBLE_{name}", value)
    # As an INI file or -e key=value has them.
    cluster.variables.update(
        pod_network_group="nodes",
        pod_network_persistence="false",
        pod_network_heal_interval="0",
        verify_picture="",
    )
    cluster.group = "nodes"
    before = cluster.state()

    cluster.hosts["n2"].update(REFUSED)
    for name in ("upgrade", "reset"):
        assert EARLY in cluster.playbook(name, status=2, pod_network_reset_confirmation="yes")
        assert cluster.state() == before
    del cluster.hosts["n2"]["pod_network_mtu"]

    # A node that cannot be reached stops nobody.
    ssh = cluster.directory / "ssh"
    ssh.write_text("#!/bin/sh\nexit 255\n")
    ssh.chmod(0o755)
    off = {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(ssh),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    cluster.further["n3"] = {**off, "pod_network_pod_cidr": "100.100.2.0/24", "pod_network_node_ip": "200.0.0.30"}
    assert "Left out, as they failed or could not be reached: n3." in cluster.playbook("site", status=4)
    assert "every failed check is to or from n3" in cluster.playbook("verify", status=2)
    cluster.further.clear()
    output = cluster.playbook("reset", status=2, pod_network_reset_confirmation="maybe")
    assert "Nothing was changed. Answer yes" in output
    cluster.playbook("reset", pod_network_reset_confirmation="yes")
    assert cluster.state() == before
