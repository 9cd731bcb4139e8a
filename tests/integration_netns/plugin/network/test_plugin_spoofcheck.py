# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macspoofchk and ipspoofchk: what a pod may send from is known to nf_tables for as long as it is attached."""

from __future__ import annotations

import concurrent.futures
import re
from typing import Any

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

PLAIN = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)
CONF = {**PLAIN, "macspoofchk": True}
BY_ADDRESS = {**PLAIN, "ipspoofchk": True}
ELEMENTS = {"macspoofchk": 3, "ipspoofchk": 7}  # the port, its hardware address, its addresses or that any is right
SECOND = {"type": "host-local", "ranges": [[{"subnet": "10.10.0.0/24"}], [{"subnet": "fd00:10::/64"}]]}
BOTH = pytest.mark.parametrize("key", ELEMENTS)
OTHER = "0a:00:00:00:00:99"


def ruleset(runtime: Runtime) -> str:
    """Return nf_tables' rules of bridges, an element of a map on a line of its own, in an order that stays the same."""
    text = runtime.node.run("nft", "-s", "list", "ruleset", "bridge").stdout
    return "\n".join(sorted(re.split(r"[\n{},]\s*", text)))


def reaches(runtime: Runtime, pod: str, address: str, seconds: int = 30) -> bool:
    """Return whether *address* answers a ping from *pod* in so many *seconds*."""
    ping = ("ping", "-c1", f"-W{seconds}", address)
    return runtime.node.run("ip", "netns", "exec", pod, *ping, check=False).returncode == 0


def mac_of(runtime: Runtime, pod: str) -> str:
    """Return the hardware address of the pod's interface."""
    mac = runtime.links(pod)["eth0"]["address"]
    assert isinstance(mac, str)
    return mac


def test_only_frames_from_the_pods_own_address_pass(runtime: Runtime) -> None:
    for pod in ("pod1", "pod2"):
        runtime.add(CONF, pod)
    runtime.add({**CONF, "macspoofchk": False}, "pod3")
    own = mac_of(runtime, "pod1")
    assert reaches(runtime, "pod1", "10.9.0.3")

    for pod in ("pod1", "pod3"):
        runtime.node.ip(f"-n {pod} link set eth0 address {OTHER}")
        runtime.node.ip(f"-n {pod} neigh flush all")
        for neighbour in ("", "pod2"):
            where = ["-n", neighbour] if neighbour else []
            runtime.node.run("ip", *where, "neigh", "flush", "all")
        patience = 30 if pod == "pod3" else 1
        assert reaches(runtime, pod, "10.9.0.3", patience) is (pod == "pod3")
        assert reaches(runtime, pod, "10.9.0.1", patience) is (pod == "pod3")
        if pod == "pod1":
            runtime.node.ip(f"-n pod1 link set eth0 address {own}")
            assert reaches(runtime, "pod1", "10.9.0.3")


@BOTH
def test_addresses_that_the_runtime_gives_are_the_pods_own(runtime: Runtime, key: str) -> None:
    runtime.add({**PLAIN, key: True, "runtimeConfig": {"mac": OTHER, "ips": ["10.9.0.77", "fd00:9::77"]}})
    assert mac_of(runtime, "pod1") == OTHER
    assert reaches(runtime, "pod1", "10.9.0.1")
    assert reaches(runtime, "pod1", "fd00:9::1")


@pytest.mark.parametrize("later", [{}, {"macspoofchk": False, "ipspoofchk": False}], ids=["same conf", "keys dropped"])
@BOTH
def test_del_leaves_nothing_of_the_pod_and_all_of_others(runtime: Runtime, key: str, later: dict[str, Any]) -> None:
    conf = {**PLAIN, key: True}
    names = [runtime.add(conf, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2")]
    both = ruleset(runtime)
    assert all(both.count(name) == ELEMENTS[key] for name in names), both

    runtime.delete({**conf, **later}, "pod1")
    runtime.delete({**conf, **later}, "pod1")

    assert names[0] not in ruleset(runtime)
    assert ruleset(runtime).count(names[1]) == both.count(names[1])


@pytest.mark.parametrize("netns", ["", "/run/netns/gone"])
def test_del_without_a_namespace_removes_the_elements(runtime: Runtime, netns: str) -> None:
    name = runtime.add(BY_ADDRESS)["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {name}")
    runtime.delete(BY_ADDRESS, NETNS=netns)
    assert name not in ruleset(runtime)


@BOTH
def test_an_add_that_fails_later_leaves_no_element(runtime: Runtime, key: str) -> None:
    conf = {**nested(isDefaultGateway=True), key: True}
    runtime.add(conf, "pod1")
    runtime.pod("pod2")
    before = ruleset(runtime)
    routes = [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]  # a gateway that nothing leads to
    conf = {**conf, "ipam": {**conf["ipam"], "routes": routes}}

    assert "failed to configure eth0" in runtime.fail("ADD", conf, "pod2")["msg"]

    assert ruleset(runtime) == before


@BOTH
def test_what_a_killed_add_has_left_is_replaced(runtime: Runtime, key: str) -> None:
    conf = {**PLAIN, key: True}
    name = runtime.add(BY_ADDRESS)["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {name}")
    runtime.node.run("rm", "-r", "/run/humanz-cni")

    runtime.add({**conf, "runtimeConfig": {"mac": OTHER, "ips": ["10.9.0.77", "fd00:9::77"]}})

    assert ruleset(runtime).count(name) == ELEMENTS[key]
    assert reaches(runtime, "pod1", "10.9.0.1")


@BOTH
def test_ten_at_once_have_their_elements_each(runtime: Runtime, key: str) -> None:
    pods = [f"pod{number}" for number in range(10)]
    conf = {**PLAIN, key: True}
    for pod in pods:
        runtime.pod(pod)

    with concurrent.futures.ThreadPoolExecutor(10) as executor:
        names = [result["interfaces"][1]["name"] for result in executor.map(lambda pod: runtime.add(conf, pod), pods)]

    rules = ruleset(runtime)
    assert rules.count("iifname @ports goto pod") == 1
    assert all(rules.count(name) == ELEMENTS[key] for name in names)


def test_what_nft_lists_can_be_loaded_again(runtime: Runtime) -> None:
    """As whoever saves all rules to /etc/nftables.conf does."""
    result = runtime.add(BY_ADDRESS)
    before = ruleset(runtime)
    runtime.node.run("sh", "-ec", "nft list ruleset > /run/saved; nft flush ruleset; nft -f /run/saved")
    assert "nd-target" in before
    assert ruleset(runtime) == before
    assert runtime.call("CHECK", {**BY_ADDRESS, "prevResult": result}) == Outcome(0, "", "")


def test_the_next_add_puts_the_rules_back_after_a_flush(runtime: Runtime) -> None:
    runtime.add(BY_ADDRESS, "pod1")
    runtime.node.run("nft", "flush", "ruleset")
    assert reaches(runtime, "pod1", "10.9.0.1")

    name = runtime.add(BY_ADDRESS, "pod2")["interfaces"][1]["name"]

    assert ruleset(runtime).count(name) == ELEMENTS["ipspoofchk"]
    assert reaches(runtime, "pod2", "10.9.0.1")
    runtime.delete(BY_ADDRESS, "pod1")


@BOTH
@pytest.mark.parametrize("later", [{}, {"macspoofchk": False, "ipspoofchk": False}], ids=["same conf", "keys dropped"])
def test_gc_removes_the_elements_of_ports_that_are_gone(runtime: Runtime, key: str, later: dict[str, Any]) -> None:
    conf = {**PLAIN, "cniVersion": "1.1.0", key: True}
    names = [runtime.add(conf, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2", "pod3")]
    other = runtime.add({**conf, "name": "net2", "bridge": "br2", "ipam": SECOND}, "pod4")["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {names[2]}")  # as if its DEL had been killed
    valid = [{"containerID": "pod2", "ifname": "eth0"}]

    outcome = runtime.call("GC", {**conf, **later, "cni.dev/valid-attachments": valid})

    assert outcome == Outcome(0, "", "")
    rules = ruleset(runtime)
    assert [rules.count(name) > 0 for name in (*names, other)] == [False, True, False, True]


def damage_rule(runtime: Runtime, _name: str) -> None:
    """Remove the rules for all pods' frames."""
    runtime.node.run("nft", "flush", "chain", "bridge", "humanz-cni", "pod")


def damage_element(runtime: Runtime, name: str) -> None:
    """Remove what makes the port one that is checked."""
    runtime.node.run("nft", "delete", "element", "bridge", "humanz-cni", "ports", f"{{ {name} }}")


def damage_dispatch(runtime: Runtime, _name: str) -> None:
    """Remove what leads to the rules."""
    runtime.node.run("nft", "flush", "chain", "bridge", "humanz-cni", "prerouting")


def damage_all(runtime: Runtime, _name: str) -> None:
    """Remove everything, as a reload of other rules does."""
    runtime.node.run("nft", "flush", "ruleset")


def damage_mac(runtime: Runtime, _name: str) -> None:
    """Change the pod's hardware address, as the plugin tuning does."""
    runtime.node.ip(f"-n pod1 link set eth0 address {OTHER}")


@pytest.mark.parametrize("damage", [damage_rule, damage_element, damage_dispatch, damage_all, damage_mac])
@BOTH
def test_s_092_check_sees_what_is_not_checked_any_more(runtime: Runtime, key: str, damage: Any) -> None:
    conf = {**PLAIN, key: True}
    result = runtime.add(conf)
    conf["prevResult"] = result
    assert runtime.call("CHECK", conf) == Outcome(0, "", "")

    damage(runtime, result["interfaces"][1]["name"])

    result["interfaces"][2]["mac"] = mac_of(runtime, "pod1")  # the chained plugin has told the runtime
    assert "from sending from another hardware address" in runtime.fail("CHECK", conf)["msg"]
    runtime.delete(conf)


def test_ipspoofchk_takes_addresses(runtime: Runtime) -> None:
    runtime.pod("pod1")
    conf = {**BY_ADDRESS, "ipam": {}}
    assert runtime.fail("ADD", conf)["msg"] == "ipspoofchk takes ipam"
    conf["ipam"] = {"type": "dhcp"}
    assert runtime.fail("ADD", conf)["msg"] == "ipspoofchk does not allow ipam.type dhcp"


@BOTH
def test_a_pod_that_is_not_checked_is_rid_of_what_a_former_one_of_its_name_has_left(runtime: Runtime, key: str) -> None:
    name = runtime.add({**PLAIN, key: True})["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {name}")
    runtime.node.run("rm", "-r", "/run/humanz-cni")

    runtime.add({**PLAIN, "runtimeConfig": {"mac": OTHER, "ips": ["10.9.0.77", "fd00:9::77"]}})

    assert name not in ruleset(runtime)
    assert reaches(runtime, "pod1", "10.9.0.1")


@BOTH
def test_a_pod_whose_record_was_damaged_leaves_nothing_to_a_later_one_of_its_name(runtime: Runtime, key: str) -> None:
    conf = nested(("10.9.0.0/30",), **{key: True})
    name = runtime.add(conf)["interfaces"][1]["name"]
    runtime.node.ip("netns delete pod1")
    runtime.node.run("sh", "-c", "echo > /run/humanz-cni/net1/" + name)

    runtime.add({**conf, key: False}, "pod2")  # takes the only address

    assert name not in ruleset(runtime)


@BOTH
def test_del_with_hardly_any_configuration_as_multus_sends_removes_the_elements(runtime: Runtime, key: str) -> None:
    name = runtime.add({**PLAIN, key: True})["interfaces"][1]["name"]

    runtime.delete({"cniVersion": "0.3.1", "name": "net1", "type": "humanz-cni", "ipam": {"type": "host-local"}})

    assert name not in ruleset(runtime)
    assert runtime.records() == {}


@BOTH
def test_del_of_a_pod_whose_record_does_not_tell_of_its_checks_removes_the_elements(runtime: Runtime, key: str) -> None:
    """As the records that an earlier version has written."""
    name = runtime.add({**PLAIN, key: True})["interfaces"][1]["name"]
    rewrite = 's/, "spoofchk": "[a-z]*"//'
    runtime.node.run("sed", "--in-place=", "--follow-symlinks", rewrite, f"/run/humanz-cni/net1/{name}")
    assert "spoofchk" not in runtime.records()[f"/run/humanz-cni/net1/{name}"]

    runtime.delete(PLAIN)

    assert name not in ruleset(runtime)
