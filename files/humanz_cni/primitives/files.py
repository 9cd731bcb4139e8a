# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files read and written by system calls: ``open`` would bring buffers and codecs that an ADD has no use for."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

LARGEST = 16 << 20  # bytes that are read of anything: ten times what a GC of 10,000 attachments brings
_READ_SIZE = 65536
_KIND, _DIRECTORY, _REGULAR, _WRITERS = (
    0o170000,
    0o040000,
    0o100000,
    0o022,
)  # of a mode; the last, others than the owner
_NO_SUCH_FILE = (2, 20, 36, 40)  # ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP: nothing can be at such a path


def read(path: str, flags: int = 0, limit: int = LARGEST) -> bytes:
    """Return the bytes of the file *path*, opened with further *flags*.

    Raises OSError, and ValueError if there are more than *limit* bytes.
    """
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | flags)
    try:
        return read_all(descriptor, limit)
    finally:
        posix.close(descriptor)


def read_all(descriptor: int, limit: int = LARGEST) -> bytes:
    """Return all bytes that *descriptor* still gives; ValueError if they are more than *limit*."""
    data = posix.read(descriptor, _READ_SIZE)
    if not data:
        return data
    parts = [data]
    size = len(data)
    while data and size <= limit:
        data = posix.read(descriptor, _READ_SIZE)
        parts.append(data)
        size += len(data)
    if size > limit:
        raise ValueError("it has more than %d bytes" % limit)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of *data* to *descriptor*."""
    while data:
        data = data[posix.write(descriptor, data) :]


def complain(text: str) -> None:
    """Say *text* on standard error, if somebody takes it."""
    try:
        write_all(2, ("humanz-cni: %s\n" % text).encode("utf-8", "replace"))
    except OSError:
        return


def create(path: str) -> int:
    """Return a descriptor of a new file *path*, for writing; what was there is gone, unless it is a directory."""
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        return posix.open(path, flags, 0o600)
    except FileExistsError:  # a killed call has left it, or somebody a pipe or a link: nothing goes through those
        posix.unlink(path)
        return posix.open(path, flags, 0o600)


def replace(path: str, temporary: str, data: bytes, durable: bool) -> None:
    """Make *path* a file that holds *data*: written as *temporary* in the same directory and renamed.

    :param durable: whether the data must survive a power failure; the directory is the caller's to sync.

    Raises OSError; *path* is then as it was and *temporary* gone.
    """
    descriptor = create(temporary)
    try:
        try:
            write_all(descriptor, data)
            if durable:
                posix.fsync(descriptor)
        finally:
            posix.close(descriptor)
        posix.rename(temporary, path)
    except BaseException:
        unlink(temporary)
        raise


def unlink(path: str) -> bool:
    """Remove the file *path*; return whether there was one."""
    try:
        posix.unlink(path)
    except FileNotFoundError:
        return False
    return True


def is_path(value: object) -> TypeGuard[str]:
    """Return whether *value* is an absolute path that a file can have, without detours by ``..``."""
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value or ".." in value.split("/"):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON can write half a character
        return False
    return True


def exists(path: str) -> bool:
    """Return whether *path* exists, whatever it is."""
    try:
        posix.lstat(path)
    except OSError as exc:
        if exc.errno in _NO_SUCH_FILE:
            return False
        raise
    return True


def is_directory(path: str) -> bool:
    """Return whether *path* is a directory itself, and no symbolic link to one."""
    try:
        return posix.lstat(path).st_mode & _KIND == _DIRECTORY
    except OSError as exc:
        if exc.errno in _NO_SUCH_FILE:
            return False
        raise


def is_file(path: str) -> bool:
    """Return whether *path* is a regular file, or a symbolic link to one."""
    try:
        return posix.stat(path).st_mode & _KIND == _REGULAR
    except (OSError, UnicodeEncodeError):
        return False


def is_own(path: str) -> bool:
    """Return whether nobody else can make or rename anything in the directory *path*. Raises OSError."""
    status = posix.stat(path)
    return status.st_uid == posix.geteuid() and not status.st_mode & _WRITERS


def make_directory(path: str, mode: int) -> None:
    """Make the directory *path* and what leads to it; one that exists is left as it is."""
    try:
        _make_one(path, mode)
    except FileNotFoundError:
        parent = path.rstrip("/").rpartition("/")[0]
        if not parent:
            raise
        make_directory(parent, mode)
        _make_one(path, mode)


def _make_one(path: str, mode: int) -> None:
    try:
        posix.mkdir(path, mode)
    except FileExistsError:  # another call may have been faster
        return


def sync_directory(path: str) -> None:
    """Make renames and removals in the directory *path* survive a power failure."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        posix.fsync(descriptor)
    finally:
        posix.close(descriptor)


def sysctl(name: str, value: bytes) -> OSError | None:
    """Set the kernel parameter *name* (a path below /proc/sys) to *value*; return the OSError that prevents it, if any.

    A parameter that the kernel does not have, or that is read-only and right, prevents nothing. One that is right is
    not written: for some the writer must have the lock of all the kernel's links, and spins until it is free.
    """
    path = "/proc/sys/" + name
    try:
        descriptor = posix.open(path, posix.O_RDWR | posix.O_CLOEXEC)
        try:
            if posix.pread(descriptor, _READ_SIZE, 0).strip() != value:
                posix.write(descriptor, value)
        finally:
            posix.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return None if read(path).strip() == value else exc
    return None
