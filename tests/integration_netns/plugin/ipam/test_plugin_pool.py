# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: order, exhaustion, reclaiming, damage on disk, and many at once."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugin.runtime import Runtime, nested


def small(prefix: int = 30, **further: Any) -> dict[str, Any]:
    """Return a configuration with a pool that is soon full."""
    return nested((f"10.9.0.0/{prefix}",), **further)


def address(result: dict[str, Any]) -> str:
    """Return the one address of a result."""
    (one,) = result["ips"]
    assert isinstance(one["address"], str)
    return one["address"]


def test_a_full_pool_says_how_full_it_is_and_changes_nothing(runtime: Runtime) -> None:
    runtime.add(small(), "pod1")
    runtime.pod("pod2")
    before = runtime.state()

    error = runtime.fail("ADD", small(), "pod2")

    assert error["code"] == 11
    assert error["msg"] == ("failed to allocate for range 0: no IP addresses available in range set: 10.9.0.1-10.9.0.2")
    assert error["details"] == "1 of 1 addresses are used"
    assert runtime.state() == before


def test_a_full_pool_of_the_second_family_gives_the_first_ones_address_back(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/24", "fd00:9::/126"))
    runtime.add(conf, "pod1")
    runtime.add(conf, "pod2")
    runtime.pod("pod3")
    before = runtime.records()

    error = runtime.fail("ADD", conf, "pod3")

    assert "failed to allocate for range 1: no IP addresses available" in error["msg"]
    assert runtime.records() == before


def test_a_freed_address_of_a_full_pool_can_be_had(runtime: Runtime) -> None:
    taken = address(runtime.add(small(), "pod1"))
    runtime.delete(small(), "pod1")

    assert address(runtime.add(small(), "pod2")) == taken


def test_neither_gateway_nor_network_nor_broadcast_address_is_given(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["ranges"] = [[{"subnet": "10.9.0.0/29", "rangeStart": "10.9.0.0", "rangeEnd": "10.9.0.7"}]]

    given = {address(runtime.add(conf, f"pod{number}")) for number in range(5)}

    assert given == {f"10.9.0.{host}/29" for host in range(2, 7)}
    runtime.pod("pod9")
    assert "5 of 5" in runtime.fail("ADD", conf, "pod9")["details"]


def test_a_set_of_several_ranges_is_used_up_in_order(runtime: Runtime) -> None:
    conf = nested(isGateway=False)
    conf["ipam"]["ranges"] = [[{"subnet": "10.9.0.0/30"}, {"subnet": "10.9.1.0/30"}]]

    assert [address(runtime.add(conf, f"pod{number}")) for number in range(2)] == ["10.9.0.2/30", "10.9.1.2/30"]


def test_a_second_add_of_the_same_attachment_is_refused(runtime: Runtime) -> None:
    runtime.add(nested())
    before = runtime.state()

    error = runtime.fail("ADD", nested())

    assert error["msg"] == "10.9.0.2 has been allocated to pod1, duplicate allocation is not allowed"
    assert runtime.state() == before


def test_networks_have_pools_of_their_own(runtime: Runtime) -> None:
    assert address(runtime.add(nested(name="a", bridge="bra"), "pod1", "eth0")) == "10.9.0.2/24"
    assert address(runtime.add(nested(name="b", bridge="brb"), "pod1", "net1")) == "10.9.0.2/24"


def test_the_subnet_of_the_conf_counts_not_that_of_the_records(runtime: Runtime) -> None:
    runtime.add(nested(), "pod1")

    conf = nested(("10.77.0.0/24",), forceAddress=True)
    assert address(runtime.add(conf, "pod2")) == "10.77.0.2/24"
    assert runtime.addresses("br1") == {"10.77.0.1/24"}


@pytest.mark.parametrize("last", ["10.9.0.2", "10.9.0.6", "10.9.0.1", "10.9.0.200", "fd00::1", "garbage"])
def test_a_full_pool_is_searched_once_wherever_the_search_begins(runtime: Runtime, last: str) -> None:
    for number in range(5):
        runtime.add(small(29), f"pod{number}")
    runtime.pod("pod5")
    runtime.node.run("sed", "-i", f's/"0": "[^"]*"/"0": "{last}"/', "/run/humanz-cni/net1/lock")

    outcome = runtime.call("ADD", small(29), "pod5", through=("/usr/bin/timeout", "--signal=KILL", "20"))

    assert (outcome.status, outcome.document["code"]) == (1, 11)


def test_a_record_says_whose_it_is(runtime: Runtime) -> None:
    runtime.add(nested(), ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0")

    by_owner, by_address = map(json.loads, runtime.records().values())
    assert by_owner == by_address
    assert abs(by_owner.pop("time") - time.time()) < 60
    assert by_owner == {
        "network": "net1", "containerID": "pod1", "ifname": "eth0", "netns": "/run/netns/pod1", "pod": "shop/cart-0",
        "addresses": ["10.9.0.2"], "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "namespace": by_owner["namespace"], "spoofchk": None,
    }  # fmt: skip
    inode = runtime.node.run("stat", "-L", "-c", "%d:%i", "/run/netns/pod1").stdout.strip()
    assert by_owner["namespace"].startswith(inode + ":")


@pytest.mark.parametrize("prefix", [30, 24])
def test_records_of_an_earlier_boot_are_reclaimed(runtime: Runtime, prefix: int) -> None:
    """When the pool is exhausted, and likewise when it is not."""
    runtime.add(small(prefix), "pod1")
    stale = 'sed -i -E \'s/"boot": "[^"]*"/"boot": "earlier"/\' /run/humanz-cni/net1/*'
    runtime.node.run("sh", "-c", stale)

    assert address(runtime.add(small(prefix), "pod2")) == ("10.9.0.2/30" if prefix == 30 else "10.9.0.3/24")
    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod2"}


@pytest.mark.parametrize("garbage", ["", "garbage", "[]", "null", '{"boot": 7}', "\\000\\377"])
def test_damaged_records_are_reclaimed_when_the_pool_is_full(runtime: Runtime, garbage: str) -> None:
    runtime.add(small(29), "pod1")
    fill = f"for host in 3 4 5 6; do printf '{garbage}' > /run/humanz-cni/net1/10.9.0.$host; done"
    runtime.node.run("sh", "-c", fill)

    assert address(runtime.add(small(29), "pod2")) == "10.9.0.3/29"
    assert address(runtime.add(small(29), "pod3")) == "10.9.0.4/29"


def grow_old(runtime: Runtime) -> None:
    """Make all records look as if they were an hour old."""
    older = 'sed -i -E \'s/"time": [0-9]+/"time": 1000/\' /run/humanz-cni/net1/10.* /run/humanz-cni/net1/veth*'
    runtime.node.run("sh", "-c", older)


def vanish(runtime: Runtime, pod: str) -> None:
    """Let the pod's namespace vanish without a DEL, and wait until the kernel has taken its link away."""
    runtime.node.run("ip", "netns", "delete", pod)
    runtime.node.run("sh", "-c", "for i in $(seq 600); do ip link | grep -q veth || exit 0; sleep 0.1; done; exit 1")


# What is at the path of a pod's namespace after that has vanished.
PATHS = {
    "nothing": "true",
    "a namespace made again": "ip netns add pod1",
    "another pod's": "touch /run/netns/pod1; mount --bind /run/netns/pod2 /run/netns/pod1",
    "the node's own": "touch /run/netns/pod1; mount --bind /proc/self/ns/net /run/netns/pod1",
    "the namespace of another process": "ln -s /proc/self/ns/net /run/netns/pod1",
    "another kind of namespace": "touch /run/netns/pod1; mount --bind /proc/self/ns/uts /run/netns/pod1",
    "a pipe": "mkfifo /run/netns/pod1",
}
ASKED: dict[str, dict[str, Any]] = {
    "by the pool": {},
    "by runtimeConfig": {"runtimeConfig": {"ips": ["10.9.0.2"]}},
    "by args": {"args": {"cni": {"ips": ["10.9.0.2"]}}},
}


@pytest.mark.parametrize("command", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("further", ASKED.values(), ids=ASKED)
def test_a_vanished_sandbox_is_reclaimed_when_its_address_is_needed(
    runtime: Runtime, further: dict[str, Any], command: str
) -> None:
    conf = small(30 if not further else 24)
    runtime.add(conf, "pod1")
    vanish(runtime, "pod1")
    grow_old(runtime)
    runtime.pod("pod2")
    runtime.node.run("sh", "-c", command)

    assert address(runtime.add({**conf, **further}, "pod2")).startswith("10.9.0.2/")
    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod2"}


def forget_namespaces(runtime: Runtime) -> None:
    """Make all records such as the releases before wrote that knew namespaces by their paths alone."""
    older = 'sed -i -E \'s/"namespace": "[^"]*", //\' /run/humanz-cni/net1/10.* /run/humanz-cni/net1/veth*'
    runtime.node.run("sh", "-c", older)
    assert "namespace" not in "".join(runtime.records().values())


@pytest.mark.parametrize(("command", "is_free"), [("true", False), (PATHS["the node's own"], True)])
def test_an_older_record_is_of_whatever_namespace_is_there_but_the_nodes(
    runtime: Runtime, command: str, is_free: bool
) -> None:
    host = runtime.add(small(), "pod1")["interfaces"][1]["name"]
    runtime.node.ip(f"link delete {host}")
    forget_namespaces(runtime)
    grow_old(runtime)
    if is_free:
        runtime.node.run("sh", "-c", "ip netns delete pod1; " + command)
    runtime.pod("pod2")

    outcome = runtime.call("ADD", small(), "pod2")

    assert (outcome.status == 0) == is_free, outcome


def test_a_sandbox_that_was_added_just_now_is_not_reclaimed(runtime: Runtime) -> None:
    """Its ADD may still be under way."""
    runtime.add(small(), "pod1")
    vanish(runtime, "pod1")
    runtime.pod("pod2")

    assert runtime.fail("ADD", small(), "pod2")["code"] == 11


LINKS = {
    "as it was": "true",
    "renamed": "ip link set HOST down; ip link set HOST name other0",
    "with another alias": "ip link set HOST alias theirs",
    "without an alias": "ip link set HOST alias ''",
    "with another hardware address": "ip link set HOST address 0a:00:00:00:00:01",
    "renamed with another alias": "ip link set HOST down; ip link set HOST name other0 alias theirs",
    "renamed with another hardware address": "ip link set HOST down; ip link set HOST name x address 0a:0:0:0:0:1",
    "and another one has its name": (
        "ip link set HOST down; ip link set HOST name other0; ip link add HOST type veth peer name other1"
    ),
}


@pytest.mark.parametrize("command", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("older", [False, True], ids=["", "of an older release"])
def test_a_sandbox_whose_path_is_gone_but_whose_link_lives_is_not_reclaimed(
    runtime: Runtime, command: str, older: bool
) -> None:
    host = runtime.add(small(), "pod1")["interfaces"][1]["name"]
    runtime.node.run("sh", "-c", command.replace("HOST", host))
    runtime.pod("pod2")
    grow_old(runtime)
    if older:
        forget_namespaces(runtime)
    process = subprocess.Popen([*runtime.command({})[:5], "ip", "netns", "exec", "pod1", "sh", "-c", "echo up; cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    runtime.node.run("umount", "-l", "/run/netns/pod1")
    runtime.node.run("rm", "/run/netns/pod1")

    error = runtime.fail("ADD", small(), "pod2")
    process.communicate()

    assert error["code"] == 11


def test_a_link_that_only_has_the_name_keeps_no_address(runtime: Runtime) -> None:
    host = runtime.add(small(), "pod1")["interfaces"][1]["name"]
    vanish(runtime, "pod1")
    grow_old(runtime)
    runtime.pod("pod2")
    runtime.node.run("sh", "-c", f"ip link add {host} type veth peer name x netns pod2; ip link set {host} alias x")

    assert address(runtime.add(small(), "pod2")) == "10.9.0.2/30"


@pytest.mark.parametrize(
    "damage", ["rm LOCK", "printf '' > LOCK", "printf garbage > LOCK", "printf '{\"last\": 7}' > LOCK"]
)
def test_a_damaged_lock_file_costs_no_address(runtime: Runtime, damage: str) -> None:
    first = address(runtime.add(nested(), "pod1"))
    runtime.node.run("sh", "-c", damage.replace("LOCK", "/run/humanz-cni/net1/lock"))

    assert address(runtime.add(nested(), "pod2")) != first
    runtime.delete(nested(), "pod1")
    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod2"}


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nowhere"])
def test_a_data_directory_that_cannot_be_written(runtime: Runtime, place: str) -> None:
    conf = nested()
    conf["ipam"]["dataDir"] = place
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", conf)

    assert error["code"] == 5
    assert place in error["msg"]
    assert runtime.state() == before
