# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as its user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab import podman
from lab.topology import PEER_PORT
from tests.support import ROOT

STATE = (ROOT / "molecule/default/tasks/state.sh").read_text()
PEER = "/usr/local/lib/lab/peer.py"


def _run(
    argv: list[str], check: bool = True, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(argv, cwd=ROOT, env=environment, input=stdin, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError("%s: exit code %d\n%s%s" % (argv, done.returncode, done.stdout, done.stderr))
    return done


def circumstances() -> str:
    """All labs' nodes, the last words of those that ended, memory, disk, and the last words of the kernel."""
    ended = _podman("ps", "--all", "--filter", "status=exited", "--format", "{{.Names}}").split()
    texts = [_podman("ps", "--all", "--format", "{{.Names}} {{.Status}}")]
    texts += ["%s:\n%s" % (name, _podman("logs", "--tail", "12", name)) for name in ended]
    texts += [_said(command.split()) for command in ("free --mebi", "df --human-readable /var/cache /tmp", "dmesg")]
    return "\n".join(texts)


def _podman(*args: str) -> str:
    return _said(podman.command(*args))


def _said(argv: list[str]) -> str:
    """The end of what a command prints, but for what the kernel says of each port of a bridge."""
    done = _run(argv, check=False, env=podman.environment())
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith((" state", " mode"))]
    return "\n".join(lines[-20:])


def newer_collection(directory: Path) -> Path:
    """A copy of this collection in *directory* whose CNI plugin is another one."""
    newer = directory / "cni"
    newer.mkdir(parents=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    archive = ["tar", "--create", "--null", "--files-from=-"]
    packed = subprocess.run(archive, cwd=ROOT, input=files, check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract", "--directory", str(newer)], input=packed, check=True)
    (newer / "files" / "humanz_cni" / "newer.py").write_text('"""What is new."""\n')
    return newer


def calls(*targets: str) -> str:
    """A shell's commands that call servers, each ``ADDRESS`` or ``ADDRESS PORT``, and print what address each sees."""
    port = " %d" % PEER_PORT
    return " && ".join("python3 %s call %s" % (PEER, target if " " in target else target + port) for target in targets)


class LabUnderTest:
    """The lab's command line, for a lab of one name, and Ansible's with the inventory of its topology."""

    def __init__(self, name: str, topology: str = "ubuntu-nested") -> None:
        self.name = name
        self.topology = topology

    def run(self, *args: str, check: bool = True, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``python3 lab ARGS``; its output goes into the error if it fails."""
        return _run([sys.executable, "lab", "--name", self.name, *args], check, stdin, env)

    def out(self, *args: str, stdin: str = "") -> str:
        """What a command prints."""
        return self.run(*args, stdin=stdin).stdout

    def node(self, node: str, *argv: str, stdin: str = "") -> str:
        """What a command in a node prints."""
        return self.out("exec", node, "--", *argv, stdin=stdin)

    def seen(self, node: str, pod: str, *targets: str) -> list[str]:
        """The addresses that servers see, see calls(), when a pod calls them."""
        return self.out("pod", "exec", node, pod, "--", "sh", "-c", calls(*targets)).splitlines()

    def state(self, nodes: list[str]) -> dict[str, list[str]]:
        """Links, addresses, routes, rules, sysctls and files of every node."""
        lines = {node: self.node(node, "bash", "-s", stdin=STATE).splitlines() for node in nodes}
        # Columns are as wide as the index of an interface's other end.
        return {node: [" ".join(line.split()) for line in found] for node, found in lines.items()}

    def ansible(self, program: str, *args: str, inventory: str = "", **env: str) -> str:
        """What an Ansible program prints with an example inventory, usually the topology's, and the lab's above it."""
        generated = self.out("inventory", "--path").strip()
        example = inventory or "inventory/" + self.topology
        return _run([program, "-i", example, "-i", generated, *args], env=env).stdout
