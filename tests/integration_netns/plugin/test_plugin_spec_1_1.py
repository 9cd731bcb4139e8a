# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specification 1.1.0: the further keys of routes, in the kernel and in the result."""

from __future__ import annotations

import json
from typing import Any

import pytest
import result_shape
from runtime import Outcome, Runtime, nested

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


def test_s_139_a_gateway_beyond_the_link_is_refused_with_the_kernels_words(runtime: Runtime) -> None:
    wrong = conf("1.1.0")
    wrong["ipam"]["routes"] = [{**DIRECT, "gw": "10.9.0.77"}]
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", wrong)

    assert "172.21.0.0/16" in error["details"]
    assert runtime.state()["records"] == before["records"]
