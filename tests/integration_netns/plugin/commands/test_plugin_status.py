# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STATUS: says beforehand whether an ADD would succeed, and whether the pods that are there are cut off."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest

from tests.integration_netns.plugin.network.test_plugin_vlan import is_able
from tests.support.plugin.journal import Journal
from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested
from tests.support.plugin.system_calls import traced

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion="1.1.0")
SMALL = nested(("10.9.0.0/30",), cniVersion="1.1.0")  # one address for pods


def ready(runtime: Runtime, conf: dict[str, Any]) -> None:
    """Ask, and make sure that the answer is yes, and that an ADD succeeds."""
    assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")
    runtime.add(conf, "asked")
    runtime.delete(conf, "asked")


def refuse(runtime: Runtime, conf: dict[str, Any]) -> dict[str, Any]:
    """Ask, and make sure that the answer is no, and that an ADD fails; return the answer."""
    error = runtime.fail("STATUS", conf, **NO_POD)
    runtime.pod("asked")
    runtime.fail("ADD", conf, "asked")
    return error


@pytest.mark.parametrize("conf", [CONF, {**CONF, "ipam": {}, "isGateway": False}], ids=["addresses", "no addresses"])
def test_s_100_on_a_node_where_nothing_was_yet(runtime: Runtime, conf: dict[str, Any]) -> None:
    ready(runtime, conf)


def test_s_100_with_pods(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    before = runtime.state()

    assert runtime.call("STATUS", CONF, **NO_POD) == Outcome(0, "", "")
    assert runtime.state() == before
    ready(runtime, CONF)


@pytest.mark.parametrize("subnets", [("10.9.0.0/30",), ("10.8.0.0/24", "10.9.0.0/30")], ids=["alone", "second"])
def test_s_100_s_103_an_exhausted_pool_is_a_line_in_the_log(runtime: Runtime, subnets: tuple[str, ...]) -> None:
    """And a failed ADD: an error would have the runtime call the node not ready, and Kubernetes evict all its pods."""
    conf = nested(subnets, cniVersion="1.1.0")
    runtime.add(conf, "pod1")
    before = runtime.state()

    with Journal(runtime.node) as journal:
        assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")
        (entry,) = journal.entries()

    figures = "1 of 1 addresses of 10.9.0.1-10.9.0.2 are used"
    assert entry["MESSAGE"] == f"STATUS network=net1 range set {len(subnets) - 1} is exhausted: {figures}"
    assert (entry["PRIORITY"], entry["CNI_COMMAND"], entry["CNI_NETWORK"]) == ("4", "STATUS", "net1")
    assert runtime.state() == before
    runtime.pod("pod2")
    assert runtime.fail("ADD", conf, "pod2")["details"] == "1 of 1 addresses are used"
    runtime.delete(conf, "pod1")
    ready(runtime, conf)


def test_s_100_records_of_an_earlier_boot_do_not_count(runtime: Runtime) -> None:
    runtime.add(SMALL, "pod1")
    runtime.node.run("sh", "-c", 'sed -i -E \'s/"boot": "[^"]*"/"boot": "earlier"/\' /run/humanz-cni/net1/*')
    runtime.node.run("ip", "netns", "delete", "pod1")

    with Journal(runtime.node) as journal:
        assert runtime.call("STATUS", SMALL, **NO_POD) == Outcome(0, "", "")
        assert journal.entries() == []
    ready(runtime, SMALL)


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nowhere"])
def test_s_100_a_data_directory_that_cannot_be_made(runtime: Runtime, place: str) -> None:
    conf = {**CONF, "ipam": {**CONF["ipam"], "dataDir": place}}

    error = refuse(runtime, conf)

    assert error["code"] == 50
    assert place in error["msg"]


def test_s_100_a_data_directory_that_is_read_only(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    runtime.node.run("mount", "--bind", "/run/humanz-cni", "/run/humanz-cni")
    runtime.node.run("mount", "-o", "remount,ro,bind", "/run/humanz-cni")

    error = refuse(runtime, CONF)

    assert error["code"] == 50
    assert "Read-only file system" in error["msg"]


def test_s_100_a_full_disk(runtime: Runtime) -> None:
    runtime.node.run("mkdir", "/run/full")
    runtime.node.run("mount", "-t", "tmpfs", "-o", "mode=755,size=16k", "tmpfs", "/run/full")
    conf = {**CONF, "ipam": {**CONF["ipam"], "dataDir": "/run/full"}}
    assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")
    runtime.node.run("sh", "-c", "cat /dev/zero > /run/full/zeros 2>/dev/null; true")

    error = refuse(runtime, conf)

    assert error["code"] == 50
    assert "/run/full" in error["msg"]
    assert "No space left on device" in error["msg"]


def test_s_100_a_lock_that_somebody_holds(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    holder = subprocess.Popen(
        [*runtime.command({})[:5], "flock", "/run/humanz-cni/net1/lock", "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        through = ("/usr/bin/env", "--block-signal", "--ignore-signal")
        outcome = runtime.call("STATUS", CONF, **NO_POD, through=through)
    finally:
        holder.communicate()
    assert outcome.document["code"] == 50
    assert outcome.document["msg"] == (  # as long as ADD waits, for a node that is busy is no dead one either
        "/run/humanz-cni/net1/lock is locked by another process for more than 10 s"
    )


def test_s_100_a_link_that_is_no_bridge(runtime: Runtime) -> None:
    runtime.node.ip("link add br1 type veth peer name other")

    error = refuse(runtime, CONF)

    assert (error["code"], error["msg"]) == (50, '"br1" already exists but is not a bridge')


@pytest.mark.parametrize("address", ["10.9.0.7/24", "192.0.2.1/24", "fd00:9::7/64"])
def test_s_100_a_bridge_with_another_address(runtime: Runtime, address: str) -> None:
    runtime.node.ip("link add br1 type bridge")
    runtime.node.ip(f"addr add {address} dev br1")

    error = refuse(runtime, CONF)

    assert error["code"] == 50
    assert '"br1" already has an IP address different from ' in error["msg"]
    assert address in error["details"]
    runtime.node.run("ip", "netns", "delete", "asked")
    ready(runtime, {**CONF, "forceAddress": True})


@pytest.mark.parametrize("force", [False, True])
def test_s_100_the_kernels_own_link_local_address_is_in_nobodys_way(runtime: Runtime, force: bool) -> None:
    conf = nested(("fd00:9::/64",), cniVersion="1.1.0", forceAddress=force)
    conf["ipam"]["ranges"][0][0]["gateway"] = "fe80::1"
    runtime.add(conf, "pod1")
    runtime.node.ip("link set br1 down")  # the kernel forgets the addresses
    runtime.node.ip("link set br1 up")
    runtime.node.run("sh", "-c", "until ip addr show dev br1 | grep -q fe80; do sleep 0.05; done")
    (own,) = [one["local"] for one in runtime.links()["br1"]["addr_info"]]

    assert runtime.fail("STATUS", conf, **NO_POD)["msg"] == "bridge br1 does not have address fe80::1/64"
    runtime.add(conf, "pod2")
    assert {one["local"] for one in runtime.links()["br1"]["addr_info"]} == {own, "fe80::1"}
    assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")


def test_s_100_one_gateway_is_no_conflict_with_another_of_the_same_bridge(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/24", "10.10.0.0/24"), cniVersion="1.1.0")
    runtime.add(conf, "pod1")
    runtime.node.ip("addr delete 10.10.0.1/24 dev br1")

    assert runtime.fail("STATUS", conf, **NO_POD)["code"] == 51
    runtime.add(conf, "pod2")


CUT_OFF = {
    "down": ("ip link set br1 down", "bridge br1 is down"),
    "without its address": ("ip addr delete 10.9.0.1/24 dev br1", "bridge br1 does not have address 10.9.0.1/24"),
    "without its IPv6 address": (
        "ip addr delete fd00:9::1/64 dev br1",
        "bridge br1 does not have address fd00:9::1/64",
    ),
    "missing": ("ip link delete br1", "bridge br1 is missing"),
}


@pytest.mark.parametrize(("command", "said"), CUT_OFF.values(), ids=CUT_OFF)
def test_s_100_pods_that_are_cut_off(runtime: Runtime, command: str, said: str) -> None:
    runtime.add(CONF, "pod1")
    runtime.node.run("sh", "-c", command)

    error = runtime.fail("STATUS", CONF, **NO_POD)

    assert (error["code"], error["msg"]) == (51, said)
    assert error["details"] == "attachments of net1 that depend on it: 1"
    runtime.delete(CONF, "pod1")
    ready(runtime, CONF)  # without pods nobody is cut off, and ADD makes the bridge whole


def test_s_100_the_first_pod_comes_while_it_is_asked(runtime: Runtime) -> None:
    """The bridge is there before any pod, so it must be looked for after them."""
    runtime.add(CONF, "pod1")
    runtime.delete(CONF, "pod1")
    runtime.node.ip("link delete br1")
    asked: list[Outcome] = []
    late = ["-o", "/run/trace", "-e", "trace=sendto", "-e", "inject=sendto:delay_enter=1500000:when=2"]
    asking = threading.Thread(target=lambda: asked.append(traced(runtime, "STATUS", CONF, late)))
    asking.start()
    runtime.node.run("sh", "-c", "until test -s /run/trace; do sleep 0.05; done")
    runtime.add(CONF, "pod2")
    asking.join()

    assert asked == [Outcome(0, "", "")]


VLANS = [{"vlan": 100}, {"vlanTrunk": [{"id": 5}]}, {"vlan": 100, "vlanTrunk": [{"minID": 5, "maxID": 7}]}]


@pytest.mark.parametrize("keys", VLANS, ids=["vlan", "trunk", "both"])
@pytest.mark.parametrize("bridge", ["no bridge", "a bridge"])
def test_s_100_vlans_take_a_kernel_that_filters_them(runtime: Runtime, keys: dict[str, Any], bridge: str) -> None:
    conf = {**CONF, **keys}
    if bridge == "a bridge":
        runtime.node.ip("link add br1 type bridge")
    before = runtime.state()
    if is_able(runtime):
        ready(runtime, conf)
        return

    error = runtime.fail("STATUS", conf, **NO_POD)

    assert (error["code"], error["msg"]) == (50, runtime.fail("ADD", conf, NETNS=runtime.pod("asked"))["msg"])
    runtime.node.run("ip", "netns", "delete", "asked")
    assert runtime.state()["records"] == before["records"]


def test_s_100_the_gateway_of_a_vlan_is_on_an_interface_of_its_own(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    conf = {**CONF, "vlan": 100}
    assert runtime.fail("STATUS", conf, **NO_POD)["code"] == (51 if is_able(runtime) else 50)

    if is_able(runtime):
        runtime.add(conf, "pod2")
        assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")


RULES = [{"ipMasq": True}, {"macspoofchk": True}, {"ipMasq": True, "ipspoofchk": True}]


@pytest.mark.parametrize("keys", RULES, ids=["masquerade", "spoofcheck", "both"])
def test_s_100_rules_are_tried_and_leave_no_trace(runtime: Runtime, keys: dict[str, Any]) -> None:
    conf = {**CONF, **keys}
    assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")
    assert runtime.node.run("nft", "list", "ruleset").stdout == ""

    runtime.add(conf, "pod1")
    before = runtime.node.run("nft", "list", "ruleset").stdout
    assert runtime.call("STATUS", conf, **NO_POD) == Outcome(0, "", "")
    assert runtime.node.run("nft", "list", "ruleset").stdout == before


# As a kernel without nf_tables: the second socket is the one to it, or the first message to it is refused.
LACKS = {
    "no netfilter": ["-e", "inject=socket:error=EPROTONOSUPPORT:when=2"],
    "no nf_tables": ["-e", "inject=sendto:error=EOPNOTSUPP:when=3+"],
}


@pytest.mark.parametrize("options", LACKS.values(), ids=LACKS)
@pytest.mark.parametrize(("key", "value"), [("ipMasq", True), ("macspoofchk", True), ("ipspoofchk", True)])
def test_s_100_rules_take_a_kernel_with_nf_tables(runtime: Runtime, options: list[str], key: str, value: bool) -> None:
    outcome = traced(runtime, "STATUS", {**CONF, key: value}, ["-o", "/dev/null", *options])

    assert (outcome.status, outcome.document["code"], outcome.error) == (1, 50, "")
    assert outcome.document["msg"].startswith(f"{key}: nf_tables refuses the rules: ")


@pytest.mark.parametrize("further", [{"mtu": "high"}, {"ipam": {"type": "host-local"}}], ids=["mtu", "no range"])
def test_s_100_a_configuration_that_is_wrong(runtime: Runtime, further: dict[str, Any]) -> None:
    assert refuse(runtime, {**CONF, **further})["code"] == 7


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"])
def test_s_021_versions_before_1_1_0_do_not_have_it(runtime: Runtime, version: str) -> None:
    error = runtime.fail("STATUS", {**CONF, "cniVersion": version}, **NO_POD)

    assert (error["code"], error["msg"]) == (1, "config version does not allow STATUS")


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_s_018_versions_to_come(runtime: Runtime, command: str) -> None:
    error = runtime.fail(command, {**CONF, "cniVersion": "1.2.0"}, **NO_POD)

    assert (error["code"], error["msg"]) == (1, f"plugin version does not allow {command}")


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_s_009_s_101_of_the_environment_only_the_path_is_required(runtime: Runtime, command: str) -> None:
    error = runtime.fail(command, CONF, **NO_POD, PATH=None)

    assert (error["code"], error["msg"]) == (4, "required env variables [CNI_PATH] missing")
