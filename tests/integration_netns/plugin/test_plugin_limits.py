# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values at the edge of what the kernel and the reference take, and keys that are written otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from runtime import Outcome, Runtime, nested

ROUTES = 10_000


def refused(runtime: Runtime, conf: dict[str, Any], ifname: str = "eth0") -> dict[str, Any]:
    """Return the error of an ADD by *conf* that must fail and change nothing."""
    runtime.pod("pod1")
    before = runtime.state()
    error = runtime.fail("ADD", conf, "pod1", ifname)
    assert runtime.state() == before
    return error


@pytest.mark.parametrize(
    "mac",
    ["+2:00:00:00:00:01", " 2:00:00:00:00:01", "02:0_:00:00:00:01", "02:00:00:00:00:0\u0661", "02:  :00:00:00:01",
     "2:0:0:0:0:1", "00:00:00:00:00:00", "02:00:00:00:00:01:02:03"],
)  # fmt: skip
def test_only_six_pairs_of_hexadecimal_digits_are_a_hardware_address(runtime: Runtime, mac: str) -> None:
    error = refused(runtime, nested(runtimeConfig={"mac": mac}))
    assert error["code"] == 7
    assert error["msg"].startswith("runtimeConfig.mac: ")


@pytest.mark.parametrize("mtu", [1, 67])
def test_an_mtu_that_no_link_can_have_is_refused(runtime: Runtime, mtu: int) -> None:
    error = refused(runtime, nested(mtu=mtu))
    assert error["code"] == 7
    assert error["msg"] == f"mtu: {mtu} is invalid: it must be 0, for the kernel's own, or at least 68"


def test_an_mtu_that_ipv6_cannot_have_is_refused_for_ipv6(runtime: Runtime) -> None:
    error = refused(runtime, nested(("10.9.0.0/24", "fd00:9::/64"), mtu=1279))
    assert (error["code"], error["msg"]) == (7, "mtu: 1279 is invalid: IPv6 takes at least 1280")


@pytest.mark.parametrize(
    ("mtu", "subnets"), [(68, ("10.9.0.0/24",)), (1280, ("10.9.0.0/24", "fd00:9::/64")), (65535, ("10.9.0.0/24",))]
)
def test_the_least_and_the_greatest_mtu_are_given(runtime: Runtime, mtu: int, subnets: tuple[str, ...]) -> None:
    runtime.add(nested(subnets, mtu=mtu))
    assert runtime.links("pod1")["eth0"]["mtu"] == mtu
    assert len(runtime.addresses("eth0", "pod1")) == len(subnets)


@pytest.mark.parametrize("name", ["all", "default"])
def test_names_that_the_kernel_keeps_for_itself_are_refused(runtime: Runtime, name: str) -> None:
    error = refused(runtime, nested(), ifname=name)
    assert (error["code"], error["msg"]) == (4, "interface name is all or default")
    assert "CNI_IFNAME" in error["details"]

    error = runtime.fail("ADD", nested(bridge=name))
    assert (error["code"], error["msg"].partition(" ")[0]) == (7, "bridge:")


def test_ten_thousand_routes_are_set(runtime: Runtime) -> None:
    routes = [
        {"dst": f"172.{16 + number // 2500}.{number % 2500 // 10}.{number % 10 * 16}/28"} for number in range(ROUTES)
    ]
    assert len({route["dst"] for route in routes}) == ROUTES
    conf = nested()
    conf["ipam"]["routes"] = routes

    result = runtime.add(conf)

    assert len(result["routes"]) == ROUTES
    assert len(runtime.routes("pod1")) == ROUTES + 1
    runtime.delete(conf)


def test_when_every_route_is_refused_the_error_is_short_and_nothing_is_left(runtime: Runtime) -> None:
    conf = nested()
    unreachable = [{"dst": f"172.16.{number // 250}.{number % 250}/32", "gw": "203.0.113.1"} for number in range(3000)]
    conf["ipam"]["routes"] = unreachable

    runtime.add(nested(), "pod2")
    error = refused(runtime, conf)

    assert error["msg"].startswith("failed to configure eth0: Network is unreachable")
    assert len(error["details"]) < 1000


def test_keys_are_taken_in_any_case_as_the_reference_takes_them(runtime: Runtime) -> None:
    """Its decoder does: enableDad and macSpoofChk stand in many a configuration. The last of several counts."""
    ipam: dict[str, Any] = {"Type": "host-local", "RANGES": [[{"Subnet": "10.9.0.0/24", "rangestart": "10.9.0.50"}]]}
    ipam["Routes"] = [{"DST": "0.0.0.0/0"}]
    conf = {
        "CNIVersion": "1.0.0", "name": "net1", "type": "humanz-cni", "Bridge": "br1", "isgateway": True,
        "hairpinmode": False, "hairpinMode": None, "HairpinMode": True, "IPAM": ipam,
        "Args": {"CNI": {"MAC": "0a:00:00:00:00:01"}}, "DNS": {"Search": ["shop.example"]},
    }  # fmt: skip

    result = runtime.add(conf)

    assert result["cniVersion"] == "1.0.0"
    assert result["ips"][0]["address"] == "10.9.0.50/24"
    assert result["routes"] == [{"dst": "0.0.0.0/0"}]
    assert result["dns"] == {"search": ["shop.example"]}
    assert runtime.addresses("br1") == {"10.9.0.1/24"}
    assert runtime.links("pod1")["eth0"]["address"] == "0a:00:00:00:00:01"
    assert runtime.links()[result["interfaces"][1]["name"]]["linkinfo"]["info_slave_data"]["hairpin"] is True
    assert runtime.call("CHECK", {**conf, "PrevResult": result}) == Outcome(0, "", "")
    runtime.delete(conf)
    assert runtime.records() == {}


def test_null_is_as_good_as_absent_everywhere(runtime: Runtime) -> None:
    keys = ("runtimeConfig", "args", "dns", "prevResult", "mtu", "vlan", "vlanTrunk", "macspoofchk", "capabilities")
    conf = {**nested(), **dict.fromkeys(keys)}
    conf["ipam"] = {
        "type": "host-local", "routes": None, "resolvConf": None, "dataDir": None, "subnet": None,
        "ranges": [[{"subnet": "10.9.0.0/24", "gateway": None, "rangeStart": None, "rangeEnd": None}]],
    }  # fmt: skip
    null = {"ips": None, "mac": None, "ipRanges": None, "dns": None}

    assert runtime.add(conf)["ips"][0]["address"] == "10.9.0.2/24"
    runtime.add({**conf, "runtimeConfig": null, "args": {"cni": None}}, "pod2")
    runtime.add({**conf, "runtimeConfig": {"dns": {"servers": None}}, "args": {"cni": {"ips": None}}}, "pod3")
    for pod in ("pod1", "pod2", "pod3"):
        runtime.delete(conf, pod)
