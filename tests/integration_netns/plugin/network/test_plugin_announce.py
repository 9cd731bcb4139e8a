# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What neighbours hear after an ADD, seen on the bridge itself; and duplicate addresses that are looked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration_netns.plugin.network.test_plugin_spoofcheck import reaches
from tests.support.plugin.runtime import NSENTER, Runtime, nested

MAC = "0a:00:00:00:00:77"
SUBNETS = ("10.9.0.0/24", "fd00:9::/64")
# Prints each frame that the bridge delivers to the node, as hexadecimal digits.
CAPTURE = """
import socket
capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
capture.bind(("br1", 0))
print("ready", flush=True)
while True:
    print(capture.recv(2048).hex(), flush=True)
"""


@contextmanager
def captured(runtime: Runtime) -> Iterator[list[str]]:
    """Collect what arrives at the bridge, which must be there, until a frame of pod9 says that it was all."""
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--"]
    frames: list[str] = []
    with subprocess.Popen([*enter, sys.executable, "-c", CAPTURE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield frames
        last = "88b5" + b"the last frame".hex()
        runtime.node.run(*["ip", "netns", "exec", "pod9"], sys.executable, "-c", LAST)
        for line in process.stdout:
            if last in line:
                break
            frames.append(line.strip())
        process.kill()


LAST = """
import socket
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("eth0", 0))
sender.send(b"\\xff" * 6 + b"\\x0a\\0\\0\\0\\0\\1" + b"\\x88\\xb5" + b"the last frame".ljust(46))
"""


def announced(frames: list[str]) -> set[str]:
    """Return the addresses, as hexadecimal digits, of ARP announcements and unsolicited advertisements in *frames*."""
    found = set()
    for frame in frames:
        if frame.startswith("f" * 12) and frame[24:28] == "0806" and frame[56:64] == frame[76:84]:
            found.add(f"{frame[44:56]} has {frame[56:64]}")
        if frame.startswith("333300000001") and frame[24:28] == "86dd" and frame[108:110] == "88":
            found.add(f"{frame[12:24]} has {frame[124:156]}")
    return found


@pytest.fixture
def bridge(runtime: Runtime) -> Runtime:
    """A runtime whose bridge is there, with pod9 attached to it."""
    runtime.add(nested(SUBNETS), "pod9")
    return runtime


GIVEN: dict[str, dict[str, Any]] = {
    "runtimeConfig": {"conf": {"runtimeConfig": {"mac": MAC}}},
    "args.cni": {"conf": {"args": {"cni": {"mac": MAC}}}},
    "CNI_ARGS": {"env": {"ARGS": f"MAC={MAC}"}},
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_i_19_a_hardware_address_that_the_user_gives_is_announced(bridge: Runtime, given: dict[str, Any]) -> None:
    with captured(bridge) as frames:
        bridge.add(nested(SUBNETS, **given.get("conf", {})), **given.get("env", {}))

    mac = MAC.replace(":", "")
    assert announced(frames) >= {f"{mac} has 0a090003", f"{mac} has fd000009000000000000000000000003"}


def test_a_pod_with_hairpin_mode_does_not_hear_its_own_announcement(bridge: Runtime) -> None:
    """Its kernel would log that somebody else has its addresses."""
    host = bridge.add(nested(SUBNETS, hairpinMode=True))["interfaces"][1]["name"]

    counters = bridge.node.run("ip", "netns", "exec", "pod1", "cat", "/proc/net/snmp6").stdout
    assert re.search(r"^Icmp6InNeighborAdvertisements\s+0$", counters, re.MULTILINE)
    assert bridge.links()[host]["linkinfo"]["info_slave_data"]["hairpin"]


def test_i_19_a_neighbour_that_knew_another_hardware_address_reaches_the_pod_at_once(bridge: Runtime) -> None:
    conf = nested(SUBNETS, runtimeConfig={"mac": "0a:00:00:00:00:11", "ips": ["10.9.0.50", "fd00:9::50"]})
    bridge.add(conf)
    for address in ("10.9.0.50", "fd00:9::50"):
        assert reaches(bridge, "pod9", address)
    bridge.delete(conf)

    bridge.add(nested(SUBNETS, runtimeConfig={"mac": MAC, "ips": ["10.9.0.50", "fd00:9::50"]}), "pod2")

    deadline = time.monotonic() + 60
    wanted = {"10.9.0.50": MAC, "fd00:9::50": MAC}
    while neighbours(bridge, "pod9", wanted) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert neighbours(bridge, "pod9", wanted) == wanted
    for address in wanted:
        assert reaches(bridge, "pod9", address)


TWO = {"10.9.0.0/24": "10.9.0.%s", "10.8.0.0/24": "10.8.0.%s", "fd00:9::/64": "fd00:9::%s"}


@pytest.mark.parametrize("subnets", [SUBNETS, SUBNETS[::-1], ("10.9.0.0/24", "10.8.0.0/24")], ids=" ".join)
def test_an_address_that_comes_back_with_another_one_is_reached_at_once(
    runtime: Runtime, subnets: tuple[str, ...]
) -> None:
    """The hardware address follows the first address only: the node and other pods remember the former one."""
    runtime.add(nested(subnets), "pod9")
    let_nothing_be_asked_again(runtime, ("ip", "netns", "exec", "pod9"), "eth0")
    let_nothing_be_asked_again(runtime, (), "br1")
    first, again, other = TWO[subnets[0]] % 50, TWO[subnets[1]] % 60, TWO[subnets[0]] % 51
    conf = nested(subnets, runtimeConfig={"ips": [first, again]})
    runtime.add(conf)
    for source in ("pod9", None):
        assert pings(runtime, source, again)
    runtime.delete(conf)

    runtime.add(nested(subnets, runtimeConfig={"ips": [other, again]}), "pod2")

    for source in ("pod9", None):
        for address in (again, other):
            assert pings(runtime, source, address)


def let_nothing_be_asked_again(runtime: Runtime, enter: tuple[str, ...], device: str) -> None:
    """Have the namespace that *enter* enters ask for a neighbour once, and trust what it knows, for some minutes."""
    values = (("retrans_time_ms", "300000"), ("delay_first_probe_time", "300"), ("base_reachable_time_ms", "300000"))
    for family in ("ipv4", "ipv6"):
        for name, value in values:
            command = f"echo {value} > /proc/sys/net/{family}/neigh/{device}/{name}"
            runtime.node.run(*enter, "sh", "-c", command)


def pings(runtime: Runtime, pod: str | None, address: str) -> bool:
    """Return whether a packet to *address*, from *pod* or from the node, is answered."""
    enter = ("ip", "netns", "exec", pod) if pod else ()
    return runtime.node.run(*enter, "ping", "-c1", "-W10", address, check=False).returncode == 0


# One Python sends on the node, as ping takes longer to start than the kernel needs. Prints how many were not answered.
FIRST_PINGS = """
import json, os, socket, subprocess, sys
executable, conf, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
pinger = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
pinger.settimeout(10)
lost = 0

def call(command, pod):
    variables = {"COMMAND": command, "CONTAINERID": pod, "NETNS": "/run/netns/" + pod, "IFNAME": "eth0", "PATH": "/"}
    environment = {"CNI_" + name: value for name, value in variables.items()}
    return subprocess.run([executable], input=conf.encode(), env=environment, stdout=subprocess.PIPE, check=True).stdout

for number in range(rounds):
    subprocess.run(["ip", "netns", "add", "first"], check=True)
    address = json.loads(call("ADD", "first"))["ips"][-1]["address"].split("/")[0]
    pinger.sendto(bytes([128, 0, 0, 0, 0, 1, 0, number]), (address, 0))
    try:
        while (received := pinger.recv(1000))[0] != 129 or received[7] != number:
            pass
    except socket.timeout:
        lost += 1
    call("DEL", "first")
    subprocess.run(["ip", "netns", "del", "first"], check=True)
print(lost)
"""


@pytest.mark.parametrize("others", [True, False], ids=["other pods", "no other pod"])
def test_the_first_packet_after_add_is_answered(runtime: Runtime, others: bool) -> None:
    """The kernel takes a moment for a new address and, with the first port, for the bridge."""
    runtime.add(nested(SUBNETS), "pod9")
    let_nothing_be_asked_again(runtime, (), "br1")
    if not others:
        runtime.delete(nested(SUBNETS), "pod9")
    conf = json.dumps(nested(SUBNETS))
    done = runtime.node.run(sys.executable, "-c", FIRST_PINGS, str(runtime.executable), conf, "25")
    assert done.stdout == "0\n"


def neighbours(runtime: Runtime, pod: str, addresses: Any) -> dict[str, str]:
    """Return the hardware addresses that *pod* knows of *addresses*."""
    found = {}
    for line in runtime.node.ip(f"-n {pod} neigh show").splitlines():
        words = line.split()
        if words[0] in addresses and "lladdr" in words:
            found[words[0]] = words[words.index("lladdr") + 1]
    return found


@pytest.mark.parametrize("address", ["10.9.0.50", "fd00:9::50"])
def test_the_hardware_address_of_a_pod_with_one_address_is_always_the_same_and_needs_no_announcement(
    bridge: Runtime, address: str
) -> None:
    macs = []
    conf = nested(SUBNETS[:1] if "." in address else SUBNETS[1:], runtimeConfig={"ips": [address]})
    for _attempt in range(2):
        with captured(bridge) as frames:
            bridge.add(conf)
        macs.append(bridge.links("pod1")["eth0"]["address"])
        bridge.delete(conf)
        assert [one for one in announced(frames) if " has fe80" not in one] == []
    assert macs[0] == macs[1]


def test_a_kernel_parameter_announces_what_comes_up_again_later(bridge: Runtime) -> None:
    """arp_notify, as the reference sets it, and the same for IPv6."""
    bridge.add(nested(SUBNETS))
    read = "ip netns exec pod1 cat /proc/sys/net/ipv4/conf/eth0/arp_notify /proc/sys/net/ipv6/conf/eth0/ndisc_notify"
    assert bridge.node.run(*read.split()).stdout == "1\n1\n"


@pytest.mark.parametrize("enabled", [True, False])
def test_i_17_enabledad_waits_until_no_address_is_tentative(bridge: Runtime, enabled: bool) -> None:
    bridge.add(nested(SUBNETS, enabledad=enabled))
    flags = bridge.node.ip("-n pod1 -6 addr show dev eth0 scope global")
    assert "tentative" not in flags
    assert ("nodad" in flags) is not enabled


def test_i_17_an_address_that_somebody_else_has_is_named(bridge: Runtime) -> None:
    bridge.node.ip("-n pod9 addr add fd00:9::50/64 dev eth0 nodad")
    conf = nested(SUBNETS, enabledad=True, runtimeConfig={"ips": ["fd00:9::50"]})
    bridge.pod("pod1")
    before = bridge.state()

    error = bridge.fail("ADD", conf)

    text = "failed to settle addresses for eth0: link eth0 has address fd00:9::50 in DADFAILED state"
    assert (error["code"], error["msg"]) == (999, text)
    assert bridge.state() == before


def test_i_17_without_an_ipv6_address_nothing_is_waited_for(bridge: Runtime) -> None:
    bridge.add(nested(SUBNETS[:1], enabledad=True))
    assert "tentative" in bridge.node.ip("-n pod1 -6 addr show dev eth0")  # its link-local address


def test_i_17_without_enabledad_nobody_looks(bridge: Runtime) -> None:
    bridge.node.ip("-n pod9 addr add fd00:9::50/64 dev eth0 nodad")
    result = bridge.add(nested(SUBNETS, runtimeConfig={"ips": ["fd00:9::50"]}))
    assert result["ips"][1]["address"] == "fd00:9::50/64"
