# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units and drop-ins of persistence, and in what order systemctl is called for them."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action import node_persistence
from ansible_collections.humanz.cni.plugins.module_utils._node import persistence
from ansible_collections.humanz.cni.plugins.module_utils._shared import library_dirs
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError
from ansible_collections.humanz.cni.plugins.modules import node_persistence as node_persistence_module

FILES = node_persistence.read(node_persistence.SOURCE)
PROGRAMS = persistence.wanted_programs(FILES)


def wanted(heal_interval: int = 30) -> dict[str, str]:
    return persistence.wanted_files(FILES, "/usr/bin/python3.12", heal_interval)


def test_every_file_is_ours_and_whole() -> None:
    files = wanted(7)
    assert set(files) == {*map(persistence.unit_path, persistence.UNITS)}
    programs = {path: text for path, text in PROGRAMS.items() if "/" in path}
    for text in [*files.values(), *programs.values()]:
        assert text.startswith("# Managed by humanz.cni.node_persistence")
        assert not re.search(r"@[a-z]+@", text)
    assert "OnUnitInactiveSec=7s" in files[persistence.unit_path("humanz-cni-heal.timer")]
    boot = files[persistence.unit_path("humanz-cni.service")]
    assert "ExecStart=/usr/bin/python3.12 -I /usr/local/lib/humanz-cni/heal.py --wait 30" in boot


def test_no_file_stays_behind_on_the_controller() -> None:
    """One that another file imports would be missing on the nodes only."""
    programs = {path.partition("/")[2] for path in PROGRAMS if "/" in path}
    assert programs | {"units/" + os.path.basename(path) for path in wanted(7)} == set(FILES)


@pytest.mark.parametrize(
    "runtime",
    ["containerd", "crio", "docker", "kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent"],
)
def test_boot_comes_before_whatever_starts_pods(runtime: str) -> None:
    boot = FILES["units/humanz-cni.service"].splitlines()
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
    assert set(wanted(0)) == {persistence.unit_path("humanz-cni.service")}


def test_boot_waits_for_the_routes_addresses_and_not_for_the_machines_idea_of_online() -> None:
    words = [
        word for line in FILES["units/humanz-cni.service"].splitlines() if line[:1].isalpha() for word in line.split()
    ]
    assert [word for word in words if "network-online" in word] == []


def test_the_path_unit_watches_what_the_check_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(node_persistence.SOURCE))
    check = importlib.import_module("check")
    lines = FILES["units/humanz-cni-heal.path"].splitlines()
    watched = {line.partition("=")[2] for line in lines if line.startswith("PathChanged=")}
    assert watched == {*check.EVENTS, *(f"{check.STATE}/{manager}" for manager in check.MANAGERS)}
    assert check.STATE == persistence.STATE_DIR
    # Whoever can write there can have the check run as often as it ends.
    assert [path for path in watched if not re.match("/run/(?!lock/|shm/|user/)", path)] == []


def test_network_manager_leaves_only_what_is_ours_alone() -> None:
    (line,) = [line for line in persistence.networkmanager_text("br0").splitlines() if "devices" in line]
    assert line == "unmanaged-devices+=interface-name:br0;interface-name:veth" + 11 * "?"


class Systemd:
    """What systemctl answers and does, and what it was called for; whoever ends it *at* a call kills the module."""

    def __init__(self, manager: str = "inactive") -> None:
        self.units = {name: ["", "inactive"] for name in persistence.UNITS}
        self.units[persistence.NETWORKMANAGER] = ["enabled", manager]
        self.loaded: dict[str, str | None] = {}
        self.calls: list[str] = []
        self.at = -1

    def run(self, command: list[str]) -> tuple[int, str, str]:
        _systemctl, verb, *rest = command
        names = [word for word in rest if not word.startswith("-")]
        if verb == "show":
            return 0, "\n\n".join(map(self._shown, names)) + "\n", ""
        if len(self.calls) == self.at:
            raise KilledError
        self.calls.append(" ".join([verb, *names]))
        if verb == "daemon-reload":
            self.loaded = {name: _text(name) for name in persistence.UNITS}
        for name in names:
            if verb in ("disable", "reenable"):
                for link in Path(persistence.UNIT_DIR).glob("*.wants/" + name):
                    link.unlink()
            if verb == "disable":
                self.units[name] = ["", "inactive"]
            elif verb == "reenable":
                self.units[name][0] = "enabled"
                for wanting in re.findall("WantedBy=(.*)", _text(name) or ""):
                    for other in wanting.split():
                        link = Path(persistence.UNIT_DIR, other + ".wants", name)
                        link.parent.mkdir(exist_ok=True)
                        link.symlink_to(persistence.unit_path(name))
            elif verb == "restart":
                self.units[name][1] = "active"
        return 0, "", ""

    def _shown(self, name: str) -> str:
        stale = name in persistence.UNITS and self.loaded.get(name) != _text(name)
        values = (name, "loaded", self.units[name][1], self.units[name][0], "yes" if stale else "no")
        return "Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\nNeedDaemonReload=%s" % values


class KilledError(BaseException):
    """The module was killed."""


def _text(name: str) -> str | None:
    path = Path(persistence.unit_path(name))
    return path.read_text() if path.exists() else None


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The node's files."""
    places = {"UNIT_DIR": "system", "LIBRARY_DIR": "lib", "STATE_DIR": "state", "UNFINISHED": "unfinished"}
    places.update(NETWORKMANAGER_CONF="nm/conf.d/50.conf", NETWORKD_CONF="networkd.conf.d/50.conf")
    for name, place in places.items():
        monkeypatch.setattr(persistence, name, str(tmp_path / place))
    return tmp_path


def resource_of(systemd: Systemd, files: dict[str, str], programs: dict[str, str]) -> persistence.Persistence:
    return persistence.Persistence(systemd.run, "systemctl", programs, files)


def converge(systemd: Systemd, files: dict[str, str], programs: dict[str, str] = PROGRAMS) -> list[str]:
    """Do what the module does; return the calls of systemctl, in order."""
    resource = resource_of(systemd, files, programs)
    actual = resource.read()
    target = resource.desired(actual)
    systemd.calls.clear()
    if actual != target:
        resource.apply(actual, target)
        assert resource.read() == target
    return systemd.calls


def test_installed_kept_changed_turned_off_and_removed(disk: Path) -> None:
    systemd = Systemd()
    every = " ".join(persistence.BOOT + persistence.HEALER)
    first = converge(systemd, wanted())
    assert first[0] == "daemon-reload"
    assert "reenable " + every in first
    assert first[-3:] == ["restart " + name for name in every.split() if name != persistence.NEVER_ACTIVE]
    assert converge(systemd, wanted()) == []
    changed = [call for call in converge(systemd, wanted(5)) if "reset-failed" not in call]
    assert changed == ["daemon-reload", "reenable humanz-cni-heal.timer", "restart humanz-cni-heal.timer"]
    assert converge(systemd, wanted(0))[0] == "disable " + " ".join(persistence.HEALER)
    assert _text("humanz-cni-heal.timer") is None
    for programs, word in ((PROGRAMS, "this version"), ({"heal.py": "new"}, "another version"), ({}, "there")):
        resource = persistence.Persistence(systemd.run, "systemctl", programs, wanted(0))
        assert "/heal.py is %s\n" % word in resource.render(resource.read())
    assert converge(systemd, {}, {})[0] == "disable humanz-cni.service"
    assert [path for path in disk.rglob("*") if not path.is_dir()] == []
    assert not (disk / "lib").exists()
    assert converge(systemd, {}, {}) == []


def test_programs_move_with_the_librarys_directory(disk: Path) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    new = str(disk / "new")
    sources = {"units/" + name: "unit" if name.endswith(".service") else "@directory@" for name in persistence.UNITS}
    moved = persistence.wanted_files(sources, "/usr/bin/python3", 30, new)
    assert new in moved[persistence.unit_path("humanz-cni-heal.path")]
    library_dirs.remember(persistence.LIBRARY_DIR)
    resource = persistence.Persistence(systemd.run, "systemctl", PROGRAMS, wanted(), new)
    actual = resource.read()
    assert list(actual["former"]) == [persistence.LIBRARY_DIR]
    resource.apply(actual, resource.desired(actual))
    assert resource.read() == resource.desired(actual)
    assert not (disk / "lib").exists()
    assert (disk / "new" / "heal.py").exists()
    # An inventory that has lost the variable.
    gone = persistence.Persistence(systemd.run, "systemctl", {}, {})
    actual = gone.read()
    gone.apply(actual, gone.desired(actual))
    assert [path for path in disk.rglob("*") if not path.is_dir()] == []
    assert not (disk / "new").exists()


def test_programs_call_the_command_where_it_is_and_are_else_as_they_are_here() -> None:
    sources = node_persistence.read(node_persistence.SOURCE)
    here, there = (
        {path.partition("/")[2]: text for path, text in persistence.wanted_programs(sources, command).items()}
        for command in (None, "/opt/sbin/humanz-cni-ctl")
    )

    assert "healing/iptables_syntax.py" in here
    assert [path for path in here if path and there[path] != here[path]] == ["healing/pod_checks.py"]
    assert 'COMMAND = "/opt/sbin/humanz-cni-ctl"' in there["healing/pod_checks.py"].splitlines()


@pytest.mark.parametrize("before", [0, 30])
def test_a_run_that_was_killed_wherever_it_was_is_finished_by_the_next(disk: Path, before: int) -> None:
    """Killed at each call of systemctl in turn, of an installation and of a change of every unit."""
    changed = {path: text + "# changed\n" for path, text in wanted(7).items()}
    changed[persistence.NETWORKMANAGER_CONF] = persistence.networkmanager_text("humanz-cni0")
    at = 0
    while True:
        systemd = Systemd("active")
        converge(systemd, wanted(before))
        systemd.calls.clear()
        systemd.at = at
        try:
            converge(systemd, changed)
        except KilledError:
            pass
        else:
            break
        systemd.at = -1
        assert "reload NetworkManager.service" in converge(systemd, changed)
        assert systemd.loaded == {name: changed[persistence.unit_path(name)] for name in persistence.UNITS}
        assert converge(systemd, changed) == []
        converge(systemd, {}, {})
        at += 1
    assert at > 4


def test_a_unit_that_systemd_has_not_loaded_is_loaded(disk: Path) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    systemd.loaded[persistence.CHECK_SERVICE] = "[Unit]\n"
    assert converge(systemd, wanted()) == ["daemon-reload"]


def test_a_unit_that_a_power_cut_has_left_half_enabled_is_enabled(disk: Path) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    Path(persistence.UNIT_DIR, "ufw.service.wants", persistence.NEVER_ACTIVE).unlink()
    assert converge(systemd, wanted()) == ["reenable " + persistence.NEVER_ACTIVE]


def test_what_enables_a_unit_is_on_the_disk_when_the_module_is_done(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd, synced = Systemd(), []
    monkeypatch.setattr(persistence, "sync_directory", lambda path: synced.append((path, len(systemd.calls))))
    converge(systemd, wanted())
    places = [persistence.UNIT_DIR, *map(str, Path(persistence.UNIT_DIR).glob("*.wants"))]
    assert len(places) > 8
    assert {(path, len(systemd.calls)) for path in places} <= {*synced}


def replace_until_killed(left: list[int]) -> Callable[[str, str], None]:
    """Return what os.replace is to be, which renames as often as *left* says and is killed then."""
    rename = os.replace

    def replace(source: str, target: str) -> None:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        rename(source, target)

    return replace


def test_the_programs_are_replaced_as_one(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the module ahead of whatever it renames, each program has the files of one version beside it."""
    systemd, rename = Systemd(), os.replace
    converge(systemd, wanted())
    newer = persistence.wanted_programs({name: text + "# newer\n" for name, text in FILES.items()})
    for number in range(10):
        left = [number]
        monkeypatch.setattr(os, "replace", replace_until_killed(left))
        with contextlib.suppress(KilledError):
            converge(systemd, wanted(), newer)
        monkeypatch.setattr(os, "replace", rename)
        for name in persistence.LINKS:
            beside = Path(os.path.realpath(disk / "lib" / name)).parent
            texts = {path: path.read_text() for path in beside.rglob("*.py")}
            assert len(texts) == len([name for name in FILES if name.endswith(".py")])
            assert len({text.endswith("# newer\n") for text in texts.values()}) == 1
        if left[0]:
            break
        converge(systemd, wanted())
    assert 1 < number < 9
    assert len(list((disk / "lib").iterdir())) == 1 + len(persistence.LINKS)


def test_a_version_that_is_one_flat_directory_leaves_nothing_behind(disk: Path) -> None:
    """As it was installed before the programs had a package: the links lead to one version or the other."""
    systemd = Systemd()
    kinds = ("addresses", "checks", "drops", "iptables", "lock", "nft", "sysctls", "vxlan", "wait")
    flat = dict.fromkeys(["heal.py", "check.py", *(f"heal_{kind}.py" for kind in kinds)], "import sys\n")
    converge(systemd, wanted(), persistence.wanted_programs(flat))
    former = Path(os.path.realpath(disk / "lib" / "heal.py")).parent
    assert len(list(former.iterdir())) == len(flat)
    assert converge(systemd, wanted()) == []
    present = Path(os.path.realpath(disk / "lib" / "heal.py")).parent
    assert (present / "healing" / "lock.py").exists()
    assert sorted(path.name for path in (disk / "lib").iterdir()) == ["check.py", "heal.py", present.name]
    assert {oct(path.stat().st_mode & 0o777) for path in present.rglob("*") if path.is_dir()} == {"0o755"}


def test_a_damaged_program_is_written_anew_and_one_of_somebody_else_is_not(disk: Path) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    program = disk / "lib" / "heal_wait.py"
    damaged = Path(os.path.realpath(disk / "lib" / "heal.py")).parent / "healing" / "lock.py"
    whole = damaged.read_text()
    damaged.write_text("")
    converge(systemd, wanted())
    assert damaged.read_text() == whole
    program.write_text("# mine\n")
    with pytest.raises(ConvergeError, match="heal_wait.py was not written by this collection"):
        converge(systemd, wanted())


@pytest.mark.parametrize("drift", ["disabled", "inactive", "failed"])
def test_a_unit_that_was_stopped_or_disabled_is_started_again(disk: Path, drift: str) -> None:
    systemd = Systemd()
    converge(systemd, wanted())
    systemd.units["humanz-cni-heal.timer"][0 if drift == "disabled" else 1] = drift
    verb = "reenable" if drift == "disabled" else "restart"
    assert converge(systemd, wanted()) == [verb + " humanz-cni-heal.timer"]


@pytest.mark.parametrize(("manager", "calls"), [("active", ["reload NetworkManager.service"]), ("inactive", [])])
def test_network_manager_is_told_if_it_runs(disk: Path, manager: str, calls: list[str]) -> None:
    systemd = Systemd(manager)
    files = wanted()
    converge(systemd, files)
    files[persistence.NETWORKMANAGER_CONF] = persistence.networkmanager_text("humanz-cni0")
    assert converge(systemd, files) == calls


def test_a_unit_that_cannot_start_says_why(disk: Path) -> None:
    systemd = Systemd()

    def run(command: list[str]) -> tuple[int, str, str]:
        if command[0] == "journalctl":
            return 0, "route 100.100.1.0/24 exists already and is not ours\n", ""
        return (1, "", "Job failed.") if command[1] == "restart" else systemd.run(command)

    resource = persistence.Persistence(run, "systemctl", PROGRAMS, wanted())
    actual = resource.read()
    with pytest.raises(
        ConvergeError, match=r"humanz-cni.service failed: Job failed.: route 100.100.1.0/24 exists already"
    ):
        resource.apply(actual, resource.desired(actual))


def test_a_unit_that_cannot_start_takes_all_of_it_along(disk: Path) -> None:
    systemd = Systemd()
    resource = resource_of(systemd, wanted(), PROGRAMS)
    before = resource.read()
    resource.apply(before, resource.desired(before))
    systemd.units["humanz-cni-heal.timer"][1] = "failed"
    resource.undo(before)
    assert resource.read() == before
    assert [path for path in disk.rglob("*") if not path.is_dir()] == []
