# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod's network namespace: opening it, and stepping into it for what can only be done there."""

from __future__ import annotations

import fcntl
import posix

from ..protocol.errors import INTERNAL, INVALID_ENVIRONMENT, INVALID_NETNS, UNKNOWN_CONTAINER, CNIError
from . import netlink

CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
HOST = "/proc/self/ns/net"


def open_namespace(path: str) -> int:
    """Return a descriptor of the network namespace at *path* (CNI_NETNS).

    CNIError 3 if it does not exist, 4 if it is none.
    """
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError as exc:
        code = UNKNOWN_CONTAINER if isinstance(exc, FileNotFoundError) else INVALID_ENVIRONMENT
        text = 'failed to open netns "%s": %s' % (path, exc.strerror)
        raise CNIError(code, text, "CNI_NETNS must be the path of a network namespace") from exc
    try:
        if fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == CLONE_NEWNET:
            return descriptor
    except OSError:
        pass  # ENOTTY: the file is no namespace
    posix.close(descriptor)
    raise CNIError(INVALID_ENVIRONMENT, 'failed to open netns "%s": it is not a network namespace' % path, "CNI_NETNS")


def refuse_own(descriptor: int, override: str) -> None:
    """Raise CNIError 8 if *descriptor* is the plugin's own namespace and *override* (CNI_NETNS_OVERRIDE) is not set."""
    if override == "1" or override.upper() == "TRUE":
        return
    if is_own(descriptor):
        raise CNIError(INVALID_NETNS, "plugin's netns and netns from CNI_NETNS should not be the same")


def is_own(descriptor: int) -> bool:
    """Return whether *descriptor* is the namespace that the process is in."""
    given, own = posix.fstat(descriptor), posix.stat(HOST)
    return (given.st_dev, given.st_ino) == (own.st_dev, own.st_ino)


def identity(descriptor: int, inside: netlink.Socket) -> str:
    """Return what tells the namespace *descriptor* from every other one of this boot; *inside* is a socket in it.

    An inode's number is used again, often at once, so the kernel's own number for the namespace comes with it.
    """
    return "%s:%s" % (_inode(posix.fstat(descriptor)), inside.namespace().hex())


def is_there(path: str, known: str | None) -> bool:
    """Return whether the namespace with the identity *known* is at *path*, where anything may be by now.

    :param known: None if nobody knows it. Then any namespace may be it, but not the one that the process is in.

    Raises TypeError or ValueError for what is no path or no identity.
    """
    try:
        status, own = posix.stat("" + path), posix.stat(HOST)
        if known is None:
            return status.st_dev == own.st_dev and status.st_ino != own.st_ino
        if ("" + known).rpartition(":")[0] != _inode(status):
            return False
        descriptor = open_namespace(path)
    except (OSError, CNIError):
        return False
    try:
        with Inside(descriptor):
            inside = netlink.Socket()
        return identity(descriptor, inside) == known
    except (OSError, CNIError):  # such as without CAP_SYS_ADMIN
        return True  # as its inode says
    finally:
        posix.close(descriptor)


def _inode(status: posix.stat_result) -> str:
    return "%d:%d" % (status.st_dev, status.st_ino)


class Inside:
    """A context manager in which the process is in the namespace *descriptor*."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        self._host = posix.open(HOST, posix.O_RDONLY | posix.O_CLOEXEC)
        _set(self._descriptor)

    def __exit__(self, *_exception: object) -> None:
        _set(self._host)
        posix.close(self._host)


def _set(descriptor: int) -> None:
    """Enter the namespace *descriptor*: ``setns``, which Python has from 3.12 on."""
    if hasattr(posix, "setns"):
        try:
            posix.setns(descriptor, CLONE_NEWNET)
        except OSError as exc:
            raise _not_entered() from exc
        return
    import _ctypes  # what ctypes is made of, at a fifth of its price

    itself = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # typeshed has paths only, but dlopen(3) takes NULL
    function = _ctypes.dlsym(itself, "setns")
    if _ctypes.call_function(function, (descriptor, CLONE_NEWNET)) != 0:
        raise _not_entered()


def _not_entered() -> CNIError:
    text = "failed to enter the network namespace: humanz-cni must run as root, with CAP_SYS_ADMIN"
    return CNIError(INTERNAL, text, "CNI_NETNS")
