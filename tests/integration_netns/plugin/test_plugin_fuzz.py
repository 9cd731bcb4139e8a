# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Malformed requests: one JSON document or nothing, a code of the specification, and nothing changed.

HUMANZ_CNI_FUZZ_REQUESTS says how many; a release wants 10000, of which the default is the beginning.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.support import IN_CHECKOUT
from tests.support.netns.node import Node
from tests.support.plugin import fuzz
from tests.support.plugin.runtime import NSENTER, Runtime, nested

DRIVER = "tests.support.plugin.fuzz_driver"
REQUESTS = int(os.environ.get("HUMANZ_CNI_FUZZ_REQUESTS", "2000"))
PROCESSES = 2
EXECUTIONS = 100

READ_ONLY = """
for point in $(awk '{ print $5 }' /proc/self/mountinfo); do
  case $point in /run*|/proc*|/dev*|/sys*) ;; *) mount -o remount,bind,ro "$point" 2> /dev/null || true ;; esac
done
"""


@pytest.fixture
def node(node: Node) -> Iterator[Node]:
    """A node on which nothing can be written but what is its own."""
    node.run("sh", "-c", READ_ONLY)
    yield node
    node.run("mount", "-o", "remount,bind,rw", "/")


# Each process looks for what is changed, and must not find what the other one writes.
OWN_STATE = 'mount -t tmpfs tmpfs /run; exec "$@"'

# What the kernel says no to, and what CHECK finds, is no mistake of the plugin's.
_REFUSED = re.compile(
    r"failed to (make veth pair|configure)|interface |no interface|.*prevResult|.*Failed to find address"
)


def test_s_030_s_031_s_033_s_034_malformed_requests(runtime: Runtime) -> None:
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--", "unshare", "--mount", "sh", "-c"]
    command = [*enter, OWN_STATE, "sh", *IN_CHECKOUT, sys.executable, "-B", "-m", DRIVER, str(REQUESTS // PROCESSES)]
    running = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for number in range(PROCESSES)
    ]
    for process in running:
        said = process.communicate()[0]
        assert process.returncode == 0, said


def state(runtime: Runtime) -> list[str]:
    """Return links and files, without bridges, which are shared, and directories and locks, which may come."""
    shell = "ip -n pod1 -o addr show; find /run -type f ! -name lock"
    links = [name for name, link in runtime.links().items() if link.get("linkinfo", {}).get("info_kind") != "bridge"]
    return sorted(runtime.node.run("sh", "-c", shell).stdout.splitlines() + links)


def test_s_055_malformed_requests_for_a_pod_that_is_there(runtime: Runtime) -> None:
    """The executable as it is installed; what it does attach can be detached by the same request."""
    runtime.add(nested(name="net0"), "pod0")
    runtime.pod("pod1")
    before = state(runtime)
    attached = 0

    def execute(sent: fuzz.Sent, command: bytes) -> subprocess.CompletedProcess[bytes]:
        variables = {**sent.environment, "CNI_COMMAND": command}
        *enter, executable = runtime.command({})
        words = [name.encode() + b"=" + value for name, value in variables.items()]
        return subprocess.run([*enter, *words, executable], input=sent.data, capture_output=True, check=False)

    @seed(0)
    @settings(max_examples=EXECUTIONS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(fuzz.requests("/run/netns/pod1"))
    def every_request_is_answered(sent: fuzz.Sent) -> None:
        nonlocal attached
        done = execute(sent, sent.environment["CNI_COMMAND"])
        problem = fuzz.problem(sent, done.returncode, done.stdout, done.stderr)
        refused = problem == "the code is 999" and _REFUSED.match(json.loads(done.stdout)["msg"])
        assert not problem or refused, (problem, done)
        if sent.environment["CNI_COMMAND"] == b"ADD" and done.returncode == 0:
            attached += 1
            assert execute(sent, b"DEL").returncode == 0
        assert state(runtime) == before

    every_request_is_answered()
    assert attached
