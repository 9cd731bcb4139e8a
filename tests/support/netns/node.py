# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away node: network and mount namespaces of its own, which end with the process that holds them.

Writes to /etc, /opt, /usr/local, /var/lib and /run go to a tmpfs of the node; the machine's files show through, except
for /etc/humanz-cni, where an installation on the machine keeps its records.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import IN_CHECKOUT
from tests.support.netns.module_server import DRIVER, ModuleServer, PythonServer

# The Python that modules run with; another one, with an older pyroute2, can be named.
PYTHON = os.environ.get("NODE_PYTHON", sys.executable)
LOCK = "/run/humanz-cni-lock/node"  # of modules and of the repair
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

SETUP = """
set -e
base=$(mktemp -d)
trap 'rmdir "$base"' EXIT
mount -t tmpfs tmpfs "$base"
for tree in /etc /opt /usr/local /var/lib; do
  mkdir -p "$base$tree/upper" "$base$tree/work"
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$base$tree/upper,workdir=$base$tree/work" "$tree"
done
[ ! -e /etc/humanz-cni ] || rm -rf /etc/humanz-cni
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys
umount -l "$base"
ip link set lo up
echo ready
cat
"""


module_server = functools.lru_cache(maxsize=1)(ModuleServer)
python_server = functools.lru_cache(maxsize=1)(PythonServer)


class Node:
    """Namespaces that live as long as the process that holds them, which ends with the test at the latest."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-mn", "--propagation", "private", "sh", "-c", SETUP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError("no namespace could be set up; it takes root, overlayfs and tmpfs")

    @property
    def pid(self) -> int:
        """The process whose /proc/PID/ns/net and /proc/PID/ns/mnt are the node's."""
        return self._holder.pid

    def close(self) -> None:
        """End the node and all that is in it."""
        self._holder.communicate()

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on the node; further options are those of subprocess.run."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, check=False, **options)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command on the node, and return its process; further options are those of subprocess.Popen."""
        return subprocess.Popen(["nsenter", f"--target={self.pid}", "--mount", "--net", "--", *command], **options)

    def write_python(self, path: Path, python: str = PYTHON) -> Path:
        """Write a program to *path* that is a Python on this node, and return the path."""
        forked = python == sys.executable
        enter = f'#!/bin/sh\nexec nsenter --target={self.pid} --mount --net -- {python} "$@"\n'
        path.write_text(python_server().python(self.pid) if forked else enter)
        path.chmod(0o755)
        return path

    @contextlib.contextmanager
    def holder(self, path: str, *user: str) -> Iterator[subprocess.Popen[str]]:
        """Have a process hold the lock *path*, started by the words *user*; it ends with its standard input."""
        hold = [*user, "flock", path, "sh", "-c", "echo locked; read end; echo released"]
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--", *hold]
        with subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            yield process
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()

    def run_at_work(self, name: str = "") -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """Have a process hold the lock of the collection's runs, which says that it is *name*."""
        self.run("sh", "-ec", f'mkdir -pm 700 {LOCK.rpartition("/")[0]}; printf "%s" "$1" > {LOCK}', "sh", name)
        return self.holder(LOCK)

    def ip(self, *arguments: str) -> str:
        """Run ``ip``, given as words or one string of words, and return what it prints."""
        return self.run("ip", *" ".join(arguments).split()).stdout

    def wire(self, device: str, other: Node, other_device: str, mtu: int = 1500) -> None:
        """Lay a wire between two nodes; both ends are up, without addresses."""
        self.ip(f"link add {device} mtu {mtu} type veth peer name {other_device} mtu {mtu} netns {other.pid}")
        self.ip(f"link set {device} up")
        other.ip(f"link set {other_device} up")

    def module(
        self,
        name: str,
        args: dict[str, Any] | None = None,
        *,
        check: bool = False,
        diff: bool = False,
        python: str = PYTHON,
        path: str | None = None,
    ) -> dict[str, Any]:
        """Run the module humanz.cni.*name* on the node and return its result, also that of a failed one.

        *path* is where it looks for commands, by default as the tests themselves do.
        """
        arguments = {"_ansible_check_mode": check, "_ansible_diff": diff, **(args or {})}
        environment = {**os.environ, "PATH": path or os.environ["PATH"]}
        text = json.dumps(arguments)
        if python == sys.executable:
            done = module_server().run(name, text, self.pid, environment)
        else:
            done = self.run(*IN_CHECKOUT, python, *DRIVER, name, check=False, input=text, env=environment)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"{name} returned no JSON:\n{done.stdout}{done.stderr}") from None
        assert isinstance(result, dict)
        return result


def wire_up(node: Node, neighbour: Node) -> Node:
    """Give *node* the interfaces of node 1 in the topology ubuntu-nested, with *neighbour* on each wire; return it.

    It is 200.0.0.10 and fd00:200::10 among the nodes, and 192.168.122.10 towards the router 192.168.122.1.
    """
    # Link-local addresses come and go by themselves, in the midst of a comparison.
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode")
    node.wire("enp8s0", neighbour, "lan")
    node.wire("enp1s0", neighbour, "uplink")
    node.ip("addr add 200.0.0.10/24 dev enp8s0")
    node.ip("addr add fd00:200::10/64 dev enp8s0 nodad")
    node.ip("addr add 192.168.122.10/24 dev enp1s0")
    node.ip("route add default via 192.168.122.1")
    while "fd00:200::10" not in node.ip("-6 route show table local"):  # the kernel gives the address its route later
        pass
    return node
