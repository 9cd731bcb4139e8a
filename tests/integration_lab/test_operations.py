# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides from their first command to their last, while two pods talk over one TCP connection."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, documented_commands
from tests.support.lab.documented_pages import commands
from tests.support.lab.lab_under_test import LabUnderTest, newer_collection
from tests.support.lab.stream import LONGEST_PAUSE, Stream

NODES = ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]
FOURTH = "ubuntu-nested-4"
CONFIRMED = ("-e", "pod_network_reset_confirmation=yes")
OURS = "ls /usr/local/lib/humanz-cni | grep -E '^[0-9a-f]{16}$'; grep '^library = ' /opt/cni/bin/humanz-cni"


class Operator:
    """Runs the pages' commands with this collection, or a newer one, and the lab's inventory."""

    def __init__(self, lab: LabUnderTest, directory: Path) -> None:
        self.lab = lab
        self._directory = directory
        self.use(ROOT)
        self.changes: dict[str, dict[str, str]] = {}
        self.said: dict[str, str] = {}

    def use(self, collection: Path) -> None:
        """From now on, have humanz.cni be what lies in the directory *collection*."""
        place = self._directory / "ansible_collections" / "humanz"
        place.mkdir(parents=True, exist_ok=True)
        (place / "cni").unlink(missing_ok=True)
        (place / "cni").symlink_to(collection)

    def change(self, node: str, **variables: str) -> None:
        """Change *node* in the inventory."""
        self.changes[node] = variables

    def run(self, command: str, *further: str, status: int = 0) -> str:
        """Run a page's command, ``ansible-playbook …``, which is to end with *status*, and return what it prints."""
        changed = self._directory / "changed.json"
        changed.write_text(json.dumps({"k8s_cluster": {"hosts": self.changes}}))
        generated = self.lab.out("inventory", "--path").strip()
        example = str(ROOT / "inventory/ubuntu-nested")
        words = [example if word in ("inventory", "inventory.yml") else word for word in command.split()]
        argv = [*words, "-i", generated, "-i", str(changed), *further]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self._directory)}
        done = subprocess.run(argv, cwd=self._directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        self.said[command] = done.stdout
        return done.stdout

    def local(self, command: str) -> str:
        """Run any other command where the playbooks ran, and return what it prints."""
        return subprocess.run(command.split(), cwd=self._directory, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def operator(lab: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    made = Operator(lab, tmp_path_factory.mktemp("operator"))
    yield made
    lab.run("remove", FOURTH, check=False)


@pytest.fixture(scope="module")
def stream(operator: Operator) -> Iterator[Stream]:
    """The connection, over the network that the page on installing makes."""
    for command in playbooks("operations/install.md"):
        operator.run(command)
    stream = Stream(operator.lab, *NODES[:2])
    yield stream
    stream.end()
    (reset,) = commands("operations/reset.md")
    operator.run(reset, *CONFIRMED)


def playbooks(page: str) -> list[str]:
    """Return the page's commands that run a playbook; what it installs before, tests/run has installed."""
    return [command for command in commands(page) if command.startswith("ansible-playbook ")]


def tables(lab: LabUnderTest) -> dict[str, set[str]]:
    """All routes of the three nodes, of all tables."""
    return {node: set(lab.node(node, "ip", "route", "show", "table", "all").splitlines()) for node in NODES}


def routes(lab: LabUnderTest, node: str) -> list[str]:
    """The node's routes of ours, as ``PREFIX via ADDRESS``."""
    lines = lab.node(node, "ip", "-4", "route", "show", "proto", "217").splitlines()
    return [line.partition(" dev ")[0] for line in lines]


def test_the_readme_shows_what_there_is(operator: Operator, stream: Stream) -> None:
    shown = {command.text: command.output for command in documented_commands.read("README.md") if command.output}
    (verify, table), (_kubectl, _nodes), (look, found) = shown.items()
    said = operator.said[verify]  # when the network was installed
    assert len(table) > 1
    assert all(line in said for line in table)
    assert commands("picture.md")[0] == verify
    assert "pod-network.html" in operator.local(commands("picture.md")[1])
    seen = operator.lab.node(NODES[0], "sh", "-c", look)
    assert [line.split() for line in seen.splitlines()] == [line.split() for line in found]


def test_the_guides_to_install_type_the_same(operator: Operator) -> None:
    """Only with the inventory in a directory, as is needed to read it from the cluster."""
    made = [command.replace("inventory.yml", "inventory") for command in playbooks("operations/install.md")]
    preview, site, verify = made
    for page, typed in (("install-on-kubeadm.md", [preview, site, verify]), ("install-by-hand.md", [site, verify])):
        assert playbooks(page) == typed
    forwarding, _kubeadm_init, node_ip = commands("install-on-kubeadm.md", "#")
    assert operator.lab.node(NODES[0], "sh", "-c", forwarding).strip() == "net.ipv4.ip_forward = 1"
    operator.lab.node(NODES[0], "sh", "-c", node_ip)
    assert operator.lab.node(NODES[0], "cat", "/etc/default/kubelet") == "KUBELET_EXTRA_ARGS=--node-ip=200.0.0.10\n"


def test_a_node_is_added(operator: Operator, stream: Stream) -> None:
    """The others get one route more, and nothing else of theirs changes."""
    before = tables(operator.lab)
    operator.lab.run("add", FOURTH)
    for command in commands("operations/add-a-node.md"):
        operator.run(command)
    after = tables(operator.lab)
    for node in NODES:
        assert not before[node] - after[node]
        (added,) = after[node] - before[node]
        assert added.startswith("100.100.3.0/24 via 200.0.0.40 dev ")


def test_addresses_are_changed(operator: Operator, stream: Stream) -> None:
    """Under a pod of another node that talks to a third."""
    operator.lab.node(
        FOURTH, "sh", "-c", "ip address del 200.0.0.40/24 dev enp8s0; ip address add 200.0.0.44/24 dev enp8s0"
    )
    operator.change(FOURTH, pod_network_node_ip="200.0.0.44", pod_network_pod_cidr="100.100.9.0/24")
    (site,) = commands("operations/change-addresses.md")
    operator.run(site)
    for node in NODES:
        assert [route for route in routes(operator.lab, node) if route.endswith((".40", ".44"))] == [
            "100.100.9.0/24 via 200.0.0.44"
        ]
    assert operator.lab.out("pod", "run", FOURTH, "moved").strip() == "100.100.9.2"
    operator.lab.run("pod", "rm", FOURTH, "moved")


def test_an_upgrade_keeps_open_connections(operator: Operator, stream: Stream, tmp_path: Path) -> None:
    before = {node: operator.lab.node(node, "sh", "-c", OURS).splitlines() for node in NODES}
    sent, _slowest = stream.read()
    operator.use(newer_collection(tmp_path))
    (upgrade,) = commands("operations/upgrade.md")
    output = operator.run(upgrade, "-e", '{"pod_network_serial": [1, "100%"]}')
    assert output.count("PLAY [Upgrade the pod network") == 2
    for node in NODES:
        old, new = before[node], operator.lab.node(node, "sh", "-c", OURS).splitlines()
        assert (len(old), len(new)) == (2, 3)  # both libraries, and the one that the launcher names
        assert set(old[:-1]) < set(new[:-1])
        assert new[-1] != old[-1]
    stream.goes_on(sent)


def test_troubles_are_looked_for(operator: Operator, stream: Stream) -> None:
    _verify, preview = commands("operations/troubleshoot.md")
    damage = "ip route del 100.100.2.0/24; iptables -D HUMANZ-FORWARD 1"
    operator.lab.node(NODES[0], "sh", "-c", "systemctl stop humanz-cni-heal.timer humanz-cni-check; " + damage)
    shown = operator.run(preview, "--limit", NODES[0]).splitlines()
    assert [line for line in shown if re.match(r"[+-][^+# -]|\+-A ", line)] == [
        "+100.100.2.0/24 via 200.0.0.30",
        "+-A HUMANZ-FORWARD -s 100.100.0.0/24 ! -i humanz-cni0 "
        '-m comment --comment "DROP src pods network from elsewhere" -j DROP',
    ][::-1]
    operator.lab.node(NODES[0], "systemctl", "start", "humanz-cni-heal.service", "humanz-cni-heal.timer")
    on_node = [*commands("operations/troubleshoot.md", "#"), *commands("operations/change-addresses.md", "#")]
    said = {command: operator.lab.node(NODES[0], "sh", "-c", command) for command in on_node}
    for command, words in (
        ("ip route show proto humanz-cni", "100.100.2.0/24 via 200.0.0.30"),
        ("iptables -t filter -S HUMANZ-FORWARD", "ACCEPT src pods network"),
        ("iptables -t nat -S HUMANZ-POSTROUTING", "Nat from pods to outside"),
        ("humanz-cni-ctl list", "live"),
        ("journalctl --no-pager --identifier=humanz-cni -n 20", "ADD"),
        ("journalctl --no-pager -u 'humanz-cni*' -n 20", ": 100.100.2.0/24 via 200.0.0.30"),
        ("humanz-cni-ctl list --leaks -o wide", "HOST VETH"),
        ("humanz-cni-ctl reclaim", "0 released"),
    ):
        assert words in said.pop(command)
    assert not said


def test_a_node_is_removed(operator: Operator, stream: Stream) -> None:
    before = tables(operator.lab)
    reset, site = commands("operations/remove-a-node.md")
    operator.run(reset.replace("ubuntu-nested-3", FOURTH), *CONFIRMED)
    operator.lab.run("remove", FOURTH)
    operator.changes.clear()
    operator.run(site)
    after = tables(operator.lab)
    for node in NODES:
        assert not after[node] - before[node]
        (gone,) = before[node] - after[node]
        assert gone.startswith("100.100.9.0/24 via 200.0.0.44 dev ")


def test_a_change_that_would_cut_the_connection_of_the_run_is_refused(operator: Operator, stream: Stream) -> None:
    peer = operator.lab.node(NODES[0], "sh", "-c", "ip -4 route show default | cut -d' ' -f3").strip()
    arguments = json.dumps({"routes": [{"dst": peer + "/32", "via": "200.0.0.20"}], "force": True})
    command = "ansible %s -i inventory.yml --become --check -m humanz.cni.node_routes" % NODES[0]
    said = operator.run(command, "-a", arguments, status=2)
    assert "would take over the way to %s, the address that this SSH connection comes from" % peer in said
    assert stream.read()[1] < LONGEST_PAUSE
