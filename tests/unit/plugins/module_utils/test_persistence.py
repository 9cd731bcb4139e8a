# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units and drop-ins of persistence, and in what order systemctl is called for them."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action import node_persistence
from ansible_collections.humanz.cni.plugins.module_utils import _owned, _persistence
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError
from ansible_collections.humanz.cni.plugins.modules import node_persistence as node_persistence_module

FILES = node_persistence.read(node_persistence.SOURCE)
TIMER = _persistence.unit_path("humanz-cni-heal.timer")


def wanted(heal_interval: int = 30) -> dict[str, str]:
    return _persistence.wanted_files(FILES, "/usr/bin/python3.12", heal_interval)


def test_every_file_is_ours_and_whole() -> None:
    files = wanted(7)
    units = (*_persistence.BOOT, *_persistence.HEALER, _persistence.CHECK_SERVICE)
    assert set(files) == {*_persistence.PROGRAM_FILES, _persistence.CHECK, *map(_persistence.unit_path, units)}
    for text in files.values():
        assert text.startswith("# Managed by humanz.cni.node_persistence")
        assert not re.search(r"@[a-z]+@", text)
    assert "OnUnitInactiveSec=7s" in files[TIMER]
    boot = files[_persistence.unit_path("humanz-cni.service")]
    assert "ExecStart=/usr/bin/python3.12 -I /usr/local/lib/humanz-cni/heal.py --wait 30" in boot


def test_no_file_stays_behind_on_the_controller() -> None:
    """One that another file imports would be missing on the nodes only."""
    assert {os.path.basename(path) for path in wanted(7)} == set(FILES)


@pytest.mark.parametrize(
    "runtime",
    ["containerd", "crio", "docker", "kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent"],
)
def test_boot_comes_before_whatever_starts_pods(runtime: str) -> None:
    boot = FILES["humanz-cni.service"].splitlines()
    before = [word for line in boot if line.startswith("Before=") for word in line[len("Before=") :].split()]
    assert f"{runtime}.service" in before


@pytest.mark.parametrize("name", ["%n", "$HOME", "a b", "a\tb", 'a"b', "a'b", "a\\b", "a\nExecStartPost=x", "ä", "."])
def test_an_interpreter_that_a_unit_would_read_as_something_else_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name != ".":
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    params = {"state": "present", "files": FILES, "heal_interval": 30, "interpreter": str(path), "bridge": "br0"}
    module: Any = SimpleNamespace(params=params, get_bin_path=lambda _name: None)
    with pytest.raises(ConvergeError, match="^interpreter: "):
        node_persistence_module._files(module)


def test_no_interval_is_boot_only() -> None:
    assert set(wanted(0)) == {*_persistence.PROGRAM_FILES, _persistence.unit_path("humanz-cni.service")}


def test_the_path_unit_watches_what_the_check_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(node_persistence.SOURCE))
    check = importlib.import_module("check")
    lines = FILES["humanz-cni-heal.path"].splitlines()
    watched = {line.partition("=")[2] for line in lines if line.startswith("PathChanged=")}
    assert watched == {*check.EVENTS, *(f"{check.STATE}/{manager}" for manager in check.MANAGERS)}
    assert check.STATE == _persistence.STATE_DIR
    # Whoever can write there can have the check run as often as it ends.
    assert [path for path in watched if not re.match("/run/(?!lock/|shm/|user/)", path)] == []


def test_network_manager_leaves_only_what_is_ours_alone() -> None:
    (line,) = [line for line in _persistence.networkmanager_text("br0").splitlines() if "devices" in line]
    assert line == "unmanaged-devices+=interface-name:br0;interface-name:veth" + 11 * "?"


class Systemd:
    """What systemctl answers and does, and what it was called for."""

    def __init__(self, manager: str = "inactive") -> None:
        self.units = {name: ["", "inactive"] for name in _persistence.BOOT + _persistence.HEALER}
        self.units[_persistence.NETWORKMANAGER] = ["enabled", manager]
        self.calls: list[str] = []

    def run(self, command: list[str]) -> tuple[int, str, str]:
        _systemctl, verb, *rest = command
        names = [word for word in rest if not word.startswith("-")]
        if verb == "show":
            shown = ["Id=%s\nActiveState=%s\nUnitFileState=%s" % (n, self.units[n][1], self.units[n][0]) for n in names]
            return 0, "\n\n".join(shown) + "\n", ""
        self.calls.append(" ".join([verb, *names]))
        for name in names:
            if verb == "disable":
                self.units[name] = ["", "inactive"]
            elif verb == "reenable":
                self.units[name][0] = "enabled"
            elif verb == "restart":
                self.units[name][1] = "active"
        return 0, "", ""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The node's files: path to text."""
    files: dict[str, Any] = {}
    monkeypatch.setattr(_owned, "read", files.get)
    monkeypatch.setattr(_owned, "write", files.__setitem__)
    monkeypatch.setattr(_persistence.Persistence, "_remove_directory", lambda self, path: None)
    return files


def converge(systemd: Systemd, files: dict[str, str]) -> list[str]:
    """Do what the module does; return the calls of systemctl, in order."""
    resource = _persistence.Persistence(systemd.run, "systemctl", files)
    actual = resource.read()
    target = resource.desired(actual)
    systemd.calls.clear()
    if actual != target:
        resource.apply(actual, target)
        assert resource.read() == target
    return systemd.calls


def test_installed_kept_changed_turned_off_and_removed(disk: dict[str, Any]) -> None:
    systemd = Systemd()
    every = " ".join(_persistence.BOOT + _persistence.HEALER)
    first = converge(systemd, wanted())
    assert first[0] == "daemon-reload"
    assert "reenable " + every in first
    assert first[-3:] == ["restart " + name for name in every.split() if name != _persistence.NEVER_ACTIVE]
    assert converge(systemd, wanted()) == []
    changed = [call for call in converge(systemd, wanted(5)) if "reset-failed" not in call]
    assert changed == ["daemon-reload", "reenable humanz-cni-heal.timer", "restart humanz-cni-heal.timer"]
    assert converge(systemd, wanted(0))[0] == "disable " + " ".join(_persistence.HEALER)
    assert disk[TIMER] is None
    assert converge(systemd, {})[0] == "disable humanz-cni.service"
    assert set(disk.values()) == {None}
    assert converge(systemd, {}) == []


@pytest.mark.parametrize("drift", ["disabled", "inactive", "failed"])
def test_a_unit_that_was_stopped_or_disabled_is_started_again(disk: dict[str, Any], drift: str) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    systemd.units["humanz-cni-heal.timer"][0 if drift == "disabled" else 1] = drift
    verb = "reenable" if drift == "disabled" else "restart"
    assert converge(systemd, wanted()) == [verb + " humanz-cni-heal.timer"]


@pytest.mark.parametrize(("manager", "calls"), [("active", ["reload NetworkManager.service"]), ("inactive", [])])
def test_network_manager_is_told_if_it_runs(disk: dict[str, Any], manager: str, calls: list[str]) -> None:
    systemd = Systemd(manager)
    files = wanted()
    converge(systemd, files)
    files[_persistence.NETWORKMANAGER_CONF] = _persistence.networkmanager_text("humanz-cni0")
    assert converge(systemd, files) == calls


def test_a_unit_that_cannot_start_says_why(disk: dict[str, Any]) -> None:
    systemd = Systemd()

    def run(command: list[str]) -> tuple[int, str, str]:
        if command[0] == "journalctl":
            return 0, "route 100.100.1.0/24 is held by somebody else\n", ""
        return (1, "", "Job failed.") if command[1] == "restart" else systemd.run(command)

    resource = _persistence.Persistence(run, "systemctl", wanted())
    actual = resource.read()
    with pytest.raises(ConvergeError, match=r"humanz-cni.service failed: Job failed.: route 100.100.1.0/24 is held by"):
        resource.apply(actual, resource.desired(actual))


def test_a_unit_that_cannot_start_takes_all_of_it_along(disk: dict[str, Any]) -> None:
    systemd = Systemd()
    resource = _persistence.Persistence(systemd.run, "systemctl", wanted())
    before = resource.read()
    resource.apply(before, resource.desired(before))
    systemd.units["humanz-cni-heal.timer"][1] = "failed"
    resource.undo(before)
    assert resource.read() == before
    assert set(disk.values()) == {None}
