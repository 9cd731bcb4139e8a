# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the role pod_network that fails in the middle: what it leaves, and that the next one completes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from node import Node
from playbook import Playbook

ROLE = {"ansible.builtin.import_role": {"name": "humanz.cni.pod_network"}}
NAMES = "/etc/iproute2/rt_protos.d"
LEFT = """
ls /etc/cni/net.d /opt/cni/bin /etc/humanz-cni 2> /dev/null
ip route show proto 217
sysctl net.ipv4.ip_forward
iptables -S HUMANZ-FORWARD
"""


@pytest.fixture
def playbook(nested: Node, tmp_path: Path) -> Playbook:
    found = Playbook(tmp_path, nested)
    found.variables.update(pod_network_node_cidrs=["200.0.0.0/24"], pod_network_persistence=False)
    return found


def test_a_task_that_fails_leaves_a_node_that_starts_no_pods_and_the_next_run_completes_it(playbook: Playbook) -> None:
    node = playbook.node
    node.run("mkdir", "-p", NAMES)
    node.run("mount", "-t", "tmpfs", "-o", "ro", "none", NAMES)
    failed = playbook.run(ROLE)["n1"][-1]
    assert NAMES in failed["msg"]
    assert failed["msg"].endswith("everything is as it was before this task")
    left = node.run("sh", "-c", LEFT).stdout
    assert "10-humanz" not in left
    assert " via " not in left
    for done in ("humanz-cni\n", "rules.v4", "net.ipv4.ip_forward = 1", "-s 100.100.0.0/24 -i humanz-cni0"):
        assert done in left

    node.run("umount", NAMES)
    results = playbook.run(ROLE)["n1"]
    assert [result["invocation"]["module_args"].get("conf_dir") for result in results if result.get("changed")] == [
        None,
        "/etc/cni/net.d",
    ]
    left = node.run("sh", "-c", LEFT).stdout
    assert "10-humanz-cni-plugin.conflist" in left
    assert left.count(" via 200.0.0.") == 2
