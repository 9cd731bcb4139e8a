# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that put a node's routes and rules back at boot and afterwards, and what network managers are told.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from .._shared import library_dirs, marked_files
from .._shared.converge import LOCK, ConvergeError, Resource
from .._shared.files import sync_directory, write_text
from . import programs as _programs

if TYPE_CHECKING:
    from typing import TypedDict

    from .._shared.converge import RunCommand

    class State(TypedDict):
        """What there is, or is to be.

        The texts of programs by relative path, as of ``programs``, and likewise those in former directories; those of
        other files by path, None where there is none; the units by name, and the links that enable them; the units that
        systemd does not know as they are on the disk; and whether an interrupted run has left its work unfinished.
        """

        programs: dict[str, str]
        former: dict[str, dict[str, str]]
        files: dict[str, str | None]
        units: dict[str, Unit]
        links: list[str]
        unloaded: list[str]
        unfinished: bool


LIBRARY_DIR = library_dirs.DEFAULT
LINKS = ("heal.py", "check.py")  # the programs that units run
STATE_DIR = "/run/humanz-cni-heal"  # what the programs keep, until the next boot
UNFINISHED = "/run/humanz-cni-persistence"  # is there while a run changes something; one that was killed leaves it
UNIT_DIR = "/etc/systemd/system"
SYSTEMD = "/run/systemd/system"  # is there where systemd runs
BOOT = ("humanz-cni.service",)
HEALER = ("humanz-cni-heal.service", "humanz-cni-heal.timer", "humanz-cni-heal.path")
# Only started by the timer and the path.
CHECK_SERVICE = "humanz-cni-check.service"
UNITS = (*BOOT, *HEALER, CHECK_SERVICE)
# It ends at once: to be enabled is all.
NEVER_ACTIVE = "humanz-cni-heal.service"
NETWORKD = ("/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd")
NETWORKD_CONF = "/etc/systemd/networkd.conf.d/50-humanz-cni.conf"
NETWORKMANAGER_CONF = "/etc/NetworkManager/conf.d/50-humanz-cni.conf"
NETWORKMANAGER = "NetworkManager.service"
CALLER = "healing/pod_checks.py"  # the program that calls the operator's command
_COMMAND = re.compile(r'^COMMAND = ".*"$', re.MULTILINE)  # which is named there so


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


def require_interval(option: str, seconds: int) -> None:
    """Raise ConvergeError if *seconds*, the value of *option*, can be none between two repairs."""
    if seconds < 0:
        raise ConvergeError("%s: %d must be a number of seconds such as 30, or 0 for no repair" % (option, seconds))


def wanted_programs(files: dict[str, str], command: str | None = None) -> dict[str, str]:
    """Return the programs among *files*, path to text as in files/host_network, as ``programs`` installs them.

    :param command: the path of the operator's command, which they call, unless it is where they look for it anyway.
    """
    texts = {name: text for name, text in files.items() if name.endswith(".py")}
    if command:
        assigned = 'COMMAND = "%s"' % command
        texts[CALLER] = _COMMAND.sub(lambda _found: assigned, texts[CALLER])
    return _programs.wanted({name: _composed(text) for name, text in texts.items()}, LINKS)


def wanted_files(
    files: dict[str, str], interpreter: str, heal_interval: int, directory: str = LIBRARY_DIR
) -> dict[str, str]:
    """Return ``{path: text}`` of the units.

    :param files: path to text, as in files/host_network.
    :param interpreter: the path of the Python that runs the programs.
    :param heal_interval: seconds between two repairs; 0 for none at all.
    :param directory: the directory of the programs.
    """
    values = {"@interpreter@": interpreter, "@directory@": directory, "@interval@": str(heal_interval)}
    names = wanted_units(heal_interval) + ((CHECK_SERVICE,) if heal_interval else ())
    texts = {}
    for name in names:
        text = files["units/" + name]
        for word, value in values.items():
            text = text.replace(word, value)
        texts[unit_path(name)] = _composed(text)
    return texts


def _composed(text: str) -> str:
    return marked_files.compose("node_persistence", text.splitlines())


def _links() -> list[str]:
    """Return the paths of the links in UNIT_DIR by which units of ours are started."""
    found = [path for name in UNITS for path in glob.glob("%s/*.wants/%s" % (UNIT_DIR, name))]
    return sorted(path for path in found if os.path.islink(path))


def networkd_text() -> str:
    """Return what systemd-networkd is told: other programs' routes stay when it restarts or configures anew."""
    return marked_files.compose("node_persistence", ["[Network]", "ManageForeignRoutes=no"])


def networkmanager_text(bridge: str) -> str:
    """Return what NetworkManager is told: the pods' bridge and the node's ends of the pods' wires are not its own.

    The plugin's names for the latter are ``veth`` and eleven characters.
    """
    devices = "interface-name:%s;interface-name:veth%s" % (bridge, "?" * 11)
    return marked_files.compose("node_persistence", ["[keyfile]", "unmanaged-devices+=%s" % devices])


class Persistence(Resource):
    """Programs and files, and the units among them as systemd knows them. The state is a State."""

    def __init__(
        self,
        run: RunCommand,
        systemctl: str | None,
        programs: dict[str, str],
        files: dict[str, str],
        directory: str | None = None,
    ) -> None:
        """Take what is wanted.

        :param run: AnsibleModule.run_command.
        :param systemctl: the path of systemctl, or None where systemd does not run.
        :param programs: as of :func:`wanted_programs`; empty to have none.
        :param files: path to text; what is not among them is to be removed.
        :param directory: that of the programs; from former ones they are removed.
        """
        self._directory = directory or LIBRARY_DIR
        self._run = run
        self._systemctl = systemctl
        units = [*map(unit_path, UNITS)]
        self._programs = programs
        self._files = {path: files.get(path) for path in [*units, NETWORKD_CONF, NETWORKMANAGER_CONF]}
        self._manager_runs = False

    def read(self) -> State:
        """Return the state, which a power cut leaves as it is."""
        shown, unloaded = self._show() if self._systemctl else ({}, [])
        self._manager_runs = shown.pop(NETWORKMANAGER, OFF).active
        links = _links()
        former = [(path, _programs.read(path)) for path in library_dirs.others(self._directory)]
        for directory in (UNIT_DIR, *glob.glob(UNIT_DIR + "/*.wants")):
            if os.path.isdir(directory):
                sync_directory(directory)
        return {
            "programs": _programs.read(self._directory),
            "former": {path: texts for path, texts in former if texts},
            "files": {path: marked_files.read(path) for path in self._files},
            "units": shown,
            "links": links,
            "unloaded": unloaded,
            "unfinished": os.path.exists(UNFINISHED),
        }

    def desired(self, actual: State) -> State:
        """Return the state wanted."""
        return {
            "programs": self._programs,
            "former": {},
            "files": dict(self._files),
            "units": {name: self._unit(name) for name in actual["units"]},
            "links": self._wanted_links(),
            "unloaded": [],
            "unfinished": False,
        }

    def _unit(self, name: str) -> Unit:
        wanted = self._files[unit_path(name)] is not None
        return Unit(enabled=wanted, active=wanted and name != NEVER_ACTIVE)

    def _wanted_links(self) -> list[str]:
        """Return the paths of the links by which ``systemctl enable`` has the units started."""
        links = []
        for name in UNITS:
            for line in re.findall(r"^WantedBy=(.*)$", self._files[unit_path(name)] or "", re.MULTILINE):
                links += ["%s/%s.wants/%s" % (UNIT_DIR, other, name) for other in line.split()]
        return sorted(links)

    def render(self, state: State) -> str:
        """Return the state as the files' texts, and a line for each unit; the programs' texts are left out."""
        lines = []
        for name, unit in state["units"].items():
            words = [word for word, true in zip(("enabled", "active"), unit) if true]
            if words:
                lines.append("# %s is %s" % (name, " and ".join(words)))
        lines += ["# %s is not loaded as it is on the disk" % name for name in state["unloaded"]]
        lines += ["# %s" % link for link in state["links"]]
        if state["unfinished"]:
            lines.append("# an interrupted run has left its work unfinished")
        lines += ["# %s has programs of an earlier version" % path for path in state["former"]]
        for path, program in state["programs"].items():
            if "/" not in path:
                version = "this version" if program == self._programs.get(path) else "another version"
                lines.append("# %s/%s is %s" % (self._directory, path, version if self._programs else "there"))
        for path, text in state["files"].items():
            if text is not None:
                lines += ["", "# %s" % path, text.rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return the return values."""
        programs = ["%s/%s" % (self._directory, path) for path in desired["programs"] if "/" not in path]
        return {
            "files": programs + [path for path, text in desired["files"].items() if text is not None],
            "units": [name for name, unit in desired["units"].items() if unit.enabled],
        }

    def apply(self, actual: State, desired: State) -> None:
        """Stop what goes, write the files, then start what is new or changed: the programs and their units are whole.

        Programs that a unit may still be starting are removed last.
        """
        write_text(UNFINISHED, "")
        changed = [path for path, text in desired["files"].items() if text != actual["files"][path]]
        going = [name for name, unit in desired["units"].items() if not unit.enabled and actual["units"][name] != OFF]
        if going:
            self._systemctl_run("disable", "--now", "--quiet", *going)
            # Says that a unit is not loaded where it is not there.
            self._run([self._systemctl, "stop", CHECK_SERVICE])
        if desired["programs"]:
            library_dirs.remember(self._directory)
            _programs.put(self._directory, actual["programs"], desired["programs"])
        for path in changed:
            marked_files.write(path, desired["files"][path])
        for link in {*actual["links"]}.difference(desired["links"]):  # also of units that systemctl finds no more
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)
        if self._systemctl:
            self._start(changed, actual, desired)
            if self._manager_runs and (NETWORKMANAGER_CONF in changed or actual["unfinished"]):
                self._systemctl_run("reload", NETWORKMANAGER)
        _programs.clear(self._directory, actual["programs"], desired["programs"])
        for directory, texts in actual["former"].items():
            _programs.clear(directory, texts, {})
        for directory in (self._directory, *library_dirs.others(self._directory)):
            library_dirs.remove_if_empty(directory)
        if desired["files"][unit_path(CHECK_SERVICE)] is None:
            shutil.rmtree(STATE_DIR, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(UNFINISHED)

    def _start(self, changed: list[str], actual: State, desired: State) -> None:
        """Have systemd load what is not loaded, enable what is not enabled in every place, and start it."""
        anew = {name for name in UNITS if unit_path(name) in changed or actual["unfinished"]}.union(actual["unloaded"])
        if anew:
            self._systemctl_run("daemon-reload")
        gone = [name for name in UNITS if name in anew and desired["files"][unit_path(name)] is None]
        if gone:
            # Says that a unit is not loaded where it has not failed.
            self._run([self._systemctl, "reset-failed", *gone])
        wanted = [name for name, unit in desired["units"].items() if unit.enabled]
        anew |= {os.path.basename(link) for link in {*actual["links"]}.symmetric_difference(desired["links"])}
        new = [name for name in wanted if name in anew or not actual["units"][name].enabled]
        if new:
            self._systemctl_run("reenable", "--quiet", *new)
        for name in wanted:
            if desired["units"][name].active and (name in anew or not actual["units"][name].active):
                # Our lock keeps the repair that a unit runs waiting, and systemctl waits for that to end.
                LOCK.say("humanz.cni.node_persistence, which waits for %s" % name)
                self._systemctl_run("restart", name)

    def _show(self) -> tuple[dict[str, Unit], list[str]]:
        """Return ``{unit: Unit}``, NetworkManager among them, and the units that systemd knows otherwise than the disk.

        Of a unit that is gone it may still know that it failed.
        """
        properties = "Id,LoadState,UnitFileState,ActiveState,NeedDaemonReload"
        output = self._systemctl_run("show", "--property=" + properties, *UNITS, NETWORKMANAGER)
        units, unloaded = {}, []
        for block in output.strip().split("\n\n"):
            values = dict(line.split("=", 1) for line in block.splitlines())
            name, active = values["Id"], values["ActiveState"]
            units[name] = Unit(values["UnitFileState"] == "enabled", active == "active" and name != NEVER_ACTIVE)
            is_left = values["LoadState"] == "not-found" and active == "failed"
            if name != NETWORKMANAGER and (values["NeedDaemonReload"] == "yes" or is_left):
                unloaded.append(name)
        del units[CHECK_SERVICE]
        return units, unloaded

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
