# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether files can be put where a run will put them. Leaves no trace: a file without a name proves it. Reads only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from .._shared import files as _files

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL, LARGE = 64 << 10, 4 << 20  # bytes
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS, with which `lsattr` asks
_FLAGS = {0x10: "immutable (`chattr -i`)", 0x20: "append only (`chattr -a`)"}
_NO_SUCH_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_WHY = {
    errno.EROFS: "is on a read-only file system",
    errno.ENOSPC: "is on a file system without room for another file",
    errno.EDQUOT: "is on a file system whose quota is used up",
    errno.EACCES: "cannot be written to by root, as a security module or a user namespace forbids it",
}


class Place(NamedTuple):
    """A directory that a run puts *files* into, made if it is missing.

    *name* is the variable that says which directory it is, or "" if none does, and *remedy* what else would help.
    *programs* is whether files in it are executed; *size* how many bytes it takes at most.
    """

    directory: str
    files: tuple[str, ...] = ()
    name: str = ""
    remedy: str = ""
    programs: bool = False
    size: int = SMALL


def problems(places: Iterable[Place]) -> list[str]:
    """Return a line for each of *places* that a run could not put its files into, with what would be right."""
    if os.geteuid():
        return ["user %d: may not change this node: set become: true" % os.geteuid()]
    lines = []
    for place in places:
        why = _why_not(place)
        if why:
            start = "%s %s" % (place.name, place.directory) if place.name else place.directory
            other = "correct that, or set %s to another path" % place.name if place.name else "correct that"
            lines.append("%s: %s: %s%s" % (start, why, other, ", or " + place.remedy if place.remedy else ""))
    return lines


def _why_not(place: Place) -> str | None:
    nearest, why = _nearest(place.directory)
    why = why or _unwritable(nearest) or _lacking(nearest, place)
    if why or nearest != place.directory:
        return why
    found = (_not_replaceable(os.path.join(nearest, name)) for name in place.files)
    return next(filter(None, found), None)


def _nearest(directory: str) -> tuple[str, str | None]:
    """Return the last directory that there is on the way to *directory*, and why the rest cannot be made."""
    nearest = "/"
    for name in filter(None, directory.split("/")):
        path = os.path.join(nearest, name)
        if not os.path.lexists(path):
            break
        if not os.path.exists(path):
            return nearest, "%s is a link to %s, which does not exist" % (path, os.readlink(path))
        if not os.path.isdir(path):
            return nearest, "%s is not a directory" % path
        nearest = path
    return nearest, None


def _unwritable(directory: str) -> str | None:
    """Return why no file can be made in *directory*, or None."""
    flagged = _flags(directory)
    if flagged:
        return flagged
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        if exc.errno not in _NO_SUCH_FILES:
            return "%s %s" % (directory, _WHY.get(exc.errno or 0, "cannot be written to (%s)" % exc.strerror))
    else:
        return None
    # A file system that knows no files without names.
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        return "%s %s" % (directory, _WHY[errno.EROFS])
    return None if os.access(directory, os.W_OK | os.X_OK) else "%s %s" % (directory, _WHY[errno.EACCES])


def _lacking(directory: str, place: Place) -> str | None:
    """Return what the file system of *directory* lacks, or None."""
    found = os.statvfs(directory)
    if place.programs and found.f_flag & os.ST_NOEXEC:
        return "%s is on a file system that is mounted with noexec, but programs must run from there" % directory
    if found.f_blocks and found.f_bfree * found.f_frsize < place.size:
        return "%s is on a file system with less than %d KiB free" % (directory, place.size >> 10)
    return "%s is on a file system without free inodes" % directory if found.f_files and not found.f_ffree else None


def _not_replaceable(path: str) -> str | None:
    """Return why the file *path* could not be replaced by another, or None."""
    if os.path.isdir(path) and not os.path.islink(path):
        return _files.A_DIRECTORY % path
    return _flags(path) if os.path.isfile(path) and not os.path.islink(path) else None


def _flags(path: str) -> str | None:
    with contextlib.suppress(OSError):  # the file system has no such attributes
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0)))
        finally:
            os.close(descriptor)
        return next(("%s has the attribute %s" % (path, text) for flag, text in _FLAGS.items() if flags & flag), None)
    return None
