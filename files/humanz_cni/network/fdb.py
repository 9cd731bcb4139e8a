# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod's hardware address that the bridge knows already, at another port or as its own."""

from __future__ import annotations

import sys

from ..kernel import links
from ..kernel.netlink import attributes, u32
from ..protocol.errors import INVALID_CONFIG, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config.vlan_keys import Vlans
    from ..kernel.links import Link
    from ..kernel.netlink import Socket

_RTM_GETNEIGH = 30
_NDA_VLAN, _NDA_MASTER = 5, 9
_NUD_PERMANENT = 0x80


def take(sock: Socket, port: Link, mac: bytes, vlans: Vlans | None) -> None:
    """Have the bridge send what is for *mac* to *port*, wherever it has learned it; CNIError if it is another's.

    That is the bridge's own or another pod's whose addresses are checked, in the same VLAN.
    """
    ours = {vlan for vlan, _flags in vlans.members} if vlans else {0}
    body = links.NEIGHBOUR.pack(links.AF_BRIDGE, 0, 0, 0, 0) + u32(_NDA_MASTER, port.master)
    for reply in sock.dump(_RTM_GETNEIGH, body):
        _family, index, state, _flags, _type = links.NEIGHBOUR.unpack_from(reply)
        values = attributes(reply, links.NEIGHBOUR.size)
        master, vlan = (int.from_bytes(values.get(kind, b""), sys.byteorder) for kind in (_NDA_MASTER, _NDA_VLAN))
        if (values.get(links.NDA_LLADDR), master) != (mac, port.master) or index == port.index or vlan not in ours:
            continue
        if state & (_NUD_PERMANENT | links.NUD_NOARP):
            raise CNIError(
                INVALID_CONFIG, "another interface at the bridge has the hardware address %s" % links.show_mac(mac),
                "`bridge fdb show` names it; give the pod another one",
            )  # fmt: skip
    sock.request(links.new_forwarding(port.index, mac))
