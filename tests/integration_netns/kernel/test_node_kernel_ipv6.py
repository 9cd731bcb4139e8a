# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_kernel forwards the families of the pods, and a node keeps the default route that a router advertises to it."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.netns.node import Node

SYSCTL_FILE = "/etc/sysctl.d/99-humanz-cni.conf"
DUAL = {"pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"]}
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
# RFC 4861, 4.2: hop limit 64, a default route for half an hour; 4.6.2: a prefix to make addresses of.
PREFIX = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, "fd00:122::")
ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + PREFIX
SEND = """
import socket, sys
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
sender.sendto(bytes.fromhex(sys.argv[1]), ("ff02::1", 0, 0, socket.if_nametoindex("lan")))
"""


class Uplink:
    """A node whose default route comes from a router's advertisements on enp1s0."""

    def __init__(self, node: Node, router: Node) -> None:
        self.node, self.router = node, router
        for machine in (node, router):
            machine.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.forwarding=0")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.default.accept_ra=1")
        node.wire("enp1s0", router, "lan")
        node.wire("enp8s0", router, "nodes")
        node.run("rm", "-f", SYSCTL_FILE, "/etc/humanz-cni/sysctl.before.json")
        self.advertise()

    def advertise(self) -> None:
        """Send an advertisement once the wire is up, and wait until the node has seen it."""
        deadline = time.monotonic() + 60
        while True:
            sent = self.router.run(sys.executable, "-c", SEND, ADVERTISEMENT.hex(), check=False)
            time.sleep(0.05)
            if self.default_route() or time.monotonic() > deadline:
                assert sent.returncode == 0, sent.stderr
                return

    def default_route(self) -> str:
        return self.node.ip("-6 route show default proto ra").strip()

    def settings(self) -> dict[str, str]:
        """Every IPv6 and forwarding setting of the node's interfaces."""
        shown = self.node.run("sysctl", "net.ipv6.conf", "net.ipv4.ip_forward", "net.ipv4.conf", "net.bridge").stdout
        return dict(line.split(" = ", 1) for line in shown.splitlines() if " = " in line)

    def kernel(self, args: dict[str, Any], *, check: bool = False, diff: bool = False) -> dict[str, Any]:
        result = self.node.module("node_kernel", args, check=check, diff=diff)
        assert not result.get("failed"), result
        return result


@pytest.fixture
def uplink(make_node: Callable[[], Node]) -> Uplink:
    made = Uplink(make_node(), make_node())
    assert "via fe80::" in made.default_route()
    return made


@pytest.mark.parametrize(
    ("pod_cidrs", "forwarded"),
    [
        ([], ["1", "0"]),
        (["100.100.0.0/24"], ["1", "0"]),
        (["fd00:100::/64"], ["0", "1"]),
        (["fd00:100::/64", "100.100.0.0/24"], ["1", "1"]),
    ],
)
def test_the_families_of_the_pods_are_forwarded(uplink: Uplink, pod_cidrs: list[str], forwarded: list[str]) -> None:
    uplink.kernel({"pod_cidrs": pod_cidrs})
    assert uplink.node.run("sysctl", "-n", *FORWARDING).stdout.split() == forwarded
    assert uplink.default_route()


def test_the_advertised_default_route_stays_and_is_learned_again(uplink: Uplink) -> None:
    predicted = uplink.kernel(DUAL, check=True, diff=True)
    done = uplink.kernel(DUAL, diff=True)
    assert predicted["diff"] == done["diff"]
    assert uplink.default_route()
    uplink.node.ip("-6 route flush proto ra")
    assert not uplink.default_route()
    uplink.advertise()
    assert uplink.default_route()
    # A router among the other nodes, or a pod, is not listened to.
    taken = {key: value for key, value in uplink.settings().items() if key.endswith(".accept_ra") and value == "2"}
    assert list(taken) == ["net.ipv6.conf.enp1s0.accept_ra"]


def test_the_file_lets_advertisements_in_ahead_of_forwarding(uplink: Uplink) -> None:
    uplink.kernel(DUAL)
    lines = uplink.node.run("cat", SYSCTL_FILE).stdout.splitlines()
    assert lines[1] == "net.ipv6.conf.enp1s0.accept_ra = 2"
    assert "net.ipv6.conf.all.forwarding = 1" in lines
    # As at boot.
    uplink.node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.enp1s0.accept_ra=1")
    uplink.advertise()
    uplink.node.run("sysctl", "-qp", SYSCTL_FILE)
    assert uplink.default_route()


def test_a_second_run_changes_nothing_also_while_no_router_advertises(uplink: Uplink) -> None:
    uplink.kernel(DUAL)
    assert uplink.kernel(DUAL)["changed"] is False
    uplink.node.ip("-6 route flush proto ra")
    uplink.node.ip("-6 addr flush dev enp1s0 scope global")
    assert uplink.kernel(DUAL)["changed"] is False


def test_absent_puts_back_everything_and_keeps_the_route(uplink: Uplink) -> None:
    uplink.node.run("sysctl", "-qw", "net.ipv6.conf.enp8s0.forwarding=1")
    uplink.advertise()
    before = uplink.settings()
    uplink.kernel(DUAL)
    assert uplink.settings() != before
    uplink.kernel({"state": "absent"})
    assert uplink.settings() == before
    assert uplink.default_route()
    assert uplink.kernel({"state": "absent"})["changed"] is False


def test_ipv6_that_is_wanted_no_more_is_put_back(uplink: Uplink) -> None:
    uplink.kernel({"pod_cidrs": ["100.100.0.0/24"]})
    ipv4_only = uplink.settings()
    uplink.kernel(DUAL)
    assert uplink.kernel({"pod_cidrs": ["100.100.0.0/24"]})["changed"] is True
    assert uplink.settings() == ipv4_only
    assert uplink.default_route()


def test_an_interface_that_the_kernel_does_not_listen_on_stays_so(uplink: Uplink) -> None:
    """Such as one that systemd-networkd holds, which takes advertisements in the kernel's place."""
    uplink.node.run("sysctl", "-qw", "net.ipv6.conf.enp1s0.accept_ra=0")
    uplink.kernel(DUAL)
    assert uplink.settings()["net.ipv6.conf.enp1s0.accept_ra"] == "0"
    assert "accept_ra" not in uplink.node.run("cat", SYSCTL_FILE).stdout


def test_sysctls_that_are_named_are_all(uplink: Uplink) -> None:
    result = uplink.kernel({**DUAL, "sysctls": {"net.ipv4.ip_forward": 1}})
    assert json.dumps(result["sysctls"]) == '{"net.ipv4.ip_forward": "1"}'


def test_a_pod_cidr_that_is_none_is_named(uplink: Uplink) -> None:
    result = uplink.node.module("node_kernel", {"pod_cidrs": ["fd00:100::1/64"]})
    assert result["failed"] is True
    assert "pod_cidrs: fd00:100::1/64 has host bits set" in result["msg"]
