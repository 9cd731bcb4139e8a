# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No change sends packets to the controller, or to the default gateway, another way than they take now."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from tests.support import IN_CHECKOUT
from tests.support.netns.module_server import DRIVER
from tests.support.netns.node import Node

PEER = "203.0.113.9"
NEXT = {"dst": "203.0.113.0/24", "via": "200.0.0.20"}
REFUSED = (
    "route 203.0.113.0/24 via 200.0.0.20: would take over the way to 203.0.113.9, the address that this SSH connection "
    "comes from, which is via 192.168.122.1 on enp1s0: pod CIDRs must not contain that address, or connect from "
    "another one"
)


def connected_from(peer: str) -> dict[str, str]:
    """The environment that sshd gives the commands of a connection from *peer*."""
    return {**os.environ, "SSH_CONNECTION": f"{peer} 51234 192.168.122.10 22"}


def module(node: Node, name: str, arguments: dict[str, Any], peer: str = PEER, *, become: bool = False) -> Any:
    """Run a module over an SSH connection from *peer*, as another user's login shell with *become*."""
    command = [*IN_CHECKOUT, sys.executable, *DRIVER, name]
    if become:  # a login shell of su has nothing of the caller's environment, as sudo's commands have not
        command = ["su", "-", "root", "-c", " ".join(command)]
    done = node.run(*command, check=False, input=json.dumps(arguments), env=connected_from(peer))
    return json.loads(done.stdout)


@pytest.mark.parametrize("become", [False, True])
@pytest.mark.parametrize("check", [False, True])
def test_a_route_to_the_controller_is_refused_before_any_change(nested: Node, become: bool, check: bool) -> None:
    routes = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, NEXT]
    before = nested.ip("-4 route show table all")
    result = module(nested, "node_routes", {"routes": routes, "_ansible_check_mode": check}, become=become)
    assert result["problems"] == [REFUSED]
    assert nested.ip("-4 route show table all") == before
    assert nested.run("ls", "/etc/humanz-cni", check=False).returncode


@pytest.mark.parametrize("peer", ["203.0.114.9", "200.0.0.10", "UNKNOWN", "fe80::1%enp1s0"])
def test_other_peers_do_not_matter(nested: Node, peer: str) -> None:
    assert module(nested, "node_routes", {"routes": [NEXT]}, peer)["added"] == ["203.0.113.0/24 via 200.0.0.20"]


def test_without_ssh_nothing_is_taken_for_its_peer(nested: Node) -> None:
    assert nested.module("node_routes", {"routes": [NEXT]})["added"] == ["203.0.113.0/24 via 200.0.0.20"]


def test_the_way_may_be_written_down_as_it_is(nested: Node) -> None:
    nested.ip("route add 203.0.112.0/20 via 200.0.0.20")
    assert module(nested, "node_routes", {"routes": [NEXT]})["added"] == ["203.0.113.0/24 via 200.0.0.20"]


@pytest.mark.parametrize(
    ("after", "refusal"),
    [
        ([{"dst": "203.0.113.0/24", "via": "200.0.0.30"}], "route 203.0.113.0/24 via 200.0.0.30: would take over"),
        ([{"dst": "203.0.112.0/24", "via": "200.0.0.20"}], "route 203.0.113.0/24 via 200.0.0.20: its removal would"),
        ([NEXT, {"dst": "203.0.113.8/29", "via": "200.0.0.20"}], None),
        ([NEXT, {"dst": "203.0.113.0/29", "via": "200.0.0.30"}], None),
        ([NEXT, {"dst": "203.0.113.8/29", "via": "200.0.0.30"}], "route 203.0.113.8/29 via 200.0.0.30: would take"),
    ],
)
def test_a_controller_behind_one_of_our_routes_keeps_it(
    nested: Node, after: list[dict[str, str]], refusal: str | None
) -> None:
    nested.module("node_routes", {"routes": [NEXT]})
    result = module(nested, "node_routes", {"routes": after})
    assert result.get("failed", False) == bool(refusal)
    if refusal:
        assert result["problems"][0].startswith(refusal)
        assert "203.0.113.0/24 via 200.0.0.20" in nested.ip("route")


def test_a_controller_in_a_pod_of_another_node_cannot_cut_itself_off(nested: Node) -> None:
    nested.module("node_routes", {"routes": [NEXT]})
    assert (
        "its removal would change the way to 203.0.113.9"
        in module(nested, "node_routes", {"state": "absent"})["problems"][0]
    )
    assert module(nested, "node_routes", {"state": "absent"}, "192.168.122.1")["removed"]


def test_the_default_gateway_stays_reachable_on_its_own_wire(nested: Node) -> None:
    result = nested.module("node_routes", {"routes": [{"dst": "192.168.122.0/28", "via": "200.0.0.20"}]})
    assert result["problems"] == [
        "route 192.168.122.0/28 via 200.0.0.20: would take over the way to 192.168.122.1, the default gateway, which "
        "is on enp1s0: pod CIDRs must not contain that address"
    ]


def test_ipv6_controllers_are_kept_too(nested: Node) -> None:
    nested.ip("-6 route add default via fd00:200::1")
    result = module(nested, "node_routes", {"routes": [{"dst": "fd77::/64", "via": "fd00:200::20"}]}, "fd77::9")
    assert "the way to fd77::9, the address that this SSH connection comes from" in result["problems"][0]


@pytest.mark.parametrize("become", [False, True])
def test_preflight_sees_it_on_every_node_first(nested: Node, become: bool) -> None:
    part = {"node": "n1", "pod_cidrs": ["100.100.0.0/24"], "node_ips": ["200.0.0.10"], "routes": [NEXT]}
    assert module(nested, "node_preflight", part, become=become)["problems"] == [f"n1: {REFUSED}"]
    assert module(nested, "node_preflight", part, "203.0.114.9", become=become)["problems"] == []


def test_preflight_keeps_the_controller_out_of_the_nodes_own_pods(nested: Node) -> None:
    part = {"node": "n1", "pod_cidrs": ["203.0.113.0/24"], "node_ips": ["200.0.0.10"]}
    (found,) = module(nested, "node_preflight", part)["problems"]
    assert found.startswith("n1: pod_network_pod_cidr 203.0.113.0/24: would take over the way to 203.0.113.9")
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 203.0.113.1/24 dev humanz-cni0")
    nested.ip("link set humanz-cni0 up")
    assert module(nested, "node_preflight", part)["problems"] == []
