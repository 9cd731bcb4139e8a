# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations that nobody will release any more: looked for when a pool is exhausted."""

from __future__ import annotations

import posix
import time

from . import living, netlink, netns, owner, survey

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
        self._links: set[str] | None = None
        self._held: set[str] | tuple[()] | None = ()

    @property
    def links(self) -> set[str]:
        """The names of the host's ends of all veth pairs."""
        if self._links is None:
            self._links = {port.name for port in self._living()}
        return self._links

    def is_held(self, address: str) -> bool:
        """Say whether *address*, a text, is at the other end of any veth pair, or may be."""
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
                self._ports = living.ports(sock)
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
        return survey.forget(reservations, lambda name, record: found.get(name) == record)


def stale(reservations: Store, boot: str) -> dict[str, Record]:
    """Return what is stale in the store *reservations*, records by file name; ``{}`` for one that cannot be read."""
    evidence = Evidence(boot)
    return {name: record for name, record in survey.records(reservations) if _is_stale(name, record, evidence)}


def _is_stale(name: str, record: Record, evidence: Evidence) -> bool:
    try:
        return is_stale(record, evidence.boot, evidence.links)
    except (KeyError, TypeError, ValueError):
        return is_nobodys(name, evidence)


def is_stale(record: Record, boot: str | None, links: set[str]) -> bool:
    """Say whether *record* is of an earlier boot than *boot*, or of a sandbox that is gone.

    A sandbox is gone if neither its network namespace nor the host's end of its veth pair is among the names *links*.

    Raises KeyError, TypeError or ValueError for a record that cannot be read.
    """
    if "" + record["boot"] != boot:
        return True
    if "link" in record:  # of another plugin's attachment, see restore.Stranger
        return record["link"] not in links
    holder = owner.Owner(record["network"], record["containerID"], record["ifname"])
    if abs(time.time() - record["time"]) < _GRACE_SECONDS or holder.host_veth in links:
        return False
    return not is_namespace(record["netns"])


def is_nobodys(name: str, evidence: Evidence) -> bool:
    """Say whether nothing is there that a record is named by; *name* is its file's, and all that can be read of it."""
    return not evidence.is_held(name) if survey.is_address(name) else name not in evidence.links


def is_namespace(path: str) -> bool:
    """Say whether *path* is a namespace. It is not opened, as what was one may be any file by now."""
    try:
        return posix.stat("" + path).st_dev == posix.stat(netns.HOST).st_dev
    except OSError:
        return False
