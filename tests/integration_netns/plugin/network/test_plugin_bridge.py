# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge is brought to what the configuration says, whatever state it is found in; others' is left alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.plugin.runtime import BLOG, Runtime, nested
from tests.support.plugin.system_calls import traced


def test_a_missing_address_is_put_back(runtime: Runtime) -> None:
    runtime.add(nested(), "pod1")
    runtime.node.run("ip", "addr", "flush", "dev", "br1")

    runtime.add(nested(), "pod2")

    assert runtime.addresses("br1") == {"10.9.0.1/24"}


@pytest.mark.parametrize(
    "half", ["type bridge", "type bridge; ip link set br1 up", "address 0a:58:0a:09:00:01 type bridge"]
)
def test_a_bridge_that_was_only_half_made_is_completed(runtime: Runtime, half: str) -> None:
    runtime.node.run("sh", "-c", f"ip link add br1 {half}")

    runtime.add(nested())

    bridge = runtime.links()["br1"]
    assert "UP" in bridge["flags"]
    assert runtime.addresses("br1") == {"10.9.0.1/24"}
    assert ("ifalias" in bridge) == half.startswith("address")  # ours is known by its hardware address


def test_a_deleted_bridge_is_made_again_with_the_same_hardware_address(runtime: Runtime) -> None:
    first = runtime.add(nested(), "pod1")
    runtime.node.run("ip", "link", "delete", "br1")

    assert runtime.add(nested(), "pod2")["interfaces"][0] == first["interfaces"][0]


def test_another_address_is_an_error_that_names_it(runtime: Runtime) -> None:
    runtime.node.run("sh", "-c", "ip link add br1 type bridge; ip addr add 10.9.0.9/24 dev br1")
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", nested())

    assert '"br1" already has an IP address different from 10.9.0.1/24' in error["msg"]
    assert "10.9.0.9/24" in error["details"]
    assert runtime.state() == before


def test_another_address_is_replaced_by_force(runtime: Runtime) -> None:
    runtime.node.run("sh", "-c", "ip link add br1 type bridge; ip addr add 10.9.0.9/24 dev br1")

    runtime.add(nested(forceAddress=True))

    assert runtime.addresses("br1") == {"10.9.0.1/24"}


def test_other_ipv6_networks_on_the_bridge_are_fine(runtime: Runtime) -> None:
    runtime.node.run("sh", "-c", "ip link add br1 type bridge; ip addr add fd00:77::1/64 dev br1")

    runtime.add(nested(("fd00:9::/64",)))

    assert runtime.addresses("br1") == {"fd00:77::1/64", "fd00:9::1/64"}


def test_a_link_of_that_name_that_is_no_bridge(runtime: Runtime) -> None:
    runtime.node.run("ip", "link", "add", "br1", "type", "veth", "peer", "name", "other")
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", nested())

    assert '"br1" already exists but is not a bridge' in error["msg"]
    assert runtime.state() == before


def test_somebody_elses_bridge_is_used_and_not_marked(runtime: Runtime) -> None:
    runtime.node.run("sh", "-c", "ip link add br1 type bridge; ip link set br1 up alias theirs")

    runtime.add(nested())

    assert runtime.links()["br1"]["ifalias"] == "theirs"


def test_without_ipv6_in_the_kernel_ipv4_works(runtime: Runtime) -> None:
    """What the plugin sees of a kernel without IPv6 is that the parameters are missing."""
    runtime.node.run("mount", "-t", "tmpfs", "tmpfs", "/proc/sys/net/ipv6")

    runtime.add(BLOG)

    assert runtime.addresses("eth0", "pod1") == {"100.100.1.2/24"}


def test_read_only_kernel_parameters_that_are_right_are_fine(runtime: Runtime) -> None:
    runtime.add(BLOG, "pod1")
    runtime.node.run("sh", "-c", "mount --bind /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_forward")
    runtime.node.run("sh", "-c", "mount -o remount,bind,ro /proc/sys/net/ipv4/ip_forward")

    runtime.add(BLOG, "pod2")


@pytest.mark.parametrize("step", range(1, 9))
def test_s_057_another_pod_comes_while_the_bridge_is_made(runtime: Runtime, step: int) -> None:
    """The first pod's ADD pauses ahead of one message to the kernel, and meanwhile another one is carried out whole."""
    conf = nested(("10.9.0.0/24", "fd00:9::/64"))
    for pod in ("pod1", "pod2"):
        runtime.pod(pod)
    pause = ["-o", "/run/trace", "-e", "trace=sendto", "-e", f"inject=sendto:delay_enter=600000:when={step}"]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(traced, runtime, "ADD", conf, pause)
        runtime.node.run(
            "sh", "-c", f"until grep -c sendto /run/trace | grep -qx {step}; do sleep 0.01; done", timeout=20
        )
        second = runtime.add(conf, "pod2")

    assert first.result().error == ""
    assert first.result().status == 0
    assert first.result().document["interfaces"][0] == second["interfaces"][0]
    assert runtime.addresses("br1") == {"10.9.0.1/24", "fd00:9::1/64"}
    assert runtime.links()["br1"]["address"] == second["interfaces"][0]["mac"]


@pytest.mark.parametrize("again", ["", "; ip link add br1 type bridge"], ids=["gone", "made anew"])
@pytest.mark.parametrize("step", range(2, 6))
def test_s_038_a_bridge_that_is_deleted_meanwhile_is_named(runtime: Runtime, step: int, again: str) -> None:
    """ADD pauses ahead of one message to the kernel, and meanwhile somebody deletes the bridge."""
    runtime.add(nested(), "pod2")
    runtime.pod("pod1")
    pause = ["-o", "/run/trace", "-e", "trace=sendto", "-e", f"inject=sendto:delay_enter=600000:when={step}"]
    with ThreadPoolExecutor() as pool:
        adding = pool.submit(traced, runtime, "ADD", nested(), pause)
        runtime.node.run(
            "sh", "-c", f"until grep -c sendto /run/trace | grep -qx {step}; do sleep 0.01; done", timeout=20
        )
        runtime.node.run("sh", "-c", "ip link delete br1" + again)

    outcome = adding.result()
    assert outcome.error == ""
    if outcome.status:
        assert outcome.document["msg"] == "interface br1 has vanished during ADD"
        assert outcome.document["code"] == 11
