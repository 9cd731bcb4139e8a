# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vlan, vlanTrunk, preserveDefaultVlan: pods of different VLANs on one bridge do not hear each other.

A kernel without VLAN filtering for bridges must say so, and nothing may be left; each test knows both.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration_netns.plugin.network.test_plugin_spoofcheck import reaches
from tests.support.plugin.runtime import Outcome, Runtime, nested

REFUSAL = "is not supported: this kernel has no VLAN filtering for bridges"


def conf(**further: Any) -> dict[str, Any]:
    """Return a configuration with a gateway."""
    return nested(("10.9.0.0/24",), **{"isDefaultGateway": True, **further})


def is_able(runtime: Runtime) -> bool:
    """Return whether the kernel's bridges filter VLANs."""
    probe = ["ip", "link", "add", "probe", "type", "bridge", "vlan_filtering", "1"]
    able = runtime.node.run(*probe, check=False).returncode == 0
    if able:
        runtime.node.ip("link del probe")
    return able


def refuses(runtime: Runtime, asked: dict[str, Any]) -> bool:
    """On a kernel that cannot, check that *asked* is refused, without a trace, and return True."""
    if is_able(runtime):
        return False
    runtime.pod("pod9")
    before = runtime.state()
    error = runtime.fail("ADD", asked, "pod9")
    assert error["code"] == 2
    assert error["msg"].startswith("vlan")
    assert error["msg"].endswith(REFUSAL)
    assert runtime.state() == before
    return True


def vlans(runtime: Runtime, port: str) -> dict[int, set[str]]:
    """Return the VLANs of a bridge's port with the flags of each."""
    listed = json.loads(runtime.node.run("bridge", "-j", "vlan", "show", "dev", port).stdout)
    return {one["vlan"]: set(one.get("flags", [])) for one in listed[0]["vlans"]} if listed else {}


OWN = {"PVID", "Egress Untagged"}
PORTS: dict[str, tuple[dict[str, Any], dict[int, set[str]]]] = {
    "vlan": ({"vlan": 100}, {100: OWN}),
    "trunk": ({"vlanTrunk": [{"minID": 7, "maxID": 9}, {"id": 5}]}, {1: OWN, 5: set(), 7: set(), 8: set(), 9: set()}),
    "vlan and trunk": ({"vlan": 100, "vlanTrunk": [{"id": 5}]}, {100: OWN, 5: set()}),
    "default kept": ({"vlan": 100, "preserveDefaultVlan": True}, {1: {"Egress Untagged"}, 100: OWN}),
}


@pytest.mark.parametrize(("keys", "wanted"), PORTS.values(), ids=PORTS)
def test_a_port_is_in_its_vlans_and_no_other(
    runtime: Runtime, keys: dict[str, Any], wanted: dict[int, set[str]]
) -> None:
    if refuses(runtime, conf(**keys)):
        return
    result = runtime.add(conf(**keys))

    port = result["interfaces"][1]["name"]
    assert vlans(runtime, port) == wanted
    checked = {**conf(**keys), "prevResult": result}
    assert runtime.call("CHECK", checked) == Outcome(0, "", "")
    runtime.node.run("bridge", "vlan", "del", "dev", port, "vid", str(max(wanted)))
    assert f"not in VLAN {max(wanted)}" in runtime.fail("CHECK", checked)["msg"]
    runtime.delete(conf(**keys))


def test_pods_of_different_vlans_do_not_hear_each_other(runtime: Runtime) -> None:
    red, blue = conf(vlan=100), conf(vlan=200, name="net2")
    blue["ipam"] = {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.100"}]]}
    blue["isGateway"] = blue["isDefaultGateway"] = False
    if refuses(runtime, red):
        return
    runtime.add(red, "pod1")
    runtime.add(red, "pod2")
    runtime.add(blue, "pod3")
    runtime.add(blue, "pod4")

    assert reaches(runtime, "pod1", "10.9.0.3")
    assert reaches(runtime, "pod3", "10.9.0.101")
    assert not reaches(runtime, "pod1", "10.9.0.100")
    assert not reaches(runtime, "pod3", "10.9.0.1")


def test_the_gateway_is_the_nodes_own_interface_in_the_vlan(runtime: Runtime) -> None:
    asked = conf(vlan=100)
    if refuses(runtime, asked):
        return
    runtime.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.default.forwarding=0")
    results = [runtime.add(asked, pod) for pod in ("pod1", "pod2")]

    assert runtime.node.run("sysctl", "-n", "net.ipv4.conf.br1/100.forwarding").stdout == "1\n"
    assert [one["name"] for one in results[1]["interfaces"]][3] == "br1.100"
    assert results[0]["interfaces"][3] == results[1]["interfaces"][3]
    assert results[0]["ips"][0]["interface"] == 2
    assert runtime.addresses("br1.100") == {"10.9.0.1/24"}
    assert runtime.addresses("br1") == set()
    assert reaches(runtime, "pod1", "10.9.0.1")
    checked = {**asked, "prevResult": results[0]}
    assert runtime.call("CHECK", checked) == Outcome(0, "", "")
    runtime.node.ip("addr del 10.9.0.1/24 dev br1.100")
    assert runtime.fail("CHECK", checked)["msg"] == "veth br1.100 does not have address 10.9.0.1/24"
    for pod in ("pod1", "pod2"):
        runtime.delete(asked, pod)
    assert [name for name in runtime.links() if name.startswith("veth")] == [runtime.links()["br1.100"]["link"]]


def test_a_bridge_that_is_there_begins_to_filter(runtime: Runtime) -> None:
    if refuses(runtime, conf(vlan=100)):
        return
    runtime.add(conf(), "pod1")
    result = runtime.add(conf(vlan=100, isGateway=False, isDefaultGateway=False), "pod2")

    assert runtime.links()["br1"]["linkinfo"]["info_data"]["vlan_filtering"] == 1
    assert reaches(runtime, "pod1", "10.9.0.1")
    assert not reaches(runtime, "pod2", "10.9.0.1")
    runtime.node.ip("link set br1 type bridge vlan_filtering 0")
    checked = {**conf(vlan=100, isGateway=False, isDefaultGateway=False), "prevResult": result}
    assert runtime.fail("CHECK", checked, "pod2")["msg"] == "bridge br1 does not filter VLANs"
