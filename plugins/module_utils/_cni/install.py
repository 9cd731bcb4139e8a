# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the CNI plugin on a node: its library, and the scripts that name it.

::

    <library directory>/<digest>/                   the library, see library.py
    <library directory>/.directories                directories that were missing, and go with the plugin
    <library directory>/.command                    where the operator's command is
    <CNI bin directory>/humanz-cni                  the launcher, replaced by rename
    <sbin directory>/humanz-cni-ctl                 the operator's command, likewise

Where one of these directories is another than before, the library and the command go from the former one as soon as no
process uses them.

A call of the plugin finds the old version or the new one, whole, whenever this is interrupted. The version before
stays, for calls that are on their way. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from .._shared import directories, library_dirs
from .._shared.converge import Resource
from .._shared.files import remove, write_text
from . import library as _cni_library
from . import operator_command, startup
from .executable import Executable, read_script

if TYPE_CHECKING:
    from .._shared.converge import RunCommand
    from .library import Interpreter, Library

    #: ``library``: its digest if whole; ``launcher`` and ``command`` as Executable.read; None for what is missing;
    #: ``former``: what no process uses of libraries in other directories, and commands beside that one, as paths.
    State = dict[str, Any]

NAME = "humanz-cni"
DIRECTORIES = ".directories"

# -I: no variable and no file of the current directory decides what Python loads. -S: nor do site packages. -X utf8: nor
# does the locale decide what a path is. An interpreter that was upgraded since has another cache tag, and runs the
# sources.
_LAUNCHER = """\
#!%(command)s -ISXutf8
# The humanz.cni plugin, installed by the module humanz.cni.cni_plugin.
import marshal
import posix
import sys

interpreter = "%(interpreter)s"
library = "%(library)s"
try:
%(run)sexcept Exception:
    posix.execv(interpreter, [interpreter, "-ISXutf8", library + "/humanz_cni/recover.py"])
"""


class Plugin(Resource):
    """The plugin, installed: its library, its launcher, what that answers to VERSION, and the operator's command."""

    def __init__(
        self, library: Library, interpreter: Interpreter, bin_dir: str, sbin_dir: str, run: RunCommand
    ) -> None:
        self._library = library
        self._interpreter = interpreter
        self._run = run
        self.path = os.path.join(bin_dir, NAME)
        values = {"command": library.command, "interpreter": interpreter.path, "library": library.path}
        values["run"] = textwrap.indent(startup.RUN_BYTECODE, "    ")
        self._launcher = Executable(self.path, _LAUNCHER % values, self._prove_all)
        self._command = operator_command.executable(sbin_dir, interpreter.path, library, run)

    def read(self) -> State:
        """Return launcher and command, and the library's digest if it is whole; None for what is missing."""
        whole = self._library.is_whole()
        state: State = {
            "library": self._library.digest if whole else None,
            "launcher": self._launcher.read(),
            "command": self._command.read(),
            "former": self._former(),
        }
        if state == self.desired(state):
            startup.prove([self.path], self._run)
        return state

    def desired(self, actual: State) -> State:
        """Return the state in which this version of the plugin answers."""
        return {
            "library": self._library.digest,
            "launcher": self._launcher.desired(),
            "command": self._command.desired(),
            "former": [],
        }

    def render(self, state: State) -> str:
        """Return the state as the two scripts' texts after a line that says where the library stands."""
        library = "whole" if state["library"] else "missing or damaged"
        head = "library %s: %s\n" % (self._library.path, library)
        head += "".join("former: %s\n" % path for path in state["former"])
        return head + self._launcher.render(state["launcher"]) + self._command.render(state["command"])

    def apply(self, actual: State, desired: State) -> None:
        """Install the library, prove it by scripts that nobody calls yet, and rename those into their places."""
        before = library_of((actual["launcher"] or {}).get("text"))
        directory = os.path.dirname(self._library.path)
        places = [os.path.dirname(one.path) for one in (self._launcher, self._command)]
        library_dirs.remember(directory)
        directories.make([directory, *places], os.path.join(directory, DIRECTORIES))
        if not actual["library"]:
            self._library.install()
        scripts = (("launcher", self._launcher), ("command", self._command))
        with contextlib.ExitStack() as stack:
            staged = [stack.enter_context(one.staged()) for key, one in scripts if actual[key] != desired[key]]
            for put in staged:
                put()
        _cni_library.remove(directory, keep=(self._library.path, before, *_cni_library.running(directory)))
        self._remove_former(os.path.join(directory, DIRECTORIES))
        write_text(os.path.join(directory, operator_command.RECORD), self._command.path + "\n")

    def _former(self) -> list[str]:
        own = os.path.realpath(self._command.path)
        current = os.path.dirname(self._library.path)
        others = library_dirs.others(current)
        commands = operator_command.paths([current, *others])
        found = [path for path in commands if library_of(read_script(path)) and path != own]
        for directory in others:
            used = _cni_library.running(directory, self.path)
            found += [path for path in _cni_library.versions(directory) if path not in used]
        return found

    def _remove_former(self, record: str) -> None:
        """Remove what :meth:`_former` finds, and what is empty then; this installation has its record."""
        for path in self._former():
            shutil.rmtree(path) if os.path.isdir(path) else remove(path)
        for directory in library_dirs.others(os.path.dirname(self._library.path)):
            old = os.path.join(directory, DIRECTORIES)
            if os.path.isdir(directory) and not _cni_library.versions(directory):
                directories.add(directories.remembered(old), record)
                remove(old)
                remove(os.path.join(directory, operator_command.RECORD))
            library_dirs.remove_if_empty(directory)

    def undo(self, before: State) -> None:
        """Take away the library if nothing names it: both scripts were proven before either was put into its place."""
        launcher = self._launcher.read() or {}
        if not before["library"] and library_of(launcher.get("text")) != self._library.path:
            shutil.rmtree(self._library.path, ignore_errors=True)

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return what was installed, and where."""
        return {
            "path": self.path,
            "command": self._command.path,
            "version": self._library.version,
            "digest": self._library.digest,
            "library": self._library.path,
            "interpreter": self._interpreter.path,
            "python_version": self._interpreter.version,
            "start": self._library.start,
            "warnings": self._warnings(),
        }

    def _warnings(self) -> list[str]:
        library, interpreter = self._library, self._interpreter
        if not library.problem:
            return []
        text = (
            "interpreter: with %s, Python %s, the plugin works but each call takes longer, as a faster start fails: %s"
        )
        return [text % (interpreter.path, interpreter.version, library.problem)]

    def _prove_all(self, path: str) -> None:
        """Prove the launcher *path*, and what runs in its place after an upgrade of the interpreter. ConvergeError."""
        interpreter = self._interpreter.path
        startup.prove([path], self._run)
        if self._library.start == startup.EARLY:
            # The plugin has run before the launcher was read.
            startup.prove([interpreter, "-ISXutf8", path], self._run)
        startup.prove(startup.recovery(interpreter, self._library.path), self._run)


def interpreter_of(launcher: str | None) -> str | None:
    """Return the interpreter that runs the script with the text *launcher*, or None if that is no script."""
    text = launcher or ""
    match = re.search(r'^interpreter = "([^"]+)"$', text, re.MULTILINE) or re.match(r"#!\s*(\S+)", text)
    return match.group(1) if match else None


def library_of(launcher: str | None) -> str | None:
    """Return the library path that the text *launcher* names, or None if it is no launcher of this collection."""
    text = launcher or ""
    match = re.search(r'^library = "([^"]+)"$', text, re.MULTILINE)
    return match.group(1) if match and "humanz_cni" in text else None
