# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the user's on the controller, replaced whole: pages and reports.

Several runs may write the same one, and it may be a colleague's: the last one wins, and permissions stay.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile

_MOST_LINKS = 40  # one after the other, as with the kernel


def write(path: str, text: str) -> None:
    """Replace the file *path* atomically by one that holds *text*. Raises OSError; the old file is then as it was.

    It has the permissions of the one that it replaces, or those of any new file. A link is followed as by
    :func:`resolved`, and missing directories are made. What is no file but, say, /dev/stdout is written to and stays.
    """
    path = resolved(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return
    directory, name = os.path.split(path)
    os.makedirs(directory, exist_ok=True)
    mode = _mode(path)
    descriptor, temporary = tempfile.mkstemp(prefix=".%s." % name, suffix=".tmp", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def resolved(path: str) -> str:
    """Return where *path* leads to. Raises PermissionError for a link that another user laid in, say, /tmp.

    The kernel's sysctl ``fs.protected_symlinks`` refuses the same, and only in sticky directories.
    """
    for _link in range(_MOST_LINKS):
        directory = os.path.realpath(os.path.dirname(path))
        path = os.path.join(directory, os.path.basename(path))
        if not os.path.islink(path):
            return path
        status = os.stat(directory)
        if status.st_mode & stat.S_IWOTH and os.lstat(path).st_uid not in (os.geteuid(), status.st_uid):
            raise PermissionError(errno.EACCES, "somebody else's link in a directory that everybody may write to", path)
        path = os.path.join(directory, os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def refresh(path: str, text: str) -> None:
    """Have the file *path*, which holds *text*, be as young as a new one. Only its owner may set its date."""
    try:
        os.utime(path)
    except PermissionError:
        write(path, text)


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0o077)  # there is no other way to read it
        os.umask(umask)
        return 0o666 & ~umask
