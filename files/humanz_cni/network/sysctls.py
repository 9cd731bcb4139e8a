# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters of interfaces that pods' frames reach: no pod's packet gives the node or another pod a route.

Router advertisements would (CVE-2020-10749), and so would redirects and source routes. An answer to duplicate address
detection would take the bridge's link-local address away.
"""

from __future__ import annotations

from ..kernel import links
from ..kernel.netlink import attributes
from ..primitives import files
from ..protocol.errors import IO_FAILURE, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kernel.links import Link
    from ..kernel.netlink import Message, Socket
    from ..primitives.address import Address

_IPV4 = {links.IPV4_ACCEPT_REDIRECTS: 0, links.IPV4_ACCEPT_SOURCE_ROUTE: 0}
# A new interface has what net.ipv4.conf.default has, whatever ip_forward is.
_IPV4_OF_ROUTER = {**_IPV4, links.IPV4_FORWARDING: 1}
_IPV6 = {"accept_ra": 0, "accept_redirects": 0, "accept_dad": 0}
IPV4_OF_PODS = {links.IPV4_ARP_NOTIFY: 1, links.IPV4_ACCEPT_REDIRECTS: 0}
_NUMBERS = {"accept_ra": 3, "accept_redirects": 4, "disable_ipv6": 26, "accept_dad": 27}  # DEVCONF_* of linux/ipv6.h


def ensure(sock: Socket, link: Link, ipv6: bool | None, forward: bool) -> None:
    """Set the parameters of *link*, the bridge or the node's interface in a VLAN of it.

    :param sock: a netlink socket of the host.
    :param ipv6: whether the link must have IPv6, or must not; None leaves that as it is.
    :param forward: whether it must forward IPv4.

    Raises CNIError if IPv6 cannot be disabled.
    """
    ipv4 = _IPV4_OF_ROUTER if forward else _IPV4
    present = link.parameters(links.AF_INET, ipv4)
    wrong = {number: value for number, value in ipv4.items() if present.get(number, value) != value}
    if wrong:
        sock.request(links.set_parameters(link.index, wrong))
    wanted = _IPV6 if ipv6 is None else {"disable_ipv6": int(not ipv6), **_IPV6}
    present = link.parameters(links.AF_INET6, _NUMBERS.values())
    for name, value in wanted.items():
        if present.get(_NUMBERS[name], value) == value:
            continue
        if name == "disable_ipv6" and not _may_change(sock, link, value):
            continue
        problem = files.sysctl(_path(link.name, name), b"%d" % value)
        if problem and name == "disable_ipv6" and value:
            raise not_disabled(link.name, problem)
        if problem:
            complain(link.name, name, problem)


def ensure_port(name: str, ipv6: bool) -> None:
    """Set those parameters of the bridge's port *name*, which is new, that a netlink message cannot set.

    A port receives what a pod sends to a link-local address of the link layer, such as 01:80:c2:00:00:0e.
    """
    if not ipv6:
        disable_ipv6(name)
        return
    for parameter, value in (("accept_ra", b"0"), ("drop_unicast_in_l2_multicast", b"1")):
        problem = files.sysctl(_path(name, parameter), value)
        if problem:
            complain(name, parameter, problem)


def ensure_pod(name: str, ipv6: bool, dad: bool) -> None:
    """Set those parameters of the pod's interface *name*, in its namespace, that a netlink message cannot set.

    :param ipv6: whether it gets an IPv6 address, and *dad*: whether the kernel looks for duplicates of it.
    """
    files.sysctl(_path(name, "accept_ra"), b"0")
    if ipv6:
        files.sysctl(_path("lo", "disable_ipv6"), b"0")
        files.sysctl(_path(name, "disable_ipv6"), b"0")
        files.sysctl(_path(name, "keep_addr_on_down"), b"1")
        files.sysctl(_path(name, "ndisc_notify"), b"1")  # what arp_notify is for IPv4
    if dad:
        files.sysctl(_path(name, "enhanced_dad"), b"1")
    files.sysctl(_path(name, "accept_dad"), b"1" if dad else b"0")


def of_pod(index: int, addresses: Iterable[Address]) -> Message:
    """Return the request that sets the parameters of the pod's interface *index*, which gets *addresses*."""
    # ipspoofchk knows the link-local address that the kernel forms of the hardware address.
    return links.set_parameters(index, IPV4_OF_PODS, eui64=any(one.bits == 128 for one in addresses))


def disable_ipv6(name: str) -> None:
    """Disable IPv6 on the interface *name* of the namespace that the process is in. Raises CNIError."""
    problem = files.sysctl(_path(name, "disable_ipv6"), b"1")
    if problem:
        raise not_disabled(name, problem)


def not_disabled(name: str, problem: OSError) -> CNIError:
    """Return the CNIError for the interface *name*, where *problem* prevents that IPv6 is disabled."""
    path = "/proc/sys/" + _path(name, "disable_ipv6")
    return CNIError(IO_FAILURE, "failed to disable IPv6 on %s: %s: %s" % (name, path, problem.strerror))


def complain(name: str, parameter: str, problem: OSError) -> None:
    """Say on standard error that *problem* keeps a *parameter* of the interface *name* from being set."""
    files.complain("cannot set /proc/sys/%s: %s" % (_path(name, parameter), problem.strerror))


def _path(name: str, parameter: str) -> str:
    return "net/ipv6/conf/%s/%s" % (name, parameter)


def _may_change(sock: Socket, link: Link, disabled: int) -> bool:
    """Return whether IPv6 may be switched: not off while *link* has an address of it, not on if the node's is off."""
    if not disabled:
        return files.read("/proc/sys/" + _path("default", "disable_ipv6")).strip() == b"0"
    used = _permanent_address(sock, link.index)
    if used:
        files.complain("disableIPv6: %s keeps IPv6 while it has the address %s: remove that" % (link.name, used))
    return not used


def _permanent_address(sock: Socket, index: int) -> str:
    """Return an IPv6 address that somebody gave the link *index*, empty for none; the kernel's own do not count."""
    for body in sock.dump(links.RTM_GETADDR, links.ADDRESS.pack(links.AF_INET6, 0, 0, 0, index)):
        family, _prefix, flags, scope, of_index = links.ADDRESS.unpack_from(body)
        if family == links.AF_INET6 and of_index == index and scope == 0 and flags & links.IFA_F_PERMANENT:
            return str(links.unpack_address(attributes(body, links.ADDRESS.size)[links.IFA_ADDRESS]))
    return ""
