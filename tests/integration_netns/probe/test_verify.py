# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook humanz.cni.verify on a fleet: one table, what fails the run, and what does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.fleet import Fleet

ROOT = Path(__file__).resolve().parents[3]
Verify = Callable[..., "Run"]

TABLE = """\
from           pod on node-1  pod on node-2  pod on node-3  192.168.122.1
pod on node-1  -              ok             ok             ok
pod on node-2  ok             -              ok             ok
pod on node-3  ok             ok             -              ok
node node-1    ok             ok             ok             -
node node-2    ok             ok             ok             -
node node-3    ok             ok             ok             -

                  checks  passed  failed
pod to pod             6       6       0
node to pod            9       9       0
pod to outside         3       3       0"""


class Run:
    """What a run of the playbook showed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.output = done.stdout + done.stderr
        self.failed = done.returncode != 0
        shown = re.search(r"TASK \[.*Show who reaches whom\].*?\n\w+: \[.*?\] => (\{.*?\n\})", done.stdout, re.DOTALL)
        self.table = json.loads(shown.group(1))["msg"] if shown else []
        self.changed = set(re.findall(r"changed=(\d+)", done.stdout))


@pytest.fixture
def verify(fleet: Fleet, tmp_path: Path) -> Verify:
    """Return a function that runs the playbook, or another: ``verify(*options, hosts={name: variables})``."""
    collection = tmp_path / "ansible_collections" / "humanz" / "cni"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT)
    environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(tmp_path), ANSIBLE_NOCOLOR="1")

    def run(*options: str, hosts: dict[str, dict[str, Any]] | None = None, playbook: str = "humanz.cni.verify") -> Run:
        inventory: dict[str, dict[str, dict[str, Any]]] = {"k8s_cluster": {"hosts": {}}}
        for name, node in fleet.nodes.items():
            python = node.write_python(tmp_path / f"python-{name}")
            variables = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
            inventory["k8s_cluster"]["hosts"][name] = {**variables, **(hosts or {}).get(name, {})}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            str(tmp_path / "inventory.json"),
            playbook,
        ]
        command += options
        return Run(subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False))

    return run


def nothing_left(fleet: Fleet) -> bool:
    return not any(
        node.run("sh", "-c", "ls /run/netns /run/humanz-cni-probe 2>/dev/null | grep humanz", check=False).stdout
        for node in fleet.nodes.values()
    )


def test_all_is_well(fleet: Fleet, verify: Verify, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = verify("-e", f"verify_report={report}", "-e", "verify_picture=false")
    assert not run.failed, run.output
    assert "picture of the network" not in run.output
    assert not (tmp_path / "false").exists()
    assert run.table == TABLE.splitlines()
    assert run.changed == {"0"}
    assert nothing_left(fleet)
    assert json.loads(report.read_text())["counts"]["pod"] == {"checks": 6, "passed": 6, "failed": 0}


def test_a_fault_fails_the_run_once_with_its_reason(fleet: Fleet, verify: Verify) -> None:
    fleet.nodes["node-1"].ip("route del 100.100.1.0/24")
    run = verify("-e", "verify_timeout=1")
    fleet.nodes["node-1"].ip("route add 100.100.1.0/24 via 200.0.0.20 proto 217")
    assert run.failed
    assert run.output.count("3 of 18 checks failed: node-1 has no route to 100.100.1.") == 2  # the error and its task
    assert "pod to pod             6       4       2" in run.table
    assert "every failed check is between node-1 and node-2" in run.table
    assert nothing_left(fleet)


def test_what_the_probe_pod_itself_puts_right_fails_the_run(fleet: Fleet, verify: Verify) -> None:
    fleet.nodes["node-2"].run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    run = verify()
    said = "node-2 did not forward packets before its probe pod was attached: its sysctl net.ipv4.ip_forward was 0"
    assert run.failed
    assert f"7 of 18 checks failed: {said}" in run.output
    assert f"1. {said}" in run.table
    assert not verify().failed


def test_a_node_that_cannot_be_asked_is_a_line_of_the_table(fleet: Fleet, verify: Verify) -> None:
    path = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
    fleet.nodes["node-2"].run("mv", path, "/etc/cni/kept")
    closed = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    run = verify(hosts={"node-3": closed})
    fleet.nodes["node-2"].run("mv", "/etc/cni/kept", path)
    assert run.failed
    text = "\n".join(run.table)
    assert "node-2 has no probe pod: no CNI configuration: /etc/cni/net.d holds no file named" in text
    assert re.search("node-3 has no probe pod: .*Failed to connect to the host via ssh", text)
    assert "pod to outside         1       1       0" in run.table
    assert nothing_left(fleet)


def test_limit_verifies_between_the_nodes_named(fleet: Fleet, verify: Verify) -> None:
    run = verify("--limit", "node-1,node-3")
    assert not run.failed, run.output
    assert run.table[0] == "from           pod on node-1  pod on node-3  192.168.122.1"
    assert "pod to pod             2       2       0" in run.table


def test_a_sample_is_said_to_be_one(verify: Verify) -> None:
    run = verify("-e", "verify_sample=1")
    assert not run.failed, run.output
    assert "note: each node was tried against 1 of the 2 other nodes, the same ones in every run" in run.table
    assert "pod to pod             3       3       0" in run.table


def test_outside_targets(fleet: Fleet, verify: Verify) -> None:
    listener = (
        "import socket\nserver = socket.create_server(('', 8080))\nprint(flush=True)\nwhile True:\n"
        "  client, peer = server.accept()\n  client.sendall((peer[0] + '\\n').encode())\n  client.close()\n"
    )
    enter = ["nsenter", f"--target={fleet.outside.pid}", "--mount", "--net", "--", sys.executable, "-c", listener]
    with subprocess.Popen(enter, stdout=subprocess.PIPE) as outside:
        assert outside.stdout is not None
        outside.stdout.readline()
        masqueraded = verify("-e", '{"verify_outside": ["192.168.122.1:8080", "192.168.122.1"]}')
        own = verify("-e", '{"verify_outside": ["192.168.122.1:8080", "gateway:0"], "verify_masquerade": false}')
        outside.kill()
    assert not masqueraded.failed, masqueraded.output
    assert "pod to outside         6       6       0" in masqueraded.table
    assert "pod to outside         6       0       6" in own.table
    text = "\n".join(own.table)
    assert "outside 192.168.122.1:8080: seen as 192.168.122.11 instead of the pod's own address" in text
    assert "'gateway:0' is not a target: give HOST for ICMP echo, HOST:PORT for TCP" in text
    assert nothing_left(fleet)


def test_site_compares_what_pods_send_with_what_other_nodes_take(fleet: Fleet, verify: Verify, tmp_path: Path) -> None:
    role = {"name": "humanz.cni.pod_network", "tasks_from": "preflight"}
    play = {"hosts": "k8s_cluster", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role}]}
    hosts: dict[str, dict[str, Any]] = {
        f"node-{number}": {
            "pod_network_node_ip": f"200.0.0.{number}0",
            "pod_network_pod_cidr": f"100.100.{number - 1}.0/24",
        }
        for number in (1, 2, 3)
    }
    options = ("-e", '{"pod_network_node_cidrs": ["200.0.0.0/24"], "pod_network_persistence": false}')
    preflight = str(tmp_path / "preflight.json")

    def look(*more: str, **keywords: Any) -> Run:
        (tmp_path / "preflight.json").write_text(json.dumps([{**play, **keywords}]))
        return verify(*options, *more, hosts=hosts, playbook=preflight)

    fleet.nodes["node-1"].ip("link set enp8s0 mtu 9000")
    batches = look(serial=1)
    small = look("-e", "pod_network_mtu=1500")
    hosts["node-1"]["pod_network_mtu"] = 1500
    own = look()
    del hosts["node-1"]["pod_network_mtu"]
    hosts["node-2"]["pod_network_route_protocol"] = 4
    with_another = look()
    fleet.nodes["node-1"].ip("link set enp8s0 mtu 1500")
    found = (
        "arge packets of pods would be lost: in 200.0.0.0/24 pods send up to 9000 bytes by enp8s0 of node-1; at most "
        "1500 bytes pass %s. Give these interfaces the same MTU"
    )
    assert batches.failed
    of_batch = "Nothing was changed on any node of this batch, as l" + found % "enp8s0 of node-2"
    assert of_batch in " ".join(batches.output.split()), batches.output
    assert with_another.failed
    all_of_it = "Nothing was changed on any node, as l" + found % "enp8s0 of node-2, enp8s0 of node-3"
    said = " ".join(with_another.output.split())
    assert all_of_it in said
    # Where Ansible prints JSON, a line's end is two characters.
    assert re.search(r"for all nodes\. Also, \d+ problems? must be solved first:( |\\n)node-2: ", said), said
    assert not small.failed, small.output
    assert not own.failed, own.output


def test_a_file_that_is_only_true_is_refused_before_anything_is_tried(fleet: Fleet, verify: Verify) -> None:
    run = verify("-e", '{"verify_report": true}')
    assert run.failed
    assert "verify_report True: must be the path of a file on the controller, such as " in " ".join(run.output.split())
    assert run.table == []
    assert nothing_left(fleet)


def test_check_mode_starts_nothing(fleet: Fleet, verify: Verify) -> None:
    run = verify("--check")
    assert not run.failed, run.output
    assert run.table == []
    assert nothing_left(fleet)
