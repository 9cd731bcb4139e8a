# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses whose route must not change: that of the SSH client, and those of the default gateways.

A change that sent those packets elsewhere would end the very connection that makes it, or the node's way out.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._shared.kernel import Kernel, Route

PEER = "the address that this SSH connection comes from"
GATEWAY = "the default gateway"
REMEDIES = {
    PEER: "pod CIDRs must not contain that address, or connect from another one",
    GATEWAY: "pod CIDRs must not contain that address",
}


def ssh_peer() -> str | None:
    """Return the address, as text, that this process's SSH connection comes from, or None if there is none.

    sshd tells it the commands that it starts, in SSH_CONNECTION (ssh(1)). sudo, su and others clear that for theirs,
    so that the processes which started this one are asked as well, as root may.
    """
    pid = "self"
    while pid not in ("0", ""):
        for setting in _read(pid, "environ").split("\0"):
            name, _equals, value = setting.partition("=")
            if name == "SSH_CONNECTION":
                return _address(value.partition(" ")[0])
        # After the command, which may contain anything: state and parent, see proc(5).
        pid = (_read(pid, "stat").rpartition(") ")[2].split() + ["", ""])[1]
    return None


def _read(pid: str, name: str) -> str:
    try:
        with open("/proc/%s/%s" % (pid, name), encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:  # it has ended, or is not ours to read
        return ""


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:  # sshd says UNKNOWN of a peer that is no socket
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def kept(routes: Iterable[Route]) -> dict[str, str]:
    """Return ``{address: PEER or GATEWAY}`` of the addresses whose way must stay, *routes* being those of the node."""
    gateways = [via for route in routes if route.dst == "default" for via in route.via.split(",") if via]
    found = dict.fromkeys(gateways, GATEWAY)
    peer = ssh_peer()
    if peer:
        found[peer] = PEER
    return found


def moved(kernel: Kernel, addresses: dict[str, str], before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a line for each of *addresses* that a change would send elsewhere, with what would be right.

    :param kernel: an open kernel.Kernel.
    :param addresses: as of :func:`kept`.
    :param before: ``{prefix: next hop}`` of the routes that there are; *after*: of those that there would be. A prefix
        of the node's own pods has the next hop "".
    """
    lines = []
    for address, what in sorted(addresses.items()):
        old, new = _holder(before, address), _holder(after, address)
        holder = new or old
        if holder is None or old == new:
            continue
        now = kernel.lookup(address)
        if now.error or now.type == "local" or (new and new[1] and new[1] == now.via):
            continue
        way = "%son %s" % ("via %s " % now.via if now.via else "", now.device)
        if new:
            name = "route %s via %s" % new if new[1] else "pod_network_pod_cidr %s" % new[0]
            verb = "would take over"
        else:
            name, verb = "route %s via %s" % holder, "its removal would change"
        lines.append("%s: %s the way to %s, %s, which is %s: %s" % (name, verb, address, what, way, REMEDIES[what]))
    return lines


def _holder(routes: dict[str, str], address: str) -> tuple[str, str] | None:
    """Return (prefix, next hop) of the narrowest of *routes*, as of :func:`moved`, that holds *address*; or None."""
    bits = ipaddress.ip_address(address).max_prefixlen
    for length in range(bits, 0, -1):
        prefix = str(ipaddress.ip_network("%s/%d" % (address, length), strict=False))
        if prefix in routes:
            return prefix, routes[prefix]
    return None
