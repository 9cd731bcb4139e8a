# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DEL: everything of the attachment goes, nothing else does, and what is gone already is no error."""

from __future__ import annotations

import pytest

from tests.support.plugin.runtime import BLOG, Outcome, Runtime, nested


def test_s_070_s_077_link_and_address_are_gone_and_nothing_is_printed(runtime: Runtime) -> None:
    runtime.add(BLOG)

    assert runtime.call("DEL", BLOG) == Outcome(0, "", "")

    assert set(runtime.links()) == {"lo", "humanz-cni0"}
    assert set(runtime.links("pod1")) == {"lo"}
    assert runtime.records() == {}


def test_s_071_three_times(runtime: Runtime) -> None:
    runtime.add(BLOG)
    for _time in range(3):
        runtime.delete(BLOG)


def test_s_072_a_container_that_nobody_ever_added(runtime: Runtime) -> None:
    before = runtime.state()

    runtime.delete(BLOG, "nobody")

    assert runtime.state() == before
    assert runtime.node.run("ls", "/run/humanz-cni", check=False).returncode != 0


def test_s_073_the_namespace_is_gone(runtime: Runtime) -> None:
    runtime.add(BLOG)
    runtime.node.run("ip", "netns", "delete", "pod1")

    runtime.delete(BLOG)

    assert runtime.records() == {}
    assert set(runtime.links()) == {"lo", "humanz-cni0"}


@pytest.mark.parametrize("netns", [None, "", "/dev/null", "/run/netns/other"])
def test_s_013_s_074_without_the_namespace_the_host_end_goes_all_the_same(runtime: Runtime, netns: str | None) -> None:
    runtime.add(BLOG)

    runtime.delete(BLOG, NETNS=netns)

    assert runtime.records() == {}
    assert set(runtime.links()) == {"lo", "humanz-cni0"}


def test_s_079_only_its_own(runtime: Runtime) -> None:
    other = {**BLOG, "name": "other", "bridge": "other0", "subnet": "100.101.0.0/24"}
    runtime.add(BLOG, "pod1", "eth0")
    runtime.add(BLOG, "pod2", "eth0")
    runtime.add(other, "pod1", "net1")
    before = runtime.state()

    for conf, container, ifname in ((BLOG, "pod1", "net1"), (BLOG, "pod3", "eth0"), (other, "pod1", "eth0")):
        runtime.delete(conf, container, ifname)
        assert runtime.state() == before
    runtime.delete(BLOG, "pod1", "eth0")

    assert set(runtime.links("pod1")) == {"lo", "net1"}
    assert set(runtime.links("pod2")) == {"lo", "eth0"}
    assert len([path for path in runtime.records() if "100.10" in path]) == 2


def test_s_078_the_conf_has_changed_since(runtime: Runtime) -> None:
    runtime.add(BLOG)

    runtime.delete({**BLOG, "subnet": "172.16.9.0/24", "bridge": "elsewhere", "cniVersion": "1.0.0"})

    assert runtime.records() == {}
    assert set(runtime.links()) == {"lo", "humanz-cni0"}


@pytest.mark.parametrize("subnet", ["", "garbage", "10.0.0.0/33", 7, None, "10.0.0.1/24"])
def test_s_078_the_conf_has_become_invalid(runtime: Runtime, subnet: object) -> None:
    runtime.add(BLOG)

    runtime.delete({**BLOG, "subnet": subnet, "bridge": "a name that is too long", "mtu": "high"})

    assert runtime.records() == {}


def test_bad_arguments_of_the_runtime_do_not_keep_the_address(runtime: Runtime) -> None:
    runtime.add(BLOG)

    runtime.delete(BLOG, ARGS="garbage;;;=")

    assert runtime.records() == {}


def test_s_078_the_bridge_is_gone(runtime: Runtime) -> None:
    runtime.add(BLOG)
    runtime.node.run("ip", "link", "delete", "humanz-cni0")

    runtime.delete(BLOG)

    assert runtime.records() == {}


def test_s_078_the_state_is_gone(runtime: Runtime) -> None:
    runtime.add(BLOG)
    runtime.node.run("rm", "-r", "/run/humanz-cni")

    runtime.delete(BLOG)

    assert set(runtime.links("pod1")) == {"lo"}


def test_s_079_somebody_elses_interface_of_that_name_stays(runtime: Runtime) -> None:
    runtime.pod("pod1")
    runtime.node.run("ip", "-n", "pod1", "link", "add", "eth0", "type", "bridge")
    runtime.fail("ADD", BLOG)

    runtime.delete(BLOG)

    assert "eth0" in runtime.links("pod1")


def test_s_075_with_the_previous_result(runtime: Runtime) -> None:
    conf = nested(cniVersion="0.4.0")
    result = runtime.add(conf)

    runtime.delete({**conf, "prevResult": result})

    assert runtime.records() == {}


def test_an_address_is_not_given_again_at_once(runtime: Runtime) -> None:
    seen = []
    for number in range(3):
        seen.append(runtime.add(BLOG, f"pod{number}")["ips"][0]["address"])
        runtime.delete(BLOG, f"pod{number}")

    assert seen == ["100.100.1.2/24", "100.100.1.3/24", "100.100.1.4/24"]
