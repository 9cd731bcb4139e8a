# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is said to have, where everything stands and where nothing does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.netns.fleet import Fleet
from tests.support.netns.node import Node

CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"


def test_a_converged_node(fleet: Fleet) -> None:
    node = fleet.nodes["node-1"]
    node.module("pod_probe", {})
    info = node.module("pod_network_info")
    node.module("pod_probe", {"state": "stopped"})

    assert info["changed"] is False
    assert info["plugin"]["path"] == "/opt/cni/bin/humanz-cni"
    assert info["plugin"]["interpreter"] == "/usr/bin/python3"
    assert info["plugin"]["library"].startswith("/usr/local/lib/humanz-cni/")
    assert "1.0.0" in info["plugin"]["versions"]
    in_force = {"path": CONF, "name": "humanz-cni", "cni_version": "1.0.0", "plugins": ["humanz-cni"]}
    assert info["conf"] == {"files": [CONF], "in_force": in_force, "error": None}
    assert info["route_lines"] == [
        "100.100.1.0/24 via 200.0.0.20 dev enp8s0",
        "100.100.2.0/24 via 200.0.0.30 dev enp8s0",
    ]
    assert info["routes"][0] == {"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0"}
    rules = [line.split("] ")[-1] for line in info["rules"]["iptables-save"]]
    assert "-A FORWARD -j HUMANZ-FORWARD" in rules
    assert "-A HUMANZ-POSTROUTING -s 100.100.0.0/24 -j MASQUERADE" in rules
    assert (info["bridge"]["kind"], info["bridge"]["up"], len(info["bridge"]["ports"])) == ("bridge", True, 1)
    assert "100.100.0.1/24" in info["bridge"]["addresses"]
    assert info["bridge"]["alias"].startswith("humanz-cni")
    one_set = {"subnets": ["100.100.0.0/24"], "reserved": 1, "total": 253}
    assert info["pool"] == {"directory": "/run/humanz-cni/humanz-cni", "sets": [one_set]}
    assert info["sysctls"]["net.ipv4.ip_forward"] == "1"
    assert info["probes"] == [{"name": "humanz-probe-default", "running": True}]


def test_an_empty_node(node: Node, run_module: Callable[..., dict[str, Any]]) -> None:
    node.run("rm", "-rf", "/etc/cni/net.d")
    info = run_module("pod_network_info", check=True)
    assert info["plugin"]["error"] == "the CNI plugin humanz-cni is not an executable in /opt/cni/bin"
    assert info["conf"]["error"].startswith("no CNI configuration: /etc/cni/net.d holds no file named")
    empty: dict[str, object] = {
        "routes": [],
        "route_lines": [],
        "rules": {},
        "bridge": None,
        "pool": None,
        "probes": [],
    }
    assert {key: info[key] for key in empty} == empty


def test_paths(fleet: Fleet) -> None:
    node = fleet.nodes["node-1"]
    node.module("pod_probe", {})  # it leaves the bridge
    node.module("pod_probe", {"state": "stopped"})
    args = {"paths": [{"source": "100.100.0.2", "destination": "100.100.1.2", "port": 80}]}
    found = node.module("pod_network_info", args)["paths"][0]
    assert {key: found["route"][key] for key in ("dst", "gateway", "dev")} == {
        "dst": "100.100.1.0/24",
        "gateway": "200.0.0.20",
        "dev": "enp8s0",
    }
    assert found["back"]["dev"] == "humanz-cni0"
    assert (found["forwarding"], found["drop"], found["nat"]) == (True, None, None)
    refused = node.module("pod_network_info", {"paths": [{"source": "fe80::1%lo", "destination": "100.100.1.2"}]})
    assert refused["msg"].startswith("paths: source: 'fe80::1%lo' is not an IP address: it must be")


REFUSALS = """\
route add blackhole 100.100.1.0/24
route add unreachable 100.100.2.0/24
route add prohibit 100.100.3.0/24
route add throw 100.100.4.0/24
rule add to 100.100.5.0/24 lookup 99
route add blackhole default table 99
rule add from 200.0.0.10 to 100.100.6.0/24 ipproto tcp dport 7217 prohibit
rule add from 200.0.0.10 to 100.100.7.0/24 iif d1 blackhole
-6 route add blackhole fd00:1::/64
-6 route add unreachable fd00:2::/64
-6 route add prohibit fd00:3::/64
-6 route add throw fd00:4::/64
-6 rule add to fd00:5::/64 lookup 99
-6 route add unreachable default table 99
-6 rule add not to fd00::/16 prohibit
"""
REFUSED = {
    "100.100.1.2": "Invalid argument, by the route `blackhole 100.100.1.0/24`",
    "100.100.2.2": "No route to host, by the route `unreachable 100.100.2.0/24`",
    "100.100.3.2": "Permission denied, by the route `prohibit 100.100.3.0/24`",
    "100.100.4.2": "Network is unreachable, by the route `throw 100.100.4.0/24`",
    "100.100.5.2": "Invalid argument, by the route `blackhole default table 99`, to which the rule "
    "`32765: from all to 100.100.5.0/24 lookup 99` leads",
    "100.100.6.2": "Permission denied, by the rule "
    "`32764: from 200.0.0.10 to 100.100.6.0/24 ipproto tcp dport 7217 prohibit`",
    "100.100.7.2": "Network is unreachable",
    "fd00:1::2": "Invalid argument, by the route `blackhole fd00:1::/64`",
    "fd00:2::2": "No route to host, by the route `unreachable fd00:2::/64`",
    "fd00:3::2": "Permission denied, by the route `prohibit fd00:3::/64`",
    "fd00:4::2": "Network is unreachable, by the route `throw fd00:4::/64`",
    "fd00:5::2": "No route to host, by the route `unreachable default table 99`, to which the rule "
    "`32765: from all to fd00:5::/64 lookup 99` leads",
    "fd01::2": "Permission denied, by the rule `32764: not from all to fd00::/16 prohibit`",
}


def test_the_route_or_rule_that_refuses_a_packet_is_named(
    node: Node, run_module: Callable[..., dict[str, Any]]
) -> None:
    node.ip("link set lo up")
    node.ip("addr add 200.0.0.10/32 dev lo")
    node.ip("addr add fd00:200::10/128 dev lo")
    for command in REFUSALS.splitlines():
        node.ip(command)
    sources = {4: "200.0.0.10", 6: "fd00:200::10"}
    paths = [{"source": sources[6 if ":" in to else 4], "destination": to, "port": 7217} for to in REFUSED]
    found = run_module("pod_network_info", {"paths": paths})["paths"]
    assert {path["destination"]: path["route"].get("error") for path in found} == REFUSED


def test_a_firewall_of_the_older_kind_is_seen_beside_the_newer(fleet: Fleet) -> None:
    node = fleet.nodes["node-1"]
    args = {"paths": [{"source": "100.100.0.2", "destination": "100.100.1.2"}]}
    node.run("iptables-legacy", "-A", "FORWARD", "-s", "100.100.0.0/16", "-j", "DROP")
    drop = node.module("pod_network_info", args)["paths"][0]["drop"]
    node.run("iptables-legacy", "-F", "FORWARD")
    assert drop == {"tool": "iptables-legacy", "rule": "-A FORWARD -s 100.100.0.0/16 -j DROP", "answer": False}


def test_tables_that_are_not_wanted_are_not_read(fleet: Fleet) -> None:
    node = fleet.nodes["node-1"]
    spy = "printf '#!/bin/sh\\ntouch /run/read' > /run/spy; chmod +x /run/spy; mount --bind /run/spy $(command -v %s)"
    node.run("sh", "-ec", spy % "iptables-save")
    node.run("sh", "-ec", spy % "nft")
    assert not {"rules", "route_lines"} & set(node.module("pod_network_info", {"tables": False}))
    assert node.run("test", "-e", "/run/read", check=False).returncode == 1
    node.module("pod_network_info")
    assert node.run("test", "-e", "/run/read", check=False).returncode == 0
    node.run("sh", "-ec", "umount $(command -v iptables-save) $(command -v nft)")
