# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CHECK: says what is no longer as ADD left it, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)


def check(runtime: Runtime, previous: dict[str, Any], conf: dict[str, Any] | None = None) -> Outcome:
    """Carry out a CHECK and make sure that it changes nothing."""
    before = runtime.state()
    outcome = runtime.call("CHECK", {**(conf or CONF), "prevResult": previous})
    assert runtime.state() == before
    return outcome


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
def test_s_094_s_097_right_after_add_all_is_well(runtime: Runtime, version: str) -> None:
    conf = {**CONF, "cniVersion": version}

    assert check(runtime, runtime.add(conf), conf) == Outcome(0, "", "")


@pytest.mark.parametrize("is_gateway", [False, True])
def test_s_050_s_094_somebody_elses_bridge_takes_its_address_from_its_ports(runtime: Runtime, is_gateway: bool) -> None:
    runtime.node.ip("link add br1 type bridge")
    runtime.node.ip("link set br1 up")
    if is_gateway:
        runtime.node.ip("addr add 10.9.0.1/24 dev br1")
    conf = nested(isGateway=is_gateway)
    result = runtime.add(conf, "pod2")
    first = result["interfaces"][0]["mac"]
    assert first == runtime.links()["br1"]["address"]
    assert runtime.call("CHECK", {**conf, "prevResult": result}, "pod2") == Outcome(0, "", "")

    second = runtime.add(conf, "pod1")["interfaces"][0]["mac"]  # the port of this one has the lower address

    assert second == runtime.links()["br1"]["address"] != first
    assert runtime.call("CHECK", {**conf, "prevResult": result}, "pod2") == Outcome(0, "", "")


POD = "interface eth0 in /run/netns/pod1"
DAMAGE = {
    "pod's link": ("ip -n pod1 link delete eth0", f"{POD} is missing"),
    "pod's link is down": ("ip -n pod1 link set eth0 down", f"{POD} is down"),
    "pod's link is not a veth": (
        "ip -n pod1 link delete eth0; ip -n pod1 link add eth0 type bridge", f"{POD} is not a veth",
    ),
    "pod's address": ("ip -n pod1 addr delete 10.9.0.2/24 dev eth0", "does not have address 10.9.0.2/24"),
    "pod's IPv6 address": ("ip -n pod1 addr delete fd00:9::2/64 dev eth0", "does not have address fd00:9::2/64"),
    "default route": ("ip -n pod1 route delete default", "no route to 0.0.0.0/0 via 10.9.0.1"),
    "IPv6 default route": ("ip -n pod1 -6 route delete default", "no route to ::/0 via fd00:9::1"),
    "pod's hardware address": (
        "ip -n pod1 link set eth0 address 0a:00:00:00:00:01", "eth0 has hardware address 0a:00:00:00:00:01",
    ),
    "pod's namespace": (
        "ip netns delete pod1; ip netns add pod1; while ip link show HOST; do sleep 0.05; done",
        "/run/netns/pod1 is another network namespace than that of ADD",
    ),
    "port": ("ip link set HOST nomaster", "host interface HOST is not a port of bridge br1"),
    "port is down": ("ip link set HOST down", "host interface HOST is down"),
    "host end's alias": (
        "ip link set HOST alias other",
        "host interface HOST has alias 'other', ADD gave it 'humanz-cni net1 pod1 eth0'",
    ),
    "host end's name": (
        "ip link set HOST down; ip link set HOST name x up;"
        'until ip link show br1 | grep "state UP" && [ -z "$(ip -6 addr show tentative)" ]; do sleep 0.05; done',
        "host interface HOST is called x now",
    ),
    "host end is another's": (
        "ip link del HOST; ip link add HOST type veth peer name eth0 address 0a:58:0a:09:00:02 netns pod1;"
        "ip link set HOST alias other",
        "host interface HOST is missing",
    ),
    "bridge": ("ip link delete br1", "bridge br1 is missing"),
    "bridge is another kind of link": (
        "ip link delete br1; ip link add br1 type veth peer name other", "interface br1 is not a bridge",
    ),
    "bridge is down": ("ip link set br1 down", "bridge br1 is down"),
    "bridge's address": ("ip addr delete 10.9.0.1/24 dev br1", "br1 does not have address 10.9.0.1/24"),
    "bridge's IPv6 address": ("ip addr delete fd00:9::1/64 dev br1", "br1 does not have address fd00:9::1/64"),
    "bridge's hardware address": (
        "ip link set br1 address 0a:00:00:00:00:01", "br1 has hardware address 0a:00:00:00:00:01",
    ),
    "reservation": ("rm -r /run/humanz-cni", "Failed to find address added by container pod1"),
}  # fmt: skip


@pytest.mark.parametrize("missing", DAMAGE)
def test_s_091_s_092_s_097_what_is_missing_is_named(runtime: Runtime, missing: str) -> None:
    result = runtime.add(CONF)
    host = result["interfaces"][1]["name"]
    command, named = (text.replace("HOST", host) for text in DAMAGE[missing])
    runtime.node.run("sh", "-c", command)

    outcome = check(runtime, result)

    assert outcome.status == 1
    assert named in outcome.document["msg"]


def test_s_093_additions_of_other_plugins_are_fine(runtime: Runtime) -> None:
    result = runtime.add(CONF)
    runtime.node.run("ip", "-n", "pod1", "route", "add", "192.0.2.0/24", "via", "10.9.0.1")
    runtime.node.run("ip", "-n", "pod1", "link", "set", "eth0", "address", "0a:00:00:00:00:77")
    result["interfaces"][2]["mac"] = "0a:00:00:00:00:77"
    result["interfaces"].append({"name": "ifb0", "mac": "0a:00:00:00:00:78"})
    result["ips"].append({"address": "192.0.2.9/32", "interface": 3})

    assert check(runtime, result) == Outcome(0, "", "")


def test_s_090_a_previous_result_is_required(runtime: Runtime) -> None:
    runtime.add(CONF)

    error = runtime.fail("CHECK", CONF)

    assert error["code"] == 7
    assert "prevResult" in error["msg"]


WRONG: list[tuple[str, Any]] = [
    ("", []),
    ("", "text"),
    (".interfaces", {"interfaces": 1}),
    (".interfaces[0]", {"interfaces": ["eth0"]}),
    (".interfaces[0].name", {"interfaces": [{"name": []}]}),
    (".interfaces[0].name", {"interfaces": [{"name": {"a": 1}}]}),
    (".interfaces[1].mac", {"interfaces": [{"name": "a"}, {"name": "b", "mac": 7}]}),
    (".interfaces[0].sandbox", {"interfaces": [{"name": "eth0", "sandbox": True}]}),
    (".ips", {"ips": "10.9.0.2/24"}),
    (".ips[0]", {"ips": ["10.9.0.2/24"]}),
    (".ips[0].address", {"ips": [{"address": "x"}]}),
    (".ips[0].address", {"ips": [{"address": ["10.9.0.2/24"]}]}),
    (".ips[0].address", {"ips": [{}]}),
    (".routes", {"routes": {}}),
    (".routes[0]", {"routes": [7]}),
    (".routes[0].dst", {"routes": [{"dst": 7}]}),
    (".routes[0].gw", {"routes": [{"dst": "0.0.0.0/0", "gw": 7}]}),
    (".routes[0].gw", {"routes": [{"dst": "0.0.0.0/0", "gw": ["10.9.0.1"]}]}),
    (".routes[0].gw", {"routes": [{"dst": "0.0.0.0/0", "gw": "gateway"}]}),
]


@pytest.mark.parametrize(("key", "previous"), WRONG, ids=[str(previous) for _key, previous in WRONG])
def test_a_previous_result_that_no_plugin_can_have_made(runtime: Runtime, key: str, previous: Any) -> None:
    runtime.add(CONF)

    error = runtime.fail("CHECK", {**CONF, "prevResult": previous})

    assert error["code"] == 7
    assert error["msg"].startswith(f"prevResult{key}: ")

    runtime.pod("pod2")
    before = runtime.state()
    assert runtime.fail("ADD", {**CONF, "prevResult": previous}, "pod2") == error
    assert runtime.state() == before


def test_a_previous_result_without_anything_in_it(runtime: Runtime) -> None:
    runtime.add(CONF)

    assert "no interface eth0" in runtime.fail("CHECK", {**CONF, "prevResult": {}})["msg"]


def test_a_record_that_cannot_be_reached(runtime: Runtime) -> None:
    """No attachment can have so long a name, but its CHECK may be asked for."""
    outcome = runtime.call("CHECK", {**CONF, "name": "n" * 256, "prevResult": runtime.add(CONF)})

    assert (outcome.status, outcome.error) == (1, "")
    assert outcome.document["code"] == 5
    assert outcome.document["msg"].endswith("File name too long")


def test_a_record_with_garbage_for_addresses(runtime: Runtime) -> None:
    result = runtime.add(CONF)
    host = result["interfaces"][1]["name"]
    runtime.node.run("sh", "-c", f'echo \'{{"addresses": ["x", 7]}}\' > /run/humanz-cni/net1/{host}')

    assert runtime.fail("CHECK", {**CONF, "prevResult": result})["msg"] == (
        f"host-local: the record {host} cannot be read"
    )


@pytest.mark.parametrize("version", [None, "0.1.0", "0.2.0", "0.3.0", "0.3.1"])
def test_s_019_versions_before_0_4_0_do_not_have_it(runtime: Runtime, version: str) -> None:
    error = runtime.fail("CHECK", nested(cniVersion=version))

    assert (error["code"], error["msg"]) == (1, "config version does not allow CHECK")
