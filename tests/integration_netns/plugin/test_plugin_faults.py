# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pods at once whose ADD and DEL are killed at random: what is left is whole, and one more DEL takes it away."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True, ipMasq=True)
PODS = [f"pod{number}" for number in range(1, 13)]
ROUNDS = 6


def start(runtime: Runtime, command: str, pod: str) -> subprocess.Popen[bytes]:
    """Start an operation on *pod*, with its configuration written and nothing read yet."""
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": pod, "CNI_IFNAME": "eth0",
        "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": "/x",
    }  # fmt: skip
    line = runtime.command(environment)
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(CONF).encode())
    process.stdin.close()
    process.stdin = None
    return process


def trouble(runtime: Runtime, pod: str, killing: signal.Signals) -> int:
    """Kill some of the pod's operations at a random moment; return how many did not come to their end."""
    chance = random.Random(pod + killing.name)
    killed = 0
    for _round in range(ROUNDS):
        for command in ("ADD", "DEL"):
            process = start(runtime, command, pod)
            if chance.random() < 0.6:
                time.sleep(chance.random() * 0.12)
                process.send_signal(killing)
            output, _error = process.communicate()
            killed += process.returncode != 0
            if process.returncode > 0:
                assert json.loads(output)["msg"]
    return killed


@pytest.mark.parametrize("killing", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_s_025_killed_at_random_among_others(runtime: Runtime, killing: signal.Signals) -> None:
    runtime.add(CONF, "pod0")
    untouched = runtime.records()
    for pod in PODS:
        runtime.pod(pod)

    with ThreadPoolExecutor(6) as executor:
        killed = sum(executor.map(lambda pod: trouble(runtime, pod, killing), PODS))

    assert killed > len(PODS)
    for pod in PODS:
        assert runtime.call("DEL", CONF, pod) == Outcome(0, "", "")
        assert set(runtime.links(pod)) == {"lo"}
    assert runtime.records() == untouched
    assert len(runtime.links()) == 3  # lo, the bridge and the port of pod0
    assert runtime.node.run("nft", "list", "ruleset").stdout.count("masquerade fully-random") == 2


def test_s_057_the_first_twenty_pods_of_a_node_come_at_the_same_time(runtime: Runtime) -> None:
    pods = [f"pod{number}" for number in range(20)]
    for pod in pods:
        runtime.pod(pod)

    started = [start(runtime, "ADD", pod) for pod in pods]
    results = [json.loads(process.communicate()[0]) for process in started]

    for family in (0, 1):
        assert len({result["ips"][family]["address"] for result in results}) == len(pods)
    assert runtime.addresses("br1") == {"10.9.0.1/24", "fd00:9::1/64"}
    assert {result["interfaces"][0]["mac"] for result in results} == {runtime.links()["br1"]["address"]}
