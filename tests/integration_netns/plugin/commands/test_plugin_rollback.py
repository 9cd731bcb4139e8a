# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ADD that fails leaves nothing of what it began."""

from __future__ import annotations

from tests.support.plugin.runtime import BLOG, Runtime, nested


def test_s_051_s_055_an_interface_of_that_name_in_the_pod_is_not_touched(runtime: Runtime) -> None:
    runtime.add(BLOG, "pod0")
    runtime.pod("pod1")
    runtime.node.run("ip", "-n", "pod1", "link", "add", "eth0", "type", "bridge")
    before = runtime.state()

    error = runtime.fail("ADD", BLOG)

    assert error["msg"] == "container veth name provided (eth0) already exists"
    assert runtime.state() == before


def test_s_055_a_route_that_the_kernel_refuses(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["routes"] = [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]
    runtime.add(nested(), "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", conf)

    assert "192.0.2.0/24" in error["details"]
    assert runtime.state() == before


def test_s_055_an_mtu_that_the_kernel_refuses(runtime: Runtime) -> None:
    runtime.add(nested(), "pod0")
    runtime.pod("pod1")
    before = runtime.state()

    runtime.fail("ADD", nested(mtu=1))

    assert runtime.state() == before
