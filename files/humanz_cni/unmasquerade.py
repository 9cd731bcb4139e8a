# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipMasq's rules, which a network's pods share, removed with the last pod that needs them.

Who needs them say the records, which ADD writes before it makes the rules; where another plugin gives the addresses,
and where records are lost, the addresses that pods have. What today's configuration says does not matter.
"""

from __future__ import annotations

import posix

from . import disk, store, survey
from .address import Network
from .errors import TRY_AGAIN_LATER, CNIError
from .owner import Owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from .address import Address
    from .store import Record, Store


def of_record(reservations: Store, network: str, record: Record) -> None:
    """Remove the rules that only the pod with *record* needs. To be called with the lock held, before it is removed.

    So the next ADD, whose record comes first, finds them gone. Whoever is killed in between is called again.
    """
    own = reservations.names_of(record)
    try:
        subnets = _noted(record)
        if subnets is None:
            from . import masquerade

            subnets = masquerade.subnets(network)
        unused = [one for one in subnets if not _is_noted([reservations], one, own)]
        if unused:  # most pods are not the last one, and need not load what talks to nf_tables
            from . import masquerade

            masquerade.remove_chains(network, unused)
    except OSError as exc:
        raise _failed(network, exc) from exc


def of_network(network: str, stores: Collection[Store]) -> None:
    """Remove the rules of *network* that no pod needs by its record in *stores*, or by its address where it has none.

    ADD makes them after the pod has its address: where one was made meanwhile, they are put back.
    """
    from . import masquerade

    try:
        present = [one for one in stores if one.exists()]
        unused = [one for one in masquerade.subnets(network) if not _is_needed(network, present, one)]
        masquerade.remove_chains(network, unused)
        masquerade.ensure(network, [one for one in unused if _is_needed(network, present, one)])
    except OSError as exc:
        raise _failed(network, exc) from exc


def of_released(reservations: Store) -> None:
    """Do the same for those of *reservations* that were released as nobody's. It raises nothing."""
    try:
        of_network(reservations.network, [reservations])
    except CNIError as exc:  # the addresses are free all the same
        disk.complain(exc.message)


def _is_needed(network: str, stores: Collection[Store], subnet: Network) -> bool:
    return _is_noted(stores, subnet) or any(
        not found or any(address in subnet for address in found) for found in _unrecorded(network, stores)
    )


def _unrecorded(network: str, stores: Collection[Store]) -> list[list[Address] | None]:
    """Return the addresses of each pod of *network* without a record: none if its ADD is under way, None if unknown."""
    from . import living, netlink

    sock = netlink.Socket()
    try:
        owners = [(Owner.from_alias(port.alias), port) for port in living.ports(sock)]
        return [
            living.addresses(sock, port)
            for owner, port in owners
            if owner and owner.network == network and not any(one.record(owner) for one in stores)
        ]
    finally:
        sock.close()


def _is_noted(stores: Collection[Store], subnet: Network, own: Collection[str] = ()) -> bool:
    """Say whether the pod of any record needs the rules of *subnet*, beside the one with the addresses *own*."""
    for reservations in stores:
        with posix.scandir(reservations.path) as entries:  # not all of a directory is read, as most have one soon
            for entry in entries:
                address = survey.parse(entry.name)
                if address and address in subnet and entry.name not in own:
                    record = reservations.read(entry.name)
                    noted = () if record is None else _noted(record)
                    if noted is None or subnet in noted:
                        return True
    return False


def _noted(record: Record) -> list[Network] | None:
    """Return the subnets that the pod with *record* is masqueraded in; None if it does not tell, as an older one."""
    if "ipMasq" not in record and ("namespace" in record or "link" in record):
        return []
    try:
        return [Network.parse(one) for one in record["ipMasq"]]
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def _failed(network: str, exc: OSError) -> CNIError:
    if exc.filename:
        return store.io_error(exc, exc.filename)
    return CNIError(TRY_AGAIN_LATER, "the masquerading of %s cannot be removed: %s" % (network, exc.strerror))
