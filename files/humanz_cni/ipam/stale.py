# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which reservations nobody will release any more: those of an earlier boot, and those whose sandbox is gone."""

from __future__ import annotations

import time

from ..kernel import netlink, netns, owner, veth_peers
from . import records
from .record import owner_of
from .store import is_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .record import Record
    from .store import Store

# An ADD that is under way has a reservation, but no link yet, and its sandbox may vanish meanwhile.
_GRACE_SECONDS = 60


class KernelView:
    """What tells whether a record is somebody's still: this boot's id *boot*, and what the kernel shows.

    The kernel is asked when it is needed first; that must not be while the store is locked.
    """

    def __init__(self, boot: str | None) -> None:
        self.boot = boot
        self._ports: list[veth_peers.Port] | None = None
        self._marks: set[str | bytes] | None = None
        self._addresses: set[str] | tuple[()] | None = ()

    @property
    def marks(self) -> set[str | bytes]:
        """What tells whose the host's ends of all veth pairs are, see :func:`owner.marks`."""
        if self._marks is None:
            self._marks = {mark for port in self._veths() for mark in owner.marks(port)}
        return self._marks

    def has_link(self, record: Record) -> bool:
        """Return whether the link that *record* is of is there, whatever it is called now.

        Raises KeyError, TypeError or ValueError for a record that cannot be read.
        """
        if "link" not in record:
            return owner_of(record).is_marked(self.marks)
        name, index = "" + record["link"], record.get("index")  # of another plugin's attachment, see holder.ForeignPort
        return any(port.name == name if index is None else port.index == index for port in self._veths())

    def has_address(self, address: str) -> bool:
        """Return whether *address*, a text, is at the other end of any veth pair, or may be."""
        if self._addresses == ():
            sock = netlink.Socket()
            try:
                self._addresses = veth_peers.held(sock, self._veths())
            finally:
                sock.close()
        return self._addresses is None or address in self._addresses

    def _veths(self) -> list[veth_peers.Port]:
        if self._ports is None:
            sock = netlink.Socket()
            try:
                self._ports = veth_peers.veths(sock)
            finally:
                sock.close()
        return self._ports


def find(reservations: Store, boot: str) -> dict[str, Record]:
    """Return what is stale in the store *reservations*, records by file name; ``{}`` for one that cannot be read."""
    kernel = KernelView(boot)
    return {name: record for name, record in records.every(reservations) if _is_stale(name, record, kernel)}


def _is_stale(name: str, record: Record, kernel: KernelView) -> bool:
    try:
        return is_stale(record, kernel)
    except (KeyError, TypeError, ValueError):
        return is_unused(name, kernel)


def is_stale(record: Record, kernel: KernelView) -> bool:
    """Return whether *record* is of an earlier boot, or of a sandbox that is gone.

    A sandbox is gone if neither its network namespace nor the host's end of its veth pair is there.

    Raises KeyError, TypeError or ValueError for a record that cannot be read.
    """
    if "" + record["boot"] != kernel.boot:
        return True
    if "link" in record:  # whose namespace nobody knows
        return not kernel.has_link(record)
    if abs(time.time() - record["time"]) < _GRACE_SECONDS or kernel.has_link(record):
        return False
    return not has_namespace(record)


def is_unused(name: str, kernel: KernelView) -> bool:
    """Return whether what a record is named by is gone; *name* is its file's, and all that can be read of it."""
    return not kernel.has_address(name) if is_address(name) else name not in kernel.marks


def has_namespace(record: Record) -> bool:
    """Return whether the network namespace of *record* exists; KeyError or TypeError if that cannot be read."""
    return netns.is_there(record["netns"], record.get("namespace"))
