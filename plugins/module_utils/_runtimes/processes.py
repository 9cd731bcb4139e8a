# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that run on a node, and their command lines. Reads only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._shared.converge import RunCommand

_ARGV = re.compile(r"argv\[\]=(.*?) ;")


class Process(NamedTuple):
    """A process; *words* are its command line, which starts with the path of its program."""

    pid: int
    words: list[str]


def named(name: str) -> list[Process]:
    """Return the processes that were started as *name* and see this process's files, by their numbers."""
    found = []
    for pid in sorted(int(text) for text in os.listdir("/proc") if text.isdigit()):
        try:
            if os.readlink("/proc/%d/ns/mnt" % pid) != os.readlink("/proc/self/ns/mnt"):
                continue
            with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="surrogateescape") as stream:
                words = stream.read().rstrip("\0").split("\0")
            if os.path.basename(words[0]) == name:
                program = os.readlink("/proc/%d/exe" % pid)
                found.append(Process(pid, [_program(program, name), *words[1:]]))
        except OSError:  # it has ended, or is the kernel's
            continue
    return found


def _program(path: str, name: str) -> str:
    """Return the path by which the program *path* is called as *name*.

    It may be one of several in one file, as k3s's are, or another file since a package was upgraded.
    """
    path = path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
    return path if os.path.basename(path) == name else os.path.join(os.path.dirname(path), name)


def of_unit(run: RunCommand, unit: str) -> list[str]:
    """Return the command line by which systemd starts *unit*, as words; none if it does not know it."""
    try:
        status, output, _error = run(["systemctl", "show", "--property=ExecStart", unit], handle_exceptions=False)
    except OSError:  # there is no systemd
        return []
    match = _ARGV.search(output) if status == 0 else None
    return match.group(1).split() if match else []


def option(words: Sequence[str], *names: str) -> str | None:
    """Return the value of the first option of *words* that is one of *names*, such as ``--config=VALUE``, or None."""
    for index, word in enumerate(words[1:], 1):
        name, equals, value = word.partition("=")
        if word.startswith("-") and name.lstrip("-") in names:
            return value if equals else "".join(words[index + 1 : index + 2])
    return None
