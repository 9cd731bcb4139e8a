# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specification 1.1.0: the further keys of routes, in the kernel and in the result."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import result_shape
from tests.support.plugin.runtime import Outcome, Runtime, nested

FURTHER = {"dst": "172.20.0.0/16", "gw": "10.9.0.77", "mtu": 1400, "advmss": 1360, "priority": 100, "table": 100}
DIRECT = {"dst": "172.21.0.0/16", "scope": 253}
IPV6 = {"dst": "fd00:5::/64", "mtu": 1380, "advmss": 1320, "priority": 50, "table": 100}
ROUTES: list[dict[str, Any]] = [FURTHER, DIRECT, IPV6]


def conf(version: str) -> dict[str, Any]:
    """Return a configuration of *version* whose routes have all keys."""
    made = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion=version)
    made["ipam"]["routes"] = ROUTES
    return made


def in_the_kernel(runtime: Runtime, family: str, dst: str) -> dict[str, Any]:
    """Return the pod's one route to *dst*, of whatever table."""
    (route,) = json.loads(
        runtime.node.run("ip", "-n", "pod1", family, "-j", "route", "show", "table", "all", dst).stdout
    )
    assert isinstance(route, dict)
    return route


def test_s_139_further_keys_of_routes_are_set_and_reported(runtime: Runtime) -> None:
    result = runtime.add(conf("1.1.0"))

    assert result_shape.problems(result, "1.1.0") == []
    assert result["routes"] == ROUTES
    route = in_the_kernel(runtime, "-4", "172.20.0.0/16")
    assert (route["gateway"], route["table"], route["metric"]) == ("10.9.0.77", "100", 100)
    assert route["metrics"] == [{"mtu": 1400, "advmss": 1360}]
    route = in_the_kernel(runtime, "-6", "fd00:5::/64")
    assert (route["gateway"], route["table"], route["metric"]) == ("fd00:9::1", "100", 50)
    assert route["metrics"] == [{"mtu": 1380, "advmss": 1320}]
    assert runtime.call("CHECK", {**conf("1.1.0"), "prevResult": result}) == Outcome(0, "", "")


def test_s_139_a_route_whose_scope_is_the_link_has_no_gateway(runtime: Runtime) -> None:
    runtime.add(conf("1.1.0"))

    route = in_the_kernel(runtime, "-4", "172.21.0.0/16")
    assert "gateway" not in route
    assert route["scope"] == "link"


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_s_139_before_1_1_0_they_are_set_and_not_reported(runtime: Runtime, version: str) -> None:
    result = runtime.add(conf(version))

    assert result_shape.problems(result, version) == []
    assert in_the_kernel(runtime, "-4", "172.20.0.0/16")["metric"] == 100


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
@pytest.mark.parametrize("keys", [{"table": 100}, {"table": 100, "gw": "10.9.0.1"}, {"table": 255}], ids=str)
def test_s_137_a_default_route_of_another_table_is_not_the_pods(
    runtime: Runtime, keys: dict[str, Any], version: str
) -> None:
    """Packets are looked up in the main table, which isDefaultGateway is about."""
    asked = nested(cniVersion=version, isDefaultGateway=True)
    asked["ipam"]["routes"] = [{"dst": "0.0.0.0/0", **keys}]

    result = runtime.add(asked)

    assert [route["gateway"] for route in runtime.routes("pod1") if route["dst"] == "default"] == ["10.9.0.1"]
    check = {**asked, "prevResult": result}
    assert result["routes"][1] == {"dst": "0.0.0.0/0", "gw": "10.9.0.1"}
    assert runtime.call("CHECK", check) == Outcome(0, "", "")
    runtime.node.ip("-n pod1 route delete default")
    assert runtime.fail("CHECK", check)["msg"] == "interface eth0 has no route to 0.0.0.0/0 via 10.9.0.1"


@pytest.mark.parametrize("table", [0, 254])
def test_s_137_a_default_route_of_the_main_table_is_the_pods_whatever_its_number(runtime: Runtime, table: int) -> None:
    asked = nested(cniVersion="1.1.0", isDefaultGateway=True)
    asked["ipam"]["routes"] = [{"dst": "0.0.0.0/0", "gw": "10.9.0.77", "table": table}]

    result = runtime.add(asked)

    assert [route["gateway"] for route in runtime.routes("pod1") if route["dst"] == "default"] == ["10.9.0.77"]
    assert runtime.call("CHECK", {**asked, "prevResult": result}) == Outcome(0, "", "")


@pytest.mark.parametrize("table", [0, 100, 254, 255])
def test_s_094_two_routes_to_one_place_are_both_found(runtime: Runtime, table: int) -> None:
    asked = nested(cniVersion="1.1.0")
    asked["ipam"]["routes"] = [
        {"dst": "172.20.0.0/16", "priority": 50},
        {"dst": "172.20.0.0/16", "priority": 60, "table": table},
    ]

    assert runtime.call("CHECK", {**asked, "prevResult": runtime.add(asked)}) == Outcome(0, "", "")


CHANGED = {
    "table": {"table": 101},
    "priority": {"priority": 101},
    "mtu": {"mtu": 1399},
    "advmss": {"advmss": 1359},
}


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
@pytest.mark.parametrize("route", [FURTHER, {**IPV6, "gw": "fd00:9::1"}], ids=["IPv4", "IPv6"])
def test_s_091_a_route_with_another_value_of_a_key_is_missed(
    runtime: Runtime, route: dict[str, Any], changed: dict[str, int], version: str
) -> None:
    asked = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion=version)
    asked["ipam"]["routes"] = [route]
    result = runtime.add(asked)
    assert runtime.call("CHECK", {**asked, "prevResult": result}) == Outcome(0, "", "")
    keys = " ".join(f"{key} {value}" for key, value in {**route, **changed}.items() if key not in ("dst", "gw"))
    runtime.node.ip(f"-n pod1 route delete {route['dst']} table {route['table']}")
    keys = keys.replace("priority", "metric")
    runtime.node.ip(f"-n pod1 route add {route['dst']} via {route['gw']} dev eth0 {keys}")

    error = runtime.fail("CHECK", {**asked, "prevResult": result})

    assert error["msg"] == (
        f"interface eth0 has no route to {route['dst']} via {route['gw']} advmss {route['advmss']} mtu {route['mtu']} "
        f"priority {route['priority']} table 100"
    )


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_s_094_the_kernel_keeps_less_than_the_highest_values(runtime: Runtime, version: str) -> None:
    asked = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion=version)
    most = {"mtu": 70000, "advmss": 65535, "priority": 0, "scope": 0}
    asked["ipam"]["routes"] = [{"dst": "172.20.0.0/16", **most}, {"dst": "fd00:5::/64", **most}]

    assert runtime.call("CHECK", {**asked, "prevResult": runtime.add(asked)}) == Outcome(0, "", "")


def test_s_139_a_gateway_beyond_the_link_is_refused_with_the_kernels_words(runtime: Runtime) -> None:
    wrong = conf("1.1.0")
    wrong["ipam"]["routes"] = [{**DIRECT, "gw": "10.9.0.77"}]
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", wrong)

    assert "172.21.0.0/16" in error["details"]
    assert runtime.state()["records"] == before["records"]
