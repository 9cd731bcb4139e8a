# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links and addresses of one network namespace, as rtnetlink requests.

Constants are the kernel's, of linux/if_link.h and linux/if_addr.h.
"""

from __future__ import annotations

from _struct import Struct

from ..primitives.address import Address, Network
from . import netlink
from .netlink import NLM_F_CREATE, NLM_F_EXCL, attribute, attributes, nested, text, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..protocol.errors import CNIError
    from .netlink import Message, Socket

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_NET_NS_FD, IFLA_EXT_MASK = 16, 18, 20, 28, 29
IFLA_AF_SPEC, IFLA_PROMISCUITY, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 26, 30, 31, 32
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_LEARNING, IFLA_BRPORT_GROUP_FWD_MASK, IFLA_BRPORT_ISOLATED = 4, 8, 31, 33  # MODE: hairpin
VETH_INFO_PEER = 1
# A veth has as many queues as the machine can have CPUs unless it is told, and uses one. To leave the others out saves
# their memory, and four times the wait until all CPUs know.
_ONE_QUEUE = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
AF_INET, AF_INET6 = 2, 10
IFLA_INET_CONF, IFLA_INET6_CONF, IFLA_INET6_ADDR_GEN_MODE = 1, 2, 8
# IPV4_DEVCONF_* of linux/ip.h, parameters of an interface
IPV4_FORWARDING, IPV4_ACCEPT_REDIRECTS, IPV4_ACCEPT_SOURCE_ROUTE = 1, 4, 9
IPV4_ARP_NOTIFY, IPV4_DROP_UNICAST_IN_L2_MULTICAST = 22, 30
RTEXT_FILTER_SKIP_STATS = 8
IFF_UP, IFF_PROMISC, IFF_LOWER_UP = 0x1, 0x100, 0x10000
OPERSTATE_UP = 6

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80

AF_BRIDGE, NUD_REACHABLE, NUD_NOARP, NTF_MASTER, NDA_LLADDR = 7, 0x02, 0x40, 0x04, 2

ENODEV = 19

_GROUP_ADDRESSES = Struct("=H").pack(0xFFF8)  # those of 01:80:c2:00:00:00 to 0f that a port may forward
# A bridge's port is no way into the node: its pod's packets come in by the bridge.
_OF_PORTS = {IPV4_ACCEPT_REDIRECTS: 0, IPV4_ACCEPT_SOURCE_ROUTE: 0, IPV4_DROP_UNICAST_IN_L2_MULTICAST: 1}

LINK = Struct("=BxHiII")  # family, hardware type, index, flags, mask of flags to change
ADDRESS = Struct("=BBBBi")  # family, prefix length, flags, scope, index of the link
NEIGHBOUR = Struct("=BxxxiHBB")  # family, index of the link, state, flags, type
_U32 = Struct("=I")
_S32 = Struct("=i")


class Link:
    """A link as the kernel shows it; missing values are 0, empty or None."""

    __slots__ = (
        "index", "flags", "name", "mac", "mtu", "master", "peer", "operstate", "alias", "kind", "promiscuity", "_spec",
    )  # fmt: skip
    index: int
    flags: int

    def __init__(self, body: bytes) -> None:
        _family, _type, self.index, self.flags, _change = LINK.unpack_from(body)
        values = attributes(body, 16)
        self.name = _text(values.get(IFLA_IFNAME))
        self.mac = values.get(IFLA_ADDRESS, b"")
        self.mtu = number(values.get(IFLA_MTU))
        self.master = number(values.get(IFLA_MASTER))
        self.peer = number(values.get(IFLA_LINK)) or self.index  # older kernels leave out an equal number
        self.operstate = values.get(IFLA_OPERSTATE, b"\0")[0]
        self.alias = _text(values.get(IFLA_IFALIAS))
        self.promiscuity = number(values.get(IFLA_PROMISCUITY))
        self.kind = _text(attributes(values.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND))
        self._spec = values.get(IFLA_AF_SPEC, b"")

    @property
    def is_up(self) -> bool:
        """Return whether the link is administratively up."""
        return bool(self.flags & IFF_UP)

    def parameters(self, family: int, numbers: Iterable[int]) -> dict[int, int]:
        """Return the kernel parameters *numbers* (DEVCONF) that the link has for *family*: values by number.

        Those that the kernel does not have, which an older one may not, are left out.
        """
        kind, first = (IFLA_INET_CONF, 1) if family == AF_INET else (IFLA_INET6_CONF, 0)
        data = attributes(attributes(self._spec).get(family, b"")).get(kind, b"")
        places = [(number, 4 * (number - first)) for number in numbers]
        return {number: _S32.unpack_from(data, place)[0] for number, place in places if place < len(data)}


def show_mac(mac: bytes) -> str:
    """Return the bytes of a hardware address as text."""
    return mac.hex(":")


def get(sock: Socket, name: str, *before: Message) -> Link | None:
    """Return the Link *name*, or None if there is none; carry out the requests *before* on the way."""
    body = LINK.pack(0, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) + text(IFLA_IFNAME, name)
    try:
        return Link(sock.get((RTM_GETLINK, 0, body), *before))
    except netlink.NetlinkError as exc:
        if exc.errno == ENODEV:
            return None
        raise


def require(sock: Socket, name: str, *before: Message) -> Link:
    """Return the Link *name* as :func:`get` does; CNIError 11 if it, which this ADD has seen or made, is gone."""
    link = get(sock, name, *before)
    if link is None:
        raise vanished(name)
    return link


def vanished(name: str) -> CNIError:
    """Return the CNIError for the link *name*, which somebody has deleted, and may have made anew."""
    from ..protocol.errors import TRY_AGAIN_LATER, CNIError

    return CNIError(TRY_AGAIN_LATER, "interface %s has vanished during ADD" % name)


def delete(index: int) -> Message:
    """Return the request that deletes the link *index*, and with it its peer."""
    return RTM_DELLINK, 0, LINK.pack(0, 0, index, 0, 0)


def new_bridge(name: str, mac: bytes, mtu: int, data: bytes = b"") -> Message:
    """Return the request that makes the bridge *name*, down, with the hardware address *mac*; *mtu* 0 is the kernel's.

    :param data: IFLA_INFO_DATA, the bridge's options.

    An address that is given stays; otherwise it would follow the ports that come and go.
    """
    body = LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac) + _mtu(mtu)
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), data)


def new_veth(host: tuple[str, bytes], pod: tuple[str, bytes], bridge_index: int, netns: int, mtu: int) -> Message:
    """Return the request that makes a veth pair: one end up and a port of the bridge, the other in the pod's namespace.

    :param host: name and hardware address (bytes) of the host's end.
    :param pod: the same of the pod's end.
    :param netns: a descriptor of the pod's network namespace. Made there at once; moving a link there takes 30 ms.
    """
    peer = [LINK.pack(0, 0, 0, 0, 0), text(IFLA_IFNAME, pod[0]), attribute(IFLA_ADDRESS, pod[1]), _mtu(mtu)]
    peer += [u32(IFLA_NET_NS_FD, netns), _ONE_QUEUE]
    info = text(IFLA_INFO_KIND, "veth") + nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, b"".join(peer)))
    body = [LINK.pack(0, 0, 0, IFF_UP, IFF_UP), text(IFLA_IFNAME, host[0]), attribute(IFLA_ADDRESS, host[1])]
    body += [_mtu(mtu), _ONE_QUEUE, u32(IFLA_MASTER, bridge_index), nested(IFLA_LINKINFO, info)]
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, b"".join(body)


def set_port(
    name: str, alias: str, hairpin: bool, isolated: bool, learning: bool = True, forward_groups: bool = False
) -> Message:
    """Return the request that marks the bridge port *name* by *alias* and sets how the bridge treats it.

    :param learning: also from frames that nf_tables does not see, such as LLDP's.
    :param forward_groups: whether it also forwards frames to group addresses of bridges, such as LLDP's, or takes them.
    """
    options = attribute(IFLA_BRPORT_MODE, bytes([hairpin]))
    if isolated:
        options += attribute(IFLA_BRPORT_ISOLATED, b"\1")
    if not learning:
        options += attribute(IFLA_BRPORT_LEARNING, b"\0")
    if forward_groups:
        options += attribute(IFLA_BRPORT_GROUP_FWD_MASK, _GROUP_ADDRESSES)
    info = text(IFLA_INFO_SLAVE_KIND, "bridge") + nested(IFLA_INFO_SLAVE_DATA, options)
    body = LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + text(IFLA_IFALIAS, alias)
    return RTM_NEWLINK, 0, body + nested(IFLA_LINKINFO, info) + _parameters(_OF_PORTS)


def set_parameters(index: int, ipv4: dict[int, int], eui64: bool = False) -> Message:
    """Return the request that sets IPv4 parameters of the link *index*: values by number, IPV4_*.

    :param eui64: whether its IPv6 link-local address is to be formed of its hardware address.
    """
    return RTM_NEWLINK, 0, LINK.pack(0, 0, index, 0, 0) + _parameters(ipv4, eui64)


def _parameters(ipv4: dict[int, int], eui64: bool = False) -> bytes:
    values = [u32(number, value) for number, value in ipv4.items()]
    families = [nested(AF_INET, nested(IFLA_INET_CONF, *values))]
    if eui64:
        families.append(nested(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, b"\0")))
    return nested(IFLA_AF_SPEC, *families)


def new_forwarding(index: int, mac: bytes, flags: int = 0) -> Message:
    """Return the request that has the bridge send what is for *mac* to its port *index*, which it need not learn."""
    body = NEIGHBOUR.pack(AF_BRIDGE, index, NUD_REACHABLE | NUD_NOARP, NTF_MASTER, 0)
    return RTM_NEWNEIGH, NLM_F_CREATE | flags, body + attribute(NDA_LLADDR, mac)


def change(index: int, flags: int = 0, mask: int = 0, alias: str | None = None, mac: bytes | None = None) -> Message:
    """Return the request that sets the *flags* in *mask*, the *alias* and the hardware address of the link *index*."""
    body = LINK.pack(0, 0, index, flags, mask)
    if alias is not None:
        body += text(IFLA_IFALIAS, alias)
    if mac is not None:
        body += attribute(IFLA_ADDRESS, mac)
    return RTM_NEWLINK, 0, body


def new_address(index: int, network: Network, dad: bool = False) -> Message:
    """Return the request that gives the link *index* the address of *network*; *dad*: look for duplicates first."""
    body = _address(index, network)
    if network.address.bits == 32:
        body += attribute(IFA_BROADCAST, network.last.packed)
    elif not dad:
        body += u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT)
    return RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body


def delete_address(index: int, network: Network) -> Message:
    """Return the request that takes the address of *network* from the link *index*."""
    return RTM_DELADDR, 0, _address(index, network)


def addresses(sock: Socket, index: int, family: int) -> list[Network]:
    """Return the addresses of *family* on the link *index*, as Networks with their host bits."""
    found = []
    for body in sock.dump(RTM_GETADDR, ADDRESS.pack(family, 0, 0, 0, index)):
        of_family, prefix, _flags, _scope, of_index = ADDRESS.unpack_from(body)
        values = attributes(body, 8)
        packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
        if of_index == index and of_family == family and packed:
            found.append(Network(unpack_address(packed), prefix))
    return found


def _address(index: int, network: Network) -> bytes:
    address = network.address
    body = ADDRESS.pack(address.family, network.prefix, 0, 0, index) + attribute(IFA_LOCAL, address.packed)
    return body + attribute(IFA_ADDRESS, address.packed)


def unpack_address(packed: bytes) -> Address:
    """Return the Address that the kernel stores as *packed*."""
    return Address(len(packed) * 8, int.from_bytes(packed, "big"))


def _mtu(mtu: int) -> bytes:
    return u32(IFLA_MTU, mtu) if mtu else b""


def number(data: bytes | None) -> int:
    """Return the number of 32 bits that *data* is, 0 for None."""
    return _U32.unpack_from(data)[0] if data else 0


def _text(data: bytes | None) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace") if data else ""
