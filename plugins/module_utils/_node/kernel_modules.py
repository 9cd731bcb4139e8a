# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules as modules-load.d(5) and kmod know them. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import glob
import os
import platform
from typing import TYPE_CHECKING

from .._shared import files
from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from .._shared.converge import RunCommand

    #: Returns the path of a command, None if it is not there.
    FindCommand = Callable[[str], Optional[str]]

SYS_MODULE = "/sys/module"
DIRECTORIES = ("/etc/modules-load.d", "/run/modules-load.d", "/usr/local/lib/modules-load.d", "/usr/lib/modules-load.d")
MODULES = "/etc/modules"  # Debian's, before modules-load.d
# What only exists once a module is loaded, as a module that is built in may be found nowhere else.
TRACES = {"br_netfilter": "/proc/sys/net/bridge"}
# Which module of iptables' matches needs another one, without a reference that the kernel counts.
MATCHES = {"br_netfilter": "physdev"}


class Modules:
    """Loads and unloads modules."""

    def __init__(self, run: RunCommand, find_command: FindCommand) -> None:
        """Take AnsibleModule's run_command, and a function that returns the path of a command."""
        self._run = run
        self._find_command = find_command

    def load(self, name: str) -> None:
        """Load the module *name*. Raises ConvergeError."""
        modprobe = self._find_command("modprobe")
        if modprobe is None:
            raise ConvergeError("kernel module %s is not loaded, and this node has no modprobe: install kmod" % name)
        status, _output, error = self._run([modprobe, name])
        if status:
            raise ConvergeError(
                "kernel module %s cannot be loaded into kernel %s: %s" % (name, platform.release(), error.strip())
            )

    def unload(self, name: str) -> None:
        """Unload the module *name*, and none that it needs, as others may need those. Raises ConvergeError."""
        status, _output, error = self._run([self._find_command("rmmod"), name])
        if status:
            raise ConvergeError("kernel module %s cannot be unloaded: %s" % (name, error.strip()))

    def keeper(self, name: str, modules_file: str) -> str | None:
        """Return why the module *name*, which is loaded, must or can only stay, or None if it can go.

        :param modules_file: the file that loads it for us at boot.
        """
        other = loaded_by(name, modules_file)
        if other:
            return "%s loads it at boot" % other
        if is_matched_by(name):
            return "rules of iptables use the match %s, which needs it" % MATCHES[name]
        users = files.read_text("%s/%s/refcnt" % (SYS_MODULE, _key(name)))
        if users is None:
            return "this kernel has it built in"
        if users.strip() != "0":
            holders = glob.glob("%s/%s/holders/*" % (SYS_MODULE, _key(name)))
            return "it is in use" + (" by %s" % ", ".join(sorted(map(os.path.basename, holders))) if holders else "")
        return None if self._find_command("rmmod") else "this node has no rmmod"


def is_loaded(module: str) -> bool:
    """Return whether the kernel module *module* is loaded or built into the kernel."""
    name = _key(module)
    if os.path.isdir("%s/%s" % (SYS_MODULE, name)) or os.path.exists(TRACES.get(name, "/nonexistent")):
        return True
    builtin = _text("/lib/modules/%s/modules.builtin" % platform.release())
    return any(_key(os.path.basename(line)) == name + ".ko" for line in builtin.splitlines())


def loaded_by(module: str, modules_file: str) -> str | None:
    """Return a file other than *modules_file* that loads *module* at boot, or None."""
    found: dict[str, str] = {}
    for directory in reversed(DIRECTORIES):
        found.update((os.path.basename(path), path) for path in glob.glob(os.path.join(directory, "*.conf")))
    paths = [path for path in [*sorted(found.values()), MODULES] if path != modules_file]
    return next((path for path in paths if _key(module) in _names(path)), None)


def is_matched_by(module: str) -> bool:
    """Return whether rules of iptables need *module*: the kernel would load it for them."""
    match = MATCHES.get(_key(module))
    return match is not None and _text("%s/xt_%s/refcnt" % (SYS_MODULE, match)).strip() not in ("", "0")


def _names(path: str) -> list[str]:
    lines = [line.strip() for line in _text(path).splitlines()]
    return [_key(line.split()[0]) for line in lines if line and line[0] not in "#;"]


def _key(name: str) -> str:
    return name.replace("-", "_")


def _text(path: str) -> str:
    try:
        return files.read_text(path, errors="replace") or ""
    except OSError as exc:
        raise ConvergeError("%s cannot be read: %s" % (path, exc)) from exc
