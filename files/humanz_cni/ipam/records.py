# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All reservations of a network at once, which most ADDs never read."""

from __future__ import annotations

import posix

from ..config import ipam_keys
from ..primitives import files, jsontext
from ..primitives.address import Address
from .store import LOCK, is_address, parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..config.ranges import RangeSet
    from ..primitives.address import Network
    from .record import Record
    from .store import Store

_TEMPORARY = (".veth", ".port-")  # what the store calls them


def networks(data_dir: str) -> list[str]:
    """Return the names of the networks that have reservations in *data_dir*. Raises OSError but if there is none."""
    try:
        names = posix.listdir(data_dir)
    except FileNotFoundError:
        return []
    return [name for name in names if files.is_file("%s/%s/%s" % (data_dir.rstrip("/"), name, LOCK))]


def every(store: Store) -> Iterator[tuple[str, Record]]:
    """Return (file name, record) of every record by owner and of every address; ``{}`` for an unreadable one."""
    for name in store.names():
        record = store.read(name)
        if record is not None:
            yield name, record


def forget(store: Store, is_stale: Callable[[str, Record], bool]) -> list[str]:
    """Remove every name whose record *is_stale* says is nobody's; return the names. With the lock held.

    :param is_stale: called with a name and its record, ``{}`` for one that cannot be read.
    """
    gone = [name for name, record in every(store) if is_stale(name, record)]
    gone.sort(key=lambda name: not is_address(name))  # addresses before owners, as Store.remove does
    for name in gone:
        files.unlink(store.path_of(name))
    if gone:
        store.sync()
    return gone


def forget_earlier_boots(store: Store, boot: str) -> None:
    """Forget all records of earlier boots than *boot*, and note where those of this one are. With the lock held."""
    forget(store, lambda _name, record: record.get("boot") != boot)
    if store.data_dir != ipam_keys.DATA_DIR:
        from . import data_dirs

        data_dirs.note(store.data_dir)


def half_written(store: Store) -> list[str]:
    """Return the names of records that are being written, or that calls which were killed have left so."""
    return [name for name in posix.listdir(store.path) if name.startswith(_TEMPORARY)]


def in_subnet(store: Store, subnet: Network) -> Iterator[str]:
    """Generate the reserved addresses in *subnet*. A directory is not read at once: most ask for the first one."""
    with posix.scandir(store.path) as entries:
        for entry in entries:
            address = parse_address(entry.name)
            if address and address in subnet:
                yield entry.name


def by_record(store: Store) -> list[tuple[list[str], Record]]:
    """Return (file names, record) of each record: it has a name for each address beside its owner's."""
    read: dict[tuple[int, int], Record | None] = {}
    found: dict[str | tuple[int, int], tuple[list[str], Record]] = {}
    for name in store.names() if store.exists() else ():
        try:
            status = posix.lstat(store.path_of(name))
        except FileNotFoundError:  # released meanwhile
            continue
        identity = status.st_dev, status.st_ino
        if identity not in read:
            read[identity] = store.read(name)
        record = read[identity]
        if record is not None:
            # Where a directory was copied, a record's names are files of their own.
            key = jsontext.encode(record) if record else identity
            found.setdefault(key, ([], record))[0].append(name)
    return list(found.values())


def usage(store: Store, range_set: RangeSet) -> tuple[int, int]:
    """Return how many addresses of *range_set* are used, and how many there are."""
    used = (Address.parse(name) for name in store.addresses())
    return sum(1 for one in used if any(one in single for single in range_set)), sum(len(one) for one in range_set)
