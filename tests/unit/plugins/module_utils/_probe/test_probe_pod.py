# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe pod and the process that guards it, where both end at the same moment."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._probe import probe_pod
from ansible_collections.humanz.cni.plugins.module_utils._shared import files


def test_a_guard_that_ends_before_it_is_told_to_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    guard = {"pid": ended.pid, "started": 1}
    running, released = [True, False], list[str]()
    monkeypatch.setattr(probe_pod, "_read_record", lambda name: {"name": name, "guard": guard})
    monkeypatch.setattr(probe_pod, "is_running", lambda record: running.pop(0))
    monkeypatch.setattr(probe_pod, "release", released.append)

    assert probe_pod.stop("humanz-probe-1")
    assert released == ["humanz-probe-1"]


def test_a_guard_that_ends_while_it_is_looked_at_runs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel opens the file of a process that lives, and has nothing in it for one that ended meanwhile."""

    def read_text(_path: str) -> str:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    monkeypatch.setattr(files, "read_text", read_text)
    pod: Any = {"name": "humanz-probe-1", "guard": {"pid": os.getpid(), "started": 1}}
    assert not probe_pod.is_running(pod)


@pytest.mark.parametrize(
    "result",
    [
        {"ips": [{"address": "10.9.0.5/24"}, {"address": "fd00:9::5/64"}]},
        {"cniVersion": "0.2.0", "ip4": {"ip": "10.9.0.5/24"}, "ip6": {"ip": "fd00:9::5/64"}},
    ],
    ids=["0.3.0 and later", "0.2.0"],
)
def test_the_addresses_of_a_pod_are_those_of_its_result_of_any_version(result: dict[str, Any]) -> None:
    assert probe_pod.addresses(result) == ["10.9.0.5", "fd00:9::5"]
