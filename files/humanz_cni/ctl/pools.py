# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many addresses of each range set are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..primitives.address import Address
from .reservations import LEAKED

if TYPE_CHECKING:
    from .networks import Network, Pool
    from .reservations import Reservation


def documents(network: Network, held: list[Reservation]) -> list[dict[str, Any]]:
    """Return what the command writes in JSON of the pools of *network*, with its Reservations *held*.

    One document for each range set of each configuration, and one for addresses that are in none, if there are any.
    """
    status = {Address.parse(address): one.status for one in held for address in one.addresses}
    outside = dict(status)
    found = []
    for pool in network.pools:
        inside = {address: status[address] for address in status if address in pool}
        for address in inside:
            outside.pop(address, None)
        found.append(_document(network, inside, pool))
    if outside:
        found.append(_document(network, outside))
    return found


def _document(network: Network, status: dict[Address, str], pool: Pool | None = None) -> dict[str, Any]:
    total = sum(len(one) for one in pool.ranges) if pool else None
    return {
        "network": network.name,
        "conf": pool.conf if pool else None,
        "set": pool.number if pool else None,
        "ranges": [str(one) for one in pool.ranges] if pool else [],
        "used": len(status),
        "total": total,
        "leaked": sum(1 for one in status.values() if one == LEAKED),
        "dataDir": network.data_dir,
    }
