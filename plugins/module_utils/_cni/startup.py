# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the plugin starts on a node: the fastest way that works there, found by trying.

The faster ways use what CPython has but does not promise, and a release of it may change. The last one does not.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._shared.converge import RunCommand

EARLY = "early"  # in place of the end of the interpreter's own start
BYTECODE = "bytecode"  # by the launcher, from one file of bytecode
SOURCES = "sources"  # by Python's import system, with public modules only
STARTS = (EARLY, BYTECODE, SOURCES)  # the fastest first

SPEC_VERSION = "1.0.0"
LINK = "python3"
HEAD_SIZE = 16384  # of the file of bytecode, in bytes

# What the launcher does; the names it needs are marshal, posix and sys.
RUN_BYTECODE = """\
bundle = "%%s/%%s" %% (library, sys.implementation.cache_tag)
descriptor = posix.open(bundle, posix.O_RDONLY | posix.O_CLOEXEC)
code, index = marshal.loads(posix.read(descriptor, %(head)d))
exec(code)
start(bundle, descriptor, index)
""" % {"head": HEAD_SIZE}


class StartError(ConvergeError):
    """The interpreter cannot start the plugin in the way that was tried; the text is for the operator."""


_WENT_ON = "raise SystemExit('the interpreter does not run it while it starts')"
_CONF = {
    "cniVersion": SPEC_VERSION,
    "name": "trial",
    "type": "humanz-cni",
    "bridge": "trial",
    "logLevel": "off",
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/64"}]]},
}
# An ADD that is refused once all its modules are loaded and its configuration is read: nothing is changed.
_NO_NAMESPACE = 4
_ADD = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "trial",
    "CNI_NETNS": os.devnull,
    "CNI_IFNAME": "eth0",
    "CNI_PATH": os.devnull,
    "CNI_ARGS": "",
    "CNI_NETNS_OVERRIDE": "",
}


def fastest(
    build: Callable[[str, str], None], interpreter: str, starts: tuple[str, ...], run: RunCommand
) -> tuple[str, str]:
    """Return the first of *starts* that works, and why one before it does not, empty if it is the first.

    :param build: makes a library for one of *starts* in a directory: a temporary one, which is gone afterwards.
    :param interpreter: its path.
    :param run: as for Interpreter.

    Raises StartError if none works, and ConvergeError if that cannot be found out.
    """
    problem = ""
    for start in starts:
        with tempfile.TemporaryDirectory(prefix="humanz-cni.") as directory:
            try:
                build(directory, start)
                _try(_command(interpreter, directory, start), run)
            except StartError as exc:
                problem = str(exc)
            else:
                return start, problem
    raise StartError(problem)


def _command(interpreter: str, directory: str, start: str) -> list[str]:
    """Return the command that runs the library which is built in *directory* by *start*, and not otherwise."""
    if start == EARLY:
        return [os.path.join(directory, LINK), "-ISXutf8", "-c", _WENT_ON]
    if start == BYTECODE:
        text = "import marshal, posix, sys\nlibrary = %r\n%s" % (directory, RUN_BYTECODE)
        return [interpreter, "-ISXutf8", "-c", text]
    return recovery(interpreter, directory)


def recovery(interpreter: str, library: str) -> list[str]:
    """Return the command that runs the plugin from its sources; -B: nothing is to be left beside them."""
    return [interpreter, "-BISXutf8", os.path.join(library, "humanz_cni/recover.py")]


def _try(command: list[str], run: RunCommand) -> None:
    prove(command, run)
    status, output, error = run(command, data=json.dumps(_CONF), environ_update=_ADD)
    if (status, _document(output).get("code")) != (1, _NO_NAMESPACE):
        raise _refusal(command, "does not answer ADD", status, output, error)


def prove(command: list[str], run: RunCommand) -> None:
    """Call VERSION by *command*, a list; StartError if the answer is not what a runtime needs."""
    request = json.dumps({"cniVersion": SPEC_VERSION})
    status, output, error = run(command, data=request, environ_update={"CNI_COMMAND": "VERSION"})
    versions = _document(output).get("supportedVersions")
    if status != 0 or not isinstance(versions, list) or SPEC_VERSION not in versions:
        raise _refusal(command, "does not answer VERSION", status, output, error)


def _document(output: str) -> dict[str, object]:
    try:
        document = json.loads(output)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(command: list[str], what: str, status: int, output: str, error: str) -> StartError:
    """Return the error about *command*; what leads to the last line of *error* is of no use to an operator."""
    words = [word for word in command if "\n" not in word]
    last = (error.strip().splitlines() or [""])[-1]
    text = "%s %s: status %d, output %r, error output %r" % (" ".join(words), what, status, output, last)
    return StartError(text)
