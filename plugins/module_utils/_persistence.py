# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that put a node's routes and rules back at boot and afterwards, and what network managers are told.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.humanz.cni.plugins.module_utils import _owned
from ansible_collections.humanz.cni.plugins.module_utils._converge import LOCK, ConvergeError, Resource

if TYPE_CHECKING:
    from typing import TypedDict

    from ansible_collections.humanz.cni.plugins.module_utils._converge import RunCommand

    class State(TypedDict):
        """The texts of files by path, None where there is none, and the units by name."""

        files: dict[str, str | None]
        units: dict[str, Unit]


LIBRARY_DIR = "/usr/local/lib/humanz-cni"
PROGRAM = LIBRARY_DIR + "/heal.py"
_PARTS = ("_checks", "_drops", "_iptables", "_lock", "_nft", "_sysctls", "_vxlan", "")
PROGRAM_FILES = tuple(LIBRARY_DIR + "/heal%s.py" % name for name in _PARTS)
CHECK = LIBRARY_DIR + "/check.py"
STATE_DIR = "/run/humanz-cni-heal"  # what PROGRAM and CHECK keep, until the next boot
UNIT_DIR = "/etc/systemd/system"
SYSTEMD = "/run/systemd/system"  # is there where systemd runs
BOOT = ("humanz-cni.service",)
HEALER = ("humanz-cni-heal.service", "humanz-cni-heal.timer", "humanz-cni-heal.path")
# Only started by the timer and the path.
CHECK_SERVICE = "humanz-cni-check.service"
# It ends at once: to be enabled is all.
NEVER_ACTIVE = "humanz-cni-heal.service"
NETWORKD_CONF = "/etc/systemd/networkd.conf.d/50-humanz-cni.conf"
NETWORKMANAGER_CONF = "/etc/NetworkManager/conf.d/50-humanz-cni.conf"
NETWORKMANAGER = "NetworkManager.service"
# Directories that are not there on every node, and go with the last file in them.
OWN_DIRECTORIES = (LIBRARY_DIR, os.path.dirname(NETWORKD_CONF))


class Unit(NamedTuple):
    """Whether systemd starts a unit by itself, and whether it runs or waits for its event now."""

    enabled: bool
    active: bool


OFF = Unit(enabled=False, active=False)


def unit_path(name: str) -> str:
    """Return the path of the unit *name*."""
    return "%s/%s" % (UNIT_DIR, name)


def wanted_units(heal_interval: int) -> tuple[str, ...]:
    """Return the names of the units that are to be there."""
    return BOOT + HEALER if heal_interval else BOOT


def wanted_files(files: dict[str, str], interpreter: str, heal_interval: int) -> dict[str, str]:
    """Return ``{path: text}`` of the programs and of the units.

    :param files: name to text, as in files/host_network.
    :param interpreter: the path of the Python that runs the programs.
    :param heal_interval: seconds between two repairs; 0 for none at all.
    """
    values = {"@interpreter@": interpreter, "@directory@": LIBRARY_DIR, "@interval@": str(heal_interval)}
    texts = {path: files[os.path.basename(path)] for path in PROGRAM_FILES}
    names = wanted_units(heal_interval)
    if heal_interval:
        texts[CHECK] = files["check.py"]
        names += (CHECK_SERVICE,)
    for name in names:
        text = files[name]
        for word, value in values.items():
            text = text.replace(word, value)
        texts[unit_path(name)] = text
    return {path: _owned.compose("node_persistence", text.splitlines()) for path, text in texts.items()}


def networkd_text() -> str:
    """Return what systemd-networkd is told: other programs' routes stay when it restarts or configures anew."""
    return _owned.compose("node_persistence", ["[Network]", "ManageForeignRoutes=no"])


def networkmanager_text(bridge: str) -> str:
    """Return what NetworkManager is told: the pods' bridge and the node's ends of the pods' wires are not its own.

    The plugin's names for the latter are ``veth`` and eleven characters.
    """
    devices = "interface-name:%s;interface-name:veth%s" % (bridge, "?" * 11)
    return _owned.compose("node_persistence", ["[keyfile]", "unmanaged-devices+=%s" % devices])


class Persistence(Resource):
    """Files, and the units among them as systemd knows them.

    The state is a dict of ``files`` (path to text or None) and ``units`` (name to Unit).
    """

    def __init__(self, run: RunCommand, systemctl: str | None, files: dict[str, str]) -> None:
        """Take what is wanted.

        :param run: AnsibleModule.run_command.
        :param systemctl: the path of systemctl, or None where systemd does not run.
        :param files: path to text; what is not among them is to be removed.
        """
        self._run = run
        self._systemctl = systemctl
        units = [*map(unit_path, (*BOOT, *HEALER, CHECK_SERVICE))]
        paths = [*PROGRAM_FILES, CHECK, *units, NETWORKD_CONF, NETWORKMANAGER_CONF]
        self._files = {path: files.get(path) for path in paths}
        self._manager_runs = False

    def read(self) -> State:
        """Return the state."""
        shown = self._show() if self._systemctl else {}
        self._manager_runs = shown.pop(NETWORKMANAGER, OFF).active
        return {"files": {path: _owned.read(path) for path in self._files}, "units": shown}

    def desired(self, actual: State) -> State:
        """Return the state wanted."""
        units = {name: self._unit(name) for name in actual["units"]}
        return {"files": dict(self._files), "units": units}

    def _unit(self, name: str) -> Unit:
        wanted = self._files[unit_path(name)] is not None
        return Unit(enabled=wanted, active=wanted and name != NEVER_ACTIVE)

    def render(self, state: State) -> str:
        """Return the state as the files' texts, and a line for each unit; the programs' texts are left out."""
        lines = []
        for name, unit in state["units"].items():
            words = [word for word, true in zip(("enabled", "active"), unit) if true]
            if words:
                lines.append("# %s is %s" % (name, " and ".join(words)))
        for path, text in state["files"].items():
            if path in (*PROGRAM_FILES, CHECK) and text is not None:
                lines.append("# %s is %s" % (path, "this version" if text == self._files[path] else "another version"))
            elif text is not None:
                lines += ["", "# %s" % path, text.rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return the return values."""
        return {
            "files": [path for path, text in desired["files"].items() if text is not None],
            "units": [name for name, unit in desired["units"].items() if unit.enabled],
        }

    def apply(self, actual: State, desired: State) -> None:
        """Stop what goes, write the files, then start what is new or changed: the program and its units are whole."""
        changed = [path for path, text in desired["files"].items() if text != actual["files"][path]]
        going = [name for name, unit in desired["units"].items() if not unit.enabled and actual["units"][name] != OFF]
        if going:
            self._systemctl_run("disable", "--now", "--quiet", *going)
            # Says that a unit is not loaded where it is not there.
            self._run([self._systemctl, "stop", CHECK_SERVICE])
        for path in changed:
            _owned.write(path, desired["files"][path])
            if desired["files"][path] is None:
                self._remove_directory(path)
        if self._systemctl:
            self._start(changed, actual, desired)
            if NETWORKMANAGER_CONF in changed and self._manager_runs:
                self._systemctl_run("reload", NETWORKMANAGER)

    def _start(self, changed: list[str], actual: State, desired: State) -> None:
        units = [name for name in desired["units"] if unit_path(name) in changed]
        if any(os.path.dirname(path) == UNIT_DIR for path in changed):
            self._systemctl_run("daemon-reload")
        gone = [name for name in (*BOOT, *HEALER, CHECK_SERVICE) if unit_path(name) in changed]
        gone = [name for name in gone if desired["files"][unit_path(name)] is None]
        if gone:
            # Says that a unit is not loaded where it has not failed.
            self._run([self._systemctl, "reset-failed", *gone])
        wanted = [name for name, unit in desired["units"].items() if unit.enabled]
        new = [name for name in wanted if name in units or not actual["units"][name].enabled]
        if new:
            self._systemctl_run("reenable", "--quiet", *new)
        for name in wanted:
            if desired["units"][name].active and (name in units or not actual["units"][name].active):
                # Our lock keeps the repair that a unit runs waiting, and systemctl waits for that to end.
                LOCK.say("humanz.cni.node_persistence, which waits for %s" % name)
                self._systemctl_run("restart", name)

    def _remove_directory(self, path: str) -> None:
        if path in (PROGRAM, CHECK):
            shutil.rmtree(STATE_DIR, ignore_errors=True)
        if os.path.dirname(path) in OWN_DIRECTORIES:
            with contextlib.suppress(OSError):  # something else is in it
                os.rmdir(os.path.dirname(path))

    def _show(self) -> dict[str, Unit]:
        """Return ``{unit: Unit}``, NetworkManager among them."""
        names = [*BOOT, *HEALER, NETWORKMANAGER]
        output = self._systemctl_run("show", "--property=Id,UnitFileState,ActiveState", *names)
        units = {}
        for block in output.strip().split("\n\n"):
            values = dict(line.split("=", 1) for line in block.splitlines())
            active = values["ActiveState"] == "active" and values["Id"] != NEVER_ACTIVE
            units[values["Id"]] = Unit(values["UnitFileState"] == "enabled", active)
        return units

    def _systemctl_run(self, *arguments: str) -> str:
        status, output, error = self._run([self._systemctl, *arguments])
        if status:
            hint = ""
            if arguments[0] == "restart":
                status, log, _error = self._run(
                    ["journalctl", "--no-pager", "-n", "5", "-o", "cat", "-u", arguments[-1]]
                )
                hint = ": %s" % "; ".join(log.split("\n")).strip("; ") if not status else ""
            raise ConvergeError("systemctl %s failed: %s%s" % (" ".join(arguments), error.strip(), hint))
        return output
