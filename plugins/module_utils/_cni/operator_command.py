# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command on a node: a script that runs the sources of the plugin's library, as nobody waits for it.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._shared.converge import ConvergeError
from .._shared.files import read_text
from .executable import Executable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._shared.converge import RunCommand
    from .library import Library

NAME = "humanz-cni-ctl"
SBIN_DIR = "/usr/local/sbin"
RECORD = ".command"  # in the library directory: where the command is

_TEXT = """\
#!%(interpreter)s -ISXutf8
# The operator's command of the humanz.cni plugin, installed by the module humanz.cni.cni_plugin.
import sys

library = "%(library)s"
sys.dont_write_bytecode = True
sys.path.insert(0, library)
try:
    import humanz_cni.public
    from humanz_cni.ctl.main import main
except ImportError as exc:
    sys.exit("humanz-cni-ctl: %%s is damaged: run humanz.cni.cni_plugin: %%s" %% (library, exc))
sys.exit(main(sys.argv[1:]))
"""


def paths(libraries: Iterable[str]) -> list[str]:
    """Return where the command is: by default, on this process's search path, and as *libraries* remember it.

    :param libraries: directories of the plugin's library.
    """
    places = [SBIN_DIR, *os.environ.get("PATH", os.defpath).split(":")]
    places += [os.path.dirname(read_text(os.path.join(directory, RECORD)) or "") for directory in libraries]
    real = dict.fromkeys(map(os.path.realpath, filter(os.path.isabs, places)))
    found = [os.path.join(directory, NAME) for directory in real]
    return [path for path in found if os.path.isfile(path)]


def executable(sbin_dir: str, interpreter: str, library: Library, run: RunCommand) -> Executable:
    """Return the command as an Executable in *sbin_dir*.

    :param interpreter: the path of the Python that runs it.
    :param library: the plugin's Library.
    :param run: runs a command, a list, and returns status, output and error output.
    """

    def prove(path: str) -> None:
        status, output, error = run([path, "--version"])
        if status != 0 or output.split() != [NAME, library.version]:
            raise ConvergeError(
                "%s does not say its version: status %d, output %r, error output %r" % (path, status, output, error)
            )

    text = _TEXT % {"interpreter": interpreter, "library": library.path}
    return Executable(os.path.join(sbin_dir, NAME), text, prove)
