# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text files of the node's own tools, written whole by this collection and told apart by their first line.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from . import directories, files
from .converge import ConvergeError

MARK = "# Managed by humanz.cni"
XML_MARK = "<!-- Managed by humanz.cni"


def compose(module: str, lines: Iterable[str]) -> str:
    """Return the text of a file that *module*, named without its collection, writes; its first line says so."""
    return "\n".join(["%s.%s; changes here are overwritten." % (MARK, module)] + list(lines)) + "\n"


def read(path: str, mark: str = MARK) -> str | None:
    """Return the text of the file *path*, or None if there is none. Raises ConvergeError for somebody else's file.

    One that is empty is nobody's, and may be what a broken disk has left of ours.
    """
    try:
        text = files.read_text(path)
    except OSError as exc:
        raise ConvergeError(files.unreadable(path, exc)) from exc
    except UnicodeDecodeError as exc:
        raise ConvergeError("%s is damaged (%s): remove it, and the next run writes it anew" % (path, exc)) from exc
    # A link is somebody's, also to nothing, as systemctl mask makes them.
    nobodys = text == "" and not os.path.islink(path)
    if text is not None and not nobodys and not text.startswith(mark):
        raise ConvergeError(
            "%s was not written by this collection, as its first line does not start with %r: move it away, or name "
            "another file" % (path, mark)
        )
    return text


def write(path: str, text: str | None) -> None:
    """Make *text* the content of the file *path*, or remove the file if it is None. Raises ConvergeError.

    Directories that were made for it go with it, and the collection's own one with the last file in it.
    """
    try:
        if text is not None:
            directories.make_for(path)
            files.write_text(path, text)
            return
        files.remove(path)
        directories.remove_for(path)
    except OSError as exc:
        raise ConvergeError("%s cannot be written: %s" % (path, exc)) from exc
