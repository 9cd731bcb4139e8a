# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules that pods need: now, at the next boot, and what they were before.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

from ansible_collections.humanz.cni.plugins.module_utils import _files, _owned, _sysctl
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError, Resource

if TYPE_CHECKING:
    from typing import TypedDict

    from ansible_collections.humanz.cni.plugins.module_utils._converge import RunCommand

    class State(TypedDict):
        sysctls: dict[str, str | None]
        modules: dict[str, bool]
        files: dict[str, str | None]
        before: dict[str, str | None]


_BEFORE = (
    "it holds the values of sysctls from before the first change: correct it, or remove it if they need not be put back"
)


class KernelSettings(Resource):
    """Running values, loaded modules and the files that set them at boot.

    The state is a dict of ``sysctls`` (key to value, None for a key that the kernel has not), ``modules`` (name to
    whether it is loaded), ``files`` (path to text or None) and ``before``: the values from before the first change,
    None for a key that did not exist. A loaded module is never unloaded, as others may have come to need it.
    """

    def __init__(
        self,
        run: RunCommand,
        modprobe: str | None,
        sysctls: dict[str, str],
        modules: list[str],
        bridge_sysctls: dict[str, str],
        paths: dict[str, str],
    ) -> None:
        """Take what is wanted.

        :param run: AnsibleModule.run_command.
        :param modprobe: path of modprobe, or None if the node has none.
        :param sysctls: key to value, as texts; none means to put everything back.
        :param modules: names of modules.
        :param bridge_sysctls: key to value of the parameters that healing keeps; the bridge may not be there yet.
        :param paths: the paths of four files: ``sysctl``, ``modules``, ``bridge`` and ``before``.
        """
        self._run = run
        self._modprobe = modprobe
        self._sysctls = sysctls
        self._modules = modules
        self._bridge_sysctls = bridge_sysctls
        self._paths = paths
        self._keys = set(sysctls)

    def read(self) -> State:
        """Return the state. Keys that are to be put back belong to it from the first reading on."""
        before = self._read_before()
        self._keys.update(key for key in before if not _sysctl.follows(key, self._sysctls))
        return {
            "sysctls": {key: _sysctl.read(key) for key in self._keys},
            "modules": {name: _sysctl.is_loaded(name) for name in self._modules},
            "files": {self._paths[name]: _owned.read(self._paths[name]) for name in ("sysctl", "modules", "bridge")},
            "before": before,
        }

    def desired(self, actual: State) -> State:
        """Return the state wanted. Raises ConvergeError for a key that cannot come to exist."""
        if all(actual["modules"].values()):
            for key in sorted(self._sysctls):
                if actual["sysctls"][key] is None:
                    raise ConvergeError("sysctls: kernel %s has no %s" % (platform.release(), key))
        sysctls = dict(actual["sysctls"])
        for key, value in actual["before"].items():
            if sysctls.get(key) is not None and value is not None:
                sysctls[key] = value
        sysctls.update(self._sysctls)
        return {
            "sysctls": sysctls,
            "modules": dict.fromkeys(self._modules, True),
            "files": self._files(),
            "before": self._before(actual),
        }

    def render(self, state: State) -> str:
        """Return the state in the syntax of sysctl, followed by the files."""
        lines = ["%s = %s" % (key, value) for key, value in sorted(state["sysctls"].items()) if value is not None]
        lines += ["# the kernel has %s" % name for name, loaded in sorted(state["modules"].items()) if loaded]
        files = dict(state["files"])
        files[self._paths["before"]] = _before_text(state["before"])
        for path, text in sorted(files.items()):
            if text is not None:
                lines += ["", "# %s" % path, text.rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def apply(self, actual: State, desired: State) -> None:
        """Remember, load, set, write. What is to be put back is forgotten last, so that a second attempt knows it."""
        self._write_before(actual["before"], dict(actual["before"], **desired["before"]))
        for name, loaded in sorted(actual["modules"].items()):
            if desired["modules"][name] and not loaded:
                self._load(name)
        for key in _sysctl.in_order(desired["sysctls"]):
            # Read again: setting one key may have set this one as well.
            value = desired["sysctls"][key]
            if value is not None and value != _sysctl.read(key):
                _sysctl.write(key, value)
        for path, text in desired["files"].items():
            if text != actual["files"][path]:
                _owned.write(path, text)
        self._write_before(dict(actual["before"], **desired["before"]), desired["before"])

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return the return values."""
        overridden_by = _sysctl.overrides(self._paths["sysctl"], self._sysctls) if self._sysctls else []
        result: dict[str, Any] = {"sysctls": self._sysctls, "overridden_by": overridden_by}
        if overridden_by:
            result["warnings"] = [
                "%(file)s is read after %(ours)s and sets %(key)s to %(value)s at the next boot: change it there"
                % dict(found, ours=self._paths["sysctl"])
                for found in overridden_by
            ]
        return result

    def _files(self) -> dict[str, str | None]:
        lines = {
            "sysctl": ["%s = %s" % (key, self._sysctls[key]) for key in _sysctl.in_order(self._sysctls)],
            "modules": self._modules,
            "bridge": ["%s = %s" % setting for setting in self._bridge_sysctls.items()],
        }
        return {
            self._paths[name]: _owned.compose("node_kernel", wanted) if wanted else None
            for name, wanted in lines.items()
        }

    def _before(self, actual: State) -> dict[str, str | None]:
        """Return what is known of the time before the first change, without what is to be put back now."""
        kept = {
            key: value
            for key, value in actual["before"].items()
            if key in self._sysctls or _sysctl.follows(key, self._sysctls)
        }
        for key, value in self._sysctls.items():
            if key not in kept:
                kept[key] = actual["sysctls"][key]
                if kept[key] != value:
                    kept.update((follower, _sysctl.read(follower)) for follower in _sysctl.followers(key))
        return kept

    def _read_before(self) -> dict[str, str | None]:
        path = self._paths["before"]
        try:
            before = json.loads(_files.read_text(path) or "{}")
        except (OSError, ValueError, RecursionError) as exc:
            raise ConvergeError("%s cannot be read (%s): %s" % (path, exc, _BEFORE)) from exc
        if not isinstance(before, dict) or not all(map(_is_setting, before.items())):
            raise ConvergeError("%s must be a JSON object of sysctls and their values, as texts: %s" % (path, _BEFORE))
        return before

    def _write_before(self, actual: dict[str, str | None], desired: dict[str, str | None]) -> None:
        if desired != actual:
            _owned.write(self._paths["before"], _before_text(desired))

    def _load(self, name: str) -> None:
        if self._modprobe is None:
            raise ConvergeError("kernel module %s is not loaded, and this node has no modprobe: install kmod" % name)
        status, _output, error = self._run([self._modprobe, name])
        if status:
            raise ConvergeError(
                "kernel module %s cannot be loaded into kernel %s: %s" % (name, platform.release(), error.strip())
            )


def _is_setting(item: tuple[str, object]) -> bool:
    key, value = item
    return _sysctl.KEY.match(key) is not None and (value is None or isinstance(value, str))


def _before_text(before: dict[str, str | None]) -> str | None:
    return json.dumps(before, indent=2, sort_keys=True) + "\n" if before else None
