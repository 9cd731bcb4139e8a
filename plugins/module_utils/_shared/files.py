# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the node, read and replaced whole. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Iterator

LARGEST = 16 << 20  # bytes
PIECE = 1 << 16
A_DIRECTORY = "%s is a directory: it must be a file"


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Have an OSError that names no file, as a full disk's does, name *path*."""
    try:
        yield
    except OSError as exc:
        if exc.filename is not None:
            raise
        raise OSError(exc.errno, exc.strerror, path) from exc


def unreadable(path: str, exc: OSError) -> str:
    """Return in words that *path* cannot be read, and why."""
    return (
        A_DIRECTORY % path + ": correct that"
        if isinstance(exc, IsADirectoryError)
        else ("%s cannot be read: %s" % (path, exc))
    )


def read_text(path: str, errors: str = "strict") -> str | None:
    """Return the text of *path*, or None if there is no such file; see :func:`require_text`."""
    try:
        return require_text(path, errors)
    except (FileNotFoundError, NotADirectoryError):
        return None


def require_text(path: str, errors: str = "strict") -> str:
    """Return the text of *path*. Raises OSError, and UnicodeDecodeError, for which *errors* is as of bytes.decode.

    What somebody else has put there, a pipe, a device or a huge file, takes neither time nor memory: one that is larger
    than LARGEST is an OSError.
    """
    data = bytearray()
    with open(path, "rb", buffering=0, opener=_open_without_waiting) as stream:
        # In pieces, as the kernel has no such buffer for a file of its own. A pipe that nobody writes to gives None.
        for piece in iter(lambda: stream.read(PIECE) or b"", b""):
            data += piece
            if len(data) > LARGEST:
                raise OSError(errno.EFBIG, "it has more than %d bytes" % LARGEST, path)
    return data.decode("utf-8", errors).replace("\r\n", "\n").replace("\r", "\n")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def write_text(path: str, text: str, mode: int = 0o644) -> None:
    """Replace *path* atomically by a file that holds *text*; see :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"), mode)


def write_bytes(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace *path* atomically by a file that holds *data*, owned by the caller, with permissions *mode*.

    The new file is written beside the old one and renamed, so that a reader sees the one or the other, and
    a watcher of the directory sees a write and a rename. Its temporary name starts with a dot and has no
    suffix that a container runtime would load. Missing directories are made, see :func:`make_directories`. Raises
    OSError; the old file is then as it was. Only one process at a time may write *path*, as
    :func:`converge.converge` sees to: what a killed one has left half written is removed.
    """
    directory = os.path.dirname(path)
    make_directories(directory)
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


def make_directories(path: str) -> None:
    """Make the directory *path* and what leads to it, each that is missing with mode 0755, whatever the umask is."""
    if not path or os.path.isdir(path):
        return
    make_directories(os.path.dirname(path))
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if not os.path.isdir(path):  # another run was faster
            raise
    else:
        os.chmod(path, 0o755)


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
