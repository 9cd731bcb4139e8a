# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's copy of pyroute2 on a node that has none of its own.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import compileall
import os
import platform
import py_compile
import shutil
import sys
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any

from .._shared import files, kernel, library_dirs
from .._shared.converge import ConvergeError, Resource

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

PROOF = "import sys; sys.path.insert(0, sys.argv[1]); from pyroute2 import IPRoute; IPRoute().close()"


class Archive(Resource):
    """The archive of pyroute2.

    Its state is one of ``absent``, ``present``, ``broken`` if Python can't use it, and ``elsewhere`` if there is one in
    another directory that was the library's before.

    :param source: the path of an archive that the action plugin brought, or None.
    """

    def __init__(self, module: AnsibleModule, source: str | None) -> None:
        self.module = module
        self.source = source
        directory = module.params.get("library_dir") or library_dirs.DEFAULT
        self.path = os.path.join(directory, kernel.ARCHIVE)
        others = [os.path.join(other, kernel.ARCHIVE) for other in library_dirs.others(directory)]
        self._others = [path for path in others if path != self.path]

    def needed(self) -> bool:
        """Return whether this Python has no pyroute2 beside the archive, or the one that was brought."""
        origin: str = getattr(sys.modules.get("pyroute2"), "__file__", "")
        return (
            kernel.PYROUTE2_ERROR is not None
            or kernel.is_brought()
            or origin.startswith((self.path, *self._others, self.source or self.path))
        )

    def read(self) -> str:
        if any(map(os.path.exists, self._others)):
            return "elsewhere"
        if not os.path.exists(self.path):
            return "absent"
        return "present" if not self.needed() or self._failure(self.path) is None else "broken"

    def desired(self, actual: str) -> str:
        if self.module.params["state"] == "absent":
            return "absent"
        if actual == "present" or not self.needed():
            return actual
        if self.source is None and actual == "elsewhere":
            return "present"
        if self.source is None:
            kernel.require_pyroute2(self.module)
            # It can be imported and does not run, as after an upgrade of Python: the action plugin brings another.
            raise ConvergeError(
                "%s does not run on this node's Python %s" % (self.path, platform.python_version()),
                pyroute2_missing=True,
                python_version=platform.python_version(),
            )
        failure = self._failure(self.source)
        if failure:
            raise ConvergeError(
                "the controller's pyroute2 does not run on this node's Python %s (%s): install the distribution's "
                "package python3-pyroute2 on the node" % (sys.version.split()[0], failure)
            )
        return "present"

    def result(self, actual: str, desired: str) -> dict[str, Any]:
        return {"own": not self.needed()}

    def render(self, state: str) -> str:
        return "%s: %s\n" % (self.path, state)

    def apply(self, actual: str, desired: str) -> None:
        try:
            if desired == "present":
                self._put()
            for path in [*self._others, *([self.path] if desired == "absent" else [])]:
                if os.path.exists(path):
                    files.remove(path)
                # The plugin's library may still be there.
                library_dirs.remove_if_empty(os.path.dirname(path))
        except OSError as exc:
            raise ConvergeError("%s cannot be changed: %s" % (self.path, exc)) from exc

    def _put(self) -> None:
        """Put what was brought, or what another directory has, into its place."""
        former = next(filter(os.path.exists, self._others), None)
        if self.source is None and former is None:  # after a removal that has failed
            raise ConvergeError("%s is removed until humanz.cni.node_python installs it again" % self.path)
        library_dirs.remember(os.path.dirname(self.path))
        if self.source is not None:
            data = _compiled(self.source)
        else:
            with open(str(former), "rb") as stream:
                data = stream.read()
        files.write_bytes(self.path, data)

    def _failure(self, archive: str) -> str | None:
        """Return why this Python cannot use *archive*, or None if it can."""
        code, _out, err = self.module.run_command([sys.executable, "-I", "-c", PROOF, archive])
        return (err.strip().splitlines() or ["exit code %d" % code])[-1] if code else None


def _compiled(source: str) -> bytes:
    """Return the archive *source* with bytecode of this Python beside each module: its import takes half the time."""
    with tempfile.TemporaryDirectory() as directory:
        tree = os.path.join(directory, "tree")
        with zipfile.ZipFile(source) as archive:
            archive.extractall(tree)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(tree, quiet=2, legacy=True, invalidation_mode=mode)
        with open(shutil.make_archive(os.path.join(directory, "pyroute2"), "zip", tree), "rb") as stream:
            return stream.read()
