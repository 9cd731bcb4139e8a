# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macspoofchk: what a pod sends from another hardware address than its own goes nowhere."""

from __future__ import annotations

import concurrent.futures
import json
import re
from typing import Any

import pytest
from runtime import Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24",), isDefaultGateway=True, macspoofchk=True)
OTHER = "0a:00:00:00:00:99"


def ruleset(runtime: Runtime) -> str:
    """Return nf_tables' rules of bridges, an element of a map on a line of its own, in an order that stays the same."""
    text = runtime.node.run("nft", "-s", "list", "ruleset", "bridge").stdout
    return "\n".join(sorted(re.split(r"[\n{},]\s*", text)))


def reaches(runtime: Runtime, pod: str, address: str) -> bool:
    """Say whether *address* answers a ping from *pod*."""
    return runtime.node.run("ip", "netns", "exec", pod, "ping", "-c1", "-W1", address, check=False).returncode == 0


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
        assert reaches(runtime, pod, "10.9.0.3") is (pod == "pod3")
        assert reaches(runtime, pod, "10.9.0.1") is (pod == "pod3")
        if pod == "pod1":
            runtime.node.ip(f"-n pod1 link set eth0 address {own}")
            assert reaches(runtime, "pod1", "10.9.0.3")


def test_an_address_that_the_runtime_gives_is_the_pods_own(runtime: Runtime) -> None:
    runtime.add({**CONF, "runtimeConfig": {"mac": OTHER}})
    assert mac_of(runtime, "pod1") == OTHER
    assert reaches(runtime, "pod1", "10.9.0.1")


def test_del_leaves_no_rule_of_the_pod_and_those_of_others(runtime: Runtime) -> None:
    names = [runtime.add(CONF, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2")]
    both = ruleset(runtime)
    assert all(both.count(name) == 3 for name in names), both  # a chain, and the map's element that leads to it

    runtime.delete(CONF, "pod1")
    runtime.delete(CONF, "pod1")

    assert names[0] not in ruleset(runtime)
    assert ruleset(runtime).count(names[1]) == both.count(names[1])


@pytest.mark.parametrize("netns", ["", "/run/netns/gone"])
def test_del_without_a_namespace_removes_the_rule(runtime: Runtime, netns: str) -> None:
    name = runtime.add(CONF)["interfaces"][1]["name"]
    runtime.delete(CONF, NETNS=netns)
    assert name not in ruleset(runtime)


def test_an_add_that_fails_later_leaves_no_rule(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    runtime.pod("pod2")
    before = ruleset(runtime)
    routes = [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]  # a gateway that nothing leads to
    conf = {**CONF, "ipam": {**CONF["ipam"], "routes": routes}}

    assert "failed to configure eth0" in runtime.fail("ADD", conf, "pod2")["msg"]

    assert ruleset(runtime) == before


def test_what_a_killed_add_has_left_is_replaced(runtime: Runtime) -> None:
    name = runtime.add(CONF)["interfaces"][1]["name"]
    runtime.delete({**CONF, "macspoofchk": False})  # as if it had never come to the rules
    assert name in ruleset(runtime)

    runtime.add({**CONF, "runtimeConfig": {"mac": OTHER}})

    listed = json.loads(
        runtime.node.run("nft", "-j", "list", "chain", "bridge", "humanz-cni", f"macspoofchk-{name}").stdout
    )
    assert len([one for one in listed["nftables"] if "rule" in one]) == 1
    assert reaches(runtime, "pod1", "10.9.0.1")


def test_ten_at_once_have_a_rule_each(runtime: Runtime) -> None:
    pods = [f"pod{number}" for number in range(10)]
    for pod in pods:
        runtime.pod(pod)

    with concurrent.futures.ThreadPoolExecutor(10) as executor:
        names = [result["interfaces"][1]["name"] for result in executor.map(lambda pod: runtime.add(CONF, pod), pods)]

    rules = ruleset(runtime)
    assert rules.count("vmap @macspoofchk") == 1
    assert all(f"chain macspoofchk-{name}" in rules for name in names)


def test_gc_removes_the_rules_of_what_is_not_valid(runtime: Runtime) -> None:
    names = [runtime.add(CONF, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2")]
    valid = [{"containerID": "pod2", "ifname": "eth0"}]

    outcome = runtime.call("GC", {**CONF, "cniVersion": "1.1.0", "cni.dev/valid-attachments": valid})

    assert outcome == Outcome(0, "", "")
    assert names[0] not in ruleset(runtime)
    assert names[1] in ruleset(runtime)


def damage_rule(runtime: Runtime, name: str) -> None:
    """Remove the pod's rule."""
    runtime.node.run("nft", "flush", "chain", "bridge", "humanz-cni", f"macspoofchk-{name}")


def damage_element(runtime: Runtime, name: str) -> None:
    """Remove what leads to the pod's rule."""
    element = f"{{ {name} : jump macspoofchk-{name} }}"
    runtime.node.run("nft", "delete", "element", "bridge", "humanz-cni", "macspoofchk", element)


def damage_dispatch(runtime: Runtime, _name: str) -> None:
    """Remove what leads to all pods' rules."""
    runtime.node.run("nft", "flush", "chain", "bridge", "humanz-cni", "macspoofchk")


def damage_all(runtime: Runtime, _name: str) -> None:
    """Remove everything, as a reload of other rules does."""
    runtime.node.run("nft", "flush", "ruleset")


@pytest.mark.parametrize("damage", [damage_rule, damage_element, damage_dispatch, damage_all])
def test_s_092_check_sees_that_a_rule_is_missing(runtime: Runtime, damage: Any) -> None:
    result = runtime.add(CONF)
    conf = {**CONF, "prevResult": result}
    assert runtime.call("CHECK", conf) == Outcome(0, "", "")

    damage(runtime, result["interfaces"][1]["name"])

    error = runtime.fail("CHECK", conf)
    assert "from sending from another hardware address are missing" in error["msg"]
    runtime.delete(CONF)
