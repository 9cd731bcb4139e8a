# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GC and STATUS where ``ipam.type`` names another plugin: it is asked too, and its errors are passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runtime import NO_POD, Outcome, Runtime, nested
from test_plugin_delegate import ERROR, Delegate
from test_plugin_gc import KEY, attachments, chains, ports


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
