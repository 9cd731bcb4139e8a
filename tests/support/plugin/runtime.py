# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container runtime as small as can be: calls the installed plugin on a node, with pods that are empty namespaces."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from tests.support.netns.node import Node

NSENTER = shutil.which("nsenter") or "/usr/bin/nsenter"

# What the kernel changes by itself, a moment after a link at the other end went away
CARRIER = re.compile(r",?(LOWER_UP|NO-CARRIER),?|state \w+|linkdown|tentative")

# The blog's own file, as it stands in its repository, for a node whose number is 1.
BLOG = {
    "cniVersion": "0.3.1",
    "name": "humanz-cni",
    "type": "humanz-cni",
    "bridge": "humanz-cni0",
    "network": "100.100.0.0/16",
    "subnet": "100.100.1.0/24",
}


class _NoPod(TypedDict):
    CONTAINERID: None
    IFNAME: None
    NETNS: None


# The variables that GC and STATUS are called without, as they are for no one pod.
NO_POD: _NoPod = {"CONTAINERID": None, "IFNAME": None, "NETNS": None}


def nested(subnets: tuple[str, ...] = ("10.9.0.0/24",), **further: Any) -> dict[str, Any]:
    """Return a configuration in the reference's form: a gateway on a bridge, and host-local with *subnets*."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": subnet}] for subnet in subnets]}
    conf = {
        "cniVersion": "1.0.0",
        "name": "net1",
        "type": "humanz-cni",
        "bridge": "br1",
        "isGateway": True,
        "ipam": ipam,
    }
    return {**conf, **further}


@dataclass
class Outcome:
    """What a call left: exit status, standard output, standard error."""

    status: int
    output: str
    error: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        document = json.loads(self.output)
        assert isinstance(document, dict)
        return document


class Runtime:
    """Calls *executable* on *node*."""

    def __init__(self, node: Node, executable: Path) -> None:
        self.node = node
        self.executable = executable

    def pod(self, name: str) -> str:
        """Make an empty pod and return its network namespace's path."""
        self.node.run("sh", "-ec", 'ip netns add "$1"; ip -n "$1" link set lo up', "sh", name)
        return f"/run/netns/{name}"

    def command(self, environment: dict[str, str]) -> list[str]:
        """Return the command that runs the plugin on the node with nothing but *environment* in its environment."""
        enter = [NSENTER, f"--target={self.node.pid}", "--mount", "--net", "--"]
        variables = [f"{key}={value}" for key, value in environment.items()]
        return [*enter, "/usr/bin/env", "-i", *variables, str(self.executable)]

    def call(
        self,
        command: str,
        conf: Any,
        container: str = "pod1",
        ifname: str = "eth0",
        *,
        through: Sequence[str] = (),
        **env: str | None,
    ) -> Outcome:
        """Carry out one operation; *conf* is sent as JSON, or as it is if it is bytes.

        Further keyword arguments are environment variables: ``NETNS`` for CNI_NETNS and so on; None leaves one out.
        *through* is a command that the plugin is executed by.
        """
        variables: dict[str, str | None] = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": ifname,
            "CNI_NETNS": f"/run/netns/{container}", "CNI_PATH": str(self.executable.parent),
        }  # fmt: skip
        variables.update({f"CNI_{key}": value for key, value in env.items()})
        environment = {key: value for key, value in variables.items() if value is not None}
        data = conf if isinstance(conf, bytes) else json.dumps(conf).encode()
        *enter, executable = self.command(environment)
        done = subprocess.run([*enter, *through, executable], input=data, capture_output=True, check=False)
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def add(
        self, conf: dict[str, Any], container: str = "pod1", ifname: str = "eth0", **env: str | None
    ) -> dict[str, Any]:
        """Carry out an ADD that must succeed and return its result; the pod is made if it is not there."""
        if not self._path(f"/run/netns/{container}").exists():
            self.pod(container)
        outcome = self.call("ADD", conf, container, ifname, through=(), **env)
        assert outcome.status == 0, outcome
        assert outcome.error == ""
        return outcome.document

    def delete(self, conf: dict[str, Any], container: str = "pod1", ifname: str = "eth0", **env: str | None) -> None:
        """Carry out a DEL, which must succeed and say nothing."""
        assert self.call("DEL", conf, container, ifname, through=(), **env) == Outcome(0, "", "")

    def fail(self, command: str, conf: Any, *args: str, **env: str | None) -> dict[str, Any]:
        """Carry out an operation that must fail, with one well-formed error object, and return that."""
        keywords: dict[str, Any] = {**env}  # of all kinds, for the type checker: container and ifname may be among them
        outcome = self.call(command, conf, *args, **keywords)
        assert outcome.status != 0, outcome
        error = outcome.document
        assert {"cniVersion", "code", "msg"} <= error.keys() <= {"cniVersion", "code", "msg", "details"}
        assert isinstance(error["code"], int)
        assert error["msg"]
        return error

    def state(self) -> dict[str, Any]:
        """Return all that operations may change: links, addresses, routes, files, of the node and of its pods."""
        namespaces = self._path("/run/netns")
        pods = sorted(os.listdir(namespaces)) if namespaces.is_dir() else []
        where = {pod: ["ip", "-n", pod] for pod in pods}
        where[""] = ["ip"]
        state: dict[str, Any] = {"records": self.records()}
        for name, ip in where.items():
            text = self.node.run(*ip, "-o", "-batch", "-", input="link show\naddr show\nroute show\n").stdout
            state[name] = [line.split() for line in CARRIER.sub("", text).splitlines()]
        return state

    def records(self, data_dir: str = "/run/humanz-cni") -> dict[str, str]:
        """Return the records below *data_dir*, each file's text by path; locks, which stay, are left out."""
        top = self._path(data_dir)
        found = [path for path in sorted(top.rglob("*")) if path.name != "lock" and stat.S_ISREG(path.lstat().st_mode)]
        return {f"{data_dir}/{path.relative_to(top)}": path.read_text() for path in found}

    def _path(self, path: str) -> Path:
        """Return where the tests find what is at *path* on the node."""
        return Path(f"/proc/{self.node.pid}/root{path}")

    def links(self, netns: str = "") -> dict[str, dict[str, Any]]:
        """Return the links of the node or of a pod, by name, as ``ip -d -j link`` describes them."""
        where = ["ip", "-n", netns] if netns else ["ip"]
        listed = json.loads(self.node.run(*where, "-d", "-j", "addr", "show").stdout)
        return {link["ifname"]: link for link in listed}

    def addresses(self, link: str, netns: str = "") -> set[str]:
        """Return the global addresses of a link, with prefix lengths."""
        found = self.links(netns)[link]["addr_info"]
        return {f"{one['local']}/{one['prefixlen']}" for one in found if one["scope"] == "global"}

    def routes(self, netns: str = "", family: str = "-4") -> list[dict[str, Any]]:
        """Return the routes of the node or of a pod."""
        where = ["ip", "-n", netns] if netns else ["ip"]
        listed = json.loads(self.node.run(*where, family, "-j", "route", "show").stdout)
        assert isinstance(listed, list)
        return listed
