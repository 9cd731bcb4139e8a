# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's files on the controller, replaced whole: pages and reports.

Several runs may write the same one, and it may be a colleague's: the last one wins, and permissions stay.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile

from ansible.module_utils.parsing.convert_bool import boolean

SUCH_AS = "./cluster.out"
_MOST_LINKS = 40  # one after the other, as with the kernel


def wanted(variable: str, value: object) -> str:
    """Return the path that *value* says, "" for none; false in any of Ansible's words is none, and true is no path.

    Raises ValueError that names the *variable*. Numbers are words for both, too: a file 0 is ./0.
    """
    text = "" if value is None else str(value)
    if not text:
        return text
    try:
        true = boolean(text)
    except TypeError:
        return text
    if true:
        raise ValueError(
            "%s %s: must be the path of a file on the controller, such as %s, or empty for none"
            % (variable, text, SUCH_AS)
        )
    return ""


def write(path: str, text: str) -> None:
    """Replace the file *path* atomically by one that holds *text*. Raises OSError; the old file is then as it was.

    It has the permissions of the one that it replaces, or those of any new file. A link is followed as by
    :func:`resolved`, and missing directories are made. What is no file but, say, /dev/stdout is written to and stays,
    unless it is another user's.
    """
    path = resolved(path)
    if os.path.exists(path) and not os.path.isfile(path):
        _refuse_others(path)
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
    """Return where *path* leads to. Raises PermissionError for a link that another user may have laid, say in /tmp.

    The kernel's sysctl ``fs.protected_symlinks`` refuses the same, and only in sticky directories.
    """
    done, names, links = "/", _names(os.path.join(os.getcwd(), path)), 0
    while names:
        name = names.pop()
        if name == "..":
            done = os.path.dirname(done)
            continue
        one = os.path.join(done, name)
        if not os.path.islink(one):
            done = one
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        _refuse_others_link(one)
        target = os.readlink(one)
        if one.startswith("/proc/") and not os.path.lexists(os.path.join(done, target)):
            done = one  # a pipe, say, that only /proc/self/fd has a name for
            continue
        done = "/" if target.startswith("/") else done
        names += _names(target)
    return done


def _names(path: str) -> list[str]:
    """Return the components of *path*, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _refuse_others_link(link: str) -> None:
    """Raise PermissionError if *link* may be another user's: neither its owner nor its directory vouch for it."""
    directory, trusted = os.stat(os.path.dirname(link)), (0, os.geteuid())
    if os.lstat(link).st_uid not in trusted and (directory.st_mode & stat.S_IWOTH or directory.st_uid not in trusted):
        raise PermissionError(errno.EACCES, "another user's link, in a directory that others may write to", link)


def _refuse_others(path: str) -> None:
    """Raise PermissionError if *path*, no file, is another user's; devices are made by root only."""
    status = os.stat(path)
    device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    if not device and status.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EACCES, "another user's, and not a regular file", path)


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
