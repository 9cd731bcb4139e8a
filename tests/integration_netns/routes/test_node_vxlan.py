# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_vxlan on a node: what it makes, changes, removes, predicts and refuses."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.route_monitor import route_events

FILES = ("/etc/humanz-cni/vxlan", "/etc/humanz-cni/vxlan-fdb")
PEERS = [
    {"node_ip": "200.0.1.10", "mac": "02:d9:c8:00:01:0a", "neighbours": ["200.0.1.10", "fe80::d9:c8ff:fe00:10a"]},
    {"node_ip": "200.0.1.20", "mac": "02:d9:c8:00:01:14", "neighbours": ["200.0.1.20"]},
]
OPTIONS: dict[str, Any] = {
    "node_ip": "200.0.0.10",
    "mac": "02:d9:c8:00:00:0a",
    "addresses": ["100.100.0.0", "fd01::"],
    "peers": PEERS,
}
TUNNELLED = [
    {"dst": "100.100.1.0/24", "via": "200.0.1.10", "dev": "humanz-vxlan0"},
    {"dst": "fd01:0:0:1::/64", "via": "fe80::d9:c8ff:fe00:10a", "dev": "humanz-vxlan0"},
]


@pytest.fixture
def nested(nested: Node) -> Node:
    """The node of the topology, which does not look for other machines with its addresses of IPv6 first."""
    nested.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
    return nested


def converge(node: Node, *, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module with OPTIONS and *options*; it must succeed. The addresses are in use when it returns."""
    result = node.module("node_vxlan", {**OPTIONS, **options}, check=check, diff=diff)
    assert not result.get("failed"), result
    if not check:
        wait_for_the_address(node)
    return result


def wait_for_the_address(node: Node) -> None:
    """The kernel gives the address of IPv6 its route later."""
    deadline = time.monotonic() + 60
    while "local fd01::" not in node.ip("-6 route show table local"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def everything(node: Node) -> list[str]:
    """What there is of interfaces, addresses, entries and files, without the interfaces' numbers."""
    shown = [node.ip("-d -o link"), node.ip("-o addr"), node.ip("route show table all")]
    shown += [node.ip("neigh show nud permanent"), node.run("bridge", "fdb").stdout]
    shown += [node.run("cat", path, check=False).stdout for path in FILES]
    return [line.partition(": ")[2] or line for text in shown for line in text.splitlines()]


def kernel_entries(node: Node, device: str = "humanz-vxlan0") -> tuple[set[str], set[str]]:
    """The neighbours as ``address mac``, and the FDB as ``mac node_ip``."""
    neighbours = json.loads(node.ip(f"-j neigh show dev {device}"))
    fdb = json.loads(node.run("bridge", "-j", "fdb", "show", "dev", device).stdout)
    return {f"{one['dst']} {one['lladdr']}" for one in neighbours}, {f"{one['mac']} {one['dst']}" for one in fdb}


def test_the_interface_and_its_static_entries(nested: Node) -> None:
    result = converge(nested)
    assert (result["changed"], result["device"], result["peers"]) == (True, "humanz-vxlan0", 2)
    link = json.loads(nested.ip("-j -d link show humanz-vxlan0"))[0]
    assert (link["address"], link["mtu"], link["ifalias"]) == ("02:d9:c8:00:00:0a", 1450, "humanz-cni")
    data = link["linkinfo"]["info_data"]
    assert (data["id"], data["port"], data["local"], data["learning"]) == (217, 4789, "200.0.0.10", False)
    assert kernel_entries(nested) == (
        {
            "200.0.1.10 02:d9:c8:00:01:0a",
            "fe80::d9:c8ff:fe00:10a 02:d9:c8:00:01:0a",
            "200.0.1.20 02:d9:c8:00:01:14",
        },
        {"02:d9:c8:00:01:0a 200.0.1.10", "02:d9:c8:00:01:14 200.0.1.20"},
    )


def test_a_second_run_changes_nothing(nested: Node) -> None:
    converge(nested)
    before = everything(nested)
    with route_events(nested) as events:
        assert not converge(nested)["changed"]
    assert events == []
    assert everything(nested) == before


def test_check_mode_predicts_and_writes_nothing(nested: Node) -> None:
    before = everything(nested)
    predicted = converge(nested, check=True, diff=True)
    assert everything(nested) == before
    real = converge(nested, diff=True)
    for result in (predicted, real):
        result.pop("invocation")
    assert predicted == real
    assert predicted["diff"]["after"].splitlines()[0] == (
        "link add humanz-vxlan0 address 02:d9:c8:00:00:0a type vxlan id 217 local 200.0.0.10 dstport 4789 nolearning"
    )


def test_absent_leaves_no_trace(nested: Node) -> None:
    before = everything(nested)
    converge(nested)
    assert nested.module("node_vxlan", {"state": "absent"}, check=True)["changed"]
    assert nested.module("node_vxlan", {"state": "absent"})["changed"]
    assert everything(nested) == before
    assert not nested.module("node_vxlan", {"state": "absent"})["changed"]


def test_absent_needs_no_bridge_command(nested: Node) -> None:
    converge(nested)
    nested.run("mount", "--bind", "/etc/passwd", shutil.which("bridge") or "/sbin/bridge")
    assert "bridge" in nested.module("node_vxlan", OPTIONS)["msg"]
    assert nested.module("node_vxlan", {"state": "absent"})["changed"]
    assert "humanz-vxlan0" not in nested.ip("link")


@pytest.mark.parametrize(
    "damage",
    [
        "ip link delete humanz-vxlan0",
        "ip link set humanz-vxlan0 down",
        "ip link set humanz-vxlan0 mtu 1500",
        "ip link set humanz-vxlan0 address 02:00:00:00:00:01",
        "ip link set humanz-vxlan0 type vxlan learning",
        "ip addr flush dev humanz-vxlan0 scope global",
        "ip addr add 10.9.9.9/32 dev humanz-vxlan0",
        "ip neigh del 200.0.1.10 dev humanz-vxlan0",
        "ip neigh replace 200.0.1.10 lladdr 02:00:00:00:00:01 dev humanz-vxlan0 nud permanent",
        "ip neigh replace 200.0.1.99 lladdr 02:00:00:00:00:01 dev humanz-vxlan0 nud permanent",
        "bridge fdb del 02:d9:c8:00:01:14 dev humanz-vxlan0",
        "bridge fdb replace 02:d9:c8:00:01:14 dev humanz-vxlan0 dst 200.0.1.99",
        "bridge fdb add 02:00:00:00:00:01 dev humanz-vxlan0 dst 200.0.1.20",
        "rm /etc/humanz-cni/vxlan-fdb",
    ],
)
def test_damage_is_seen_and_repaired(nested: Node, damage: str) -> None:
    converge(nested)
    expected = sorted(everything(nested))
    nested.run(*damage.split())
    assert sorted(everything(nested)) != expected
    assert converge(nested)["changed"]
    assert sorted(everything(nested)) == expected


@pytest.mark.parametrize("change", [{"vni": 300}, {"port": 8472}, {"device": "other0"}, {"peers": PEERS[1:]}])
def test_a_change_leaves_nothing_of_what_was(nested: Node, make_node: Any, change: dict[str, Any]) -> None:
    converge(nested)
    nested.ip("route add 100.100.1.0/24 via 200.0.1.20 dev humanz-vxlan0 onlink")
    assert converge(nested, **change)["changed"]
    assert not converge(nested, **change)["changed"]
    links = [link["ifname"] for link in json.loads(nested.ip("-j -d link show type vxlan")) if link]
    assert links == [change.get("device", "humanz-vxlan0")]
    kept = nested.ip("route show 100.100.1.0/24") != ""
    assert kept == ("peers" in change), "an interface that can stay is not made anew"
    assert len(kernel_entries(nested, links[0])[1]) == len(change.get("peers", PEERS))


def test_the_files_bring_it_back(nested: Node) -> None:
    converge(nested)
    expected = sorted(everything(nested))
    nested.ip("link delete humanz-vxlan0")
    nested.run("ip", "-force", "-batch", FILES[0])
    nested.run("bridge", "-force", "-batch", FILES[1])
    assert not converge(nested)["changed"]
    assert sorted(everything(nested)) == expected


def test_vxlan_interfaces_of_others_stay(nested: Node) -> None:
    nested.ip("link add flannel.1 type vxlan id 1 dstport 8472 local 200.0.0.10 nolearning")
    nested.ip("link set flannel.1 up")
    before = everything(nested)
    converge(nested)
    assert nested.module("node_vxlan", {"state": "absent"})["changed"]
    assert everything(nested) == before


FURTHER_LINE = "\nnetns exec x touch /run/x"


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("link set lo up", {"device": "vx0" + FURTHER_LINE}, "device: 'vx0\\nnetns exec x touch /run/x' must be"),
        ("link set lo up", {"mac": "02:d9:c8:00:00:0a up"}, "mac: '02:d9:c8:00:00:0a up' must be a MAC address"),
        ("link set lo up", {"node_ip": "fd00:200::10%" + FURTHER_LINE}, "node_ip: "),
        ("link set lo up", {"addresses": ["fd01::%" + FURTHER_LINE]}, "addresses: "),
        ("link set lo up", {"peers": [{**PEERS[0], "mac": "x" + FURTHER_LINE}]}, "peers: mac: "),
        ("link set lo up", {"peers": [{**PEERS[0], "node_ip": "fd00::1%" + FURTHER_LINE}]}, "peers: node_ip: "),
        ("link set lo up", {"peers": [{**PEERS[0], "neighbours": ["::1%" + FURTHER_LINE]}]}, "peers: neighbours: "),
        (
            "link add humanz-vxlan0 type bridge",
            {},
            "pod_network_vxlan_device humanz-vxlan0: is another program's interface",
        ),
        ("link set lo up", {"node_ip": "200.0.0.11"}, "node_ip: no interface of this node has the address 200.0.0.11"),
        ("link set lo up", {"node_ip": "200.0.0.10 dev lo"}, "node_ip: 200.0.0.10 dev lo is not an IP address"),
        (
            "link set lo up",
            {"peers": [{**PEERS[0], "neighbours": ["fe80::1%lo"]}]},
            "peers: neighbours: 'fe80::1%lo' is not an IP address: it must be an address such as 200.0.0.10",
        ),
        ("link add vxlan9 type vxlan id 217 dstport 4789 local 200.0.0.10", {}, "everything is as it was before"),
    ],
)
def test_what_is_refused_changes_nothing(nested: Node, command: str, options: dict[str, Any], expected: str) -> None:
    nested.ip(command)
    before = everything(nested)
    result = nested.module("node_vxlan", {**OPTIONS, **options})
    assert expected in result["msg"]
    assert everything(nested) == before


def test_routes_by_the_interface_are_made_told_apart_and_removed(nested: Node) -> None:
    """The same next hop may be reached by the interface, or directly once nodes share a network."""
    converge(nested)
    result = nested.module("node_routes", {"routes": TUNNELLED})
    assert result["added"] == [
        "100.100.1.0/24 via 200.0.1.10 dev humanz-vxlan0 onlink",
        "fd01:0:0:1::/64 via fe80::d9:c8ff:fe00:10a dev humanz-vxlan0 onlink metric 1024",
    ]
    assert not nested.module("node_routes", {"routes": TUNNELLED})["changed"]
    assert "via 200.0.1.10 dev humanz-vxlan0" in nested.ip("route get 100.100.1.2")
    nested.ip("addr add 200.0.1.99/24 dev enp8s0")
    direct = [{"dst": "100.100.1.0/24", "via": "200.0.1.10"}]
    assert nested.module("node_routes", {"routes": direct})["replaced"] == ["100.100.1.0/24 via 200.0.1.10"]
    assert "via 200.0.1.10 dev enp8s0" in nested.ip("route get 100.100.1.2")


@pytest.mark.parametrize(
    "change",
    [
        {"vni": 300},
        {"vni": 300, "device": "other0"},
        {"peers": [*PEERS, {"node_ip": "fd00:200::30", "mac": "02:d9:c8:00:01:1e", "neighbours": ["200.0.1.30"]}]},
    ],
    ids=["made anew", "of another name", "that stays"],
)
def test_routes_by_an_interface_outlast_a_refused_change_of_it(nested: Node, change: dict[str, Any]) -> None:
    converge(nested)
    direct = {"dst": "100.100.9.0/24", "via": "200.0.0.20"}
    assert len(nested.module("node_routes", {"routes": [*TUNNELLED, direct]})["added"]) == 3
    nested.ip("link add vxlan9 type vxlan id 300 dstport 4789 local 200.0.0.10")
    before = sorted(everything(nested))
    result = nested.module("node_vxlan", {**OPTIONS, **change})
    assert "everything is as it was before" in result["msg"]
    wait_for_the_address(nested)
    assert sorted(everything(nested)) == before
