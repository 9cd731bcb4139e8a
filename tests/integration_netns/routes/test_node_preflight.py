# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight on a node: what it finds, in one message, and that it changes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.preflight import PART, problems


def test_a_node_that_fits_its_part_passes(nested: Node) -> None:
    assert problems(nested) == []


def test_a_converged_node_passes(nested: Node) -> None:
    nested.module("node_routes", {"routes": PART["routes"]})
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    nested.ip("link set humanz-cni0 up")
    assert problems(nested) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "addr add 100.100.0.1/20 dev enp1s0",
            [
                "n1: pod_network_pod_cidr 100.100.0.0/24: overlaps the route `100.100.0.0/20 dev enp1s0 proto kernel`",
                "n1: route 100.100.1.0/24: overlaps the route `100.100.0.0/20 dev enp1s0 proto kernel`",
                "n1: route 100.100.2.0/24: overlaps the route `100.100.0.0/20 dev enp1s0 proto kernel`",
            ],
        ),
        (
            "route add 100.100.0.64/26 via 192.168.122.9 proto bird",
            [
                "n1: pod_network_pod_cidr 100.100.0.0/24: overlaps the route "
                "`100.100.0.64/26 via 192.168.122.9 dev enp1s0 proto bird`"
            ],
        ),
        (
            "route add blackhole 100.100.0.0/24",
            ["n1: pod_network_pod_cidr 100.100.0.0/24: overlaps the route `blackhole 100.100.0.0/24 proto boot`"],
        ),
        (
            "route add 100.100.1.0/24 via 200.0.0.20",
            [
                "n1: route 100.100.1.0/24: exists already and is not ours: "
                "`100.100.1.0/24 via 200.0.0.20 dev enp8s0 proto boot`"
            ],
        ),
        ("route add 100.0.0.0/8 via 192.168.122.9", []),
        ("route add blackhole 100.100.0.0/16", []),
        ("route add 100.100.0.0/24 via 200.0.0.77 table 300", []),
        ("route add 100.100.200.0/24 via 200.0.0.77", []),
    ],
)
def test_routes_that_are_in_the_way(nested: Node, command: str, expected: list[str]) -> None:
    nested.ip(command)
    found = problems(nested)
    assert [line.split(": one of both")[0].split(": remove that")[0] for line in found] == expected


def test_a_file_that_turns_forwarding_off_is_warned_of_before_anything_is_changed(nested: Node) -> None:
    nested.run("mkdir", "-p", "/etc/sysctl.d")
    nested.run("tee", "/etc/sysctl.d/99-zz.conf", input="#\nnet.ipv4.conf.all.forwarding = 0\n")
    nested.run("tee", "/etc/sysctl.d/60-nic.conf", input="net.ipv4.conf.enp8s0.forwarding = 0\n")
    nested.run("tee", "/etc/sysctl.d/60-other.conf", input="net.ipv4.conf.enp1s0.forwarding = 0\n")
    result = nested.module("node_preflight", {**PART, "node": "n1"})
    assert not result.get("failed"), result
    said = [str(warning) for warning in result["warnings"] if "sysctl.d" in str(warning)]
    assert len(said) == 2, said
    assert (
        "n1: /etc/sysctl.d/60-nic.conf line 1 sets net.ipv4.conf.enp8s0.forwarding to 0, but pods need "
        "net.ipv4.conf.enp8s0.forwarding = 1: remove or change that line; "
        "/etc/sysctl.d/99-humanz-cni.conf is read after it and wins at boot"
    ) in said[0]
    assert (
        "n1: /etc/sysctl.d/99-zz.conf line 2 sets net.ipv4.conf.all.forwarding to 0, but pods need "
        "net.ipv4.ip_forward = 1: remove or change that line; it is in force after each boot until humanz-cni.service "
        "or a run puts net.ipv4.ip_forward = 1 back"
    ) in said[1]


def test_all_that_is_wrong_is_said_at_once(nested: Node) -> None:
    found = problems(
        nested,
        node_ips=["200.0.0.11"],
        routes=[{"dst": "100.100.1.0/24", "via": "200.0.0.10"}, {"dst": "100.100.2.0/24", "via": "201.0.0.30"}],
        problems=["cluster: pod_network_service_cidr 10.0.0.0/33: must be in CIDR notation"],
    )
    assert found[0] == "cluster: pod_network_service_cidr 10.0.0.0/33: must be in CIDR notation"
    assert sorted(found[1:]) == [
        "n1: next hop 200.0.0.10: is an address of this node: give each node a node IP of its own",
        "n1: next hop 201.0.0.30: is behind the router 192.168.122.1 on enp1s0: "
        "it must be an address on a network that this node has an interface in, "
        "or set pod_network_cross_subnet to vxlan",
        "n1: pod_network_node_ip 200.0.0.11: is on no interface of this node, which has 200.0.0.10 on enp8s0, "
        "192.168.122.10 on enp1s0, fd00:200::10 on enp8s0: must be one of its addresses",
    ]


DUAL: dict[str, Any] = {
    "pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"],
    "node_ips": ["200.0.0.10", "fd00:200::10"],
    "routes": [*PART["routes"], {"dst": "fd00:100:0:1::/64", "via": "fd00:200::20"}],
}
IPV6 = {"pod_cidrs": ["fd00:100::/64"], "node_ips": ["fd00:200::10"], "routes": DUAL["routes"][-1:]}


@pytest.mark.parametrize("part", [DUAL, IPV6])
def test_a_node_that_fits_its_part_with_ipv6_passes(nested: Node, part: dict[str, Any]) -> None:
    assert problems(nested, **part) == []
    nested.module("node_routes", {"routes": part["routes"]})
    nested.ip("link add humanz-cni0 type bridge")
    for cidr in part["pod_cidrs"]:
        nested.ip(f"addr add {cidr.replace('0/', '1/') if '.' in cidr else 'fd00:100::1/64'} dev humanz-cni0")
    nested.ip("link set humanz-cni0 up")
    assert problems(nested, **part) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "ip -6 addr add fd00:100::1/60 dev enp1s0 nodad",
            [
                "pod_network_pod_cidr fd00:100::/64: overlaps the route `fd00:100::/60 dev enp1s0 proto kernel metric "
                "256`: one of both must be another network",
                "route fd00:100:0:1::/64: overlaps the route `fd00:100::/60 dev enp1s0 proto kernel metric 256`: one "
                "of both must be another network",
            ],
        ),
        (
            "ip -6 route add fd00:100:0:1::/64 via fd00:200::20",
            [
                "route fd00:100:0:1::/64: exists already and is not ours: `fd00:100:0:1::/64 via fd00:200::20 "
                "dev enp8s0 proto boot metric 1024`: remove that one, or give the node another pod CIDR"
            ],
        ),
        (
            "ip -6 addr del fd00:200::10/64 dev enp8s0",
            [
                "pod_network_node_ip fd00:200::10: is on no interface of this node, which has 200.0.0.10 on enp8s0, "
                "192.168.122.10 on enp1s0: must be one of its addresses",
                "next hop fd00:200::20: is unreachable (Network is unreachable): it must be an address on a network "
                "that this node has an interface in",
            ],
        ),
        (
            "ip -6 addr add fd00:200::20/64 dev enp1s0 nodad",
            ["next hop fd00:200::20: is an address of this node: give each node a node IP of its own"],
        ),
        (
            "ip -6 addr del fd00:200::10/64 dev enp8s0; ip -6 addr add fd00:200::10/128 dev enp8s0 nodad; "
            "ip -6 route add fd00:200::/64 via fd00:200::1 dev enp8s0 onlink",
            [
                "next hop fd00:200::20: is behind the router fd00:200::1 on enp8s0: it must be an address on a network "
                "that this node has an interface in, or set pod_network_cross_subnet to vxlan"
            ],
        ),
        (
            "sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
            [
                "pod_network_pod_cidr fd00:100::/64: IPv6 is off on this node: its sysctl "
                "net.ipv6.conf.default.disable_ipv6 must be 0"
            ],
        ),
        (
            "mkdir -p /etc/sysctl.d; echo net.ipv6.conf.all.disable_ipv6 = 1 > /etc/sysctl.d/98-no.conf",
            [
                "pod_network_pod_cidr fd00:100::/64: /etc/sysctl.d/98-no.conf line 1 sets "
                "net.ipv6.conf.all.disable_ipv6 to 1, so that this node has no IPv6 after the next boot: remove that "
                "line"
            ],
        ),
        (
            "mkdir -p /etc/sysctl.d; echo net.ipv6.conf.enp8s0.disable_ipv6 = 1 > /etc/sysctl.d/98-no.conf",
            [
                "pod_network_pod_cidr fd00:100::/64: /etc/sysctl.d/98-no.conf line 1 sets "
                "net.ipv6.conf.enp8s0.disable_ipv6 to 1, so that enp8s0 has no IPv6 after the next boot: remove that "
                "line"
            ],
        ),
        ("ip link add humanz-cni0 type bridge; sysctl -qw net.ipv6.conf.humanz-cni0.disable_ipv6=1", []),
        (
            "ip link add humanz-cni0 type bridge; ip link set humanz-cni0 up; ip addr add fd00:100:0:7::1/64 dev "
            "humanz-cni0 nodad; ip link add veth0 master humanz-cni0 type veth peer name pod0",
            [
                "pod_network_pod_cidr 100.100.0.0/24, fd00:100::/64: pods of this node are in fd00:100:0:7::/64 "
                "(veth0): remove them first, by `kubectl drain` and, for those of DaemonSets, `crictl rmp --force` "
                "while kubelet is stopped; `humanz-cni-ctl reclaim` releases addresses of pods that are gone"
            ],
        ),
        ("ip -6 route add blackhole fd00:100::/48", []),
    ],
)
def test_what_stands_against_ipv6(nested: Node, command: str, expected: list[str]) -> None:
    nested.run("sh", "-ec", command)
    assert sorted(problems(nested, **DUAL)) == sorted("n1: " + line for line in expected)


def test_an_ipv6_address_of_another_machine_is_named(make_node: Callable[[], Node]) -> None:
    node, other = make_node(), make_node()
    node.wire("enp8s0", other, "lan")
    other.ip("addr add fd00:200::10/64 dev lan nodad")
    node.ip("addr add fd00:200::10/64 dev enp8s0")
    deadline = time.monotonic() + 60
    while "dadfailed" not in node.ip("-6 addr show dev enp8s0"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert problems(node, **IPV6)[0] == (
        "n1: pod_network_node_ip fd00:200::10: another machine on enp8s0 has it too (duplicate address detection): "
        "give each its own"
    )


def test_missing_commands_for_ipv6(nested: Node) -> None:
    nested.run("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    assert problems(nested, path="/usr/bin", **IPV6)[:2] == [
        "n1: command ip6tables: is not on this node: install its package, iptables, or nftables",
        "n1: command ip6tables-restore: is not on this node: install its package, iptables, or nftables",
    ]


def test_options_that_dual_stack_has_no_room_for(nested: Node) -> None:
    assert problems(nested, **DUAL, format="conf", mtu=1279) == [
        "n1: pod_network_mtu: 1279 must be 1280 bytes or more for IPv6, as in fd00:100::/64",
        "n1: pod_network_pod_cidr: 100.100.0.0/24, fd00:100::/64 are 2 networks, and the format conf has room for one: "
        "it must be conflist",
    ]


def test_what_later_modules_would_refuse_is_found_all_at_once(nested: Node) -> None:
    options = {"bridge": "a-name-that-is-too-long", "uplink": "a b", "name": "a/b", "mtu": 10}
    found = problems(nested, **options)
    assert [line.split(": ")[:2] for line in found] == [
        ["n1", "pod_network_bridge"],
        ["n1", "pod_network_name"],
        ["n1", "pod_network_mtu"],
        ["n1", "pod_network_uplink"],
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mtu": 1500}, []),
        ({"mtu": 9000, "format": "conf"}, []),  # has no room for it
        ({"mtu": 9000}, ["enp8s0 of this node passes at most 1500 bytes of a pod's packet: larger ones are split"]),
        ({"mtu": 1451, "mtu_overhead": 50}, ["enp8s0 of this node passes at most 1450 bytes of a pod's packet"]),
        ({"mtu": 100}, ["is smaller than the 576 bytes of RFC 791"]),
    ],
)
def test_an_mtu_that_does_not_fit_the_nodes_interface_is_warned_of(
    nested: Node, options: dict[str, Any], said: list[str]
) -> None:
    result = nested.module("node_preflight", {**PART, **options})
    assert not result.get("failed"), result
    warnings = [str(warning) for warning in result["warnings"] if "pod_network_mtu" in str(warning)]
    assert len(warnings) == len(said), warnings
    start = f"n1: pod_network_mtu {options['mtu']}: "
    assert all(start + text in warning for text, warning in zip(said, warnings, strict=True))


def test_an_uplink_that_the_node_does_not_have_is_found(nested: Node) -> None:
    assert problems(nested, uplink="enp1s0") == []
    nested.ip("link property add dev enp1s0 altname eth9")  # rules do not know it by that name
    assert problems(nested, uplink="eth9") == [
        "n1: pod_network_uplink eth9: is no interface of this node: name the one that pods' packets to the outside "
        "leave by, or leave it empty for any"
    ]


def test_a_kernel_that_cannot_check_what_pods_send_is_found(nested: Node) -> None:
    assert problems(nested, spoof_check=True) == []
    assert nested.run("nft", "list", "ruleset").stdout == ""

    # It is refused alike without the right to change nf_tables.
    weak = f'#!/bin/sh\nexec setpriv --inh-caps=-net_admin --bounding-set=-net_admin {sys.executable} "$@"\n'
    nested.run("sh", "-c", "cat > /run/weak; chmod +x /run/weak", input=weak)
    assert problems(nested, python="/run/weak") == []
    assert problems(nested, python="/run/weak", spoof_check=True, format="conf", cluster_cidrs=[]) == []
    (found,) = problems(nested, python="/run/weak", spoof_check=True)
    assert found.startswith("n1: pod_network_spoof_check: this node's kernel has no nf_tables for bridges (")


def test_a_configuration_that_would_be_loaded_instead_is_found(nested: Node) -> None:
    nested.run("sh", "-c", "mkdir -p /etc/cni/net.d && echo '{}' > /etc/cni/net.d/05-other.conflist")
    (found,) = problems(nested)
    assert found.startswith("n1: /etc/cni/net.d/05-other.conflist would be loaded instead of 10-humanz-cni-plugin")
    assert problems(nested, foreign="keep") == []


def test_pods_of_another_pod_cidr_are_named_with_the_way_out(nested: Node) -> None:
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 100.100.5.1/24 dev humanz-cni0")
    nested.ip("addr add 169.254.20.10/32 dev humanz-cni0")
    nested.ip("addr add 192.0.2.1/24 dev humanz-cni0")
    assert problems(nested) == []
    nested.ip("link add veth0 master humanz-cni0 type veth peer name pod0")
    assert problems(nested) == [
        "n1: pod_network_pod_cidr 100.100.0.0/24: pods of this node are in 100.100.5.0/24 (veth0): remove them "
        "first, by `kubectl drain` and, for those of DaemonSets, `crictl rmp --force` while kubelet is "
        "stopped; `humanz-cni-ctl reclaim` releases addresses of pods that are gone"
    ]


def test_another_name_for_the_bridge_that_pods_are_on_is_refused_with_the_way_out(nested: Node) -> None:
    nested.ip("link add humanz-cni0 up type bridge")
    nested.ip("link set humanz-cni0 alias humanz-cni")
    nested.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    assert "pods0: this node's pods are on humanz-cni0: set it to that" in "".join(problems(nested, bridge="pods0"))


def test_an_interface_with_the_bridges_name_is_in_the_way(nested: Node) -> None:
    nested.ip("link add humanz-cni0 type veth peer name other")
    assert problems(nested) == [
        "n1: pod_network_bridge humanz-cni0: is another program's veth interface: remove it, or choose another name"
    ]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("route add 200.0.1.0/24 via 200.0.0.1", []),
        ("route add unreachable 200.0.1.0/24", ["200.0.1.20: is unreachable (No route to host)"]),
        ("addr add 200.0.1.20/24 dev enp8s0", ["200.0.1.20: is unreachable (is local)"]),
        ("link add humanz-vxlan0 type bridge", ["pod_network_vxlan_device humanz-vxlan0: is another program's bridge"]),
        (
            "link add humanz-vxlan0 type vxlan id 9 dstport 4789",
            ["pod_network_vxlan_device humanz-vxlan0: is another program's vxlan"],
        ),
    ],
)
def test_what_stands_against_nodes_behind_a_router(nested: Node, command: str, expected: list[str]) -> None:
    nested.ip(command)
    route = {"dst": "100.100.1.0/24", "via": "200.0.1.20", "dev": "humanz-vxlan0"}
    found = problems(nested, routes=[route], vxlan_device="humanz-vxlan0", vxlan_peers=["200.0.1.20"])
    assert len(found) == len(expected)
    assert all(text in line for text, line in zip(expected, found, strict=True))


@pytest.mark.parametrize(("alias", "ours"), [("humanz-cni", True), ("somebody", False)])
@pytest.mark.parametrize(
    "options",
    [{"vxlan_device": device, "vxlan_peers": ["200.0.1.20"]} for device in ("humanz-vxlan0", "other0")] + [{}],
    ids=["as it is", "renamed", "no longer wanted"],
)
def test_the_vxlan_interface_of_an_earlier_run_is_not_in_the_way(
    nested: Node, options: dict[str, Any], alias: str, ours: bool
) -> None:
    nested.ip("link add humanz-vxlan0 type vxlan id 217 dstport 4789")
    nested.ip(f"link set humanz-vxlan0 alias {alias} up")
    nested.ip("addr add fd01::/128 dev humanz-vxlan0 nodad")
    nested.ip("addr add 100.100.0.0/32 dev humanz-vxlan0")
    found = problems(nested, pod_cidrs=["100.100.0.0/24", "fd01::/64"], node_ips=["200.0.0.10"], **options)
    assert (found == []) == ours
    assert ours or "overlaps the route `fd01::/128 dev humanz-vxlan0" in found[-1]


VARIABLE = " (pod_network_force_prune: true)"


def many(count: int) -> list[dict[str, str]]:
    return [{"dst": f"100.100.{number}.0/24", "via": f"200.0.0.{number + 20}"} for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("gets", "options", "refusal"),
    [
        (5, {}, None),
        (
            4,
            {},
            "routes: 6 of the node's 10 of IPv4 would go, more than 5 (max_prune is 50 %): set force if they may"
            + VARIABLE,
        ),
        (4, {"max_prune": 60}, None),
        (4, {"force": True}, None),
        (
            0,
            {},
            "routes: the list has no IPv4 route, but the node has 10: set allow_empty if that is meant" + VARIABLE,
        ),
        (0, {"allow_empty": True}, None),
        (
            4,
            {"state_file": "/etc/humanz-cni/none"},
            "protocol 217: has 6 routes such as `100.100.5.0/24 via 200.0.0.25 proto 217`, but there is no "
            "/etc/humanz-cni/none: choose a number that nothing else uses, "
            "or set force if these routes may be removed" + VARIABLE,
        ),
        (
            4,
            {"state_file": "/etc/passwd"},
            "/etc/passwd was not written by this collection, as its first line does not start with "
            "'# Managed by humanz.cni': move it away, or name another file",
        ),
    ],
)
def test_that_too_many_routes_would_go_is_found(
    nested: Node, gets: int, options: dict[str, Any], refusal: str | None
) -> None:
    nested.module("node_routes", {"routes": many(10)})
    expected = ["n1: " + refusal] if refusal else []
    assert problems(nested, routes=many(gets), **options) == expected
    result = nested.module("node_routes", {"routes": many(gets), **options}, check=True)
    assert result.get("problems", [result.get("msg")]) == [refusal]


@pytest.mark.parametrize("option", ["pod_cidrs", "pod_ranges", "unreachable", "cluster_cidrs"])
def test_an_option_that_is_no_network_is_named(nested: Node, option: str) -> None:
    assert problems(nested, **{option: ["fd00:100::1/64"]})[0].startswith(option + ": fd00:100::1/64 has host bits set")


def test_the_unreachable_rest_of_the_own_pod_cidr_is_no_route_to_peers(nested: Node) -> None:
    peers = [{"dst": f"fd00:100:0:{number}::/64", "via": f"fd00:200::{number}"} for number in (20, 30)]
    nested.module("node_routes", {"routes": peers})
    expected = "routes: the list has no IPv6 route, but the node has 2: set allow_empty if that is meant" + VARIABLE
    assert problems(nested, **{**IPV6, "routes": []}, unreachable=["fd00:100::/64"]) == ["n1: " + expected]


def test_a_plan_with_problems_says_nothing_of_routes_that_go(nested: Node) -> None:
    nested.module("node_routes", {"routes": many(10)})
    said = ["n2: pod_network_node_ip is not set: must be"]
    assert problems(nested, routes=[], problems=said) == said


@pytest.mark.parametrize("option", ["pod_cidrs", "cluster_cidrs", "node_ips", "vxlan_peers"])
def test_an_option_that_no_plan_has_is_refused(nested: Node, option: str) -> None:
    zone = "fe80::%lo" + ("/64" if option.endswith("cidrs") else "")
    (problem,) = problems(nested, **{option: [zone]})
    assert problem.startswith("%s: '%s' is not a" % (option, zone))
