# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CNI plugin's library on a node: its package, compiled for one interpreter, in a directory of its own.

::

    <library directory>/<digest>/humanz_cni/        the package's sources; never changed once they are there
    <library directory>/<digest>/cpython-311        its bytecode in one file, named by the interpreter that it is for
    <library directory>/<digest>/python3            a link to the interpreter, from Python 3.11 on
    <library directory>/<digest>/python3._pth       says that all it needs to start is in humanz_cni/startup
    <library directory>/<digest>/manifest.json      SHA-256 of each of these files

Called by that link with the launcher's options, the interpreter runs the plugin before it reads the script that it was
given, whatever that holds. With other options it is a Python without its standard library. Link and bytecode are there
only where the interpreter can start so, see startup.py.

It is built beside its place and renamed into it, whole. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from .._shared import option_checks
from .._shared.converge import ConvergeError
from .._shared.files import make_directories, naming, read_text, sync_directory
from . import compile_plugin, probe_interpreter, startup

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import ModuleType

    from .._shared.converge import RunCommand

PACKAGE = "humanz_cni"
LINK = startup.LINK
OLDEST_PYTHON = (3, 8)
# The oldest that reads a file NAME._pth beside the link NAME by which it is called, and then looks nowhere else.
_OLDEST_WITH_PTH = (3, 11)
STARTUP = PACKAGE + "/startup"
_SOURCES_ONLY = ("ctl/", "startup/")  # not in the file of bytecode: the operator's command, and Python's own start
MANIFEST = "manifest.json"
_SHEBANG_LENGTH = 127  # of kernels before 5.1, with the newline
_DIGEST = re.compile(r"[0-9a-f]{16}\Z")


class Interpreter:
    """A Python on the node, found fit for the plugin.

    :param path: its absolute path, which the launcher will name.
    :param run: runs a command, a list, with an optional ``environ_update`` and ``data``, and returns status, output
        and error output.
    :param option: what its path was given by.

    Raises ConvergeError if it is missing, too old, or lacks a module of the standard library.
    """

    def __init__(self, path: str, run: RunCommand, option: str = "interpreter") -> None:
        self.path = path
        option_checks.quotable_path(option, path)
        if len("#!%s -ISXutf8\n" % path) > _SHEBANG_LENGTH:
            raise ConvergeError("%s: %s is too long for the first line of a script" % (option, path))
        if not os.access(path, os.X_OK):
            raise ConvergeError("%s: %s does not exist or is not executable on this node" % (option, path))
        status, output, error = run([path, "-IS", "-c", _text(probe_interpreter)])
        words = output.split()
        if words and _version(words[0]) < OLDEST_PYTHON:
            raise ConvergeError("%s: %s is Python %s, but 3.8 or newer is needed" % (option, path, words[0]))
        if status != 0 or len(words) != 3:
            last = (error.strip().splitlines() or ["it says %r" % output])[-1]
            raise ConvergeError("%s: %s cannot run the plugin: %s" % (option, path, last))
        self.version, self.cache_tag, self.magic = words
        self.reads_pth = _version(self.version) >= _OLDEST_WITH_PTH


class Library:
    """The plugin's package on the node.

    :param files: its modules, a dict of file name to bytes.
    :param interpreter: the Interpreter that runs it; another one's bytecode is another library.
    :param directory: the library directory, which holds all versions.
    :param run: as for Interpreter.
    """

    def __init__(self, files: dict[str, bytes], interpreter: Interpreter, directory: str, run: RunCommand) -> None:
        self._files = files
        self._interpreter = interpreter
        self._directory = option_checks.quotable_path("library_dir", directory)
        self._run = run
        self._bytecode: dict[str, dict[str, bytes]] = {}  # by the way of starting: bytes by name
        words = (interpreter.version, interpreter.magic, interpreter.path)
        hashed = hashlib.sha256(("%s %s %s\0" % words).encode("utf-8"))
        for name in sorted(files):
            hashed.update(b"%s\0%d\0%s" % (name.encode("ascii"), len(files[name]), files[name]))
        self.digest = hashed.hexdigest()[:16]
        self.path = os.path.join(directory, self.digest)
        starts = startup.STARTS if interpreter.reads_pth else startup.STARTS[1:]
        self.start, self.problem = starts[0], ""
        if not self.is_whole():
            self.start, self.problem = startup.fastest(self._build, interpreter.path, starts, run)
        early = self.start == startup.EARLY
        self.command = os.path.join(self.path, LINK) if early else interpreter.path

    @property
    def version(self) -> str:
        """The plugin's version, as its package states it."""
        stated: list[bytes] = re.findall(rb'^__version__ = "([^"]+)"$', self._files["__init__.py"], re.MULTILINE)
        return stated[0].decode("ascii")

    def is_whole(self) -> bool:
        """Return whether every file is there and as it was installed."""
        manifest = read_text(os.path.join(self.path, MANIFEST))
        try:
            expected = json.loads(manifest or "")
        except ValueError:
            return False
        wanted = set(self._names(self.start))
        link = self._interpreter.path if self.start == startup.EARLY else None
        if _target(os.path.join(self.path, LINK)) != link:
            return False
        return set(expected) == wanted and all(
            _sha256(os.path.join(self.path, name)) == expected[name] for name in wanted
        )

    def install(self) -> None:
        """Build the library beside its place and rename it into it; repair it file by file if it is there, damaged."""
        make_directories(self._directory)
        _remove_leftovers(self._directory)
        building = tempfile.mkdtemp(prefix=".%s." % self.digest, suffix=".tmp", dir=self._directory)
        try:
            with naming(self.path):
                self._build(building, self.start)
                self._finish(building)
            if os.path.isdir(self.path):
                self._repair(building)
            else:
                os.rename(building, self.path)
            sync_directory(self._directory)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _names(self, start: str) -> list[str]:
        """Return the paths of all files but the manifest and the link, relative to the library's own directory."""
        names = [os.path.join(PACKAGE, name) for name in self._files]
        if start != startup.SOURCES:
            names += [self._interpreter.cache_tag]
        if start == startup.EARLY:
            names += [LINK + "._pth", self._startup_bytecode()]
        return names

    def _startup_bytecode(self) -> str:
        return "%s/__pycache__/encodings.%s.pyc" % (STARTUP, self._interpreter.cache_tag)

    def _build(self, building: str, start: str) -> None:
        """Put into the directory *building* what the plugin needs to *start* so. Raises ConvergeError."""
        package = os.path.join(building, PACKAGE)
        os.makedirs(os.path.join(building, STARTUP))
        for name, data in self._files.items():
            os.makedirs(os.path.dirname(os.path.join(package, name)), exist_ok=True)
            with open(os.path.join(package, name), "wb") as stream:
                stream.write(data)
        if start == startup.EARLY:
            os.symlink(self._interpreter.path, os.path.join(building, LINK))
        if start not in self._bytecode:
            self._bytecode[start] = self._compile(building, start)
        for name, data in self._bytecode[start].items():
            os.makedirs(os.path.dirname(os.path.join(building, name)), exist_ok=True)
            with open(os.path.join(building, name), "wb") as stream:
                stream.write(data)

    def _compile(self, building: str, start: str) -> dict[str, bytes]:
        """Return what *start* needs beside the package: bytes by the path in the library's own directory."""
        if start != startup.SOURCES:
            self._compile_package(building)
        if start == startup.EARLY:
            self._compile_startup(building)
        made = {}
        for name in {*self._names(start)} - {*self._names(startup.SOURCES)}:
            with open(os.path.join(building, name), "rb") as stream:
                made[name] = stream.read()
        return made

    def _compile_package(self, building: str) -> None:
        target = os.path.join(building, self._interpreter.cache_tag)
        final = os.path.join(self.path, PACKAGE)
        directory = os.path.join(building, PACKAGE)
        names = [name for name in self._files if not name.startswith(_SOURCES_ONLY)]
        # Column numbers are not needed at run time, and would be read at each call.
        command = [self._interpreter.path, "-ISX", "no_debug_ranges", "-c", _text(compile_plugin), "package", target]
        status, output, error = self._run([*command, directory, final, PACKAGE, str(startup.HEAD_SIZE), *names])
        if status != 0:
            raise self._not_compiled(building, error or output)

    def _finish(self, building: str) -> None:
        """Write the manifest, and all of *building* to the disk."""
        manifest = {name: _sha256(os.path.join(building, name)) for name in self._names(self.start)}
        with open(os.path.join(building, MANIFEST), "w", encoding="ascii") as stream:
            json.dump(manifest, stream, indent=1, sort_keys=True)
        _make_durable(building)

    def _compile_startup(self, building: str) -> None:
        """Compile what the interpreter starts with when it is called by the link, and say where that is."""
        with open(os.path.join(building, LINK + "._pth"), "w", encoding="ascii") as stream:
            stream.write(STARTUP + "\n")
        source, final = (os.path.join(path, STARTUP, "encodings.py") for path in (building, self.path))
        target = os.path.join(building, self._startup_bytecode())
        os.mkdir(os.path.dirname(target))
        command = [self._interpreter.path, "-IS", "-c", _text(compile_plugin), "startup", source, target, final]
        status, output, error = self._run(command)
        if status != 0:
            raise self._not_compiled(building, error or output)

    def _not_compiled(self, building: str, said: str) -> ConvergeError:
        """Return the error about what the interpreter *said* last; what leads to it is of no use to an operator."""
        last = (said.strip().splitlines() or ["it does not say why"])[-1]
        reason = re.sub(r"^\w+Error: (\[Errno \d+\] )?", "", last)
        text = "%s cannot compile the plugin in %s: %s" % (self._interpreter.path, os.path.dirname(building), reason)
        return ConvergeError(text) if "[Errno" in last else startup.StartError(text)

    def _repair(self, building: str) -> None:
        names = [*self._names(self.start), *([LINK] if self.start == startup.EARLY else ()), MANIFEST]
        for name in {LINK, *self._names(startup.EARLY)} - {*names}:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, name))
        for name in names:
            target = os.path.join(self.path, name)
            make_directories(os.path.dirname(target))
            os.replace(os.path.join(building, name), target)


def remove(directory: str, keep: Collection[str | None] = ()) -> None:
    """Remove every version of the library in *directory* whose path is not in *keep*."""
    for path in versions(directory):
        if path not in keep:
            shutil.rmtree(path)
    _remove_leftovers(directory)


def running(directory: str, launcher: str = "") -> list[str]:
    """Return the paths of those versions of the library in *directory* that a process was started from.

    A process that was started by the script *launcher* may use any of them.
    """
    found: set[str] = set()
    paths = versions(directory)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as stream:
                words = os.fsdecode(stream.read()).split("\0")
        except OSError:  # it has ended
            continue
        used = [*paths] if launcher and launcher in words else []
        used += [path for path in paths if any(word.startswith(path + "/") for word in words)]
        found.update(path for path in used if _sees(name, path))
    return sorted(found)


def _sees(pid: str, path: str) -> bool:
    """Return whether the process *pid* has the same directory *path* as this one, and is in no other container."""
    try:
        return os.path.samefile("/proc/%s/root%s" % (pid, path), path)
    except OSError:  # it has ended
        return False


def versions(directory: str) -> list[str]:
    """Return the paths of all versions of the library in *directory*."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    paths = [os.path.join(directory, name) for name in names if _DIGEST.match(name)]
    return [path for path in paths if os.path.isdir(os.path.join(path, PACKAGE))]


def _remove_leftovers(directory: str, prefix: str = "") -> None:
    """Remove what an interrupted run has left half made in *directory*."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    for name in names:
        path = os.path.join(directory, name)
        if not name.startswith("." + prefix) or not name.endswith(".tmp"):
            continue
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _text(program: ModuleType) -> str:
    """Return the source of *program*, which Ansible's archive may hold."""
    loader: Any = program.__loader__
    return str(loader.get_source(program.__name__))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _target(link: str) -> str | None:
    try:
        return os.readlink(link)
    except OSError:  # missing, or no link
        return None


def _sha256(path: str) -> str | None:
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make_durable(directory: str) -> None:
    """Give everything in *directory* its permissions and write it to the disk."""
    for path, _names, names in os.walk(directory):
        for name in names:
            if not os.path.islink(os.path.join(path, name)):
                _sync(os.path.join(path, name), 0o644)
        _sync(path, 0o755)


def _sync(path: str, mode: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
