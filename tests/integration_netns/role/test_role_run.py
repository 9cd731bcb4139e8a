# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the role pod_network that fails in the middle: what it leaves, and that the next one completes it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.netns.node import Node
from tests.support.netns.playbook import Playbook

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


def test_a_task_that_fails_leaves_a_node_that_starts_no_pods_and_the_next_run_completes_it(
    playbook: Playbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = playbook.node
    ip = shutil.which("ip")
    script = f'#!/bin/sh\n[ "$1" != -batch ] || exit 1\nexec {ip} "$@"\n'
    node.run("sh", "-c", "cat > /usr/local/bin/ip; chmod 755 /usr/local/bin/ip", input=script)
    monkeypatch.setenv("PATH", "/usr/local/bin:" + os.environ["PATH"])
    failed = playbook.run(ROLE)["n1"][-1]
    assert failed["msg"].endswith("everything is as it was before this task")
    left = node.run("sh", "-c", LEFT).stdout
    assert "10-humanz" not in left
    assert " via " not in left
    for done in ("humanz-cni\n", "rules.v4", "net.ipv4.ip_forward = 1", "-s 100.100.0.0/24 -i humanz-cni0"):
        assert done in left

    node.run("rm", "/usr/local/bin/ip")
    ssh = playbook.directory / "ssh"
    ssh.write_text("#!/bin/sh\nexit 255\n")
    ssh.chmod(0o755)
    playbook.nodes["n3"].update(ansible_connection="ssh", ansible_ssh_executable=str(ssh))
    results = playbook.run(ROLE, limit="n1,n3")["n1"]
    # The routes, and the CNI configuration.
    assert [
        len(result["added"]) if "added" in result else result["file"] for result in results if result["changed"]
    ] == [
        2,
        "/etc/cni/net.d/10-humanz-cni-plugin.conflist",
    ]
    assert results[-1]["msg"] == (
        "Left out, as they failed or could not be reached: n3. Run this again for them: --limit n3"
    )
    left = node.run("sh", "-c", LEFT).stdout
    assert "10-humanz-cni-plugin.conflist" in left
    assert left.count(" via 200.0.0.") == 2


def test_a_place_that_cannot_be_written_stops_the_run_before_anything_is_changed(playbook: Playbook) -> None:
    node = playbook.node
    before = node.run("sh", "-c", LEFT, check=False).stdout
    node.run("mount", "-t", "tmpfs", "-o", "ro", "none", "/usr/local")
    (refused,) = [result["problems"] for result in playbook.run(ROLE)["n1"] if result.get("problems")]
    assert [line.split(" ")[1] for line in refused] == ["pod_network_library_dir", "pod_network_sbin_dir"]
    assert node.run("sh", "-c", LEFT, check=False).stdout == before
    playbook.variables.update(pod_network_library_dir="/var/lib/humanz", pod_network_sbin_dir="/opt/sbin")
    assert not any(result.get("failed") for result in playbook.run(ROLE)["n1"])
    node.run("ls", "/opt/sbin/humanz-cni-ctl", "/etc/cni/net.d/10-humanz-cni-plugin.conflist")
    assert node.run("ls", "-A", "/usr/local").stdout == ""


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_a_run_makes_on_a_node_is_for_root_to_write_and_for_all_to_reach(playbook: Playbook, umask: int) -> None:
    node = playbook.node
    node.run("rm", "-rf", "/opt/cni", "/etc/cni", "/usr/local/sbin", NAMES)
    node.run("touch", "--date=1 second ago", "/run/before")

    playbook.run(ROLE, umask=umask)

    # Not in /var/lib, where a run makes nothing, and what else the machine does shows through.
    find = "find /etc /opt /usr/local /run -mindepth 1 -newer /run/before"
    made = node.run("sh", "-c", find + " ! -type l -printf '%m %u %p\n'").stdout.splitlines()
    modes = {path: (mode, owner) for mode, owner, path in (line.split() for line in made)}
    assert {"/opt/cni", "/opt/cni/bin/humanz-cni", "/etc/humanz-cni/routes", "/usr/local/sbin"} <= set(modes)
    assert [path for path in modes if modes[path] not in (("755", "root"), ("644", "root"))] == []
