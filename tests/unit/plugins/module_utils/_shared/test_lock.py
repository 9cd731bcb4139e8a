# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that modules and the repair take: by one at a time, although its file comes and goes."""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest

from ansible_collections.humanz.cni.plugins.action import node_persistence
from ansible_collections.humanz.cni.plugins.module_utils._probe import probe_pod
from ansible_collections.humanz.cni.plugins.module_utils._shared import lock as _lock
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError

TIMES = 100


@pytest.fixture
def heal_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The repair's side; both keep their lock below *tmp_path*."""
    monkeypatch.syspath_prepend(str(node_persistence.SOURCE))
    module = importlib.import_module("healing.lock")
    assert _lock.DIRECTORY == module.DIRECTORY
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path / "lock"))
    monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / "lock"))
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock/node"))
    for one in (_lock, module):
        monkeypatch.setattr(one, "PAUSE", 0)
    return module


def test_modules_and_repairs_follow_each_other(heal_lock: ModuleType, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        counter.write_text(str(int(counter.read_text()) + 1))

    def module() -> None:
        lock = _lock.Lock("node")
        for _time in range(TIMES):
            with lock.held(60, "node_routes"):
                count()

    def repair() -> None:
        for _time in range(TIMES):
            with heal_lock.held(60) as locked:
                assert locked
                count()

    work: list[Callable[[], None]] = [module, module, repair, repair]
    processes = [get_context("fork").Process(target=one) for one in work]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(work)
    assert counter.read_text() == str(len(work) * TIMES)
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_only_root_can_open_it_whoever_calls(heal_lock: ModuleType, monkeypatch: pytest.MonkeyPatch, mask: int) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/lib/humanz-cni/check.py", "--help"])
    before = os.umask(mask)
    try:
        with _lock.Lock("node").held(0, "node_routes"), pytest.raises(heal_lock.LockedError, match="node_routes"):
            heal_lock.wait(0, None)
        with heal_lock.held(0):
            modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (heal_lock.DIRECTORY, heal_lock.LOCK)]
            with pytest.raises(
                _lock.LockError, match=r"has locked .*/lock/node for more than 0 s by process \d+, check.py:"
            ):
                _lock.Lock("node")._wait(0)
    finally:
        os.umask(before)
    assert all(mode & 0o077 == 0 for mode in modes)


@pytest.mark.parametrize("locked", [False, True])
def test_whoever_is_not_root_is_told_so(heal_lock: ModuleType, locked: bool) -> None:
    context: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    with _lock.Lock("node").held(0, "node_routes") if locked else context:
        os.seteuid(65534)
        try:
            with pytest.raises(_lock.LockError, match="this needs root, so set `become: true`"):
                _lock.Lock("node")._wait(0)
            with pytest.raises(heal_lock.NoLockError, match="nothing was checked, as this needs root"):
                heal_lock.wait(0, None)
        finally:
            os.seteuid(0)


def test_a_pod_that_cannot_be_taken_away_for_another_run_says_so(
    heal_lock: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_pod, "LOCK_SECONDS", 0)
    monkeypatch.setattr(probe_pod, "_RELEASING", _lock.Lock("probe"))
    said = "humanz-probe-1 cannot be removed: .* release of humanz-probe-2"
    with _lock.Lock("probe").held(0, "release of humanz-probe-2"), pytest.raises(ConvergeError, match=said):
        probe_pod.release("humanz-probe-1")
