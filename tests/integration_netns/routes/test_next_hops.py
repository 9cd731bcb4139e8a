# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Next hops change while pods' packets follow them, and none is lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support import IN_CHECKOUT
from tests.support.netns import flood
from tests.support.netns.node import PYTHON, Node

PORT = "9000"
PREFIXES = [f"100.100.{number}.0/24" for number in range(1, 21)]
PODS = [prefix.replace(".0/24", ".2") for prefix in PREFIXES]
HOPS = ("200.0.0.20", "200.0.0.30")
ROUNDS = 100  # of each 20 changes


class Cluster:
    """A pod on a node, and two peers, either of which may hold the pods of all PREFIXES."""

    def __init__(self, make_node: Callable[[], Node]) -> None:
        self.node, self.pod, switch = make_node(), make_node(), make_node()
        self.peers = [make_node(), make_node()]
        switch.ip("link add lan type bridge")
        switch.ip("link set lan up")
        for number, member in enumerate((self.node, *self.peers), 1):
            member.wire("enp8s0", switch, f"port{number}")
            switch.ip(f"link set port{number} master lan")
            member.ip(f"addr add 200.0.0.{number}0/24 dev enp8s0")
        self.node.ip("link add humanz-cni0 type bridge")
        self.node.ip("addr add 100.100.0.1/24 dev humanz-cni0")
        self.node.ip("link set humanz-cni0 up")
        self.node.wire("veth0", self.pod, "eth0")
        self.node.ip("link set veth0 master humanz-cni0")
        self.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.pod.ip("addr add 100.100.0.2/24 dev eth0")
        self.pod.ip("route add default via 100.100.0.1")
        for peer in self.peers:
            for pod in PODS:
                peer.ip(f"addr add {pod}/32 dev lo")
            peer.ip("route add 100.100.0.0/24 via 200.0.0.10")

    def flood(self, change: Callable[[], object]) -> tuple[int, list[int]]:
        """Return how many packets the pod sent while *change* ran, and how many came to each peer."""
        counters = [_start(peer, "count") for peer in self.peers]
        sender = _start(self.pod, "send", *PODS)
        change()
        sent = _end(sender)
        return sent, [_end(counter) for counter in counters]


def _start(node: Node, role: str, *addresses: str) -> subprocess.Popen[str]:
    command = [sys.executable, flood.__file__, role, PORT, *addresses]
    enter = ["nsenter", f"--target={node.pid}", "--net", "--"]
    process = subprocess.Popen([*enter, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _end(process: subprocess.Popen[str]) -> int:
    return int(process.communicate()[0])


def routes(hop: str) -> list[dict[str, str]]:
    return [{"dst": prefix, "via": hop} for prefix in PREFIXES]


@pytest.fixture
def cluster(make_node: Callable[[], Node]) -> Cluster:
    made = Cluster(make_node)
    assert made.node.module("node_routes", {"routes": routes(HOPS[0])})["changed"]
    for hop in HOPS:
        made.node.run("ping", "-c1", "-W30", hop)
    return made


@pytest.mark.alone
def test_no_packet_is_lost_while_next_hops_change_2000_times(cluster: Cluster) -> None:
    wanted = [routes(HOPS[(number + 1) % 2]) for number in range(ROUNDS)]

    def change() -> None:
        done = cluster.node.run(
            *IN_CHECKOUT, PYTHON, "-m", "tests.support.netns.apply_driver", input=json.dumps(wanted)
        )
        replaced = [json.loads(line)["replaced"] for line in done.stdout.splitlines()]
        assert replaced == [len(PREFIXES)] * ROUNDS

    sent, received = cluster.flood(change)
    assert sum(received) == sent
    assert min(received) > sent / 4, "the packets did not follow the next hops"


@pytest.mark.alone
def test_the_flood_shows_what_removing_and_adding_loses(cluster: Cluster) -> None:
    """Or the test above would prove nothing."""
    lines = [
        f"route {verb} {prefix} via {HOPS[(number + (verb == 'add')) % 2]} proto 217"
        for number in range(ROUNDS)
        for prefix in PREFIXES
        for verb in ("del", "add")
    ]
    sent, received = cluster.flood(lambda: cluster.node.run("ip", "-batch", "-", input="\n".join(lines)))
    assert sum(received) < sent


def test_each_node_finds_the_device_of_a_next_hop_by_itself(nested: Node, make_node: Callable[[], Node]) -> None:
    """On the topology's third node the wire to the others has another name."""
    nested.wire("enp3s0", make_node(), "lan")
    nested.ip("addr add 200.0.1.10/24 dev enp3s0")
    given = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.1.30"}]
    assert nested.module("node_routes", {"routes": given})["changed"]
    lines = nested.ip("-N route show proto 217").splitlines()
    assert [line.split(" proto")[0].strip() for line in lines] == [
        "100.100.1.0/24 via 200.0.0.20 dev enp8s0",
        "100.100.2.0/24 via 200.0.1.30 dev enp3s0",
    ]
