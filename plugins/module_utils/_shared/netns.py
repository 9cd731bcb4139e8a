# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces: named ones, where ``ip netns`` keeps them, and others. The standard library and iproute2 only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

from .converge import ConvergeError

DIRECTORY = "/run/netns"
CLONE_NEWNET = 0x40000000  # sched.h


def path_of(name: str) -> str:
    """Return the path of the namespace *name*."""
    return os.path.join(DIRECTORY, name)


def add(name: str) -> None:
    """Make the namespace *name*, with ``lo`` up as container runtimes do; raises ConvergeError."""
    _ip("netns", "add", name)
    _ip("-n", name, "link", "set", "lo", "up")


def delete(name: str) -> None:
    """Take away the namespace *name*, with all links that lie in it; raises ConvergeError. None there is no error."""
    if os.path.exists(path_of(name)):
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        error = done.stderr.decode("utf-8", "replace").strip()
        raise ConvergeError("ip %s failed: %s" % (" ".join(arguments), error))


@contextlib.contextmanager
def inside(path: str | None) -> Iterator[None]:
    """Let this thread act in the namespace at *path*; with None, where it is.

    A socket stays in the namespace that it was made in. Raises OSError.
    """
    if path is None:
        yield
        return
    with _and_back():
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(target)
        finally:
            os.close(target)
        yield


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Let this thread, and what it starts, act in a new namespace, which ends with that. Raises OSError."""
    with _and_back():
        _change("unshare", CLONE_NEWNET)
        yield


@contextlib.contextmanager
def _and_back() -> Iterator[None]:
    """Bring this thread back to the namespace that it is in now."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _setns(own)
        finally:
            os.close(own)


def _setns(descriptor: int) -> None:
    _change("setns", descriptor, CLONE_NEWNET)


def _change(call: str, *arguments: int) -> None:
    """Change the namespace; ``os.setns`` and ``os.unshare`` exist from Python 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (call, os.strerror(number)))
