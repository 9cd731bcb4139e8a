# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that take a node off a cluster, and ask for its pod CIDR, as they stand in the pages, on a cluster.

The pages: operations/remove-a-node.md, operations/change-addresses.md, inventory-from-the-cluster.md.

"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.support import documented_commands
from tests.support.lab.cluster import FOURTH, kubectl, lab, nodes, wait_for

THIS = "molecule/kubernetes/test_pages.py"
OPERATIONS = "docs/operations/"
PROGRAM = r"(?:kubectl|crictl|systemctl|humanz-cni-ctl|ansible-playbook) "


def commands(page: str, program: str = PROGRAM) -> list[str]:
    """Return the commands of a page in their order, from its console blocks and from its text."""
    found = []
    for block, span in re.findall(
        r"^ *```\w*\n(.*?)^ *```$|`([^`]+)`", Path(page).read_text(), re.MULTILINE | re.DOTALL
    ):
        lines = re.findall(r"^ *[$#] (.*)$", block, re.MULTILINE) if block else [" ".join(span.split())]
        found += [line for line in lines if re.match(program, line)]
    return found


def on_controller(command: str) -> str:
    """Run a command line in a directory of its own, and return what it prints or writes into files there."""
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "bin", "kubectl")
        program.parent.mkdir()
        program.write_text('#!/bin/sh\ncd "%s"\nexec python3 lab kubectl -- "$@"\n' % os.getcwd())
        program.chmod(0o755)
        environment = {**os.environ, "PATH": "%s:%s" % (program.parent, os.environ["PATH"])}
        done = subprocess.run(
            ("sh", "-ec", command), cwd=directory, env=environment,
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return done.stdout + "".join(path.read_text() for path in Path(directory).glob("*.*"))


def on_node(node: str, command: str) -> str:
    """Run a command line of a page on a node."""
    return lab("exec", node, "--", "sh", "-ec", "PATH=/opt/kubernetes:$PATH; " + command)


def playbook(command: str, node: str) -> None:
    """Run a page's ``ansible-playbook … --limit NODE`` for the scenario's inventory."""
    inventories = (
        "/var/lib/humanz-lab/%s/inventory" % os.environ["HUMANZ_LAB_NAME"],
        "%s/cluster" % os.environ["MOLECULE_EPHEMERAL_DIRECTORY"],
    )
    words = re.sub("--limit .*", "--limit " + node, command).replace("inventory.yml", " -i ".join(inventories)).split()
    done = subprocess.run([*words, "-e", "pod_network_reset_confirmation=yes"], check=False, stdout=subprocess.PIPE)
    print(done.stdout.decode())
    assert done.returncode == 0, command


def test_ask() -> None:
    """What these pages have a reader ask the cluster says which pod CIDR each node has."""
    known = nodes()
    name = sorted(known)[0]
    here = {command for tests in documented_commands.table().values() for command in tests.get(THIS, ())}
    questions = sorted(command for command in here if command.startswith("kubectl get "))
    for command in questions:
        wanted = {name} if "NODE " in command else set(known)
        said = on_controller(re.sub(r"\bNODE ", name + " ", command))
        assert [node for node in wanted if known[node]["cidr"] not in said] == [], command
    assert len(questions) > 1, "questions"


def _take_off(node: str) -> None:
    """Free a node of its pods and of the pod network, and delete it from the cluster, as the pages say."""
    drain, stop, remove, show, reset, delete, _site = commands(OPERATIONS + "remove-a-node.md")
    on_controller(drain.replace("NODE", node))
    on_node(node, stop)
    pods = [line.split()[1:3] for line in on_node(node, show).splitlines()[1:]]
    assert [pod.partition("-")[0] for pod, _container in pods] == ["default/published"], "what is left by drain"
    on_node(node, "%s %s" % (remove, " ".join(container for _pod, container in pods)))
    playbook(reset, node)
    on_controller(delete.replace("NODE", node))


def test_give_fourth_another_pod_cidr() -> None:
    """A node registers anew, and gets another pod CIDR; site has still to be run."""
    before = nodes()[FOURTH]["cidr"]
    _take_off(FOURTH)
    on_node(FOURTH, "systemctl start kubelet")
    (ask_for,) = commands(OPERATIONS + "change-addresses.md", "kubectl get ")
    ask_for = ask_for.replace("NODE", FOURTH) + " --ignore-not-found"
    wait_for("another pod CIDR", lambda: "/24" in on_controller(ask_for))
    assert before not in on_controller(ask_for)


def test_remove_fourth() -> None:
    """A node leaves the cluster."""
    _take_off(FOURTH)
    kubectl("rollout", "status", "deployment/peer", "--timeout=300s")
