# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each reservation: its record, and whether its sandbox is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..ipam import records, stale, store
from ..ipam.record import find_owner, foreign_link
from ..kernel import netlink, veth_peers
from ..kernel.owner import Owner
from ..network import masquerade_cleanup, reclaim
from ..primitives import files
from ..primitives.address import Address

if TYPE_CHECKING:
    from ..ipam.record import Record
    from .networks import Network

LIVE = "live"  # its host veth or its network namespace is there
PENDING = "pending"  # neither is, but it is so young that its ADD may be under way
LEAKED = "leaked"  # nobody will release it: it is of an earlier boot, or its sandbox is gone
UNREADABLE = "unreadable"  # its record is damaged
UNRECORDED = "unrecorded"  # the host veth of a pod is there, but no record of it

_END_OF_TIME = 1 << 40  # in seconds; a damaged record may have any number
_AT_ONCE = 500  # so many are released before the lock is free for an ADD in between


class Host:
    """What the kernel says: pods' links, each a veth_peers.Port, and the plugin's view of who lives.

    The links are by the names that ADD gave them.

    To be made before records are read: a link is there only after its record.
    """

    def __init__(self) -> None:
        self.ports = _ports()
        self.kernel = stale.KernelView(store.boot_id())


class Reservation:
    """A record of *network*, or what is left of one.

    :param names: the file names that it has.
    :param record: as decoded; ``{}`` if it cannot be read.
    :param owner: the Owner, None if nobody knows, and for what another plugin has attached.
    """

    def __init__(self, network: Network, names: list[str], record: Record, owner: Owner | None) -> None:
        self.network = network
        self.names = names
        self.record = record
        self.owner = owner
        self.addresses = sorted(filter(store.is_address, names), key=_by_number)
        self.status = self.reason = ""
        self.namespace: bool | None = None
        self.veth: bool | None = None

    @property
    def host_veth(self) -> str | None:
        """The name of the attachment's link on the host, as far as it is known."""
        if self.owner:
            return self.owner.host_veth
        link = foreign_link(self.record)
        if link is not None:
            return link
        return next((name for name in self.names if name.startswith("veth")), None)

    def judge(self, kernel: stale.KernelView) -> None:
        """Say what is to be thought of it by what the kernel shows."""
        if self.host_veth:
            self.veth = self._has_link(kernel)
        try:
            if files.is_path(self.record.get("netns")):
                self.namespace = stale.has_namespace(self.record)
            is_stale = stale.is_stale(self.record, kernel)
        except (KeyError, TypeError, ValueError):
            self.status, self.reason = UNREADABLE, "the record is damaged"
            return
        if is_stale:
            earlier = self.record["boot"] != kernel.boot
            self.status = LEAKED
            self.reason = "of an earlier boot" if earlier else "namespace and host veth are gone"
        elif self.veth or self.namespace:
            self.status = LIVE
        else:
            self.status, self.reason = PENDING, "its ADD may be under way"

    def _has_link(self, kernel: stale.KernelView) -> bool:
        try:
            return kernel.has_link(self.record)
        except (KeyError, TypeError, ValueError):
            return self.host_veth in kernel.marks

    def is_unused(self, kernel: stale.KernelView) -> bool:
        """Return whether an unreadable one cannot be that of a running pod."""
        return all(stale.is_unused(name, kernel) for name in self.names)

    def document(self) -> dict[str, Any]:
        """Return it as the command writes it in JSON."""
        pod_namespace, _slash, pod_name = _text(self.record.get("pod")).partition("/")
        created = self._created()
        return {
            "network": self.network.name,
            "podNamespace": pod_namespace or None,
            "podName": pod_name or None,
            "containerID": self.owner.container_id if self.owner else None,
            "ifname": self.owner.ifname if self.owner else None,
            "addresses": self.addresses,
            "created": None if created is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
            "ageSeconds": None if created is None else _age(created),
            "netns": _text(self.record.get("netns")) or None,
            "netnsAlive": self.namespace,
            "hostVeth": self.host_veth,
            "hostVethAlive": self.veth,
            "status": self.status,
            "reason": self.reason or None,
            "dataDir": self.network.data_dir,
        }

    def _created(self) -> int | None:
        created = self.record.get("time")
        return created if isinstance(created, int) and 0 <= created < _END_OF_TIME else None


def of_network(network: Network, host: Host) -> list[Reservation]:
    """Return the Reservations of *network*, judged, by address. Raises OSError."""
    found = [
        Reservation(network, names, record, find_owner(record))
        for names, record in records.by_record(network.reservations)
    ]
    for one in found:
        one.judge(host.kernel)
    return sorted(found, key=lambda one: [_by_number(address) for address in one.addresses])


def unrecorded(networks: list[Network], known: list[Reservation], host: Host) -> list[Reservation]:
    """Return a Reservation for each living attachment that no reservation in *known* is for.

    Records come before links and go after them. So a link that was there before the records were read, and still is,
    had its record all the time, or never.
    """
    recorded = {one.host_veth for one in known}
    by_name = {network.name: network for network in reversed(networks)}
    found = []
    for name, (owner, port) in host.ports.items():
        network = by_name.get(owner.network)
        if network and network.has_records is not False and name not in recorded:
            found.append(_unrecorded(network, owner, port))
    still = _ports() if found else {}
    return [one for one in found if one.host_veth in still]


def _unrecorded(network: Network, owner: Owner, port: veth_peers.Port) -> Reservation:
    one = Reservation(network, [], {}, owner)
    one.status, one.reason, one.veth = UNRECORDED, "no record: its address may be given to another pod", True
    sock = netlink.Socket()
    try:
        one.addresses = [str(address) for address in veth_peers.addresses(sock, port) or () if network.has(address)]
    finally:
        sock.close()
    return one


def release(network: Network, chosen: list[Reservation]) -> list[Reservation]:
    """Remove the Reservations *chosen* of *network*, unless they have changed since; return those that are gone.

    Raises CNIError if the network is locked for too long, and OSError.
    """
    gone = []
    for first in range(0, len(chosen), _AT_ONCE):
        with network.reservations.locked():
            gone += [one for one in chosen[first : first + _AT_ONCE] if _remove(network.reservations, one)]
            network.reservations.sync()
    if gone:
        masquerade_cleanup.of_released(network.reservations)
    return gone


def _remove(reservations: store.Store, one: Reservation) -> bool:
    """Remove all names of the Reservation *one*, addresses first as the plugin does; return whether there were any."""
    names = sorted(one.names, key=lambda name: not store.is_address(name))
    same = [name for name in names if reservations.read(name) == one.record]
    for name in same:
        if not store.is_address(name):
            reclaim.remove_checks(name)
    for name in same:
        files.unlink(reservations.path_of(name))
    return bool(same)


def _ports() -> dict[str, tuple[Owner, veth_peers.Port]]:
    sock = netlink.Socket()
    try:
        owners = [(Owner.from_alias(port.alias), port) for port in veth_peers.ports(sock)]
    finally:
        sock.close()
    return {owner.host_veth: (owner, port) for owner, port in owners if owner}


def _age(created: int) -> int | None:
    """Return how many seconds ago *created* was; None if the clock was set back since."""
    seconds = int(time.time()) - created
    return seconds if seconds >= 0 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _by_number(text: str) -> tuple[int, int]:
    address = Address.parse(text)
    return address.bits, address.value
