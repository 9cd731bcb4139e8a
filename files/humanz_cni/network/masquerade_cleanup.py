# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipMasq's rules, which a network's pods share, removed with the last pod that needs them.

Who needs them say the records, which ADD writes before it makes the rules; where another plugin gives the addresses,
and where records are lost, the addresses that pods have. What today's configuration says does not matter.
"""

from __future__ import annotations

from ..ipam import data_dirs, records, store
from ..ipam.record import masqueraded_subnets
from ..kernel.owner import Owner
from ..primitives import files
from ..primitives.address import Network
from ..protocol.errors import TRY_AGAIN_LATER, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ..ipam.record import Record
    from ..ipam.store import Store
    from ..primitives.address import Address


def only_of(reservations: Store, of_owner: Owner, record: Record) -> list[Network]:
    """Return the subnets whose rules no *record* of *reservations* needs but that of *of_owner*. With the lock held."""
    own = reservations.addresses_of(of_owner, record)
    try:
        subnets = masqueraded_subnets(record)
        if subnets is None:
            from . import masquerade

            subnets = masquerade.subnets(of_owner.network)
        return [one for one in subnets if not _is_noted([reservations], one, own)]
    except OSError as exc:
        raise _failed(of_owner.network, exc) from exc


def unneeded(reservations: Store, of_owner: Owner, record: Record, subnets: list[Network]) -> list[Network]:
    """Return those of *subnets* whose rules no pod needs but *of_owner*. Not with the lock held."""
    network, stores = of_owner.network, _stores(reservations)
    own = reservations.addresses_of(of_owner, record)
    try:
        return _unneeded(network, stores, subnets, own)
    except OSError as exc:
        raise _failed(of_owner.network, exc) from exc


def of_record(reservations: Store, of_owner: Owner, record: Record, subnets: list[Network]) -> None:
    """Remove the rules of *subnets* that still only *of_owner* needs. With the lock held, before *record* is removed.

    So the next ADD, whose record comes first, finds them gone. Whoever is killed in between is called again.
    """
    unused = [one for one in subnets if one in only_of(reservations, of_owner, record)]
    if not unused:
        return
    from . import masquerade

    network, others = of_owner.network, _stores(reservations)[1:]  # ADD is not locked out of the others
    try:
        masquerade.remove_chains(network, unused)
        masquerade.ensure(network, [one for one in unused if _is_noted(others, one)])
    except OSError as exc:
        raise _failed(network, exc) from exc


def of_network(reservations: Store) -> None:
    """Remove the rules of the network of *reservations* that no pod needs.

    ADD makes them after the pod has its address: for a pod that comes meanwhile, without a record, they are put back.
    """
    from . import masquerade

    network, stores = reservations.network, _stores(reservations)
    try:
        unused = _unneeded(network, stores, masquerade.subnets(network))
        if unused and reservations in stores:
            with reservations.locked():
                masquerade.remove_chains(network, [one for one in unused if not _is_noted(stores, one)])
        else:
            masquerade.remove_chains(network, unused)
        still = _unneeded(network, stores, unused)
        masquerade.ensure(network, [one for one in unused if one not in still])
    except OSError as exc:
        raise _failed(network, exc) from exc


def of_released(reservations: Store) -> None:
    """Do the same after records of *reservations* were released as nobody's. It raises nothing."""
    try:
        of_network(reservations)
    except CNIError as exc:  # the addresses are free all the same
        files.complain(exc.message)


def _stores(reservations: Store) -> list[Store]:
    """Return each Store that has records of the network of *reservations*, that one first."""
    return [one for one in data_dirs.with_others(reservations) if one.exists()]


def _unneeded(network: str, stores: list[Store], subnets: list[Network], own: Collection[str] = ()) -> list[Network]:
    """Return those of *subnets* whose rules no pod needs, by its record in *stores*, or by its address if it has none.

    :param own: the addresses in the first of *stores* that do not count.
    """
    left = [one for one in subnets if not _is_noted(stores, one, own)]
    pods = _unrecorded(network, stores) if left else []
    return [one for one in left if not any(not found or any(each in one for each in found) for found in pods)]


def _unrecorded(network: str, stores: list[Store]) -> list[list[Address] | None]:
    """Return the addresses of each pod without a record: none if its ADD is under way, None if they are unknown.

    One whose alias somebody has changed may be of the network as well, if it has any.
    """
    from ..kernel import netlink, veth_peers

    found = []
    sock = netlink.Socket()
    try:
        for port in veth_peers.veths(sock):
            owner = Owner.from_alias(port.alias)
            if not (owner or port.namespace):  # the node's interface in a VLAN
                continue
            if owner and (owner.network != network or any(one.record(owner) for one in stores)):
                continue
            addresses = veth_peers.addresses(sock, port)
            if owner or addresses:
                found.append(addresses)
        return found
    finally:
        sock.close()


def _is_noted(stores: list[Store], subnet: Network, own: Collection[str] = ()) -> bool:
    """Return whether the pod of any record needs the rules of *subnet*; *own* as for :func:`_unneeded`."""
    for reservations in stores:
        for name in records.in_subnet(reservations, subnet):
            if not (reservations is stores[0] and name in own):
                record = reservations.read(name)
                noted = () if record is None else masqueraded_subnets(record)
                if noted is None or subnet in noted:
                    return True
    return False


def _failed(network: str, exc: OSError) -> CNIError:
    if exc.filename:
        return store.io_error(exc, exc.filename)
    return CNIError(TRY_AGAIN_LATER, "the masquerading of %s cannot be removed: %s" % (network, exc.strerror))
