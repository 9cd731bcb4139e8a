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

ROOT = Path(__file__).resolve().parents[2]


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


class LabUnderTest:
    """The lab's command line, for a lab of one name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *args: str, check: bool = True, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``python3 lab ARGS``; its output goes into the error if it fails."""
        return _run([sys.executable, "lab", "--name", self.name, *args], check, stdin, env)

    def out(self, *args: str, stdin: str = "") -> str:
        """What a command prints."""
        return self.run(*args, stdin=stdin).stdout

    def node(self, node: str, *argv: str, stdin: str = "") -> str:
        """What a command in a node prints."""
        return self.out("exec", node, "--", *argv, stdin=stdin)

    def ansible(self, program: str, *args: str, inventory: str = "inventory/ubuntu-nested") -> str:
        """What an Ansible program prints with an example inventory and the lab's above it."""
        generated = self.out("inventory", "--path").strip()
        return _run([program, "-i", inventory, "-i", generated, *args]).stdout
