# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others may have done to the kernel's state between two operations: namespaces, links, parameters."""

from __future__ import annotations

import re

import pytest

from tests.support.plugin.runtime import BLOG, Runtime, nested
from tests.support.plugin.system_calls import traced

DUAL = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)


def host_end(runtime: Runtime) -> str:
    """Return the name of pod1's host end, whatever it is called."""
    (name,) = [name for name, link in runtime.links().items() if link.get("master") == "br1"]
    return name


CHANGES = {
    "renamed": "ip link set HOST down; ip link set HOST name other0",
    "another alias": "ip link set HOST alias theirs",
    "no alias": "ip link set HOST alias ''",
    "another hardware address": "ip link set HOST address 0a:00:00:00:00:01",
    "renamed with another alias": "ip link set HOST down; ip link set HOST name other0 alias theirs",
    "renamed with another hardware address": "ip link set HOST down; ip link set HOST name x0 address 0a:0:0:0:0:1",
    "renamed, and another one has its name": (
        "ip link set HOST down; ip link set HOST name x0; ip link set other1 name HOST alias other1"
    ),
    "off the bridge": "ip link set HOST nomaster",
    "down": "ip link set HOST down",
}


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("netns", ["/run/netns/pod1", ""], ids=["with namespace", "without"])
def test_s_070_del_finds_the_host_end_whatever_was_done_to_it(runtime: Runtime, command: str, netns: str) -> None:
    runtime.add(DUAL, "pod1")
    host = host_end(runtime)
    runtime.node.run("ip", "link", "add", "other1", "type", "veth", "peer", "name", "other2")
    runtime.node.run("sh", "-c", command.replace("HOST", host))

    runtime.delete(DUAL, "pod1", NETNS=netns)

    left = {"other1" if link.get("ifalias") == "other1" else name for name, link in runtime.links().items()}
    assert left == {"lo", "br1", "other1", "other2"}
    assert set(runtime.links("pod1")) == {"lo"}
    assert runtime.records() == {}


def test_s_079_del_leaves_a_link_that_only_has_the_name(runtime: Runtime) -> None:
    runtime.add(DUAL)
    host = host_end(runtime)
    runtime.delete(DUAL)
    runtime.node.run("sh", "-c", f"ip link add {host} type veth peer name x; ip link set {host} alias theirs")

    runtime.delete(DUAL)

    assert host in runtime.links()
    error = runtime.fail("ADD", DUAL)
    assert error["msg"] == f"host veth name {host} already exists"
    assert runtime.records() == {}


@pytest.mark.parametrize("empty", [True, False], ids=["with the first one's address free", "with it in use"])
def test_s_073_namespace_recreated_under_its_name(runtime: Runtime, empty: bool) -> None:
    """The runtime restarted the pod's sandbox without a DEL, or with one that came late."""
    first = runtime.add(DUAL, "pod1")["ips"][0]["address"]
    runtime.node.run("ip", "netns", "delete", "pod1")
    runtime.pod("pod1")
    runtime.node.run("sh", "-c", "for i in $(seq 600); do ip link | grep -q veth || exit 0; sleep 0.1; done; exit 1")

    if empty:
        runtime.delete(DUAL, "pod1")
    second = runtime.call("ADD", DUAL, "pod1", CONTAINERID="pod1" if empty else "pod1-again")

    assert second.status == 0
    assert second.document["ips"][0]["address"] != first
    runtime.delete(DUAL, "pod1")
    assert ("eth0" in runtime.links("pod1")) == (not empty)
    runtime.delete(DUAL, "pod1-again")
    assert runtime.records() == {}
    assert set(runtime.links()) == {"lo", "br1"}


def test_s_051_add_again_after_the_namespace_was_recreated_without_del_is_refused(runtime: Runtime) -> None:
    runtime.add(DUAL, "pod1")
    runtime.node.run("ip", "netns", "delete", "pod1")
    runtime.pod("pod1")

    assert "duplicate allocation is not allowed" in runtime.fail("ADD", DUAL, "pod1")["msg"]


@pytest.mark.parametrize(
    "command",
    [
        "ip link delete br1",
        "ip link set br1 down",
        "ip link set br1 name br2",
        "ip addr flush dev br1; ip addr add 10.77.0.1/24 dev br1",
        "ip link delete br1; ip link add br1 type veth peer name br2",
        "ip link set br1 alias theirs",
    ],
)
def test_s_078_del_after_the_bridge_was_changed(runtime: Runtime, command: str) -> None:
    runtime.add(DUAL, "pod1")
    runtime.node.run("sh", "-c", command)

    runtime.delete(DUAL, "pod1")

    assert runtime.records() == {}
    assert not [name for name in runtime.links() if name.startswith("veth")]


@pytest.mark.parametrize("where", ["node", "pod", "both"])
def test_s_058_dual_stack_where_ipv6_is_disabled(runtime: Runtime, where: str) -> None:
    """In the pod it is enabled, as the pod is to have an address of it; the node's own decision is not overruled."""
    runtime.pod("pod1")
    disable = ["sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
    if where != "node":
        runtime.node.run("ip", "netns", "exec", "pod1", *disable)
    if where == "pod":
        runtime.add(DUAL)
        assert runtime.addresses("eth0", "pod1") == {"10.9.0.2/24", "fd00:9::2/64"}
        return
    runtime.node.run(*disable)

    error = runtime.fail("ADD", DUAL)

    assert error["msg"].startswith('could not add IP address fd00:9::1/64 to "br1"')
    assert set(runtime.links("pod1")) == {"lo"}
    assert runtime.records() == {}
    runtime.add(BLOG)


def test_s_055_read_only_kernel_parameters(runtime: Runtime) -> None:
    """Those that only make things better are done without, and the node's are named; forwarding is not."""
    runtime.node.run("mount", "--bind", "/proc/sys", "/proc/sys")
    runtime.node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    runtime.node.run("mount", "-o", "remount,bind,ro", "/proc/sys")
    runtime.pod("pod1")

    outcome = runtime.call("ADD", DUAL, "pod1")

    assert outcome.status == 0, outcome
    assert "humanz-cni: cannot set /proc/sys/net/ipv6/conf/br1/accept_ra: Read-only file system\n" in outcome.error
    assert runtime.addresses("eth0", "pod1") == {"10.9.0.2/24", "fd00:9::2/64"}
    runtime.node.run("mount", "-o", "remount,bind,rw", "/proc/sys")
    runtime.node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
    runtime.node.run("mount", "-o", "remount,bind,ro", "/proc/sys")
    runtime.pod("pod2")
    before = runtime.state()

    error = runtime.fail("ADD", DUAL, "pod2")

    assert (error["code"], error["msg"]) == (
        5, "failed to enable forwarding: /proc/sys/net/ipv4/ip_forward: Read-only file system",
    )  # fmt: skip
    assert runtime.state() == before


def test_s_078_del_after_conf_and_subnet_changed_frees_the_old_address(runtime: Runtime) -> None:
    small = nested(("10.9.0.0/30",))
    runtime.add(small, "pod1")

    runtime.delete(nested(("10.66.0.0/24", "fd00:66::/64"), bridge="br7", ipMasq=True), "pod1")

    assert runtime.add(small, "pod2")["ips"][0]["address"] == "10.9.0.2/30"


def test_a_second_pod_writes_no_parameter_that_takes_the_lock_of_all_links(runtime: Runtime) -> None:
    """That is forwarding and disable_ipv6, even where they are right; who writes one spins until the lock is free."""
    conf = nested(("10.9.0.0/24", "fd00:9::/64"))
    runtime.add(conf)
    runtime.pod("pod2")

    done = traced(runtime, "ADD", conf, ["-y", "-e", "trace=write", "-o", "/run/trace"], "pod2")

    assert done.document["ips"]
    written = re.findall(r"write\(\d+</proc/sys/net/([^>]+)>", runtime.node.run("cat", "/run/trace").stdout)
    port = done.document["interfaces"][1]["name"]
    assert sorted(written) == [
        "ipv6/conf/eth0/accept_dad", "ipv6/conf/eth0/accept_ra", "ipv6/conf/eth0/keep_addr_on_down",
        "ipv6/conf/eth0/ndisc_notify", f"ipv6/conf/{port}/accept_ra", f"ipv6/conf/{port}/drop_unicast_in_l2_multicast",
    ]  # fmt: skip
