# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaked reservations, which no DEL will release: searched for when a pool is exhausted."""

from __future__ import annotations

import time

from . import disk, living, netlink, netns, owner, spoofcheck, survey, unmasquerade
from .errors import CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .store import Record, Store

# An ADD that is under way has a reservation, but no link yet, and its sandbox may vanish meanwhile.
_GRACE_SECONDS = 60


class Evidence:
    """What tells whether a record is somebody's still: this boot's id *boot*, and what the kernel shows.

    The kernel is asked when it is needed first; that must not be while the store is locked.
    """

    def __init__(self, boot: str | None) -> None:
        self.boot = boot
        self._ports: list[living.Port] | None = None
        self._marks: set[str | bytes] | None = None
        self._held: set[str] | tuple[()] | None = ()

    @property
    def marks(self) -> set[str | bytes]:
        """What tells whose the host's ends of all veth pairs are, see :func:`owner.marks`."""
        if self._marks is None:
            self._marks = {mark for port in self._living() for mark in owner.marks(port)}
        return self._marks

    def has_link(self, record: Record) -> bool:
        """Return whether the link that *record* is of is there, whatever it is called now.

        Raises KeyError, TypeError or ValueError for a record that cannot be read.
        """
        if "link" not in record:
            return holder_of(record).is_marked(self.marks)
        name, index = "" + record["link"], record.get("index")  # of another plugin's attachment, see restore.Stranger
        return any(port.name == name if index is None else port.index == index for port in self._living())

    def is_held(self, address: str) -> bool:
        """Return whether *address*, a text, is at the other end of any veth pair, or may be."""
        if self._held == ():
            sock = netlink.Socket()
            try:
                self._held = living.held(sock, self._living())
            finally:
                sock.close()
        return self._held is None or address in self._held

    def _living(self) -> list[living.Port]:
        if self._ports is None:
            sock = netlink.Socket()
            try:
                self._ports = living.veths(sock)
            finally:
                sock.close()
        return self._ports


def run(reservations: Store, boot: str) -> list[str]:
    """Release what is stale in the store *reservations*; return the names of the records that were removed.

    The kernel is asked before the lock is taken; a record that has changed since is left alone.
    """
    found = stale(reservations, boot)
    if not found:
        return []
    with reservations.locked():
        for name, record in found.items():
            if name == _port_of(record) and reservations.read(name) == record:
                remove_checks(name)
        gone = survey.forget(reservations, lambda name, record: found.get(name) == record)
    unmasquerade.of_released(reservations)
    return gone


def _port_of(record: Record) -> str | None:
    try:
        return holder_of(record).host_veth
    except (KeyError, TypeError, ValueError):
        return None


def remove_checks(port: str) -> None:
    """Remove what *port*, whose pod is gone, may send from. To be called with the lock held, before its record goes."""
    try:
        spoofcheck.remove(port)
    except CNIError as exc:  # its addresses are free all the same
        disk.complain(exc.message)


def stale(reservations: Store, boot: str) -> dict[str, Record]:
    """Return what is stale in the store *reservations*, records by file name; ``{}`` for one that cannot be read."""
    evidence = Evidence(boot)
    return {name: record for name, record in survey.records(reservations) if _is_stale(name, record, evidence)}


def _is_stale(name: str, record: Record, evidence: Evidence) -> bool:
    try:
        return is_stale(record, evidence)
    except (KeyError, TypeError, ValueError):
        return is_nobodys(name, evidence)


def is_stale(record: Record, evidence: Evidence) -> bool:
    """Return whether *record* is of an earlier boot, or of a sandbox that is gone.

    A sandbox is gone if neither its network namespace nor the host's end of its veth pair is there.

    Raises KeyError, TypeError or ValueError for a record that cannot be read.
    """
    if "" + record["boot"] != evidence.boot:
        return True
    if "link" in record:  # whose namespace nobody knows
        return not evidence.has_link(record)
    if abs(time.time() - record["time"]) < _GRACE_SECONDS or evidence.has_link(record):
        return False
    return not has_namespace(record)


def is_nobodys(name: str, evidence: Evidence) -> bool:
    """Return whether what a record is named by is gone; *name* is its file's, and all that can be read of it."""
    return not evidence.is_held(name) if survey.is_address(name) else name not in evidence.marks


def has_namespace(record: Record) -> bool:
    """Return whether the network namespace of *record* exists; KeyError or TypeError if that cannot be read."""
    return netns.is_there(record["netns"], record.get("namespace"))


def holder_of(record: Record) -> owner.Owner:
    """Return the Owner that *record* names; KeyError, TypeError or ValueError if it names none."""
    return owner.Owner(record["network"], record["containerID"], record["ifname"])
