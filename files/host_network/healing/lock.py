# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that the collection's modules hold while they work, so that a repair does not undo what one of them does.

It is a file that only root can open, gone when nobody holds it, and says who does. See
plugins/module_utils/_shared/lock.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import time
from typing import Iterator

DIRECTORY = "/run/humanz-cni-lock"
LOCK = DIRECTORY + "/node"
PAUSE = 0.02  # seconds between two attempts
FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NoLockError(Exception):
    """The lock could not be had; the text says why."""


class LockedError(NoLockError):
    """Another process has it."""


@contextlib.contextmanager
def held(seconds: float, unit: str | None = None) -> Iterator[bool]:
    """Hold the lock; LockedError if another process holds it for longer than *seconds*.

    Yields False, without the lock, if that process waits for *unit* to start.
    """
    descriptor = wait(seconds, unit)
    if descriptor is None:
        yield False
        return
    try:
        with contextlib.suppress(OSError):  # a full /run has no room for who holds it, and what is missing counts more
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, os.fsencode("%d %s\n" % (os.getpid(), os.path.basename(sys.argv[0]))), 0)
        yield True
    finally:
        with contextlib.suppress(OSError):  # another lock is in the directory
            os.unlink(LOCK)
            os.rmdir(DIRECTORY)
        os.close(descriptor)


def wait(seconds: float, unit: str | None) -> int | None:
    """Return a descriptor of the file, locked; None if its holder waits for *unit*. Raises NoLockError."""
    deadline = time.monotonic() + seconds
    while True:
        descriptor = take()
        if descriptor is not None:
            return descriptor
        pid, _blank, name = holder().partition(" ")
        if unit and name.endswith(" waits for %s" % unit):
            return None
        if time.monotonic() > deadline:
            by = " by process %s, %s" % (pid, name) if pid else ""
            raise LockedError("nothing was checked, as %s is locked%s: see `fuser -v %s`" % (LOCK, by, LOCK))
        time.sleep(PAUSE)


def take() -> int | None:
    """Return a descriptor of the file with the lock, or None if somebody else has it, or is just giving it back."""
    if os.geteuid():
        raise NoLockError("nothing was checked, as this needs root")
    with contextlib.suppress(FileExistsError):
        os.mkdir(DIRECTORY, 0o700)
    try:
        status = os.lstat(DIRECTORY)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise NoLockError("nothing was checked, as %s must be a directory of root alone: remove it" % DIRECTORY)
        descriptor = os.open(LOCK, FLAGS, 0o600)
    except FileNotFoundError:
        return None
    taken = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = os.path.samestat(os.fstat(descriptor), os.lstat(LOCK))
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not taken:
            os.close(descriptor)
    return descriptor if taken else None


def holder() -> str:
    """Return the number of the process that holds the lock and what it is, as it has written; empty if it has not."""
    try:
        with open(LOCK, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def age() -> float:
    """Return for how many seconds the lock has been held, as its holder writes into it only when it begins.

    A clock that was set back since makes that long, too.
    """
    try:
        return abs(time.time() - os.stat(LOCK).st_mtime)
    except OSError:
        return 0
