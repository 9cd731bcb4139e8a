# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GC: exactly what is of this network and not valid goes, and without a list nothing does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion="1.1.0")
KEY = "cni.dev/valid-attachments"
DIRECTORY = "/run/humanz-cni/net1"


def attachments(*pods: str, ifname: str = "eth0") -> list[dict[str, str]]:
    """Return the list of attachments as the runtime gives it."""
    return [{"containerID": pod, "ifname": ifname} for pod in pods]


def collect(runtime: Runtime, *valid: str, conf: dict[str, Any] | None = None) -> None:
    """Carry out a GC, which must succeed and say nothing."""
    assert runtime.call("GC", {**(conf or CONF), KEY: attachments(*valid)}, **NO_POD) == Outcome(0, "", "")


def holders(runtime: Runtime, directory: str = "/run/humanz-cni") -> set[str]:
    """Return the container IDs of all records."""
    return {json.loads(text)["containerID"] for text in runtime.records(directory).values()}


def ports(runtime: Runtime) -> set[str]:
    """Return the container IDs of all host's ends of veth pairs."""
    return {link["ifalias"].split()[2] for link in runtime.links().values() if link["ifname"].startswith("veth")}


def state_of(runtime: Runtime, pod: str) -> tuple[Any, Any, Any]:
    """Return a pod's links and routes."""
    return runtime.links(pod), runtime.routes(pod), runtime.routes(pod, "-6")


@pytest.mark.parametrize("key", [KEY, "cni.dev/attachments"])
def test_s_110_s_111_what_is_not_valid_goes_and_what_is_valid_stays(runtime: Runtime, key: str) -> None:
    for pod in ("pod1", "pod2", "pod3"):
        runtime.add(CONF, pod)
    before = state_of(runtime, "pod2")

    outcome = runtime.call("GC", {**CONF, key: attachments("pod2")}, **NO_POD)

    assert outcome == Outcome(0, "", "")
    assert holders(runtime) == ports(runtime) == {"pod2"}
    assert len(runtime.records()) == 3
    assert state_of(runtime, "pod2") == before
    assert set(runtime.links("pod1")) == {"lo"}
    runtime.add(CONF, "pod4")
    runtime.delete(CONF, "pod2")


def test_s_110_the_present_key_wins_over_the_former_one(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")

    conf = {**CONF, KEY: attachments("pod1"), "cni.dev/attachments": []}
    assert runtime.call("GC", conf, **NO_POD) == Outcome(0, "", "")

    assert ports(runtime) == {"pod1"}


REFUSED: dict[str, Any] = {
    "missing": {},
    "object": {KEY: {}},
    "text": {KEY: "pod1"},
    "number": {KEY: 0},
    "texts": {KEY: ["pod1"]},
    "without ifname": {KEY: [{"containerID": "pod1"}]},
    "without containerID": {KEY: [{"ifname": "eth0"}]},
    "of another type": {KEY: [{"containerID": 7, "ifname": "eth0"}]},
    "no text": {KEY: [{"containerID": "\ud800", "ifname": "eth0"}]},
    "second is wrong": {KEY: [*attachments("pod1"), None]},
    "former key of another type": {"cni.dev/attachments": "pod1"},
}


@pytest.mark.parametrize("further", REFUSED.values(), ids=REFUSED)
def test_s_110_without_a_list_nothing_is_removed(runtime: Runtime, further: dict[str, Any]) -> None:
    runtime.add(CONF, "pod1")
    before = runtime.state()

    error = runtime.fail("GC", {**CONF, **further}, **NO_POD)

    assert error["code"] == 7
    assert error["msg"].startswith("cni.dev/")
    assert runtime.state() == before


def test_s_110_s_114_an_empty_list_is_a_list(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")

    collect(runtime)

    assert runtime.records() == {}
    assert ports(runtime) == set()


def test_s_111_another_interface_of_a_valid_container_goes(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1", "eth0")
    runtime.add(CONF, "pod1", "net1")

    conf = {**CONF, KEY: attachments("pod1", ifname="net1")}
    assert runtime.call("GC", conf, **NO_POD) == Outcome(0, "", "")

    assert set(runtime.links("pod1")) == {"lo", "net1"}
    assert {json.loads(text)["ifname"] for text in runtime.records().values()} == {"net1"}


def test_s_111_other_networks_and_other_links_stay(runtime: Runtime) -> None:
    other = nested(("10.8.0.0/24",), name="net2")
    runtime.add(CONF, "pod1")
    runtime.add({**other, "isGateway": False}, "pod2")
    runtime.node.ip("link add veth0 type veth peer name veth1")
    runtime.node.ip("link set veth0 master br1 alias theirs")
    before = state_of(runtime, "pod2")

    collect(runtime)

    assert holders(runtime) == {"pod2"}
    assert {"br1", "veth0", "veth1"} < set(runtime.links())
    assert state_of(runtime, "pod2") == before


def test_s_111_leftovers_of_either_kind(runtime: Runtime) -> None:
    """A record without a link, and a link without a record, as a crash and a lost directory leave them."""
    host = runtime.add(CONF, "pod1")["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {host}")
    runtime.add(CONF, "pod2")
    runtime.node.run("sh", "-c", f"cd {DIRECTORY} && grep -l pod2 * | xargs rm; touch .veth0123456789a")

    collect(runtime)

    assert runtime.records() == {}
    assert ports(runtime) == set()
    assert runtime.node.run("ls", "-A", DIRECTORY).stdout.split() == ["lock"]


def test_s_111_where_nothing_ever_was(runtime: Runtime) -> None:
    before = runtime.state()

    collect(runtime, "pod1")

    assert runtime.state() == before
    assert runtime.node.run("test", "-e", "/run/humanz-cni", check=False).returncode == 1


def test_s_111_a_network_without_addresses(runtime: Runtime) -> None:
    conf = {**CONF, "isGateway": False, "ipam": {}}
    runtime.add(conf, "pod1")
    runtime.add(conf, "pod2")

    collect(runtime, "pod2", conf=conf)

    assert ports(runtime) == {"pod2"}


def test_s_111_records_in_a_directory_of_the_configuration(runtime: Runtime) -> None:
    conf = {**CONF, "ipam": {**CONF["ipam"], "dataDir": "/var/lib/net"}}
    runtime.add(conf, "pod1")
    runtime.add(conf, "pod2")

    collect(runtime, "pod2", conf=conf)

    assert holders(runtime, "/var/lib/net") == {"pod2"}


DAMAGE = {
    "emptied": "for file in DIR/*; do : > $file; done",
    "replaced one by one": "for file in DIR/10.* DIR/fd* DIR/veth*; do rm $file; echo garbage > $file; done",
    "of another network": "sed -i s/net1/net2/ DIR/10.* DIR/fd* DIR/veth*",
}


@pytest.mark.parametrize("command", DAMAGE.values(), ids=DAMAGE)
def test_s_111_damaged_records_of_valid_attachments_stay(runtime: Runtime, command: str) -> None:
    runtime.add(CONF, "pod1")
    runtime.add(CONF, "pod2")
    names = set(runtime.records())
    runtime.node.run("sh", "-c", command.replace("DIR", DIRECTORY))

    collect(runtime, "pod1", "pod2")
    assert set(runtime.records()) == names

    collect(runtime, "pod2")
    assert len(runtime.records()) == 3
    assert ports(runtime) == {"pod2"}

    collect(runtime)
    assert runtime.records() == {}


def test_s_112_what_cannot_be_removed_stops_nothing(runtime: Runtime) -> None:
    for pod in ("pod1", "pod2"):
        runtime.add(CONF, pod)
    runtime.node.run("mkdir", "-p", f"{DIRECTORY}/10.9.0.77/sub")

    error = runtime.fail("GC", {**CONF, KEY: []}, **NO_POD)

    assert error["code"] == 5
    assert "10.9.0.77" in error["msg"]
    assert runtime.records() == {}
    assert ports(runtime) == set()


def test_s_112_addresses_of_a_link_that_cannot_be_deleted_are_not_free(runtime: Runtime, tmp_path: Path) -> None:
    runtime.add(CONF, "pod1")
    host = runtime.add(CONF, "pod2")["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {host}")
    before = runtime.records()
    powerless = tmp_path / "humanz-cni"
    powerless.write_text(f"#!/bin/sh\nexec setpriv --bounding-set=-net_admin {runtime.executable}\n")
    powerless.chmod(0o755)

    error = Runtime(runtime.node, powerless).fail("GC", {**CONF, KEY: []}, **NO_POD)

    assert (error["code"], "cannot be deleted" in error["msg"]) == (11, True)
    assert runtime.records() == {path: text for path, text in before.items() if "pod1" in text}
    assert ports(runtime) == {"pod1"}


def test_s_112_damaged_records_of_pods_that_cannot_be_seen_stay(runtime: Runtime, tmp_path: Path) -> None:
    runtime.add(CONF, "pod1")
    runtime.node.run("sh", "-c", f"for file in {DIRECTORY}/*; do : > $file; done")
    names = set(runtime.records())
    powerless = tmp_path / "humanz-cni"
    powerless.write_text(f"#!/bin/sh\nexec setpriv --bounding-set=-net_admin {runtime.executable}\n")
    powerless.chmod(0o755)

    Runtime(runtime.node, powerless).fail("GC", {**CONF, KEY: []}, **NO_POD)

    assert set(runtime.records()) == names


def test_without_the_right_to_enter_namespaces_their_inodes_tell(runtime: Runtime) -> None:
    hosts = [runtime.add(CONF, pod)["interfaces"][1]["name"] for pod in ("pod1", "pod2")]
    for host in hosts:
        runtime.node.ip(f"link delete {host}")
    runtime.node.run("ip", "netns", "delete", "pod2")
    runtime.node.run("sh", "-c", f'sed -i -E \'s/"time": [0-9]+/"time": 1000/\' {DIRECTORY}/*[0-9a-f]')
    without = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")

    assert runtime.call("GC", {**CONF, KEY: None}, **NO_POD, through=without) == Outcome(0, "", "")

    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod1"}


def test_s_112_a_configuration_that_is_wrong_is_reported_after_all_is_removed(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")

    error = runtime.fail("GC", {**CONF, "mtu": "high", KEY: []}, **NO_POD)

    assert (error["code"], error["msg"][:5]) == (7, "mtu: ")
    assert runtime.records() == {}


def chains(runtime: Runtime) -> set[str]:
    """Return the names of masquerading chains."""
    listed = runtime.node.run("nft", "list", "chains").stdout
    return {line.split()[1] for line in listed.splitlines() if line.split()[:1] == ["chain"]}


def test_s_111_masquerading_of_a_subnet_that_nobody_has_any_more(runtime: Runtime) -> None:
    former = nested(("10.8.0.0/24", "fd00:8::/64"), cniVersion="1.1.0", ipMasq=True)
    conf = {**nested(("10.9.0.0/24",), cniVersion="1.1.0", ipMasq=True), "forceAddress": True}
    runtime.add(former, "pod1")
    runtime.add(nested(("10.7.0.0/24",), name="net1-b", bridge="br2", ipMasq=True), "pod2")
    runtime.add(conf, "pod3")
    others = "masq-net1-b-10.7.0.0/24"
    both = {"masq-net1-10.8.0.0/24", "masq-net1-fd00_8__/64", "masq-net1-10.9.0.0/24", others}

    collect(runtime, "pod1", "pod3", conf=conf)
    assert chains(runtime) == both

    collect(runtime, "pod3", conf=conf)
    assert chains(runtime) == {"masq-net1-10.9.0.0/24", others}

    collect(runtime, conf=conf)
    assert chains(runtime) == {others}


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"])
def test_s_020_versions_before_1_1_0_do_not_have_it(runtime: Runtime, version: str) -> None:
    runtime.add({**CONF, "cniVersion": version}, "pod1")
    before = runtime.state()

    error = runtime.fail("GC", {**CONF, "cniVersion": version, KEY: []}, **NO_POD)

    assert (error["code"], error["msg"]) == (1, "config version does not allow GC")
    assert runtime.state() == before


def test_s_115_the_runtimes_own_keys_do_not_matter(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")

    collect(runtime, "pod1", conf={**CONF, "disableGC": True, "capabilities": {"mac": True}})

    assert ports(runtime) == {"pod1"}


NULLS: dict[str, dict[str, Any]] = {
    "null": {KEY: None},
    "null by both names": {KEY: None, "cni.dev/attachments": None},
    "null by the former name": {"cni.dev/attachments": None},
}


@pytest.mark.parametrize("nulls", NULLS.values(), ids=NULLS)
def test_s_110_null_is_no_list_and_only_what_is_dead_goes(runtime: Runtime, nulls: dict[str, Any]) -> None:
    """libcni sends it for an empty list, and a runtime for a network whose pods it knows by another configuration."""
    conf = {**CONF, "ipMasq": True, "macspoofchk": True}
    runtime.add(conf, "pod1")
    runtime.add(nested(("10.8.0.0/24",), bridge="br2", ipMasq=True), "pod2")
    gone = runtime.add(conf, "pod3")["interfaces"][1]["name"]
    young = runtime.add(conf, "pod4")["interfaces"][1]["name"]
    runtime.node.run("ip", "netns", "delete", "pod3")
    runtime.node.ip(f"link delete {young}")
    runtime.node.run("sh", "-c", f"for i in $(seq 600); do ip link show {gone} || exit 0; sleep 0.1; done; exit 1")
    older = "sed -i -E 's/\"time\": [0-9]+/\"time\": 1000/' $(grep -l 'pod[1-3]' 10.* fd* veth*)"
    runtime.node.run("sh", "-c", f"cd {DIRECTORY} && {older}")
    before = [state_of(runtime, pod) for pod in ("pod1", "pod2")]

    assert runtime.call("GC", {**conf, **nulls}, **NO_POD) == Outcome(0, "", "")

    assert holders(runtime) == {"pod1", "pod2", "pod4"}
    assert ports(runtime) == {"pod1", "pod2"}
    assert [state_of(runtime, pod) for pod in ("pod1", "pod2")] == before
    assert chains(runtime) >= {"masq-net1-10.9.0.0/24", "masq-net1-fd00_9__/64", "masq-net1-10.8.0.0/24"}
    rules = runtime.node.run("nft", "list", "ruleset", "bridge").stdout
    assert (gone in rules, young in rules) == (False, False)
    assert rules.count("veth") > 0


def test_s_110_null_where_every_pod_is_dead_leaves_nothing(runtime: Runtime) -> None:
    conf = {**CONF, "ipMasq": True}
    runtime.add(conf, "pod1")
    runtime.node.run("ip", "netns", "delete", "pod1")
    runtime.node.run("sh", "-c", "for i in $(seq 600); do ip link | grep -q veth || exit 0; sleep 0.1; done; exit 1")
    runtime.node.run("sh", "-c", f'sed -i -E \'s/"time": [0-9]+/"time": 1000/\' {DIRECTORY}/*[0-9a-f]')

    assert runtime.call("GC", {**conf, KEY: None}, **NO_POD) == Outcome(0, "", "")

    assert runtime.records() == {}
    assert not {chain for chain in chains(runtime) if chain.startswith("masq-")}


def test_s_111_records_in_the_directory_of_a_former_configuration(runtime: Runtime) -> None:
    former = {**CONF, "ipam": {**CONF["ipam"], "dataDir": "/var/lib/net"}}
    runtime.add(former, "pod1")
    runtime.add(former, "pod2")

    collect(runtime, "pod2")

    assert holders(runtime, "/var/lib/net") == {"pod2"}


def test_s_111_a_link_that_was_renamed(runtime: Runtime) -> None:
    for pod in ("pod1", "pod2"):
        host = runtime.add({**CONF, "macspoofchk": True}, pod)["interfaces"][1]["name"]
        runtime.node.run("sh", "-c", f"ip link set {host} down; ip link set {host} name veth{pod} up")

    collect(runtime, "pod2")

    assert ports(runtime) == holders(runtime) == {"pod2"}
    assert host in runtime.node.run("nft", "list", "ruleset", "bridge").stdout
