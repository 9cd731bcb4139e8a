# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade.yml: a newer plugin while pods keep talking, nodes that cannot be reached, and a batch that fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, installed_plugin
from tests.support.netns.node import Node
from tests.support.netns.two_nodes import Cluster

CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
LIBRARIES = "ls /usr/local/lib/humanz-cni | grep -E '^[0-9a-f]{16}$'"
LAUNCHER = "grep '^library = ' /opt/cni/bin/humanz-cni"
SYSCTLS = "/etc/sysctl.d/99-humanz-cni.conf"
# Variables of a node that cannot be reached.
OFF = {
    "ansible_connection": "ssh",
    "ansible_ssh_executable": "/bin/false",
}
SERVER = """
import socket
with socket.create_server(("", 9000)) as listener:
    print(flush=True)
    connection, _peer = listener.accept()
    while True:
        data = connection.recv(64)
        if not data:
            break
        connection.sendall(data)
"""
# Sends a line every 10 ms over one connection and waits for it to come back, until its standard input is closed.
CLIENT = """
import select, socket, sys, time
sent, slowest = 0, 0.0
with socket.create_connection((sys.argv[1], 9000), 5) as connection:
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        started = time.monotonic()
        connection.sendall(b"%d\\n" % sent)
        if connection.recv(64) != b"%d\\n" % sent:
            sys.exit("the connection ended after %d lines" % sent)
        sent, slowest = sent + 1, max(slowest, time.monotonic() - started)
        if sent == 1:
            print("connected", flush=True)
print(sent, slowest)
"""


def attach(node: Node) -> str:
    """Have the plugin attach a pod by the configuration that is there; return the pod's address."""
    node.ip("netns add pod1")
    conf = json.loads(node.run("cat", CONF).stdout)
    request = {**conf["plugins"][0], "name": conf["name"], "cniVersion": conf["cniVersion"]}
    environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_NETNS": "/run/netns/pod1"}
    environment.update(CNI_IFNAME="eth0", CNI_PATH="/opt/cni/bin", PATH="/usr/sbin:/usr/bin")
    done = node.run("/opt/cni/bin/humanz-cni", input=json.dumps(request), env=environment)
    address = json.loads(done.stdout)["ips"][0]["address"]
    assert isinstance(address, str)
    return address.partition("/")[0]


def in_pod(node: Node, script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python script in the node's pod, and wait for its first line."""
    enter = ["nsenter", f"--target={node.pid}", "--mount", "--net", "--", "ip", "netns", "exec", "pod1"]
    process = subprocess.Popen(
        [*enter, sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two converged nodes with a pod each, and a third that cannot be reached."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.playbook("site")
        made.further["n3"] = {**OFF, "pod_network_pod_cidr": "100.100.2.0/24", "pod_network_node_ip": "200.0.0.30"}
        yield made
    finally:
        made.close()


def soon_lost(cluster: Cluster) -> dict[str, Any]:
    """The node n1, which cannot be reached any more once its first file was written."""
    node = cluster.nodes["n1"]
    node.run("rm", SYSCTLS)
    return {
        **OFF,
        "ansible_connection": f"{{{{ 'ssh' if '/proc/{node.pid}/root{SYSCTLS}' is exists else 'local' }}}}",
        "ansible_python_interpreter": str(cluster.directory / "python-n1"),
        "pod_network_pod_cidr": "100.100.0.0/24",
        "pod_network_node_ip": "200.0.0.10",
    }


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This collection with one more file in its plugin, which is laid out otherwise."""
    directory = tmp_path_factory.mktemp("newer") / "cni"
    directory.mkdir()
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles", "files"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, directory / name)
    package = directory / "files" / "humanz_cni"
    installed_plugin.lay_out_otherwise(package)
    (package / "newer.py").write_text('"""What is new."""\n')
    return directory


def test_pods_keep_their_connections_and_a_node_that_is_off_stops_nobody(cluster: Cluster, newer: Path) -> None:
    one, other = cluster.nodes.values()
    address, _own = attach(other), attach(one)
    server = in_pod(other, SERVER)
    client = in_pod(one, CLIENT, address)
    before = {name: node.run("sh", "-c", LAUNCHER).stdout for name, node in cluster.nodes.items()}

    cluster.use(newer)
    output = cluster.playbook("upgrade", status=4, pod_network_serial=1)
    said, _errors = client.communicate("that is all")
    server.wait()
    assert client.returncode == 0, said
    sent, slowest = said.split()
    assert int(sent) > 100
    assert float(slowest) < 5  # more than a busy machine makes of a line
    for name, node in cluster.nodes.items():
        launcher = node.run("sh", "-c", LAUNCHER).stdout
        assert launcher != before[name]
        assert len(node.run("sh", "-c", LIBRARIES).stdout.split()) == 2
    assert "Left out, as they failed or could not be reached: n3. Run this again for them: --limit n3" in output
    assert "every failed check is to or from n3" in output


def test_a_batch_that_loses_a_node_ends_the_upgrade(cluster: Cluster) -> None:
    """The first batch is n1 and n2, the next n3."""
    cluster.further["n1"] = soon_lost(cluster)
    output = cluster.playbook("upgrade", status=2, pod_network_serial=[2, 1])
    assert output.count("PLAY [Upgrade the pod network in batches") == 1
    assert "n1 has no probe pod" in output
    assert "PLAY [Verify the whole pod network]" not in output


def test_a_batch_that_loses_all_it_has_ends_the_upgrade(cluster: Cluster) -> None:
    """The first batch is n1 and a node that was off before."""
    off = {**OFF, "pod_network_pod_cidr": "100.100.3.0/24", "pod_network_node_ip": "200.0.0.40"}
    cluster.further.update({"n1": soon_lost(cluster), "n1-off": off})
    conf = cluster.nodes["n2"].run("cat", CONF).stdout
    output = cluster.playbook("upgrade", status=2, pod_network_serial=[2, 1], pod_network_mtu=1400)
    assert "Lost during the upgrade: n1. No further node is changed." in output
    assert cluster.nodes["n2"].run("cat", CONF).stdout == conf
    assert "PLAY [Verify the whole pod network]" not in output


def test_a_batch_that_fails_ends_the_upgrade(cluster: Cluster) -> None:
    """The first node's pods do not reach the outside."""
    cluster.further.clear()
    confs = {name: node.run("cat", CONF).stdout for name, node in cluster.nodes.items()}
    cluster.outside.run("iptables", "-A", "INPUT", "-s", "192.168.122.11", "-p", "icmp", "-j", "DROP")
    output = cluster.playbook("upgrade", status=2, pod_network_mtu=1400)
    assert "1 of 2 checks failed" in output
    assert "PLAY [Verify the whole pod network]" not in output
    changed = {name for name, node in cluster.nodes.items() if node.run("cat", CONF).stdout != confs[name]}
    assert changed == {"n1"}
