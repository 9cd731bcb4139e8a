# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of a bridge's ports, and the node's own interface in one.

Messages are those of linux/if_bridge.h; a kernel without VLAN filtering for bridges refuses the first of them.
"""

from __future__ import annotations

import posix
from _struct import Struct

from ..config.vlan_keys import PVID, UNTAGGED, Vlans, gateway_name
from ..kernel import links, owner
from ..kernel.netlink import NetlinkError, attribute, attributes, nested, text, u32
from ..protocol.errors import INTERNAL, INVALID_CONFIG, UNSUPPORTED_FIELD, CNIError, show
from . import sysctls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kernel.netlink import Message, Socket

_RTM_DELLINK, _RTM_SETLINK = 17, 19
_AF_BRIDGE = 7
_IFLA_AF_SPEC, _IFLA_BRIDGE_VLAN_INFO = 26, 2
_IFLA_BR_VLAN_FILTERING, _IFLA_BR_VLAN_PROTOCOL = 7, 8
_RTEXT_FILTER_BRVLAN = 2
_INFO = Struct("=HH")  # flags, VLAN
_ENTRY = Struct("=HHHH")  # the same as an attribute: length, kind, flags, VLAN
FILTERING = nested(links.IFLA_INFO_DATA, attribute(_IFLA_BR_VLAN_FILTERING, b"\1"))  # for a bridge's IFLA_LINKINFO

_EEXIST, _EINVAL, _EOPNOTSUPP = 17, 22, 95


def require_filtering(sock: Socket, vlans: Vlans) -> None:
    """Raise CNIError 2 if the kernel's bridges cannot keep their ports' VLANs apart, which *vlans* need.

    Nothing is made, as the requests are for a bridge that there is not, and do not ask to create it. Before it says so,
    the kernel checks what it knows: the length of a bridge's address, and, if it has VLANs, their protocol.
    """
    knows_bridges = _refusal(sock, attribute(links.IFLA_ADDRESS, b"\0")) == _EINVAL
    protocol = nested(links.IFLA_INFO_DATA, attribute(_IFLA_BR_VLAN_PROTOCOL, b"\0\0"))
    if knows_bridges and _refusal(sock, b"", protocol) == links.ENODEV:
        raise _unsupported(vlans)


def _refusal(sock: Socket, values: bytes, data: bytes = b"") -> int | None:
    """Return the error number for a bridge's attributes *values* and options *data*, 0 for none."""
    body = links.LINK.pack(0, 0, 0, 0, 0) + text(links.IFLA_IFNAME, "no bridge") + values
    try:
        sock.request(
            (links.RTM_NEWLINK, 0, body + nested(links.IFLA_LINKINFO, text(links.IFLA_INFO_KIND, "bridge"), data))
        )
    except NetlinkError as exc:
        return exc.errno
    return 0


def ensure_filtering(sock: Socket, name: str, vlans: Vlans) -> None:
    """Make the bridge *name* keep its ports' VLANs apart; CNIError 2 if the kernel cannot."""
    info = nested(links.IFLA_LINKINFO, text(links.IFLA_INFO_KIND, "bridge"), FILTERING)
    body = links.LINK.pack(0, 0, 0, 0, 0) + text(links.IFLA_IFNAME, name) + info
    try:
        sock.request((links.RTM_NEWLINK, 0, body))
    except NetlinkError as exc:
        raise failed("failed to set VLAN filtering on %s" % name, exc, vlans) from exc


def confine(sock: Socket, port_name: str, vlans: Vlans) -> None:
    """Make the bridge's port *port_name* carry *vlans*, and no other."""
    if not vlans.members:
        return
    index = links.require(sock, port_name).index
    present = {} if vlans.keep_default else listed(sock, index)
    requests = [_change(_RTM_DELLINK, index, present.items())] if present else []
    requests.append(_change(_RTM_SETLINK, index, vlans.members))
    try:
        sock.request(*requests)
    except NetlinkError as exc:
        raise failed("failed to setup vlan tag on interface %s" % port_name, exc, vlans) from exc


def ensure_gateway(sock: Socket, bridge: links.Link, vlans: Vlans, ipv6: bool | None, forward: bool) -> links.Link:
    """Return the Link of the node's own interface in the VLAN of *vlans*; its peer is a port of the Link *bridge*.

    :param ipv6: as for ``sysctls.ensure``, and so is *forward*.
    """
    name = gateway_name(bridge.name, vlans.tag)
    link = links.get(sock, name)
    if link is None:
        _make_gateway(sock, bridge, name)
        link = links.require(sock, name)
    if link.kind != "veth":
        raise CNIError(INVALID_CONFIG, '"%s" already exists but is not a veth' % name, "it is the gateway's interface")
    sysctls.ensure(sock, link, ipv6, forward)
    if not link.is_up:  # last, so that it is whole when it is up
        port_name = _gateway_port(bridge, name).host_veth
        sock.request(links.set_port(port_name, owner.ALIAS, False, False))
        confine(sock, port_name, Vlans(vlans.tag, [], vlans.keep_default))
        sock.request(links.change(link.index, links.IFF_UP, links.IFF_UP, owner.ALIAS))
    return link


def _gateway_port(bridge: links.Link, name: str) -> owner.Owner:
    return owner.Owner(owner.ALIAS, bridge.name, name)


def _make_gateway(sock: Socket, bridge: links.Link, name: str) -> None:
    port = _gateway_port(bridge, name)
    pod_end = name, port.pod_mac
    here = posix.open("/proc/self/ns/net", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        sock.request(links.new_veth((port.host_veth, port.host_mac), pod_end, bridge.index, here, bridge.mtu))
    except NetlinkError as exc:
        if exc.errno != _EEXIST:  # another ADD was faster
            raise CNIError(INTERNAL, "failed to create vlan gateway %s: %s" % (name, exc.strerror)) from exc
    finally:
        posix.close(here)


def is_filtering(sock: Socket, name: str) -> bool:
    """Return whether the bridge *name* keeps its ports' VLANs apart."""
    body = links.LINK.pack(0, 0, 0, 0, 0) + text(links.IFLA_IFNAME, name)
    values = attributes(sock.get((links.RTM_GETLINK, 0, body)), links.LINK.size)
    data = attributes(attributes(values.get(links.IFLA_LINKINFO, b"")).get(links.IFLA_INFO_DATA, b""))
    return data.get(_IFLA_BR_VLAN_FILTERING) == b"\1"


def listed(sock: Socket, index: int) -> dict[int, int]:
    """Return the VLANs of the bridge port *index*: a dict of flags by VLAN."""
    body = links.LINK.pack(_AF_BRIDGE, 0, 0, 0, 0) + u32(links.IFLA_EXT_MASK, _RTEXT_FILTER_BRVLAN)
    for entry in sock.dump(links.RTM_GETLINK, body):
        if links.LINK.unpack_from(entry)[2] == index:
            return _parse(attributes(entry, links.LINK.size).get(_IFLA_AF_SPEC, b""))
    return {}


def problem(sock: Socket, bridge: links.Link, port: links.Link, vlans: Vlans) -> str:
    """Return how the Link *port* of the Link *bridge* differs from *vlans*, an empty text if it does not."""
    if not is_filtering(sock, bridge.name):
        return "bridge %s does not filter VLANs" % bridge.name
    present = listed(sock, port.index)
    for vlan, flags in vlans.members:
        if vlan not in present or present[vlan] & (PVID | UNTAGGED) != flags:
            return "host interface %s is not in VLAN %d as configured" % (port.name, vlan)
    return ""


def failed(doing: str, exc: NetlinkError, vlans: Vlans) -> CNIError:
    """Return the CNIError for the NetlinkError *exc*, which *vlans* have met."""
    if exc.errno != _EOPNOTSUPP:
        return CNIError(INTERNAL, "%s: %s" % (doing, exc.strerror))
    return _unsupported(vlans, "%s: %s; " % (doing, exc.strerror))


def _unsupported(vlans: Vlans, what: str = "") -> CNIError:
    asked = "vlan: %d" % vlans.tag if vlans.tag else "vlanTrunk: %s" % show(vlans.trunk)
    text = asked + " is not supported: this kernel has no VLAN filtering for bridges"
    return CNIError(UNSUPPORTED_FIELD, text, what + "it takes CONFIG_BRIDGE_VLAN_FILTERING")


def _change(kind: int, index: int, members: Iterable[tuple[int, int]]) -> Message:
    """Return the request of type *kind* for the VLANs *members*, (VLAN, flags), of the bridge port *index*."""
    vlans = [attribute(_IFLA_BRIDGE_VLAN_INFO, _INFO.pack(flags, vlan)) for vlan, flags in members]
    return kind, 0, links.LINK.pack(_AF_BRIDGE, 0, index, 0, 0) + nested(_IFLA_AF_SPEC, *vlans)


def _parse(data: bytes) -> dict[int, int]:
    """Return the VLANs in the attributes *data*, of which each has one of the same kind."""
    found = {}
    offset = 0
    while offset + _ENTRY.size <= len(data):
        length, kind, flags, vlan = _ENTRY.unpack_from(data, offset)
        if kind == _IFLA_BRIDGE_VLAN_INFO:
            found[vlan] = flags
        offset += max((length + 3) & ~3, 4)
    return found
