# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CHECK: differences that are none, and attachments that only look like the one asked about."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)
Edit = Callable[[dict[str, Any]], None]

TOLERATED: dict[str, tuple[str, Edit]] = {
    "S-093 mtu": ("ip -n pod1 link set eth0 mtu 1400", lambda result: None),
    "S-093 a further default route": (
        "ip -n pod1 route add default via 10.9.0.9 metric 50", lambda result: None,
    ),
    "S-093 a further address": ("ip -n pod1 addr add 192.0.2.1/32 dev eth0", lambda result: None),
    "S-093 an interface of another plugin": (
        "true", lambda result: result["interfaces"].append({"name": "ifb0", "mac": "unknown"}),
    ),
    "S-142 no routes and no dns": ("true", lambda result: result.update(routes=None, dns=None)),
    "S-143 without a version": ("true", lambda result: result.pop("cniVersion")),
    "S-143 of an earlier version": ("true", lambda result: result["ips"][0].update(version="4")),
    "S-134 interfaces in another order": ("true", lambda result: result["interfaces"].reverse()),
    "S-134 hardware address in capitals": (
        "true", lambda result: result["interfaces"][2].update(mac=result["interfaces"][2]["mac"].upper()),
    ),
    "S-134 an interface of that name in another sandbox": (
        "true", lambda result: result["interfaces"].append({"name": "eth0", "sandbox": "/run/netns/other"}),
    ),
    "S-136 an address twice": ("true", lambda result: result["ips"].append(dict(result["ips"][0]))),
    "S-136 another spelling of an address": (
        "true", lambda result: result["ips"][1].update(address="FD00:9:0:0::2/64"),
    ),
}  # fmt: skip

REFUSED: dict[str, tuple[Edit, dict[str, str], str]] = {
    "S-091 without the interface": (lambda result: result.pop("interfaces"), {}, "no interface eth0"),
    "S-091 in another sandbox": (
        lambda result: result["interfaces"][2].update(sandbox="/run/netns/other"), {}, "/run/netns/pod1",
    ),
    "S-091 without one of its addresses": (lambda result: result["ips"].pop(), {}, "fd00:9::2"),
    "S-092 of another container": (
        lambda result: None, {"CONTAINERID": "pod7"}, "Failed to find address added by container pod7",
    ),
    "S-091 in no namespace": (lambda result: None, {"NETNS": "/run/netns/gone"}, "/run/netns/gone"),
    "S-091 in the node's namespace": (lambda result: None, {"NETNS": "/proc/self/ns/net"}, "another network namespace"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "edit"), TOLERATED.values(), ids=TOLERATED)
def test_tolerated(runtime: Runtime, command: str, edit: Edit) -> None:
    result = runtime.add(CONF)
    runtime.node.run(*command.split())
    edit(result)

    assert runtime.call("CHECK", {**CONF, "prevResult": result}) == Outcome(0, "", "")


@pytest.mark.parametrize(("edit", "environment", "named"), REFUSED.values(), ids=REFUSED)
def test_refused(runtime: Runtime, edit: Edit, environment: dict[str, str], named: str) -> None:
    result = copy.deepcopy(runtime.add(CONF))
    edit(result)
    before = runtime.state()

    error = runtime.fail("CHECK", {**CONF, "prevResult": result}, **environment)

    assert named in error["msg"]
    assert runtime.state() == before


def test_s_052_two_interfaces_of_one_pod_are_checked_each_by_itself(runtime: Runtime) -> None:
    """The kernel makes one route with two next hops of their IPv6 default routes."""
    conf = CONF
    results = {ifname: runtime.add(conf, ifname=ifname) for ifname in ("eth0", "net1")}

    for ifname, result in results.items():
        assert runtime.call("CHECK", {**conf, "prevResult": result}, ifname=ifname) == Outcome(0, "", "")
    runtime.delete(conf, ifname="eth0")

    runtime.fail("CHECK", {**conf, "prevResult": results["eth0"]})
    assert runtime.call("CHECK", {**conf, "prevResult": results["net1"]}, ifname="net1") == Outcome(0, "", "")


def test_s_091_a_next_hop_that_is_gone_is_missed_though_the_other_interface_has_one(runtime: Runtime) -> None:
    results = {ifname: runtime.add(CONF, ifname=ifname) for ifname in ("eth0", "net1")}
    runtime.node.ip("-n pod1 -6 route delete default via fd00:9::1 dev eth0")

    error = runtime.fail("CHECK", {**CONF, "prevResult": results["eth0"]})

    assert error["msg"] == "interface eth0 has no route to ::/0 via fd00:9::1"
    assert runtime.call("CHECK", {**CONF, "prevResult": results["net1"]}, ifname="net1") == Outcome(0, "", "")


def test_s_093_a_route_by_an_interface_of_another_plugin(runtime: Runtime) -> None:
    result = runtime.add(CONF)
    runtime.node.ip("-n pod1 link add net1 type veth peer name net2")
    runtime.node.ip("-n pod1 addr add 192.0.2.9/24 dev net1")
    for link in ("net1", "net2"):
        runtime.node.ip(f"-n pod1 link set {link} up")
    runtime.node.ip("-n pod1 route add 198.51.100.0/24 via 192.0.2.1 dev net1")
    result["routes"].append({"dst": "198.51.100.0/24", "gw": "192.0.2.1"})

    assert runtime.call("CHECK", {**CONF, "prevResult": result}) == Outcome(0, "", "")

    runtime.node.ip("-n pod1 route delete 198.51.100.0/24")
    error = runtime.fail("CHECK", {**CONF, "prevResult": result})
    assert error["msg"] == "the pod has no route to 198.51.100.0/24 via 192.0.2.1"


def test_s_091_our_route_by_another_interface_is_not_ours(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["routes"] = [{"dst": "198.51.100.0/24"}]
    result = runtime.add(conf)
    runtime.node.ip("-n pod1 route delete 198.51.100.0/24")
    runtime.node.ip("-n pod1 route add 198.51.100.0/24 dev lo")

    error = runtime.fail("CHECK", {**conf, "prevResult": result})

    assert error["msg"] == "interface eth0 has no route to 198.51.100.0/24"
