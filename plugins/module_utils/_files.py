# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the node, read and replaced whole. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Have an OSError that names no file, as a full disk's does, name *path*."""
    try:
        yield
    except OSError as exc:
        if exc.filename is not None:
            raise
        raise OSError(exc.errno, exc.strerror, path) from exc


def read_text(path: str) -> str | None:
    """Return the text of *path*, or None if there is no such file."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_text(path: str, text: str, mode: int = 0o644) -> None:
    """Replace *path* atomically by a file that holds *text*; see :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"), mode)


def write_bytes(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace *path* atomically by a file that holds *data*, owned by the caller, with permissions *mode*.

    The new file is written beside the old one and renamed, so that a reader sees the one or the other, and
    a watcher of the directory sees a write and a rename. Its temporary name starts with a dot and has no
    suffix that a container runtime would load. Missing directories are made with mode 0755. Raises OSError;
    the old file is then as it was. Only one process at a time may write *path*, as :func:`_converge.converge` sees to:
    what a killed one has left half written is removed.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    _remove_leftovers(path)
    descriptor, temporary = tempfile.mkstemp(prefix=".%s." % os.path.basename(path), suffix=".tmp", dir=directory)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(directory)


def remove(path: str) -> None:
    """Remove the file *path* and make that durable. A file that is not there is no error."""
    _remove_leftovers(path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_directory(os.path.dirname(path))


def _remove_leftovers(path: str) -> None:
    directory, name = os.path.split(path)
    for leftover in glob.glob(os.path.join(glob.escape(directory), ".%s.*.tmp" % glob.escape(name))):
        os.unlink(leftover)


def sync_directory(directory: str) -> None:
    """Make a rename or removal in *directory* survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
