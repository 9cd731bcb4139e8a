# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address reservations of one network on disk, in ``<data directory>/<network name>/``.

::

    lock                 flock; holds {"boot": boot id, "last": {number of the range set: address reserved last}}
    veth0123456789a      a record, named by the host's end of the veth pair, which follows from the owner
    100.100.0.5          the same file once more (a hard link), named by each address that the record lists
    .veth0123456789a     a record that is being written

What a record says is in :mod:`record`.

Each step of a change leaves a state that the next call can go on from, also if it is the last one before SIGKILL: a
record first exists by its owner, then by its addresses; it loses its addresses first, then its owner. Addresses are
found by name, so that the number of reservations does not matter. All changes are made under the lock, which is
waited for with a limit, and nobody talks to rtnetlink while holding it; rules of nf_tables that belong to a record go
with it.
"""

from __future__ import annotations

import fcntl
import posix

from ..config import ipam_keys
from ..primitives import files, jsontext, signals
from ..primitives.address import Address
from ..protocol.errors import IO_FAILURE, TRY_AGAIN_LATER, CNIError, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, NoReturn

    from .holder import Holder
    from .record import Record

LOCK_SECONDS = 10
LOCK = "lock"
_LARGEST = 1 << 20  # bytes of a record; an environment variable, of which it has the pod's name, has 128 KiB at most
_EACCES, _ENOTDIR, _EMLINK, _ELOOP = 13, 20, 31, 40


def boot_id() -> str:
    """Return what identifies this boot of the machine."""
    return files.read("/proc/sys/kernel/random/boot_id").decode("ascii").strip()


class Store:
    """The reservations of the network *network* in *data_dir*; *durable* if they must survive a power failure."""

    def __init__(self, data_dir: str, network: str, durable: bool = False) -> None:
        self.network = network
        self.data_dir = data_dir.rstrip("/")
        self.path = "%s/%s" % (self.data_dir, network)
        self.durable = durable

    def create(self) -> None:
        """Make the directory, where it is missing."""
        files.make_directory(self.path, 0o755)
        if not files.is_directory(self.path):
            raise NotADirectoryError(_ENOTDIR, "Not a directory", self.path)
        for path in (self.path,) if self.data_dir == ipam_keys.DATA_DIR else (self.path, self.data_dir):
            if not files.is_own(path):
                raise PermissionError(_EACCES, "not only root can write there: chmod go-w, or choose another", path)

    def locked(self, seconds: float = LOCK_SECONDS) -> _Lock:
        """Return a context manager in which nobody else changes the store.

        It gives the lock's State. CNIError 11 if the lock is not free within *seconds*.
        """
        return _Lock(self.path_of(LOCK), seconds)

    def record(self, owner: Holder) -> Record | None:
        """Return the record of *owner*, or None; a record that cannot be read is ``{}``."""
        return self.read(owner.host_veth)

    def record_of_address(self, address: Address) -> Record | None:
        """Return the record that holds *address*, or None; a record that cannot be read is ``{}``."""
        return self.read(str(address))

    def is_taken(self, address: Address | str) -> bool:
        """Return whether *address* is reserved."""
        return files.exists(self.path_of(str(address)))

    def add(self, owner: Holder, record: Record) -> None:
        """Reserve the addresses of *record* for *owner*. To be called with the lock held."""
        name = self.path_of(owner.host_veth)
        temporary = self.path_of("." + owner.host_veth)
        files.replace(name, temporary, jsontext.encode(record).encode("ascii") + b"\n", self.durable)
        try:
            for address in record["addresses"]:
                posix.link(name, self.path_of(address))
            self.sync()
        except BaseException:
            self.remove(owner)
            raise

    def remove(self, owner: Holder, record: Record | None = None) -> list[str]:
        """Release what *owner*, whose *record* may be known, holds; return the addresses. With the lock held."""
        record = record or self.record(owner)
        files.unlink(self.path_of("." + owner.host_veth))
        if record is None:
            return []
        released = self.addresses_of(owner, record)
        for name in released:
            files.unlink(self.path_of(name))
        files.unlink(self.path_of(owner.host_veth))
        self.sync()
        return released

    def exists(self) -> bool:
        """Return whether the network has any state on disk. What others can write, or a symbolic link, is not ours."""
        return files.is_directory(self.path) and files.is_own(self.path)

    def addresses_of(self, owner: Holder, record: Record) -> list[str]:
        """Return the addresses that *owner*, whose *record* may be damaged, holds."""
        identity = _identity(self.path_of(owner.host_veth))
        return [name for name in self.listed_addresses(record) if _identity(self.path_of(name)) == identity]

    def listed_addresses(self, record: Record) -> Collection[str]:
        """Return the addresses of *record*; a damaged record may have any of them, so all names are looked at."""
        addresses = record.get("addresses")
        if isinstance(addresses, list) and addresses and all(map(is_address, addresses)):
            return addresses
        return self.addresses()

    def names(self) -> list[str]:
        """Return the names of all records, by owner and by address."""
        return [name for name in posix.listdir(self.path) if name != LOCK and not name.startswith(".")]

    def addresses(self) -> set[str]:
        """Return the addresses that are reserved, as texts."""
        return {name for name in self.names() if is_address(name)}

    def read(self, name: str) -> Record | None:
        """Return the record that is named *name*, or None; one that cannot be read is ``{}``."""
        try:
            data = files.read(self.path_of(name), posix.O_NOFOLLOW | posix.O_NONBLOCK, _LARGEST)
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            return {}
        except ValueError as exc:
            files.complain("the record %s is damaged: %s" % (self.path_of(name), exc))
            return {}
        except OSError as exc:
            if exc.errno == _ELOOP:  # it is a symbolic link
                return {}
            raise
        try:
            record = jsontext.decode(data)
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def sync(self) -> None:
        """Make what was changed survive a power failure, if it must."""
        if self.durable:
            files.sync_directory(self.path)

    def path_of(self, name: str) -> str:
        """Return the path of the file *name* of this network."""
        return "%s/%s" % (self.path, name)


class State:
    """What the lock file holds: *boot*, the boot it was written in, and *last*, the address reserved last by set."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        try:
            self._text = files.read_all(descriptor, _LARGEST)
        except ValueError:  # it is damaged, and written anew
            posix.ftruncate(descriptor, 0)
            self._text = b""
        try:
            state = jsontext.decode(self._text)
            self.boot: str | None = state["boot"]
            self._last: dict[str, Any] = dict(state["last"])
        except (ValueError, KeyError, TypeError):
            self.boot = None
            self._last = {}

    def last(self, number: int) -> Address | None:
        """Return the Address reserved last from range set *number*, or None."""
        try:
            return Address.parse(self._last[str(number)])
        except (KeyError, ValueError, TypeError):
            return None

    def remember(self, boot: str, last: Iterable[Address]) -> None:
        """Write *boot* and the addresses *last*, one for each range set."""
        self.boot = boot
        self._last = {str(number): str(address) for number, address in enumerate(last)}
        text = jsontext.encode({"boot": boot, "last": self._last}).encode("ascii")
        # One write of at least the old length: whoever reads it sees the old text or the new one.
        posix.pwrite(self._descriptor, text.ljust(len(self._text)), 0)


class _Lock:
    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds

    def __enter__(self) -> State:
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
        self._descriptor = posix.open(self._path, flags, 0o600)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _wait_for_lock(self._descriptor, self._path, self._seconds)
            if posix.fstat(self._descriptor).st_nlink > 1:  # whatever else it is would be written over
                raise OSError(_EMLINK, "it must have no other name (hard link)", self._path)
            return State(self._descriptor)
        except BaseException:
            posix.close(self._descriptor)
            raise

    def __exit__(self, *_exception: object) -> None:
        posix.close(self._descriptor)


def _wait_for_lock(descriptor: int, path: str, seconds: float) -> None:
    import _signal

    def expired(_number: int, _frame: object) -> NoReturn:
        raise CNIError(
            TRY_AGAIN_LATER, "%s is locked by another process for more than %d s" % (path, seconds),
            "see which one with: fuser %s" % path,
        )  # fmt: skip

    previous = _signal.signal(_signal.SIGALRM, expired)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGALRM,))  # who calls may have blocked it
    # It goes on ringing, in case the first time falls between here and the wait.
    _signal.setitimer(_signal.ITIMER_REAL, seconds, 1)
    try:
        with signals.Waiting():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.signal(_signal.SIGALRM, previous)


def parse_address(name: str) -> Address | None:
    """Return the Address that the file *name* is named by, or None if it is named by an owner."""
    try:
        return Address.parse(name)
    except (ValueError, TypeError):
        return None


def is_address(name: str) -> bool:
    """Return whether the file *name* is named by an address."""
    return parse_address(name) is not None


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells the file *path* from every other one, or None if it is missing."""
    try:
        status = posix.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def io_error(exc: OSError, path: str) -> CNIError:
    """Return the CNIError for the OSError *exc* at the store *path*."""
    return CNIError(IO_FAILURE, "reservations in %s: %s" % (exc.filename or path, words(exc)))
