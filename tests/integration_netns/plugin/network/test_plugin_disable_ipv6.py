# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""disableIPv6, as the role writes it: where pods have IPv4 addresses alone, nothing of a node answers by IPv6."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._cni import network_conf
from tests.integration_netns.plugin.ipam.test_plugin_delegate import Delegate, delegate
from tests.support.netns.node import Node
from tests.support.plugin.runtime import BLOG, NSENTER, Runtime, nested

__all__ = ["delegate"]  # a fixture

BRIDGE = "br1"
DUAL = ["10.9.0.0/24", "fd00:9::/64"]
SERVER = """
import socket
server = socket.create_server(("::", 10250), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    server.accept()[0].close()
"""
CLIENT = """
import socket, sys
socket.create_connection((sys.argv[1], 10250), timeout=10)
"""


def rendered(cidrs: list[str], **further: Any) -> dict[str, Any]:
    """Return what the role writes for pods in *cidrs*, as a runtime hands it to the plugin."""
    plugin = network_conf.plugin_conf(BRIDGE, cidrs, True, **further)
    conf: dict[str, Any] = json.loads(network_conf.conflist_text("net1", "1.0.0", [], plugin, []))
    return {"cniVersion": conf["cniVersion"], "name": conf["name"], **conf["plugins"][0]}


def link_local(mac: str) -> str:
    """Return the IPv6 address that the kernel makes of a hardware address."""
    one, *rest = bytes.fromhex(mac.replace(":", ""))
    made = bytes([one ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]]).hex()
    return "fe80::" + ":".join(made[place : place + 4] for place in range(0, 16, 4))


@pytest.fixture
def kubelet(node: Node) -> Iterator[None]:
    """A service of the node on all its addresses, which the operator's rules keep from the pods."""
    node.run("iptables", "-A", "INPUT", "-i", BRIDGE, "-j", "DROP")
    enter = [NSENTER, f"--target={node.pid}", "--net", "--"]
    server = subprocess.Popen([*enter, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        yield
    finally:
        server.kill()
        server.communicate()


def connects(runtime: Runtime, address: str) -> bool:
    """Return whether pod1, whose own IPv6 it enables first, reaches the node's service."""
    enter = ["ip", "netns", "exec", "pod1"]
    runtime.node.run(*enter, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.eth0.disable_ipv6=0")
    return runtime.node.run(*enter, sys.executable, "-c", CLIENT, address, check=False).returncode == 0


def disabled(runtime: Runtime, name: str, netns: str = "") -> bool:
    """Return whether IPv6 is disabled on an interface of the node or of a pod, and has no address."""
    enter = ["ip", "netns", "exec", netns] if netns else []
    value = runtime.node.run(*enter, "cat", f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").stdout.strip()
    found = [one for one in runtime.links(netns)[name]["addr_info"] if one["family"] == "inet6"]
    assert (value, bool(found)) in {("1", False), ("0", True)}
    return value == "1"


@pytest.mark.usefixtures("kubelet")
@pytest.mark.parametrize(
    ("kept", "checked"), [(False, False), (True, False), (True, True)], ids=["off", "kept", "kept and checked"]
)
def test_a_pod_does_not_reach_the_node_by_a_link_local_address(runtime: Runtime, kept: bool, checked: bool) -> None:
    result = runtime.add(rendered(DUAL[:1], ipv6_link_local=kept, spoof_check=checked))

    for interface in result["interfaces"][:2]:
        reached = connects(runtime, link_local(interface["mac"]) + "%eth0")
        assert reached is (kept and not checked and interface["name"] == BRIDGE)


@pytest.mark.parametrize(
    "conf", [rendered(DUAL[:1]), nested(disableIPv6=True), {**BLOG, "bridge": BRIDGE, "cniVersion": "0.4.0"}]
)
def test_neither_bridge_nor_wire_nor_pod_has_ipv6(runtime: Runtime, conf: dict[str, Any]) -> None:
    runtime.node.run("sh", "-c", f"ip link add {BRIDGE} type bridge; ip link set {BRIDGE} up")  # of an earlier version

    result = runtime.add(conf)

    assert disabled(runtime, BRIDGE)
    assert disabled(runtime, result["interfaces"][1]["name"])
    assert disabled(runtime, "eth0", "pod1")
    assert runtime.links("pod1")["lo"]["addr_info"][-1]["local"] == "::1"
    assert runtime.call("CHECK", {**conf, "prevResult": result}).status == 0
    runtime.delete(conf)


def test_a_cluster_becomes_dual_stack_and_ipv4_alone_again(runtime: Runtime) -> None:
    runtime.add(rendered(DUAL[:1]), "pod1")
    runtime.node.run("sysctl", "-qw", f"net.ipv6.conf.{BRIDGE}.accept_dad=1")

    runtime.add(rendered(DUAL), "pod2")

    assert runtime.addresses(BRIDGE) == {"10.9.0.1/24", "fd00:9::1/64"}
    assert runtime.addresses("eth0", "pod2") == {"10.9.0.3/24", "fd00:9::2/64"}
    ping = ["ping", "-c1", "-W5", "fd00:9::1"]
    runtime.node.run("ip", "netns", "exec", "pod2", *ping)
    runtime.pod("pod3")
    outcome = runtime.call("ADD", rendered(DUAL[:1]), "pod3")
    assert outcome.error == (
        f"humanz-cni: disableIPv6: {BRIDGE} keeps IPv6 while it has the address fd00:9::1: remove that\n"
    )
    runtime.node.run("ip", "netns", "exec", "pod2", *ping)
    runtime.node.ip(f"addr del fd00:9::1/64 dev {BRIDGE}")
    runtime.add(rendered(DUAL[:1]), "pod4")
    assert disabled(runtime, BRIDGE)


def test_an_ipv6_address_of_another_ipam_plugin_is_refused(runtime: Runtime, delegate: Delegate) -> None:
    runtime.pod("pod1")
    asked = {**nested(disableIPv6=True), "ipam": {"type": "test-ipam"}}

    error = runtime.fail("ADD", asked, PATH=delegate.path)

    assert error["code"] == 7
    assert error["msg"] == "disableIPv6: true is invalid: ipam.type gives the pod the IPv6 address fd00:9::5"
    assert set(runtime.links("pod1")) == {"lo"}
    assert delegate.calls[-1] == "DEL"


def test_where_it_cannot_be_disabled_the_error_says_so(runtime: Runtime) -> None:
    runtime.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    runtime.node.run("sh", "-c", "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys")
    runtime.pod("pod1")

    error = runtime.fail("ADD", rendered(DUAL[:1]))

    path = f"/proc/sys/net/ipv6/conf/{BRIDGE}/disable_ipv6"
    assert error["code"] == 5
    assert error["msg"] == f"failed to disable IPv6 on {BRIDGE}: {path}: Read-only file system"
