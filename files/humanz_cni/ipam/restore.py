# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of running attachments, recreated where a network has no state: a new node, or a lost directory.

Also of what another plugin has attached to the bridge: after a change from the reference's ``bridge`` to this plugin
its pods live on, with addresses of which only their own plugin has records.
"""

from __future__ import annotations

import time

from ..kernel import links, netlink, veth_peers
from ..kernel.owner import Owner
from ..primitives import files
from . import records
from .holder import ForeignPort

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config.ranges import RangeSet
    from ..primitives.address import Address
    from .holder import Holder
    from .store import Store


def run(reservations: Store, network: str, bridge: str, sets: list[RangeSet], boot: str) -> None:
    """Reserve in the store *reservations* of *network* what living attachments have of the range *sets*.

    :param bridge: the bridge's name.
    :param boot: this boot's id.

    The kernel is asked before the lock is taken. Whoever comes second finds all done.
    """
    found = _attached(network, bridge, sets)
    with reservations.locked() as state:
        if state.boot == boot:
            return
        records.forget_earlier_boots(reservations, boot)
        for holder, addresses in found:
            _put_back(reservations, holder, addresses, boot)
        state.remember(boot, ())


def _attached(network: str, bridge: str, sets: list[RangeSet]) -> list[tuple[Holder, list[str]]]:
    """Return the owner, or a ForeignPort, and the addresses in *sets* (texts) of each attachment that has any."""
    sock = netlink.Socket()
    try:
        of_bridge = links.get(sock, bridge)
        found: list[tuple[Holder, list[str]]] = []
        for port in veth_peers.ports(sock):
            holder: Holder
            owner = Owner.from_alias(port.alias)
            if owner and owner.network == network:
                holder = owner
            elif owner is None and of_bridge and port.master == of_bridge.index:
                holder = ForeignPort(network, port)
            else:
                continue
            addresses = [str(one) for one in veth_peers.addresses(sock, port) or () if _is_in(one, sets)]
            if addresses:
                found.append((holder, addresses))
        return found
    finally:
        sock.close()


def _is_in(address: Address, sets: list[RangeSet]) -> bool:
    return any(address in one for of_set in sets for one in of_set)


def _put_back(reservations: Store, holder: Holder, addresses: list[str], boot: str) -> None:
    """Reserve *addresses* for *holder*, except those that others have a record of."""
    known = reservations.record(holder)
    if known and all(map(reservations.is_taken, addresses)):
        return
    document = holder.document()
    record = dict(document, netns="", pod="", time=int(time.time()))
    own = []
    for address in addresses:
        present = reservations.read(address) or {}
        if all(present.get(key, value) == value for key, value in document.items()):
            record.update(present)
            own.append(address)
    record.update(known or {}, addresses=own, boot=boot)
    reservations.remove(holder)
    for address in own:
        files.unlink(reservations.path_of(address))
    reservations.add(holder, record)
