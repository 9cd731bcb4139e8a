# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program puts back the interface to nodes behind a router, and what leads through it."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.kernel_events import Monitor
from tests.support.netns.healed_node import HealedNode
from tests.support.netns.node import Node

MAC = "02:d9:c8:00:01:0a"
VXLAN = {
    "node_ip": "200.0.0.10",
    "mac": "02:d9:c8:00:00:0a",
    "addresses": ["100.100.0.0", "fd01::"],
    "peers": [{"node_ip": "200.0.1.10", "mac": MAC, "neighbours": ["200.0.1.10", "fe80::d9:c8ff:fe00:10a"]}],
}
ROUTES = [
    {"dst": "100.100.1.0/24", "via": "200.0.0.20"},
    {"dst": "100.100.2.0/24", "via": "200.0.1.10", "dev": "humanz-vxlan0"},
    {"dst": "fd01:0:0:2::/64", "via": "fe80::d9:c8ff:fe00:10a", "dev": "humanz-vxlan0"},
]
DAMAGE = {
    "interface gone": "ip link delete humanz-vxlan0",
    "interface down": "ip link set humanz-vxlan0 down",
    "another MTU": "ip link set humanz-vxlan0 mtu 1500",
    "addresses gone": "ip addr flush dev humanz-vxlan0 scope global",
    "neighbour gone": "ip neigh del 200.0.1.10 dev humanz-vxlan0",
    "neighbour elsewhere": "ip neigh replace 200.0.1.10 lladdr 02:00:00:00:00:01 dev humanz-vxlan0 nud permanent",
    "FDB entry gone": f"bridge fdb del {MAC} dev humanz-vxlan0",
    "FDB entry elsewhere": f"bridge fdb replace {MAC} dev humanz-vxlan0 dst 200.0.1.99",
    "routes gone": "ip route flush proto 217",
}
MONITORS = [["ip", "monitor", "link", "address", "route", "neigh"], ["bridge", "monitor", "fdb"]]


@pytest.fixture
def crossing(nested: Node) -> HealedNode:
    """A node with a peer behind a router."""
    healed = HealedNode(nested, "nft")
    assert converge(healed) == [True, True]
    return healed


def converge(healed: HealedNode) -> list[bool]:
    results = [healed.node.module("node_vxlan", VXLAN), healed.node.module("node_routes", {"routes": ROUTES})]
    assert not any(result.get("failed") for result in results), results
    return [result["changed"] for result in results]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_what_is_missing_is_put_back(crossing: HealedNode, damage: str) -> None:
    before = crossing.routes()
    crossing.node.run(*damage.split())
    done = crossing.heal()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("put back ")
    assert converge(crossing) == [False, False]
    assert sorted(crossing.routes()) == sorted(before)


def test_nothing_is_written_or_said_when_all_is_there(crossing: HealedNode) -> None:
    while "tentative" in crossing.node.ip("addr"):
        time.sleep(0.1)
    namespace = f"/proc/{crossing.node.pid}/ns/net"
    with Monitor(namespace, *MONITORS[0]) as neighbours, Monitor(namespace, *MONITORS[1]) as entries:
        done = crossing.heal()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        crossing.node.run("bridge", "fdb", "add", "02:00:00:00:00:01", "dev", "humanz-vxlan0", "dst", "200.0.1.9")
        assert entries.up_to("200.0.1.9") == []
        crossing.node.ip("neigh add 200.0.1.9 lladdr 02:00:00:00:00:01 dev humanz-vxlan0 nud permanent")
        assert neighbours.up_to("200.0.1.9") == []


def test_an_interface_of_somebody_else_is_named_and_left_alone(crossing: HealedNode) -> None:
    crossing.node.ip("link delete humanz-vxlan0")
    crossing.node.ip("link add humanz-vxlan0 type bridge")
    shown = json.loads(crossing.node.ip("-j -d link show humanz-vxlan0"))
    done = crossing.heal()
    assert done.returncode == 1
    assert "/etc/humanz-cni/vxlan: humanz-vxlan0 is another program's interface" in done.stderr
    assert json.loads(crossing.node.ip("-j -d link show humanz-vxlan0")) == shown
    assert MAC not in crossing.node.run("bridge", "fdb").stdout


def test_neighbours_that_the_kernel_looks_for_are_no_matter_of_ours(crossing: HealedNode) -> None:
    crossing.node.ip("addr add 10.9.9.1/24 dev humanz-vxlan0")
    crossing.node.run("ping", "-c1", "-W1", "10.9.9.2", check=False)
    neighbours = crossing.node.ip("neigh show dev humanz-vxlan0")
    assert "lladdr" not in next(line for line in neighbours.splitlines() if line.startswith("10.9.9.2 "))
    done = crossing.heal()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_files_without_entries_are_no_matter_of_ours(crossing: HealedNode) -> None:
    crossing.node.run("sed", "-i", "/^fdb/d", "/etc/humanz-cni/vxlan-fdb")
    done = crossing.heal()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
