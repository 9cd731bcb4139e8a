# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""enabledad: ADD waits until the kernel's duplicate address detection has passed the pod's IPv6 addresses."""

from __future__ import annotations

import time

from ..primitives import signals
from ..protocol.errors import INTERNAL, TRY_AGAIN_LATER, CNIError
from . import links, netlink, netns
from .netlink import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..primitives.address import Address

SECONDS = 5.0
_PAUSE = 0.02
_AF_INET6 = 10
_DADFAILED, _TENTATIVE = 0x08, 0x40  # IFA_F_* of linux/if_addr.h


def wait(pod: int, ifname: str) -> None:
    """Wait until no IPv6 address of *ifname* in the namespace *pod* (a descriptor) is tentative any more.

    CNIError names the address that somebody else has, or that is still tentative after SECONDS.
    """
    with netns.Inside(pod):
        sock = netlink.Socket()
    link = links.get(sock, ifname)
    if link is None:
        raise _unsettled(TRY_AGAIN_LATER, ifname, "link %s has vanished" % ifname)
    deadline = time.monotonic() + SECONDS
    while True:
        states = _states(sock, link.index)
        failed = [address for address, flags in states if flags & _DADFAILED]
        tentative = [address for address, flags in states if flags & _TENTATIVE]
        if failed:
            raise _unsettled(INTERNAL, ifname, "link %s has address %s in DADFAILED state" % (ifname, failed[0]))
        if not tentative:
            return
        if time.monotonic() > deadline:
            text = "link %s still has tentative addresses after %d seconds" % (ifname, SECONDS)
            raise _unsettled(TRY_AGAIN_LATER, ifname, text, ", ".join(map(str, tentative)))
        with signals.Waiting():
            time.sleep(_PAUSE)


def _unsettled(code: int, ifname: str, text: str, details: str = "") -> CNIError:
    return CNIError(code, "failed to settle addresses for %s: %s" % (ifname, text), details)


def _states(sock: netlink.Socket, index: int) -> list[tuple[Address, int]]:
    """Return (Address, flags) of each IPv6 address of the link *index*."""
    found = []
    for body in sock.dump(links.RTM_GETADDR, links.ADDRESS.pack(_AF_INET6, 0, 0, 0, index)):
        family, _prefix, flags, _scope, of_index = links.ADDRESS.unpack_from(body)
        values = attributes(body, links.ADDRESS.size)
        if family == _AF_INET6 and of_index == index:
            flags = links.number(values.get(links.IFA_FLAGS)) or flags
            found.append((links.unpack_address(values[links.IFA_ADDRESS]), flags))
    return found
