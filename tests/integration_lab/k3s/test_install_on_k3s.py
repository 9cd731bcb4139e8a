# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/install-on-k3s.md from its first command to its last, and what pods may expect of the network then.

``node/k3s`` is in k3s's place: it says what of k3s this is, and what not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.lab.documented_pages import commands, files, prompted
from tests.support.lab.lab_under_test import LabUnderTest

PAGE = "install-on-k3s.md"
NODES = {"ubuntu-nested-1": "k3s", "ubuntu-nested-2": "k3s-agent", "ubuntu-nested-3": "k3s-agent"}
SERVER = "ubuntu-nested-1"
IN_PLACE = Path(__file__).parent / "node"
LEFT_OUT = ["kube-proxy", "kubelet", "lab-pod-image", "containerd"]


def write(lab: LabUnderTest, node: str, path: str, text: str, mode: str = "644") -> None:
    """Write a file on a node."""
    lab.node(node, "sh", "-ec", 'mkdir -p "${0%/*}"; cat > "$0"; chmod "$1" "$0"', path, mode, stdin=text)


def put_in_place(lab: LabUnderTest, node: str) -> None:
    """Make a node of Kubernetes one that looks like k3s's, as the page has it configured."""
    unit, address = NODES[node], "200.0.0.%s0" % node[-1]
    config = files(PAGE)["/etc/rancher/k3s/config.yaml of " + SERVER] if node == SERVER else "node-ip: %s\n" % address
    service = (IN_PLACE / "k3s.service").read_text()
    lab.node(node, "systemctl", "disable", "--quiet", "--now", *LEFT_OUT)
    # k3s leaves it to others to make it.
    lab.node(node, "rm", "-r", "/opt/cni")
    write(lab, node, "/etc/rancher/k3s/config.yaml", config)
    write(lab, node, "/usr/local/bin/k3s", (IN_PLACE / "k3s").read_text(), "755")
    if node != SERVER:
        service = service.replace("k3s server", "k3s agent")
    write(lab, node, "/etc/systemd/system/%s.service" % unit, service)
    lab.node(node, "systemctl", "daemon-reload")
    lab.node(node, "systemctl", "enable", "--quiet", "--now", unit)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LabUnderTest]:
    """Three nodes that wait for a pod network."""
    lab = LabUnderTest("k3s")
    try:
        lab.run("up", "--kubernetes")
        for node in NODES:
            put_in_place(lab, node)
        yield lab
    finally:
        lab.run("down")


class Controller:
    """Runs the page's commands of the controller in a directory with the page's inventory."""

    def __init__(self, lab: LabUnderTest, directory: Path) -> None:
        self._lab = lab
        self._directory = directory
        for name, text in files(PAGE).items():
            if name.startswith("inventory/"):
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_text(text)
        (directory / "ansible_collections" / "humanz").mkdir(parents=True)
        (directory / "ansible_collections" / "humanz" / "cni").symlink_to(ROOT)

    def run(self, command: str, status: int = 0) -> str:
        """Run a command, which is to end with *status*, and return what it prints."""
        generated = self._lab.out("inventory", "--path").strip()
        in_lab = "%s %s/lab --name %s exec" % (sys.executable, ROOT, self._lab.name)
        command = command.replace("ssh root@%s" % SERVER, "%s %s --" % (in_lab, SERVER))
        command = command.replace("-i inventory", "-i inventory -i %s" % generated)
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self._directory)}
        argv = ["sh", "-c", command]
        done = subprocess.run(argv, cwd=self._directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def controller(cluster: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(cluster, tmp_path_factory.mktemp("controller"))


def states(listed: str) -> dict[str, str]:
    """The nodes' states, by name, as kubectl lists them."""
    return {line.split()[0]: line.split()[1] for line in listed.splitlines()[1:]}


def ask(*names: str) -> None:
    """Run tests of the scenario kubernetes on this cluster."""
    argv = [sys.executable, "-m", "pytest", *("molecule/kubernetes/test_cluster.py::test_" + name for name in names)]
    environment = {**os.environ, "HUMANZ_LAB_NAME": "k3s"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_site_refuses_what_would_leave_pods_without_loopback(cluster: LabUnderTest, controller: Controller) -> None:
    save, graph, site = commands(PAGE)[:3]
    controller.run(save)
    assert all(node in controller.run(graph) for node in NODES)
    said = controller.run(site, status=2)
    for node in NODES:
        assert "%s: CNI plugin loopback: is not in /opt/cni/bin" % node in said
    cluster.node(SERVER, "test", "!", "-e", "/etc/cni/net.d/10-humanz-cni-plugin.conflist")


def test_the_page_brings_the_nodes_up(cluster: LabUnderTest, controller: Controller) -> None:
    waiting, *linking = commands(PAGE, "#")
    assert prompted(PAGE)[: 1 + len(linking)] == [("#", command) for command in (waiting, *linking)]
    assert states(cluster.node(SERVER, *waiting.split())) == dict.fromkeys(NODES, "NotReady")
    for command in linking:
        for node in NODES:
            cluster.node(node, *command.split())
    *converging, shown = commands(PAGE)
    for command in converging:
        controller.run(command)
    ask("ready")
    assert states(controller.run(shown)) == dict.fromkeys(NODES, "Ready")


def test_pods_talk() -> None:
    ask("deploy", "talk", "services", "no_leaks")


def containers(cluster: LabUnderTest) -> dict[str, str]:
    """The ID of the container of each pod, by its name: another one if the pod was started anew."""
    listed = json.loads(cluster.out("kubectl", "--", "get", "pods", "--all-namespaces", "--output=json"))
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["containerID"] for pod in listed["items"]}


def test_pods_outlive_k3s(cluster: LabUnderTest) -> None:
    before = containers(cluster)
    for node, unit in NODES.items():
        cluster.node(node, "systemctl", "restart", unit)
    ask("ready", "talk", "services")
    assert containers(cluster) == before


def test_a_node_reboots_with_its_routes_before_k3s(cluster: LabUnderTest) -> None:
    ask("drain_and_reboot", "talk", "services", "no_leaks")
    show = ["systemctl", "show", "--value", "--property=%sTimestampMonotonic"]
    times = {
        unit: int(cluster.node("ubuntu-nested-3", *show[:-1], show[-1] % event, unit))
        for unit, event in (("humanz-cni", "ExecMainExit"), ("k3s-agent", "ExecMainStart"))
    }
    assert 0 < times["humanz-cni"] < times["k3s-agent"]


def test_site_changes_nothing_more(controller: Controller) -> None:
    _save, _graph, site, *_others = commands(PAGE)
    recap = controller.run(site).partition("PLAY RECAP")[2]
    assert recap.count("changed=0") == len(NODES)


def test_no_pod_starts_without_loopback(cluster: LabUnderTest) -> None:
    """As the page says, and why site refuses it."""
    node, name = "ubuntu-nested-2", "without-loopback"
    (link,) = (command for command in commands(PAGE, "#") if command.endswith("/loopback"))
    container = {"name": "pause", "image": "localhost/lab-pod:latest", "imagePullPolicy": "Never"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [container]},
    }
    events = "kubectl -- events --for pod/%s --output json" % name
    cluster.node(node, "rm", "/opt/cni/bin/loopback")
    cluster.run("kubectl", "--", "apply", "--filename=-", stdin=json.dumps(pod))
    deadline = time.monotonic() + 60
    while 'failed to find plugin \\"loopback\\" in path [/opt/cni/bin]' not in (said := cluster.out(*events.split())):
        assert time.monotonic() < deadline, said
        time.sleep(0.5)
    cluster.node(node, *link.split())
    cluster.run("kubectl", "--", "wait", "--for=condition=Ready", "pod/" + name, "--timeout=120s")
    cluster.run("kubectl", "--", "delete", "pod", name, "--grace-period=1")
