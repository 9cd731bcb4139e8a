# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between runs on a node: files that only root can open, and that are gone when nobody holds them.

Whoever may open a file may lock it: to read is enough. files/host_network/healing/lock.py takes the lock ``node``, too.
The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator

DIRECTORY = "/run/humanz-cni-lock"
PAUSE = 0.05  # seconds between two attempts
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LockError(Exception):
    """A lock that could not be had; the text says why."""


class Lock:
    """The lock *name*. While it is held, its file says who holds it."""

    def __init__(self, name: str) -> None:
        self.path = os.path.join(DIRECTORY, name)
        self._descriptor: int | None = None

    @contextlib.contextmanager
    def held(self, seconds: float, holder: str) -> Iterator[None]:
        """Hold it as *holder*; LockError if another process holds it for longer than *seconds*.

        The kernel frees it when this process ends, however it ends.
        """
        self._descriptor = self._wait(seconds)
        try:
            self.say(holder)
            yield
        finally:
            # Whoever has opened the file meanwhile sees that it is another one, or none, by now.
            with contextlib.suppress(OSError):  # another lock is in the directory
                os.unlink(self.path)
                os.rmdir(DIRECTORY)
            os.close(self._descriptor)
            self._descriptor = None

    def say(self, holder: str) -> None:
        """Write into the file that *holder*, in this process, holds it; nothing where it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, ("%d %s\n" % (os.getpid(), holder)).encode("utf-8"), 0)

    def _wait(self, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while True:
            descriptor = self._take()
            if descriptor is not None:
                return descriptor
            if time.monotonic() > deadline:
                raise LockError(
                    "another run is changing this node and has locked %s for more than %g s%s: see `fuser -v %s`"
                    % (self.path, seconds, self._holder(), self.path)
                )
            time.sleep(PAUSE)

    def _take(self) -> int | None:
        """Return a descriptor of the file with the lock, or None if somebody else has it, or is just giving it back."""
        try:
            _make_directory()
            descriptor = os.open(self.path, _FLAGS, 0o600)
        except FileNotFoundError:
            return None
        taken = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except (BlockingIOError, FileNotFoundError):
            pass
        finally:
            if not taken:
                os.close(descriptor)
        return descriptor if taken else None

    def _holder(self) -> str:
        try:
            with open(self.path, encoding="utf-8") as stream:
                pid, _blank, name = stream.read().strip().partition(" ")
        except OSError:
            return ""
        return " by process %s, %s" % (pid, name) if pid else ""


def _make_directory() -> None:
    needs_root = "%s cannot be made: this needs root, so set `become: true`" % DIRECTORY
    if os.geteuid():
        raise LockError(needs_root)
    try:
        os.mkdir(DIRECTORY, 0o700)
    except FileExistsError:
        pass
    except PermissionError as exc:  # root without its capabilities
        raise LockError(needs_root) from exc
    status = os.lstat(DIRECTORY)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise LockError("%s must be a directory of root alone: remove it" % DIRECTORY)
