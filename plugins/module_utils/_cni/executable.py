# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An executable script on a node, replaced by rename and proven before. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Callable, Iterator

from .._shared.files import naming, read_text, sync_directory

MODE = "0755"


class Executable:
    """The script *path*, which should hold *text*.

    :param prove: called with the path of a script that holds it; raises ConvergeError if that does not work.
    """

    def __init__(self, path: str, text: str, prove: Callable[[str], object]) -> None:
        self.path = path
        self.prove = prove
        self._text = text

    def read(self) -> dict[str, str] | None:
        """Return its text and its permissions, or None if it is missing."""
        text = read_script(self.path)
        if text is None:
            return None
        return {"mode": "%04o" % (os.stat(self.path).st_mode & 0o7777), "text": text}

    def desired(self) -> dict[str, str]:
        """Return the same as it should be."""
        return {"mode": MODE, "text": self._text}

    def render(self, state: dict[str, str] | None) -> str:
        """Return what :meth:`read` said as text, for a diff."""
        return "%s: mode %s\n%s" % (self.path, state["mode"], state["text"]) if state else ""

    @contextlib.contextmanager
    def staged(self) -> Iterator[Callable[[], None]]:
        """Write it beside its place and prove it; the context's value is a function that renames it into its place.

        What was not put there is gone with the context.
        """
        directory, name = os.path.split(self.path)
        for leftover in glob.glob(os.path.join(glob.escape(directory), ".%s.*.tmp" % glob.escape(name))):
            os.unlink(leftover)
        descriptor, temporary = tempfile.mkstemp(prefix=".%s." % name, suffix=".tmp", dir=directory)
        try:
            with naming(self.path), os.fdopen(descriptor, "wb") as stream:
                stream.write(self._text.encode("ascii"))
                stream.flush()
                os.fchmod(stream.fileno(), int(MODE, 8))
                os.fsync(stream.fileno())
            self.prove(temporary)
            yield lambda: self._put(temporary)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def _put(self, temporary: str) -> None:
        os.replace(temporary, self.path)
        sync_directory(os.path.dirname(self.path))


BINARY = "(a binary that is not of humanz.cni)\n"


def read_script(path: str) -> str | None:
    """Return the text of the file *path*, None if it is missing; a note if it is a binary, of somebody else."""
    try:
        return read_text(path)
    except UnicodeDecodeError:
        return BINARY
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            return BINARY
        raise
