# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ADD and DEL killed or terminated at every single system call, from the moment that the plugin's file is opened.

One stands for several that are killed where nothing has changed since the call before.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.netns.node import Node
from tests.support.plugin.runtime import CARRIER, NSENTER, Outcome, Runtime, nested
from tests.support.plugin.system_calls import Call, after_changes, calls_of, interrupted

NODES = 4
PODS = ("pod0", "pod1", "pod2")
VOLATILE = re.compile(r"(?m)^\d+: |@\S+|link-netns\S* \S+")
SNAPSHOT = """
for ip in ip "ip -n pod0" "ip -n pod1" "ip -n pod2"; do
  echo "$ip"
  printf 'link show\\naddr show\\nroute show\\n' | $ip -o -batch -
  $ip -o -6 route show
done
nft -s list ruleset
if cd /run/humanz-cni 2> /dev/null; then
  find . -printf '%M %n %p\\n' | sort
  find . -type f ! -name lock | sort | xargs -r cat
fi
"""
RESET = "ip link delete br1; nft flush ruleset; rm -r /run/humanz-cni"

# Dual stack and ipMasq: all that an ADD can do. Two IPv4 addresses: one that is lost is missed at once.
CONF = nested(("10.9.0.0/29", "fd00:9::/64"), isDefaultGateway=True, ipMasq=True, ipspoofchk=True)
CONF["ipam"]["ranges"][0][0]["rangeEnd"] = "10.9.0.3"


def snapshot(runtime: Runtime) -> list[str]:
    """Return all that operations may change, in one go: links, addresses, routes, rules and files."""
    text = CARRIER.sub("", VOLATILE.sub("", runtime.node.run("sh", "-c", SNAPSHOT).stdout))
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.fixture
def runtimes(make_node: Callable[[], Node], executable: Path) -> list[Runtime]:
    """Nodes with three pods each, to share the calls among."""
    made = [Runtime(make_node(), executable) for _number in range(NODES)]
    for runtime in made:
        for pod in PODS:
            runtime.pod(pod)
    return made


def at_each_call(
    runtimes: list[Runtime], command: str, first: bool, sent: str, examine: Callable[[Runtime, Call, Outcome], None]
) -> tuple[list[Call], list[Outcome]]:
    """Carry out *command* for pod1 as often as it has calls, with a signal at one of them, and examine each outcome.

    :param first: whether nothing was added on the node before.
    :param examine: checks what is left, and takes it away.

    Returns the calls, and the outcomes of those runs that the signal did not end.
    """

    def prepare(runtime: Runtime) -> None:
        if first:
            runtime.node.run("sh", "-c", RESET, check=False)
        if command == "DEL":
            runtime.add(CONF)

    def share(runtime: Runtime, calls: list[Call]) -> list[Outcome]:
        survived = []
        for call in calls:
            prepare(runtime)
            outcome = interrupted(runtime, command, CONF, call, sent)
            examine(runtime, call, outcome)
            if outcome.status != -signal.Signals[sent]:
                survived.append(outcome)
        return survived

    def count() -> list[Call]:
        prepare(runtimes[0])
        calls = calls_of(runtimes[0], command, CONF)
        runtimes[0].delete(CONF)
        return calls

    calls = min((count() for _attempt in range(3)), key=len)  # a busy machine waits for the kernel by more of them
    chosen = after_changes(calls) if sent == "SIGKILL" else calls
    with ThreadPoolExecutor(NODES) as executor:
        shares = executor.map(share, runtimes, [chosen[number::NODES] for number in range(NODES)])
        return calls, [outcome for one in shares for outcome in one]


def with_a_neighbour(runtimes: list[Runtime]) -> dict[Runtime, list[str]]:
    """Return what each node looks like when only pod0 is attached, as it is when pod1 has come and gone."""
    clean = {}
    for runtime in runtimes:
        runtime.add(CONF, "pod0")
        runtime.add(CONF, "pod1")
        runtime.delete(CONF, "pod1")
        clean[runtime] = snapshot(runtime)
    return clean


@pytest.mark.parametrize(
    ("command", "first"), [("ADD", True), ("ADD", False), ("DEL", False)], ids=["first ADD", "ADD", "DEL"]
)
def test_s_025_killed_at_every_system_call(runtimes: list[Runtime], command: str, first: bool) -> None:
    """No pod sends unchecked, no address is given twice, DEL takes away what is left, and the pod can come again."""

    def examine(runtime: Runtime, call: Call, killed: Outcome) -> None:
        assert killed.output == "" or killed.document["ips"], call
        assert_checked(runtime, call)
        other = runtime.call("ADD", CONF, "pod2")
        if other.status == 0:
            taken = {ip["address"] for ip in other.document["ips"]}
            links = runtime.links("pod1")
            assert not taken & (runtime.addresses("eth0", "pod1") if "eth0" in links else set()), call
        else:
            assert other.document["code"] == 11, (call, other)
        for pod in ("pod2", "pod1"):
            runtime.delete(CONF, pod)
        assert_clean(runtime, call)
        result = runtime.add(CONF)
        assert runtime.addresses("br1") == {"10.9.0.1/29", "fd00:9::1/64"}, call
        assert runtime.addresses("eth0", "pod1") == {ip["address"] for ip in result["ips"]}, call
        assert runtime.node.run("nft", "list", "ruleset").stdout.count("masquerade fully-random") == 2, call
        runtime.delete(CONF)
        assert_clean(runtime, call)

    def assert_checked(runtime: Runtime, call: Call) -> None:
        pod = runtime.links("pod1").get("eth0")
        if pod and "UP" in pod["flags"]:
            port = next(link for link in runtime.links().values() if link["ifindex"] == pod["link_index"])
            ports = runtime.node.run("nft", "list", "set", "bridge", "humanz-cni", "ports", check=False).stdout
            assert "UP" not in port["flags"] or port["ifname"] in ports, call

    def assert_clean(runtime: Runtime, call: Call) -> None:
        if not first:
            assert snapshot(runtime) == clean[runtime], call
            return
        # The bridge stays, whole or half made, and nothing else.
        assert set(runtime.links()) <= {"lo", "br1"}, call
        assert set(runtime.links("pod1")) == {"lo"}, call
        assert runtime.records() == {}, call

    clean = {} if first else with_a_neighbour(runtimes)

    calls, survived = at_each_call(runtimes, command, first, "SIGKILL", examine)

    assert len(calls) > 80
    # A wait for the kernel may have taken fewer calls this time: a pause, a question and its answer for each time.
    assert len(survived) <= 3 * sum(call.name == "clock_nanosleep" for call in calls)


def test_s_055_add_terminated_at_every_system_call(runtimes: list[Runtime]) -> None:
    """One JSON document that tells the truth: the pod is attached, or nothing is left of it, without any DEL."""

    def examine(runtime: Runtime, call: Call, outcome: Outcome) -> None:
        if outcome.status == 0:
            assert outcome.document["ips"], call
            runtime.delete(CONF)
        elif outcome.status == 1:
            assert outcome.document["code"] == 999, call
            assert "terminated" in outcome.document["msg"], call
            assert outcome.error == "", call
        else:
            assert outcome == Outcome(-signal.SIGTERM, "", ""), call
        assert snapshot(runtime) == clean[runtime], call

    clean = with_a_neighbour(runtimes)

    calls, survived = at_each_call(runtimes, "ADD", False, "SIGTERM", examine)

    assert len(calls) > 80
    assert {outcome.status for outcome in survived} == {0, 1}
    assert sum(outcome.status for outcome in survived) > 40


def test_s_056_del_terminated_at_every_system_call(runtimes: list[Runtime]) -> None:
    """It has done nothing yet, or comes to its end."""

    def examine(runtime: Runtime, call: Call, outcome: Outcome) -> None:
        assert outcome in (Outcome(0, "", ""), Outcome(-signal.SIGTERM, "", "")), call
        assert ("eth0" in runtime.links("pod1")) == (outcome.status != 0), call
        runtime.delete(CONF)
        assert snapshot(runtime) == clean[runtime], call

    clean = with_a_neighbour(runtimes)

    calls, survived = at_each_call(runtimes, "DEL", False, "SIGTERM", examine)

    assert len(calls) > 60
    assert len(survived) > 20


def start(
    runtime: Runtime, command: str, pod: str, redirection: str = "", output: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start an operation and send it its configuration; *redirection* is the shell's."""
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": pod, "CNI_IFNAME": "eth0",
        "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": "/x",
    }  # fmt: skip
    line = ["sh", "-c", f'exec "$@" {redirection}', "sh", *runtime.command(environment)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(CONF).encode())
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_s_055_it_does_not_wait_on_for_the_lock_when_it_is_terminated(
    runtime: Runtime, command: str, sent: signal.Signals
) -> None:
    runtime.add(CONF, "pod0")
    runtime.pod("pod1")
    if command == "DEL":
        runtime.add(CONF)
    lock = [NSENTER, f"--target={runtime.node.pid}", "--mount", "flock", "/run/humanz-cni/net1/lock", "cat"]
    holder = subprocess.Popen(lock, stdin=subprocess.PIPE)
    try:
        _wait_for_lock_line(holder.pid, "FLOCK  ADVISORY")
        plugin = start(runtime, command, "pod1")
        _wait_for_lock_line(plugin.pid, "-> FLOCK  ADVISORY")
        plugin.send_signal(sent)
        output, _error = plugin.communicate()
    finally:
        holder.communicate()

    assert plugin.returncode == 1
    assert json.loads(output)["code"] == 999  # it is 11 after ten seconds without a signal
    runtime.delete(CONF)
    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod0"}


def _wait_for_lock_line(pid: int, kind: str) -> None:
    """Wait until the process *pid*, or a child of it, has or wants a lock, as /proc/locks says."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(kind in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines()):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} never came to its lock")


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full", "1< /dev/null"])
def test_s_055_a_result_that_cannot_be_printed_undoes_the_add(runtime: Runtime, redirection: str) -> None:
    runtime.add(CONF, "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    plugin = start(runtime, "ADD", "pod1", redirection)
    plugin.communicate()

    assert plugin.returncode == 1
    assert runtime.state() == before


def test_s_055_a_reader_that_is_gone_undoes_the_add(runtime: Runtime) -> None:
    runtime.add(CONF, "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    reading, writing = os.pipe()
    os.close(reading)
    plugin = start(runtime, "ADD", "pod1", output=writing)
    os.close(writing)
    plugin.communicate()

    assert plugin.returncode == 1
    assert runtime.state() == before
