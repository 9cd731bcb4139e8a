# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ADD that fails leaves nothing of what it began."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

from runtime import BLOG, Runtime, nested


def test_an_interface_of_that_name_in_the_pod_is_not_touched(runtime: Runtime) -> None:
    runtime.add(BLOG, "pod0")
    runtime.pod("pod1")
    runtime.node.run("ip", "-n", "pod1", "link", "add", "eth0", "type", "bridge")
    before = runtime.state()

    error = runtime.fail("ADD", BLOG)

    assert error["msg"] == "container veth name provided (eth0) already exists"
    assert runtime.state() == before


def test_a_route_that_the_kernel_refuses(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["routes"] = [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]
    runtime.add(nested(), "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", conf)

    assert "192.0.2.0/24" in error["details"]
    assert runtime.state() == before


def test_an_mtu_that_the_kernel_refuses(runtime: Runtime) -> None:
    runtime.add(nested(), "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    runtime.fail("ADD", nested(mtu=1))

    assert runtime.state() == before


STRACE = shutil.which("strace")


def trace(runtime: Runtime, command: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run an operation on pod1 under strace with *options*."""
    assert STRACE, "strace is needed to kill the plugin at a chosen system call"
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/run/netns/pod1", "CNI_PATH": "/x",
    }  # fmt: skip
    enter = runtime.command(environment)
    return subprocess.run(
        [*enter[:-1], STRACE, "-o", "/run/trace", *options, enter[-1]],
        input=json.dumps(BLOG).encode(), capture_output=True, check=False,
    )  # fmt: skip


def test_the_result_comes_from_one_process_without_children(runtime: Runtime) -> None:
    runtime.pod("pod1")
    trace(runtime, "ADD", "-f")

    text = runtime.node.run("cat", "/run/trace").stdout
    assert len(re.findall(r"\bexecve\(", text)) == 1
    assert not re.search(r"\b(fork|vfork|clone|clone3)\(", text)
    assert os.path.basename(str(runtime.executable)) in text
