# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All reservations of a network at once, which most ADDs never read."""

from __future__ import annotations

from . import disk
from .address import Address
from .store import DATA_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .pool import Assignment
    from .ranges import RangeSet
    from .store import Record, Store


def addresses(store: Store) -> set[str]:
    """Return the names of all reserved addresses, a set."""
    return {name for name in store.names() if is_address(name)}


def records(store: Store) -> Iterator[tuple[str, Record]]:
    """Return (file name, record) of every record by owner and of every address; ``{}`` for an unreadable one."""
    for name in store.names():
        record = store.read(name)
        if record is not None:
            yield name, record


def forget(store: Store, is_stale: Callable[[str, Record], bool]) -> list[str]:
    """Remove every name whose record *is_stale* says is nobody's; return the names. With the lock held.

    :param is_stale: called with a name and its record, ``{}`` for one that cannot be read.
    """
    gone = [name for name, record in records(store) if is_stale(name, record)]
    gone.sort(key=lambda name: not is_address(name))  # addresses before owners, as Store.remove does
    for name in gone:
        disk.unlink(store.path_of(name))
    if gone:
        store.sync()
    return gone


def begin_boot(store: Store, boot: str) -> None:
    """Forget all records of earlier boots than *boot*, and note where those of this one are. With the lock held."""
    forget(store, lambda _name, record: record.get("boot") != boot)
    if store.data_dir != DATA_DIR:
        from . import elsewhere

        elsewhere.note(store.data_dir)


def first_free(store: Store, candidates: Iterable[Assignment]) -> Assignment | None:
    """Return the first of the Assignments *candidates* whose address is free, or None."""
    taken = addresses(store)
    return next((one for one in candidates if str(one.address) not in taken), None)


def usage(store: Store, range_set: RangeSet) -> tuple[int, int]:
    """Return how many addresses of *range_set* are used, and how many there are."""
    used = (Address.parse(name) for name in addresses(store))
    return sum(1 for one in used if any(one in single for single in range_set)), sum(len(one) for one in range_set)


def is_address(name: str) -> bool:
    """Return whether the file *name* is named by an address."""
    return parse(name) is not None


def parse(name: str) -> Address | None:
    """Return the Address that the file *name* is named by, or None."""
    try:
        return Address.parse(name)
    except ValueError:
        return None
