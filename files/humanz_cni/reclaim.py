# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations that nobody will release any more: found when a pool is exhausted, and by GC."""

import posix
import time

from . import netlink, netns, owner, survey, tables
from .errors import CNIError

# An ADD that is under way has a reservation, but no link yet, and its sandbox may vanish meanwhile.
_GRACE_SECONDS = 60


def run(reservations, boot):
    """Release what is stale in the store *reservations*; return the names of the records that were removed.

    The kernel is asked before the lock is taken; a record that has changed since is left alone.
    """
    records = dict(survey.records(reservations))
    living = _living_links()
    stale = {name: record for name, record in records.items() if is_stale(record, boot, living)}
    if not stale:
        return []
    with reservations.locked():
        return survey.forget(reservations, lambda name, record: stale.get(name) == record)


def is_stale(record, boot, living):
    """Say whether *record* is unreadable, of an earlier boot than *boot*, or of a sandbox that is gone.

    A sandbox is gone if neither its network namespace nor the host's end of its veth pair is there.

    :param living: names of links, see :func:`_living_links`.
    """
    try:
        holder = owner.Owner(record["network"], record["containerID"], record["ifname"])
        if record["boot"] != boot:
            return True
        if abs(time.time() - record["time"]) < _GRACE_SECONDS or holder.host_veth in living:
            return False
        return not _is_namespace(record["netns"])
    except (KeyError, TypeError, ValueError):
        return True


def _living_links():
    """Return the names of all links of the host."""
    sock = netlink.Socket()
    try:
        return {link.name for link in tables.all_links(sock)}
    finally:
        sock.close()


def _is_namespace(path):
    try:
        posix.close(netns.open_namespace(path))
    except CNIError:
        return False
    return True
