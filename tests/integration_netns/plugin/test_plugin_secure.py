# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request, an environment or a file planted by somebody else cannot make the plugin do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.netns.node import NOBODY
from tests.support.plugin.runtime import Runtime, nested
from tests.support.plugin.system_calls import traced

DIRECTORY = "/run/data"
_CHILD = re.compile(r"(fork|vfork|clone|clone3)\(")
_WRITE = re.compile(r"(?:open|openat|creat)\(.*O_(?:WRONLY|RDWR|CREAT)|(?:mkdir|rename|link|unlink|chmod|symlink)\w*\(")
_PATH = re.compile(r'"([^"]*)"')


def conf(**further: Any) -> dict[str, Any]:
    """Return a configuration that has much to be done, with a data directory of its own."""
    made = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion="1.1.0", isDefaultGateway=True, ipMasq=True, **further)
    made["ipam"]["dataDir"] = DIRECTORY
    return made


def operations(runtime: Runtime, sent: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Carry out one of each operation, and yield its name and its system calls with its children's."""
    sent = {**sent, "cni.dev/valid-attachments": [{"containerID": "pod1", "ifname": "eth0"}]}
    runtime.pod("pod1")
    for command in ("ADD", "CHECK", "STATUS", "GC", "DEL"):
        done = traced(runtime, command, sent, ["-f", "-s", "4096", "-o", "/run/trace"])
        assert done.status == 0, done
        if command == "ADD":
            sent["prevResult"] = done.document
        lines = runtime.node.run("cat", "/run/trace").stdout.splitlines()
        yield command, [line.partition(" ")[2].lstrip() for line in lines]


def test_s_024_no_operation_has_a_child(runtime: Runtime) -> None:
    for command, calls in operations(runtime, conf()):
        assert len([call for call in calls if call.startswith("execve(")]) == 1, command
        assert not [call for call in calls if _CHILD.match(call)], command


def test_s_079_nothing_is_written_outside_the_data_directory(runtime: Runtime) -> None:
    """But for the note that there is one which is not the default."""
    places = r"/run/data/?$|/run/data/0\.\.|/proc/sys/net/|/run/humanz-cni(/\.elsewhere(/[0-9a-f]{40})?)?$"
    for command, calls in operations(runtime, conf(name="0..")):
        written = {path for call in calls if _WRITE.match(call) for path in _PATH.findall(call)}
        assert written or command == "CHECK"
        strange = [path for path in written if not re.match(places, path)]
        assert strange == [], command


@pytest.mark.parametrize("path", ["/run/data/../elsewhere", "/../run/elsewhere", "/run/data/..", "run/elsewhere"])
def test_s_079_data_directory_that_is_named_by_a_detour(runtime: Runtime, path: str) -> None:
    runtime.node.run("mkdir", DIRECTORY)
    runtime.pod("pod1")
    sent = conf()
    sent["ipam"]["dataDir"] = path

    error = runtime.fail("ADD", sent)

    assert error["code"] == 7
    assert error["msg"].startswith("ipam.dataDir: ")
    runtime.delete(sent)
    assert runtime.node.run("find", "/run/elsewhere", "/run/net1", check=False).stdout == ""


PLANTED = {
    "the network's directory": ("ln -s /run/victim /run/data/net1", 5),
    "the network's directory, to nowhere": ("ln -s /run/victim/nowhere /run/data/net1", 5),
    "the network's directory, of somebody else": ("mkdir /run/data/net1; chown 65534 /run/data/net1", 5),
    "the network's directory, that all can write": ("mkdir -m 777 /run/data/net1", 5),
    "the data directory, as /tmp is": ("chmod 1777 /run/data", 5),
    "the lock": ("mkdir /run/data/net1; ln -s /run/victim/file /run/data/net1/lock", 5),
    "the record": ("mkdir /run/data/net1; ln -s /run/victim/file /run/data/net1/RECORD", 0),
    "another name of a file as the lock": ("mkdir /run/data/net1; ln /run/victim/file /run/data/net1/lock", 5),
    "the record on its way": ("mkdir /run/data/net1; ln -s /run/victim/file /run/data/net1/.RECORD", 0),
    "another name of a file as the record on its way": (
        "mkdir /run/data/net1; ln /run/victim/file /run/data/net1/.RECORD",
        0,
    ),
    "an address": ("mkdir /run/data/net1; ln -s /run/victim/file /run/data/net1/10.9.0.2", 0),
    "a pipe as the record": ("mkdir /run/data/net1; mkfifo /run/data/net1/RECORD", 0),
    "a pipe as the record on its way": ("mkdir /run/data/net1; mkfifo /run/data/net1/.RECORD", 0),
    "a pipe as the lock": ("mkdir /run/data/net1; mkfifo /run/data/net1/lock", 5),
    "a pipe as an address": ("mkdir /run/data/net1; mkfifo /run/data/net1/10.9.0.2", 0),
    "directories": ("mkdir -p /run/data/net1/RECORD /run/data/net1/10.9.0.2", 5),
    "a directory as the record on its way": ("mkdir -p /run/data/net1/.RECORD", 5),
    "a directory as the lock": ("mkdir -p /run/data/net1/lock", 5),
    "a socket as the record": (
        "mkdir /run/data/net1; python3 -c 'import socket; socket.socket(1).bind(\"/run/data/net1/RECORD\")'",
        5,
    ),
    "STATUS's file": ("mkdir /run/data/net1; ln -s /run/victim/file /run/data/net1/.status", 0),
    "another name of a file as STATUS's": ("mkdir /run/data/net1; ln /run/victim/file /run/data/net1/.status", 0),
    "a pipe as STATUS's file": ("mkdir /run/data/net1; mkfifo /run/data/net1/.status", 0),
    "a directory as STATUS's file": ("mkdir -p /run/data/net1/.status", 50),
}


@pytest.mark.parametrize(("plant", "code"), PLANTED.values(), ids=PLANTED)
def test_s_079_what_is_planted_in_the_data_directory_leads_nowhere(runtime: Runtime, plant: str, code: int) -> None:
    host = runtime.add(nested(name="net1"))["interfaces"][1]["name"]  # of the same owner
    runtime.delete(nested(name="net1"))
    victim = "mkdir /run/victim /run/data; echo precious > /run/victim/file;"
    runtime.node.run("sh", "-c", victim + plant.replace("RECORD", host))

    command = "STATUS" if ".status" in plant else "ADD"
    outcome = runtime.call(command, conf())

    assert (outcome.document["code"] if outcome.status else 0) == code, outcome
    for _time in range(2):
        runtime.call("DEL", conf())
    assert runtime.node.run("find", "/run/victim", "-type", "f").stdout == "/run/victim/file\n"
    assert runtime.node.run("cat", "/run/victim/file").stdout == "precious\n"
    assert set(runtime.links("pod1")) == {"lo"}


def test_s_079_nobody_else_has_the_lock(runtime: Runtime) -> None:
    runtime.add(conf())
    for path in (f"{DIRECTORY}/net1/lock", f"{DIRECTORY}/net1/10.9.0.2"):
        denied = runtime.node.run(*NOBODY, "flock", "--nonblock", path, "true", check=False)
        assert "Permission denied" in denied.stderr
    with runtime.node.holder(f"{DIRECTORY}/net1", *NOBODY):
        runtime.delete(conf())


MODULES = ("humanz_cni", "encodings", "posix", "marshal", "json", "_json", "_socket", "sitecustomize", "usercustomize")
VARIABLES = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONPLATLIBDIR", "PYTHONUSERBASE",
    "PYTHONPYCACHEPREFIX", "PYTHONWARNINGS", "PYTHONBREAKPOINT", "PYTHONEXECUTABLE", "HOME", "PATH",
)  # fmt: skip


@pytest.mark.parametrize("variable", VARIABLES)
def test_s_023_neither_environment_nor_directory_changes_what_python_loads(runtime: Runtime, variable: str) -> None:
    plant = """
        mkdir -p /run/evil/lib/python3.11 /run/evil/humanz_cni
        for module in MODULES; do
          echo 'open("/run/executed", "w"); raise SystemExit(7)' > /run/evil/$module.py
        done
        cp /run/evil/*.py /run/evil/lib/python3.11; cp /run/evil/json.py /run/evil/humanz_cni/__init__.py
        printf 'home = /run/evil\\n' > /run/evil/pyvenv.cfg
    """
    runtime.node.run("sh", "-c", plant.replace("MODULES", " ".join(MODULES)))
    runtime.pod("pod1")
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0", "CNI_PATH": "/run/evil",
        "CNI_NETNS": "/run/netns/pod1", variable: "/run/evil",
    }  # fmt: skip
    *enter, executable = runtime.command(environment)[5:]
    shell = 'cd /run/evil && exec "$@"'
    done = runtime.node.run("sh", "-c", shell, "sh", *enter, executable, input=json.dumps(conf()))

    assert json.loads(done.stdout)["ips"]
    assert done.stderr == ""
    assert runtime.node.run("ls", "/run/executed", check=False).returncode != 0


@pytest.mark.parametrize("mask", ["000", "077"])
def test_s_055_modes_do_not_depend_on_who_calls(runtime: Runtime, mask: str) -> None:
    runtime.pod("pod1")
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
        "CNI_NETNS": "/run/netns/pod1",
    }  # fmt: skip
    sent = conf(logFile="/run/log")
    line = runtime.command(environment)[5:]
    runtime.node.run("sh", "-c", f'umask {mask}; exec "$@"', "sh", *line, input=json.dumps(sent))

    listed = runtime.node.run("find", DIRECTORY, "/run/log", "-printf", "%M %u %P\n").stdout.splitlines()
    modes = {tuple(line.split()[:2]) for line in listed}
    assert modes == {("drwxr-xr-x", "root"), ("-rw-------", "root"), ("-rw-r--r--", "root")}
    assert [line for line in listed if line.startswith("-rw-r--r--")] == ["-rw-r--r-- root "]  # the log
