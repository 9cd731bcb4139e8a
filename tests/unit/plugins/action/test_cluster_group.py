# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group and the batches of the playbooks, wherever the inventory has them; no playbook ends well on no node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.humanz.cni.plugins.action.cluster_group import GROUP, batches, choose

ROOT = Path(__file__).resolve().parents[4]
NOBODY = "the inventory has no host in a group kube: put the cluster's nodes into it, or set pod_network_group"


@pytest.mark.parametrize(
    ("given", "of_hosts", "group"),
    [
        (None, {}, None),
        (None, {"kube": ["n1", "n2"]}, "kube"),
        ("kube", {"kube": ["n1", "n2"]}, "kube"),
        # Of the play, or of the command line for which all hosts have it.
        ("mine", {"kube": ["n1"], "other": ["n2"]}, "mine"),
        ("mine", {}, "mine"),
    ],
)
def test_what_the_play_says_wins(given: str | None, of_hosts: dict[str, list[str]], group: str | None) -> None:
    assert choose(GROUP, given, of_hosts) == group


@pytest.mark.parametrize("given", [None, "kube"])
def test_hosts_that_disagree_are_named(given: str | None) -> None:
    of_hosts = {"kube": ["n1", "n2", "n3", "n4"], "other": ["n5"]}
    with pytest.raises(
        AnsibleActionFail, match="different values: kube on n1, n2, n3 and 1 more; other on n5"
    ) as raised:
        choose(GROUP, given, of_hosts)
    assert "-e pod_network_group=kube" in str(raised.value)


@pytest.mark.parametrize(("serial", "sizes"), [("10", ["10"]), ("1,25%, 100%", ["1", "25%", "100%"]), ("0", ["0"])])
def test_batches(serial: str, sizes: list[str]) -> None:
    assert batches(serial) == {"serial": sizes}


@pytest.mark.parametrize("serial", ["ten", "-1", "10%%", "", "[1", "1.5"])
def test_what_is_no_batch_is_named(serial: str) -> None:
    with pytest.raises(AnsibleActionFail, match="pod_network_serial: .*must be a number of nodes"):
        batches(serial)


def run(directory: Path, name: str, inventory: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook on hosts that nobody can reach."""
    (directory / "ansible_collections" / "humanz").mkdir(parents=True)
    (directory / "ansible_collections" / "humanz" / "cni").symlink_to(ROOT)
    (directory / "hosts.json").write_text(json.dumps(inventory))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.json", f"humanz.cni.{name}", *options]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(directory),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_EXECUTABLE": "/bin/false",
    }
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["site", "verify", "upgrade", "reset"])
def test_no_playbook_ends_well_on_an_inventory_without_nodes(tmp_path: Path, name: str) -> None:
    inventory = {"all": {"hosts": {"n1": {}}, "vars": {"pod_network_group": "kube"}}} if name != "site" else {}
    done = run(tmp_path, name, inventory, "-e", "pod_network_reset_confirmation=yes")
    assert done.returncode == 2, done.stdout
    assert (NOBODY if inventory else NOBODY.replace("kube:", "k8s_cluster:")) in done.stdout


def test_a_group_of_the_inventory_is_that_of_the_play(tmp_path: Path) -> None:
    kube = {"hosts": {"n1": {}, "n2": {}}, "vars": {"pod_network_group": "kube", "pod_network_serial": "1"}}
    # Nobody can be reached, which the first batch has found out.
    # It is none of the nodes, but the first host: nothing of how it is connected to matters.
    other = {"a0": {"ansible_host": "{{ undefined }}", "ansible_connection": "not.a.plugin"}}
    done = run(tmp_path, "site", {"all": {"hosts": other, "children": {"kube": kube}}})
    assert done.returncode != 0
    assert "PLAY [Converge the pod network]" in done.stdout
    assert "n1 " in done.stdout
    assert "ok: [n2]" not in done.stdout


def test_a_limit_to_other_hosts_is_what_ansible_makes_of_it(tmp_path: Path) -> None:
    inventory: dict[str, Any] = {
        "all": {"children": {"k8s_cluster": {"hosts": {"n1": {}}}, "other": {"hosts": {"n3": {}}}}}
    }
    done = run(tmp_path, "site", inventory, "--limit", "n3")
    assert done.returncode == 0, done.stdout
    assert "skipping: no hosts matched" in done.stdout
    assert "--limit leaves no host of the group k8s_cluster" in done.stderr
