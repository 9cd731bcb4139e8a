# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations that nobody will release any more, released when a pool is exhausted, with what belongs to them."""

from __future__ import annotations

from ..ipam import records, stale
from ..ipam.store import is_address
from ..primitives import files
from ..protocol.errors import CNIError
from . import masquerade_cleanup, spoofcheck_elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ipam.store import Store


def run(reservations: Store, boot: str) -> list[str]:
    """Release what is stale in the store *reservations*; return the names of the records that were removed.

    The kernel is asked before the lock is taken; a record that has changed since is left alone.
    """
    found = stale.find(reservations, boot)
    if not found:
        return []
    with reservations.locked():
        for name, record in found.items():
            if not is_address(name) and reservations.read(name) == record:
                remove_checks(name)
        gone = records.forget(reservations, lambda name, record: found.get(name) == record)
    masquerade_cleanup.of_released(reservations)
    return gone


def remove_checks(port: str) -> None:
    """Remove what *port*, whose pod is gone, may send from. To be called with the lock held, before its record goes."""
    try:
        spoofcheck_elements.remove(port)
    except CNIError as exc:  # its addresses are free all the same
        files.complain(exc.message)
