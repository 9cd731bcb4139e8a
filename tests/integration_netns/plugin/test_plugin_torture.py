# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred operations at once, round after round: no address twice, nothing left.

HUMANZ_CNI_TORTURE_ROUNDS says how many rounds; a release wants 50.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.plugin.runtime import Runtime, nested

ROUNDS = int(os.environ.get("HUMANZ_CNI_TORTURE_ROUNDS", "3"))
PODS = 100
# 125 addresses for 100 pods: each round gets addresses of the round before.
CONF = nested(("10.9.0.0/25", "fd00:9::/64"), isDefaultGateway=True, ipMasq=True)
SHELL = """
start() {
  for pod in $2; do
    CNI_COMMAND=$1 CNI_CONTAINERID=$pod CNI_NETNS=/run/netns/$pod CNI_IFNAME=eth0 CNI_PATH=/x \
      "$plugin" < /run/conf > /run/result.$pod || echo "$1 $pod" >> /run/failed &
  done
}
plugin=$1
start "$2" "$3"
start "$4" "$5"
wait
! cat /run/failed
"""


def at_once(runtime: Runtime, *operations: str) -> list[dict[str, Any]]:
    """Carry out operations at once, each of which must succeed; return what they printed.

    :param operations: a command and the names of its pods with blanks between them, and perhaps another such two.
    """
    runtime.node.run("sh", "-c", "rm -f /run/result.*; cat > /run/conf", input=json.dumps(CONF))
    runtime.node.run("sh", "-c", SHELL, "sh", str(runtime.executable), *operations)
    printed = runtime.node.run("sh", "-c", "cat /run/result.*").stdout
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def pods(runtime: Runtime) -> list[str]:
    """The names of the pods, which are there."""
    names = [f"p{number}" for number in range(PODS)]
    runtime.node.run("sh", "-c", f"for pod in {' '.join(names)}; do ip netns add $pod; done")
    return names


def test_s_057_a_hundred_at_once_round_after_round(runtime: Runtime, pods: list[str]) -> None:
    for _round in range(ROUNDS):
        results = at_once(runtime, "ADD", " ".join(pods))

        for family in (0, 1):
            assert len({result["ips"][family]["address"] for result in results}) == PODS
        records = runtime.records()
        assert len(records) == 3 * PODS  # by owner and by two addresses
        ports = [link for link in runtime.links().values() if link.get("master") == "br1"]
        assert {port["ifalias"] for port in ports} == {f"humanz-cni net1 {pod} eth0" for pod in pods}

        assert at_once(runtime, "DEL", " ".join(pods)) == []
        assert runtime.records() == {}
        assert set(runtime.links()) == {"lo", "br1"}


def test_s_057_some_come_while_others_go(runtime: Runtime, pods: list[str]) -> None:
    """Half of the pods are deleted while the other half is added, again and again."""
    halves = [pods[: PODS // 2], pods[PODS // 2 :]]
    at_once(runtime, "ADD", " ".join(halves[0]))
    for number in range(2 * ROUNDS):
        going, coming = halves if number % 2 == 0 else halves[::-1]
        results = at_once(runtime, "DEL", " ".join(going), "ADD", " ".join(coming))

        assert len(results) == PODS // 2
        owners = [json.loads(text)["containerID"] for text in runtime.records().values()]
        assert sorted(owners) == sorted(coming * 3)
        shell = "for pod in $0; do ip -n $pod -o -4 addr show eth0; done"
        lines = runtime.node.run("sh", "-c", shell, " ".join(coming)).stdout.splitlines()
        assert len({line.split()[3] for line in lines}) == len(lines) == PODS // 2
        assert len([link for link in runtime.links().values() if link.get("master") == "br1"]) == PODS // 2
