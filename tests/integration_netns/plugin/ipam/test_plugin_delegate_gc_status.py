# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GC and STATUS where ``ipam.type`` names another plugin: it is asked too, and its errors are passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration_netns.plugin.commands.test_plugin_gc import KEY, attachments, chains, ports
from tests.integration_netns.plugin.ipam.test_plugin_delegate import ERROR, Delegate
from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested


@pytest.fixture
def delegate(tmp_path: Path, runtime: Runtime) -> Delegate:
    """A plugin for addresses, in CNI_PATH."""
    return Delegate(tmp_path, runtime.executable.parent)


def conf(**further: Any) -> dict[str, Any]:
    """Return a configuration that wants its addresses from that plugin."""
    return {**nested(cniVersion="1.1.0"), "ipam": {"type": "test-ipam", "pool": "blue"}, **further}


def test_s_113_it_gets_the_list_as_it_is(runtime: Runtime, delegate: Delegate) -> None:
    runtime.add(conf(), "pod1", PATH=delegate.path)
    asked = conf(**{KEY: attachments("pod9")})

    assert runtime.call("GC", asked, **NO_POD, PATH=delegate.path) == Outcome(0, "", "")

    assert delegate.calls == ["ADD", "GC"]
    assert delegate.received("GC")[0] == asked
    assert ports(runtime) == set()


def test_s_112_s_113_its_error_is_reported_after_ours_is_removed(runtime: Runtime, delegate: Delegate) -> None:
    runtime.add(conf(), "pod1", PATH=delegate.path)
    delegate.answers("GC", ERROR, status=1)

    error = runtime.fail("GC", conf(**{KEY: []}), **NO_POD, PATH=delegate.path)

    assert error == {**ERROR, "cniVersion": "1.1.0"}
    assert ports(runtime) == set()


def test_s_110_without_a_list_it_is_not_asked(runtime: Runtime, delegate: Delegate) -> None:
    assert runtime.fail("GC", conf(), **NO_POD, PATH=delegate.path)["code"] == 7

    assert delegate.calls == []


def test_s_111_masquerading_of_its_subnets_stays(runtime: Runtime, delegate: Delegate) -> None:
    runtime.add(conf(ipMasq=True), "pod1", PATH=delegate.path)
    before = chains(runtime)

    asked = conf(ipMasq=True, **{KEY: attachments("pod1")})
    assert runtime.call("GC", asked, **NO_POD, PATH=delegate.path) == Outcome(0, "", "")

    assert "masq-net1-10.9.0.0/24" in before
    assert chains(runtime) == before


def with_address(delegate: Delegate, number: int) -> None:
    """Let the delegate's next address be this one, of a subnet of two families."""
    ips = [{"address": f"10.9.0.{number}/24"}, {"address": f"fd00:9::{number}/64"}]
    delegate.answers("ADD", {"cniVersion": "1.1.0", "ips": ips})


@pytest.mark.parametrize("later", [{}, {"ipMasq": False}], ids=["the same", "ipMasq turned off"])
def test_the_last_pods_del_removes_the_masquerading(
    runtime: Runtime, delegate: Delegate, later: dict[str, Any]
) -> None:
    for number in (5, 6):
        with_address(delegate, number)
        runtime.add(conf(ipMasq=True), f"pod{number}", PATH=delegate.path)

    runtime.delete(conf(**later), "pod5", PATH=delegate.path)
    assert chains(runtime) == {"masq-net1-10.9.0.0/24", "masq-net1-fd00_9__/64"}
    runtime.delete(conf(**later), "pod6", PATH=delegate.path)
    assert chains(runtime) == set()


@pytest.mark.parametrize("alias", [None, "mine"], ids=["", "alias changed"])
@pytest.mark.parametrize("later", ["DEL", "DEL by our own ipam", "GC"])
def test_a_living_pod_keeps_the_masquerading(
    runtime: Runtime, delegate: Delegate, later: str, alias: str | None
) -> None:
    """Its address tells, as it has no record."""
    own = nested(ipMasq=True)
    with_address(delegate, 5)
    host = runtime.add(conf(ipMasq=True), "pod5", PATH=delegate.path)["interfaces"][1]["name"]
    before = chains(runtime)
    if alias:
        runtime.node.ip(f"link set {host} alias {alias}")

    if later == "GC":
        asked = conf(**{KEY: attachments("pod5")})
        assert runtime.call("GC", asked, **NO_POD, PATH=delegate.path) == Outcome(0, "", "")
    elif later == "DEL":
        with_address(delegate, 6)
        runtime.add(conf(ipMasq=True), "pod6", PATH=delegate.path)
        runtime.delete(conf(), "pod6", PATH=delegate.path)
    else:
        runtime.add(own, "pod6")
        runtime.delete(own, "pod6")

    assert chains(runtime) == before
    runtime.delete(own, "pod5")
    assert chains(runtime) == set()


def test_a_pod_in_the_nodes_own_namespace_keeps_the_masquerading(runtime: Runtime, delegate: Delegate) -> None:
    with_address(delegate, 5)
    own = {"NETNS": "/proc/self/ns/net", "NETNS_OVERRIDE": "1", "PATH": delegate.path}
    assert runtime.call("ADD", conf(ipMasq=True), "node", through=(), **own).status == 0
    before = chains(runtime)
    with_address(delegate, 6)
    runtime.add(conf(ipMasq=True), "pod6", PATH=delegate.path)

    runtime.delete(conf(), "pod6", PATH=delegate.path)

    assert chains(runtime) == before
    runtime.delete(conf(), "node", **own)
    assert chains(runtime) == set()


def test_gc_removes_the_masquerading_that_nobody_needs(runtime: Runtime, delegate: Delegate) -> None:
    runtime.add(conf(ipMasq=True), "pod1", PATH=delegate.path)
    runtime.node.ip("-n pod1 addr flush dev eth0 scope global")
    runtime.node.ip("-n pod1 addr add 10.8.0.5/24 dev eth0")

    asked = conf(**{KEY: attachments("pod1")})
    assert runtime.call("GC", asked, **NO_POD, PATH=delegate.path) == Outcome(0, "", "")
    assert chains(runtime) == set()


def test_an_add_that_fails_leaves_no_masquerading(runtime: Runtime, delegate: Delegate) -> None:
    runtime.pod("pod1")
    full = ("/bin/sh", "-c", 'exec "$0" > /dev/full')

    assert runtime.call("ADD", conf(ipMasq=True), through=full, PATH=delegate.path).status == 1

    assert chains(runtime) == set()


def test_s_101_its_status_counts(runtime: Runtime, delegate: Delegate) -> None:
    assert runtime.call("STATUS", conf(), **NO_POD, PATH=delegate.path) == Outcome(0, "", "")
    delegate.answers("STATUS", {**ERROR, "code": 50}, status=1)

    error = runtime.fail("STATUS", conf(), **NO_POD, PATH=delegate.path)

    assert error == {**ERROR, "code": 50, "cniVersion": "1.1.0"}
    assert delegate.calls == ["STATUS", "STATUS"]


def test_s_101_it_is_missing(runtime: Runtime) -> None:
    error = runtime.fail("STATUS", conf(), **NO_POD, PATH="/nowhere")

    assert "failed to find plugin" in error["msg"]
    assert "test-ipam" in error["msg"]
