# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node's files of sysctl.d(5) do to parameters that pods need, as systemd-sysctl applies them.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .._shared import files as _files
from .._shared.converge import ConvergeError
from . import sysctl

# In the order in which files of one name hide each other, as sysctl.d(5) has it.
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
# Packages write there, and /etc is meant to override them.
VENDORS = DIRECTORIES[3:]
SYSCTL_CONF = "/etc/sysctl.conf"
# Two names of one parameter.
ALIASES = {"net.ipv4.conf.all.forwarding": "net.ipv4.ip_forward"}
# The kernel sets the followers of others only when the value changes: addrconf_disable_ipv6() of net/ipv6/addrconf.c.
ALWAYS = "net.ipv6.conf.all.disable_ipv6"


class Setting(NamedTuple):
    """A line of a file. *key* may be a pattern; *value* is None where the line keeps patterns from the key."""

    file: str
    line: int
    key: str
    value: str | None


class Contrary(NamedTuple):
    """A *setting* that gives the parameter *key* another value than *wanted*; *wins* whether it does so at boot."""

    setting: Setting
    key: str
    wanted: str
    wins: bool

    def text(self, sysctl_file: str) -> str:
        """Return it as a sentence for people, with the remedy. *sysctl_file* is our own."""
        need = "%s = %s" % (self.key, self.wanted)
        if self.wins:
            when = "it is in force after each boot until humanz-cni.service or a run puts %s back" % need
        else:
            when = "%s is read after it and wins at boot" % sysctl_file
        return "%s line %d sets %s to %s, but pods need %s: remove or change that line; %s" % (
            *self.setting,
            need,
            when,
        )


def contraries(
    sysctl_file: str, sysctls: Mapping[str, str], healed: Mapping[str, str], ours: bool = True
) -> list[Contrary]:
    """Return each setting of another file that gives a parameter another value than it is to have.

    A vendor's that does not win is left out.

    :param sysctl_file: the path of our own file, which need not be there yet.
    :param sysctls: the values that it sets or is to set, in their order.
    :param healed: further values, of interfaces that may not be there yet, which are in no file.
    :param ours: whether our file sets *sysctls* at all.
    """
    wanted = {**healed, **sysctls}
    own = [Setting(sysctl_file, 0, key, value) for key, value in sysctls.items() if ours]
    files = [(path, own if path == sysctl_file else read(path)) for path in paths(sysctl_file)]
    at_boot = _State(sysctls, healed, {"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"})
    at_boot.apply([setting for _path, settings in files for setting in settings])
    winners = {cause: key for key, cause in at_boot.contrary(wanted) if cause.file != sysctl_file}
    found = {cause: Contrary(cause, key, wanted[key], wins=True) for cause, key in winners.items()}
    for path, settings in files:
        # As if it were applied by itself while all is as wanted.
        alone = _State(sysctls, healed, wanted)
        alone.apply([] if path == sysctl_file or os.path.dirname(path) in VENDORS else settings)
        for cause, key in {cause: key for key, cause in alone.contrary(wanted)}.items():
            found.setdefault(cause, Contrary(cause, key, wanted[key], wins=False))
    return [found[cause] for cause in sorted(found, key=lambda cause: cause[:2])]


def value_at_boot(key: str, without: str) -> str | None:
    """Return the value that the files give *key*, None for none. *without* is a file to leave out."""
    state = _State({key: ""}, {}, {})
    state.apply([setting for path in paths(without) if path != without for setting in read(path)])
    return state.value(key)


def paths(sysctl_file: str) -> list[str]:
    """Return the paths of all files in the order in which they are read, *sysctl_file* among them."""
    found: dict[str, str] = {}
    for directory in reversed(DIRECTORIES):
        found.update((os.path.basename(path), path) for path in glob.glob(os.path.join(directory, "*.conf")))
    found[os.path.basename(sysctl_file)] = sysctl_file
    ordered = [found[name] for name in sorted(found)]
    # Where it is not linked into one of the directories, procps reads this file last.
    linked = any(os.path.realpath(path) == SYSCTL_CONF for path in ordered)
    return ordered if linked or not os.path.exists(SYSCTL_CONF) else [*ordered, SYSCTL_CONF]


def read(path: str) -> list[Setting]:
    """Return the settings of the file *path*. Raises ConvergeError if it cannot be read."""
    try:
        text = _files.read_text(path, errors="replace") or ""
    except OSError as exc:
        raise ConvergeError("%s cannot be read: %s" % (path, exc)) from exc
    return [Setting(path, *found) for found in parse(text)]


def parse(text: str) -> list[tuple[int, str, str | None]]:
    """Return number of the line, key and value of each setting in *text*, in the syntax of sysctl.d(5)."""
    found: list[tuple[int, str, str | None]] = []
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.strip().partition("=")
        excludes = not equals and key.startswith("-")
        key = key.lstrip("-").strip()
        if key and key[0] not in "#;" and (equals or excludes):
            found.append((number, sysctl.dotted(key), sysctl.normal(value) if equals else None))
    return found


def is_pattern(key: str) -> bool:
    """Return whether *key* stands for several parameters."""
    return any(character in key for character in "*?[")


def _matches(key: str, pattern: str) -> bool:
    """Return whether *pattern* stands for *key*; as in paths, none of its characters stands for a separator."""
    names, patterns = key.split("."), pattern.split(".")
    return len(names) == len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))


class _State:
    """The values of parameters, and the setting that each comes from, None for what was there before."""

    def __init__(self, sysctls: Iterable[str], healed: Iterable[str], values: Mapping[str, str]) -> None:
        self._followers = [key for key in sysctls if key not in sysctl.FOLLOWERS]
        self._known = sorted({*sysctls, *healed, *ALIASES, *sysctl.FOLLOWERS})
        self._values: dict[str, tuple[str, Setting | None]] = {
            ALIASES.get(key, key): (value, None) for key, value in values.items()
        }

    def value(self, key: str) -> str | None:
        """Return the value of *key*, or None if it has none."""
        return self._values.get(ALIASES.get(key, key), (None, None))[0]

    def apply(self, settings: Iterable[Setting]) -> None:
        """Apply *settings* as systemd-sysctl does.

        Of several settings of one key the last one counts, at the place of the first of those that have its value:
        parse_line() of src/sysctl/sysctl.c.
        """
        merged: dict[str, Setting] = {}
        for setting in settings:
            if setting.key not in merged or merged[setting.key].value != setting.value:
                merged.pop(setting.key, None)
                merged[setting.key] = setting
        for setting in merged.values():
            keys = [setting.key]
            if is_pattern(setting.key):
                keys = [key for key in self._known if key not in merged and _matches(key, setting.key)]
            for key in keys:
                self._set(ALIASES.get(key, key), setting)

    def _set(self, key: str, setting: Setting) -> None:
        if setting.value is None:
            return
        changes = self.value(key) != setting.value or key == ALWAYS
        self._values[key] = (setting.value, setting)
        if changes and key in sysctl.FOLLOWERS:
            for other in self._followers:
                if other.endswith("." + sysctl.word_of(key)) and sysctl.follows(other, [key]):
                    self._values[other] = (setting.value, setting)

    def contrary(self, wanted: Mapping[str, str]) -> list[tuple[str, Setting]]:
        """Return the keys that a setting gives another value than the one *wanted*, those of all interfaces last."""
        found = []
        for key in sorted(wanted, key=lambda key: (key in sysctl.FOLLOWERS, key)):
            value, cause = self._values.get(ALIASES.get(key, key), ("", None))
            if cause is not None and not sysctl.suffices(key, value, wanted[key]):
                found.append((key, cause))
        return found
