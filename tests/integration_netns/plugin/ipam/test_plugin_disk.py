# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data directory full, read-only, damaged, or locked by a process that does not go on."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

DIRECTORY = "/run/data"


def conf(**further: Any) -> dict[str, Any]:
    """Return a configuration with a data directory of its own, which counts as one on a disk."""
    made = nested(("10.9.0.0/24", "fd00:9::/64"), **further)
    made["ipam"]["dataDir"] = DIRECTORY
    return made


def mount(runtime: Runtime, options: str) -> None:
    """Make the data directory a file system of its own."""
    runtime.node.run("mkdir", "-p", DIRECTORY)
    runtime.node.run("mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", DIRECTORY)


# How full the disk is when the second pod comes: no room for data, or none for one more file, of which ADD makes three.
FULL = {
    "no space": ("size=64k", "cat /dev/zero > /run/data/fill 2>/dev/null"),
    "no inodes": ("nr_inodes=8", "for i in 1 2 3 4 5 6 7 8; do : > /run/data/$i; done 2>/dev/null"),
    "no inode for a name": ("nr_inodes=10", "for i in 1 2 3 4; do : > /run/data/$i; done"),
}


@pytest.mark.parametrize(("options", "fill"), FULL.values(), ids=FULL)
def test_s_055_full_disk(runtime: Runtime, options: str, fill: str) -> None:
    mount(runtime, options)
    runtime.add(conf(), "pod1")
    runtime.node.run("sh", "-c", fill, check=False)
    runtime.pod("pod2")
    before = (runtime.state(), runtime.records(DIRECTORY))

    outcome = runtime.call("ADD", conf(), "pod2")

    assert outcome.status == 1
    assert outcome.document["code"] == 5
    assert DIRECTORY in outcome.document["msg"]
    assert "No space left on device" in outcome.document["msg"]
    assert (runtime.state(), runtime.records(DIRECTORY)) == before
    runtime.delete(conf(), "pod2")
    runtime.delete(conf(), "pod1")  # room is not needed to give up
    assert [path for path in runtime.records(DIRECTORY) if "net1" in path] == []


def test_s_055_read_only_data_directory(runtime: Runtime) -> None:
    mount(runtime, "size=1m")
    runtime.add(conf(), "pod1")
    runtime.pod("pod2")
    runtime.node.run("mount", "-o", "remount,ro", DIRECTORY)
    before = (runtime.state(), runtime.records(DIRECTORY))

    error = runtime.fail("ADD", conf(), "pod2")

    assert error["code"] == 5
    assert DIRECTORY in error["msg"]
    assert "Read-only file system" in error["msg"]
    assert (runtime.state(), runtime.records(DIRECTORY)) == before

    # DEL says that the address is not free yet, so that the runtime calls again, and does what it can.
    assert runtime.fail("DEL", conf(), "pod1")["code"] == 5
    assert set(runtime.links("pod1")) == {"lo"}
    assert runtime.records(DIRECTORY) == before[1]
    runtime.node.run("mount", "-o", "remount,rw", DIRECTORY)
    runtime.delete(conf(), "pod1")
    assert runtime.records(DIRECTORY) == {}


DAMAGE = {
    "empty": "",
    "truncated": '{"network": "net1", "containerID": "pod',
    "garbage": "\\001\\377\\000garbage",
    "of another type": '["net1"]',
    "with addresses of a wrong type": '{"network": "net1", "containerID": "pod1", "ifname": "eth0", "addresses": 7}',
    "with addresses that are paths": '{"network": "net1", "addresses": ["../../fd00", "/etc/passwd"]}',
    "nested too deeply": "[" * 5000,
}


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE)
def test_s_078_damaged_record_of_the_pod_itself(runtime: Runtime, text: str) -> None:
    """DEL takes it away with its addresses, whatever it holds, and another pod's stays."""
    runtime.add(conf(), "pod0")
    clean = runtime.records(DIRECTORY)
    runtime.add(conf(), "pod1")
    record = next(path for path in runtime.records(DIRECTORY) if "/veth" in path and path not in clean)
    runtime.node.run("sh", "-c", f"printf {shlex.quote(text)} > {record}")

    assert runtime.fail("ADD", conf(), "pod1")["msg"]
    runtime.delete(conf(), "pod1")

    assert runtime.records(DIRECTORY) == clean
    runtime.add(conf(), "pod1")


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE)
def test_s_057_damaged_record_of_an_address_is_not_given_to_another_pod(runtime: Runtime, text: str) -> None:
    """The file is the same by all of its names; only replaced, not written to, can one of them differ."""
    taken = runtime.add(conf(), "pod1")["ips"][0]["address"].partition("/")[0]
    path = f"{DIRECTORY}/net1/{taken}"
    runtime.node.run("sh", "-c", f"printf {shlex.quote(text)} > {path}.new; mv {path}.new {path}")

    assert taken not in [ip["address"].partition("/")[0] for ip in runtime.add(conf(), "pod2")["ips"]]
    runtime.delete(conf(), "pod2")


def test_s_038_the_holder_of_the_lock_is_stopped(runtime: Runtime) -> None:
    """A stopped ADD holds the lock: another one says so in time, and both pods are fine when it goes on."""
    for pod in ("pod1", "pod2"):
        runtime.pod(pod)
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/run/netns/pod1", "CNI_PATH": "/x",
    }  # fmt: skip
    *enter, executable = runtime.command(environment)
    # The first file that gets two names is the record, under the lock.
    line = [*enter, "/usr/bin/strace", "-o", "/dev/null", "-e", "inject=link:signal=SIGSTOP:when=1", executable]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stopped:
        assert stopped.stdin is not None
        stopped.stdin.write(json.dumps(conf()).encode())
        stopped.stdin.close()
        stopped.stdin = None
        runtime.node.run("sh", "-c", f"until ls {DIRECTORY}/net1/veth*; do sleep 0.02; done", timeout=20)
        plugin = Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text().strip()
        try:
            error = runtime.fail("ADD", conf(), "pod2")
        finally:
            subprocess.run(["kill", "-CONT", plugin], check=True)
        first = json.loads(stopped.communicate()[0])

    assert error["code"] == 11
    assert f"{DIRECTORY}/net1/lock is locked by another process" in error["msg"]
    second = runtime.add(conf(), "pod2")
    assert first["ips"][0]["address"] != second["ips"][0]["address"]


def test_s_072_del_without_any_state_makes_none(runtime: Runtime) -> None:
    assert runtime.call("DEL", conf(), "nobody") == Outcome(0, "", "")

    assert runtime.node.run("ls", DIRECTORY, check=False).returncode != 0
