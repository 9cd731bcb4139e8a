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

from .._shared import files as _files
from .._shared import marked_files
from .._shared.converge import ConvergeError, Resource
from . import kernel_modules, sysctl, sysctl_files

if TYPE_CHECKING:
    from typing import TypedDict

    class State(TypedDict):
        sysctls: dict[str, str | None]
        modules: dict[str, bool]
        files: dict[str, str | None]
        before: dict[str, str | None]
        loaded: list[str]


_BEFORE = (
    "it holds the values of sysctls from before the first change: correct it, or remove it if they need not be put back"
)
# In the file of what healing keeps: a key that is written only after one which the kernel sets it along with, the
# modules, and the bridge's addresses. See sysctls.py and addresses.py in files/host_network/healing.
KEPT = "# kept: "
MODULES = "# modules: "
ADDRESS = "# address: "


class KernelSettings(Resource):
    """Running values, loaded modules, the files that set them at boot, and the one that healing keeps them by.

    The state is a dict of ``sysctls`` (key to value, None for a key that the kernel has not), ``modules`` (name to
    whether it is loaded), ``files`` (path to text or None), ``before``: the values from before the first change, None
    for a key that did not exist, and ``loaded``: the names of the modules that were loaded for us.
    """

    def __init__(
        self,
        modules: kernel_modules.Modules,
        sysctls: dict[str, str],
        names: list[str],
        bridge_sysctls: dict[str, str],
        bridge_addresses: list[str],
        paths: dict[str, str],
        warn: bool = True,
    ) -> None:
        """Take what is wanted.

        :param modules: loads and unloads modules.
        :param sysctls: key to value, as texts; none means to put everything back.
        :param names: the names of the modules wanted.
        :param bridge_sysctls: key to value of further parameters that healing keeps; the bridge may not be there yet.
        :param bridge_addresses: what it keeps of addresses, in the words of ``ip address``.
        :param paths: the paths of four files: ``sysctl``, ``modules``, ``bridge`` and ``before``.
        :param warn: whether to warn of other files that set other values.
        """
        self._module = modules
        self._sysctls = sysctls
        self._names = names
        self._bridge_sysctls = bridge_sysctls
        self._bridge_addresses = bridge_addresses
        self._paths = paths
        self._warn = warn
        self._keys = set(sysctls)
        self._seen = set(names)
        self._kept: dict[str, str] = {}
        # The modules that were loaded for us, and the values that keys had when they came with them.
        self._loaded: dict[str, dict[str, str]] = {}

    def read(self) -> State:
        """Return the state. Keys that are to be put back belong to it from the first reading on."""
        before = self._read_before()
        self._seen.update(self._loaded)
        self._keys.update(key for key in before if not self._is_led(key, before))
        if not self._is_present():
            self._keys.update(key for defaults in self._loaded.values() for key in defaults)
        files = {self._paths[name]: marked_files.read(self._paths[name]) for name in ("sysctl", "modules", "bridge")}
        self._kept = self._read_kept(files[self._paths["bridge"]] or "")
        return {
            "sysctls": {key: sysctl.read(key) for key in self._keys},
            "modules": {name: kernel_modules.is_loaded(name) for name in self._seen},
            "files": files,
            "before": before,
            "loaded": sorted(self._loaded),
        }

    def desired(self, actual: State) -> State:
        """Return the state wanted. Raises ConvergeError for a key that cannot come to exist."""
        if all(actual["modules"][name] for name in self._names):
            for key in sorted(self._sysctls):
                if actual["sysctls"][key] is None:
                    raise ConvergeError("sysctls: kernel %s has no %s" % (platform.release(), key))
        modules = self._modules(actual)
        sysctls = dict(actual["sysctls"])
        for key, value in sysctls.items():
            if value is not None and key not in self._sysctls:
                before = actual["before"].get(key)
                sysctls[key] = self._lacking(key, value, modules) if before is None else before
                if any(sysctl.follows(key, [leader]) for leader, one in self._sysctls.items() if one != sysctls[key]):
                    self._kept[key] = str(sysctls[key])
        sysctls.update(self._sysctls)
        missing = [name for name in self._names if not actual["modules"][name]]
        return {
            "sysctls": sysctls,
            "modules": modules,
            "files": self._files(),
            "before": self._before(actual),
            "loaded": sorted({*actual["loaded"], *missing}) if self._is_present() else [],
        }

    def render(self, state: State) -> str:
        """Return the state in the syntax of sysctl, followed by the files."""
        lines = ["%s = %s" % (key, value) for key, value in sorted(state["sysctls"].items()) if value is not None]
        lines += ["# the kernel has %s" % name for name, loaded in sorted(state["modules"].items()) if loaded]
        files = dict(state["files"])
        files[self._paths["before"]] = self._before_text(state["before"], state["loaded"])
        for path, text in sorted(files.items()):
            if text is not None:
                lines += ["", "# %s" % path, text.rstrip("\n")]
        return "\n".join(lines) + "\n" if lines else ""

    def apply(self, actual: State, desired: State) -> None:
        """Remember, load, set, write. What is to be put back is forgotten last, so that a second attempt knows it."""
        known = dict(actual["before"], **desired["before"])
        loaded = sorted({*actual["loaded"], *desired["loaded"]})
        self._write_before(known, loaded)
        for name in sorted(actual["modules"]):
            if desired["modules"][name] and not actual["modules"][name]:
                self._load(name, known, loaded)
        self._set(desired["sysctls"])
        for path, text in desired["files"].items():
            if text != actual["files"][path]:
                marked_files.write(path, text)
        for name in sorted(actual["modules"]):
            if actual["modules"][name] and not desired["modules"][name]:
                self._module.unload(name)
        self._write_before(desired["before"], desired["loaded"])

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return the return values."""
        ours = self._paths["sysctl"]
        found = sysctl_files.contraries(ours, self._in_order(), self._bridge_sysctls) if self._sysctls else []
        warnings = [contrary.text(ours) for contrary in found] if self._warn else []
        return {
            "sysctls": self._sysctls,
            "overridden_by": [contrary.setting._asdict() for contrary in found if contrary.wins],
            "warnings": warnings + self._farewells(actual, desired),
        }

    def _farewells(self, actual: State, desired: State) -> list[str]:
        """Return what becomes of the modules that were loaded for us, once they are wanted no more."""
        lines = []
        for name in [] if self._is_present() else actual["loaded"]:
            if not actual["modules"][name]:
                continue
            if not desired["modules"][name]:
                lines.append(
                    "kernel module %s, which was loaded for the pod network, is unloaded, as nothing was found to use "
                    "it: run `modprobe %s` if another program of this node needs it" % (name, name)
                )
                continue
            changes = ", ".join(
                "%s = %s" % (key, desired["sysctls"][key])
                for key in sorted(self._loaded[name])
                if desired["sysctls"][key] != actual["sysctls"][key]
            )
            lines.append(
                "kernel module %s, which was loaded for the pod network, stays loaded, as %s%s"
                % (
                    name,
                    self._module.keeper(name, self._paths["modules"]),
                    ": %s is set, so that bridged packets pass as if it were not loaded" % changes if changes else "",
                )
            )
        return lines

    def _is_present(self) -> bool:
        return bool(self._sysctls or self._names)

    def _is_led(self, key: str, before: dict[str, str | None]) -> bool:
        """Return whether the kernel sets *key* along with a key that is wanted, and whose value was another before."""
        return sysctl.follows(key, [leader for leader, value in self._sysctls.items() if before.get(leader) != value])

    def _modules(self, actual: State) -> dict[str, bool]:
        """Return whether each module is to be loaded; one that was loaded for us only as long as it must."""
        modules = {}
        for name, loaded in actual["modules"].items():
            keeps = self._is_present() or self._module.keeper(name, self._paths["modules"]) is not None
            modules[name] = name in self._names or (loaded and keeps)
        return modules

    def _lacking(self, key: str, value: str, modules: dict[str, bool]) -> str | None:
        """Return what *key*, which has *value* and did not exist before the first change, is to have without us.

        That is what it has after the next boot, or what has the same effect as a kernel without it.
        """
        name = next((name for name, defaults in self._loaded.items() if key in defaults), None)
        if name is not None and not modules[name]:
            return None
        configured = sysctl_files.value_at_boot(key, self._paths["sysctl"])
        if configured is not None:
            return configured
        default = value if name is None else self._loaded[name][key]
        module = name or "br_netfilter"
        if kernel_modules.loaded_by(module, self._paths["modules"]) or kernel_modules.is_matched_by(module):
            return default
        return sysctl.LACKING.get(key, default)

    def _set(self, sysctls: dict[str, str | None]) -> None:
        kept = {
            key: value
            for key, value in self._kept.items()
            if any(sysctl.follows(key, [one]) and sysctls.get(one) == wanted for one, wanted in self._sysctls.items())
        }
        values = {**kept, **sysctls}
        for key in sysctl.in_order(values):
            # Read again: setting one key may have set this one as well.
            value = values[key]
            if value is not None and value != sysctl.read(key):
                sysctl.write(key, value)

    def _read_kept(self, text: str) -> dict[str, str]:
        """Return keys that somebody else gave another value than a key of ours has, along with which they would be set.

        While that key of ours has another value than is wanted, nothing but *text*, our file, knows them.
        """
        recorded = sysctl.parse(text.replace(KEPT, ""))
        ours = {*self._sysctls, *self._bridge_sysctls, *sysctl.FOLLOWERS}
        kept: dict[str, str | None] = {}
        for leader, value in self._sysctls.items():
            keys = [key for key in sysctl.followers(leader) if key.endswith("." + sysctl.word_of(leader))]
            names = [key for key in keys if key not in ours]
            if sysctl.read(leader) != value:
                kept.update((key, other) for key, other in recorded if key in names)
            else:
                kept.update((key, other) for key, other in zip(names, map(sysctl.read, names)) if other != value)
        return {key: value for key, value in kept.items() if value is not None}

    def _in_order(self) -> dict[str, str]:
        return {key: self._sysctls[key] for key in sysctl.in_order(self._sysctls)}

    def _files(self) -> dict[str, str | None]:
        ours = ["%s = %s" % setting for setting in self._in_order().items()]
        healed = [KEPT + "%s = %s" % setting for setting in sorted(self._kept.items())]
        healed += ["%s = %s" % setting for setting in self._bridge_sysctls.items()]
        healed += [ADDRESS + address for address in self._bridge_addresses]
        healed += [MODULES + " ".join(self._names)] if self._names else []
        lines = {"sysctl": ours, "modules": self._names, "bridge": ours + healed if self._is_present() else []}
        return {
            self._paths[name]: marked_files.compose("node_kernel", wanted) if wanted else None
            for name, wanted in lines.items()
        }

    def _before(self, actual: State) -> dict[str, str | None]:
        """Return what is known of the time before the first change, without what is to be put back now."""
        kept = {
            key: value
            for key, value in actual["before"].items()
            if key in self._sysctls or self._is_led(key, actual["before"])
        }
        for key, value in self._sysctls.items():
            if key not in kept:
                kept[key] = actual["sysctls"][key]
                if kept[key] != value:
                    kept.update((follower, sysctl.read(follower)) for follower in sysctl.followers(key))
        return kept

    def _read_before(self) -> dict[str, str | None]:
        path = self._paths["before"]
        try:
            before = json.loads(_files.read_text(path) or "{}")
        except (OSError, ValueError, RecursionError) as exc:
            raise ConvergeError("%s cannot be read (%s): %s" % (path, exc, _BEFORE)) from exc
        loaded = before.pop("modules", {}) if isinstance(before, dict) else None
        if not isinstance(loaded, dict) or not all(
            isinstance(settings, dict) and all(map(_is_setting, settings.items()))
            for settings in (before, *loaded.values())
        ):
            raise ConvergeError("%s must be a JSON object of sysctls and their values, as texts: %s" % (path, _BEFORE))
        self._loaded = loaded
        return dict(before)

    def _write_before(self, before: dict[str, str | None], loaded: list[str]) -> None:
        text = self._before_text(before, loaded)
        if text != _files.read_text(self._paths["before"]):
            marked_files.write(self._paths["before"], text)

    def _before_text(self, before: dict[str, str | None], loaded: list[str]) -> str | None:
        content: dict[str, Any] = dict(before)
        if loaded:
            content["modules"] = {name: self._loaded.get(name, {}) for name in loaded}
        return json.dumps(content, indent=2, sort_keys=True) + "\n" if content else None

    def _load(self, name: str, before: dict[str, str | None], loaded: list[str]) -> None:
        keys = [key for key in {*self._sysctls, *sysctl.LACKING} if sysctl.read(key) is None]
        self._module.load(name)
        values = {key: sysctl.read(key) for key in keys}
        self._loaded[name] = {key: value for key, value in values.items() if value is not None}
        self._write_before(before, loaded)


def _is_setting(item: tuple[str, object]) -> bool:
    key, value = item
    return sysctl.KEY.match(key) is not None and (value is None or isinstance(value, str))
