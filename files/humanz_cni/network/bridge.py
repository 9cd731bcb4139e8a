# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's bridge, brought to the configured state by every ADD: it may be missing, half made, or changed since.

And how long the kernel takes until a port of it, and an address, do what they are there for.
"""

from __future__ import annotations

import posix
import time

from ..kernel import links, owner, route
from ..kernel.netlink import NetlinkError, attribute
from ..primitives import files, signals
from ..protocol.errors import INTERNAL, INVALID_CONFIG, IO_FAILURE, TRY_AGAIN_LATER, CNIError
from . import sysctls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..config.netconf import NetConf
    from ..config.vlan_keys import Vlans
    from ..ipam.allocate import Assignment
    from ..kernel.links import Link
    from ..kernel.netlink import Message, Socket
    from ..primitives.address import Address, Network

_EEXIST, _EXFULL = 17, 54
_SETTLE_SECONDS = 2.0


def ensure(sock: Socket, conf: NetConf, gateways: list[Network]) -> Link:
    """Return the Link of the bridge of *conf*, up, with the addresses *gateways* (Networks with their host bits).

    :param sock: a netlink socket of the host.

    Raises CNIError where somebody else's link or address is in the way, or somebody else deletes the bridge.
    """
    try:
        return _ensure(sock, conf, gateways)
    except NetlinkError as exc:
        if exc.errno == links.ENODEV:
            raise links.vanished(conf.bridge) from exc
        raise CNIError(INTERNAL, 'failed to set up bridge "%s": %s' % (conf.bridge, exc.strerror)) from exc


def _ensure(sock: Socket, conf: NetConf, gateways: list[Network]) -> Link:
    mac = owner.mac_of(gateways[0].address) if gateways else None
    bridge = links.get(sock, conf.bridge)
    created = bridge is None and _create(sock, conf, mac)
    bridge = bridge or links.require(sock, conf.bridge)
    if bridge.kind != "bridge":
        raise CNIError(
            INVALID_CONFIG, '"%s" already exists but is not a bridge' % conf.bridge,
            "bridge names a link of type %s" % (bridge.kind or "physical"),
        )  # fmt: skip
    ipv6 = False if conf.disable_ipv6 else any(one.address.bits == 128 for one in gateways) or None
    forward = any(one.address.bits == 32 for one in gateways)
    sysctls.ensure(sock, bridge, ipv6, forward)
    holder = _in_vlan(sock, bridge, conf.vlans, gateways, ipv6, forward) if conf.vlans else bridge
    _ensure_addresses(sock, holder, gateways, conf.force_address)
    _ensure_flags(sock, bridge, conf, created or (not bridge.alias and bridge.mac == mac))
    if conf.is_gateway:
        _ensure_forwarding(gateways)
    return bridge


def gateways_of(conf: NetConf, chosen: list[Assignment]) -> list[Network]:
    """Return the bridge's addresses for the addresses *chosen* for a pod (Assignments)."""
    from ..primitives.address import Network

    if not conf.is_gateway:
        return []
    return [Network(one.range.gateway, one.range.subnet.prefix) for one in chosen if one.range.gateway]


def conflicting(present: list[Network], wanted: Network, gateways: list[Network]) -> list[Network]:
    """Return the addresses in *present*, those of the bridge, that it cannot have beside *wanted*.

    :param gateways: all addresses that it is to have.

    A link-local address is none of these: the kernel gives one to every link, and several do no harm.
    """
    from ..primitives.address import Network

    link_local = Network.parse("fe80::/10")
    return [
        other
        for other in present
        if other not in gateways
        and other.address not in link_local
        and (wanted.address.bits == 32 or other.overlaps(wanted))
    ]


def not_plugged(sock: Socket, bridge: Link, exc: NetlinkError) -> CNIError:
    """Return the CNIError for a veth pair that the kernel refuses by *exc*: *bridge* may be gone, or have no room."""
    if links.require(sock, bridge.name).index != bridge.index:
        return links.vanished(bridge.name)
    full = exc.errno == _EXFULL  # which the end of a pod cures
    text = "failed to make veth pair: %s" % exc.strerror
    return CNIError(TRY_AGAIN_LATER if full else INTERNAL, text, "bridge is %s" % bridge.name)


def name_taken(sock: Socket, of_owner: owner.Owner) -> CNIError:
    """Return the CNIError for a veth pair of which the kernel has one name already, here or in the pod's namespace."""
    present = links.get(sock, of_owner.host_veth)
    if present is None:
        text = "container veth name provided (%s) already exists" % of_owner.ifname
        return CNIError(INTERNAL, text, "CNI_IFNAME names an interface that CNI_NETNS has already")
    whose = "this attachment's" if of_owner.owns(present) else "not ours"
    what = "it is %s (alias %r)" % (whose, present.alias)
    return CNIError(INTERNAL, "host veth name %s already exists" % present.name, what)


def _create(sock: Socket, conf: NetConf, mac: bytes | None) -> bool:
    """Make the bridge; return whether it was this call that did."""
    data = b""
    if conf.vlans:
        from . import vlan

        data = vlan.FILTERING
    try:
        sock.request(links.new_bridge(conf.bridge, mac or _random_mac(), conf.mtu, data))
    except NetlinkError as exc:
        if exc.errno == _EEXIST:  # another ADD was faster
            return False
        if conf.vlans:
            raise vlan.failed('failed to create bridge "%s"' % conf.bridge, exc, conf.vlans) from exc
        text = 'failed to create bridge "%s": could not add it: %s' % (conf.bridge, exc.strerror)
        raise CNIError(INVALID_CONFIG, text) from exc
    return True


def _random_mac() -> bytes:
    return b"\x0a" + posix.urandom(5)


def _in_vlan(
    sock: Socket, bridge: Link, vlans: Vlans, gateways: list[Network], ipv6: bool | None, forward: bool
) -> Link:
    """Make *bridge* filter VLANs, and return the Link that is to have the addresses *gateways*."""
    from . import vlan

    vlan.ensure_filtering(sock, bridge.name, vlans)
    return vlan.ensure_gateway(sock, bridge, vlans, ipv6, forward) if gateways and vlans.tag else bridge


def _ensure_addresses(sock: Socket, bridge: Link, gateways: list[Network], force: bool) -> None:
    for wanted in gateways:
        present = links.addresses(sock, bridge.index, wanted.address.family)
        if wanted in present:
            continue
        for other in conflicting(present, wanted, gateways):
            if not force:
                raise CNIError(
                    INVALID_CONFIG,
                    'failed to set bridge addr: "%s" already has an IP address different from %s'
                    % (bridge.name, wanted),
                    "it has %s; remove that, or set forceAddress" % other,
                )
            sock.request(links.delete_address(bridge.index, other))
        try:
            sock.request(links.new_address(bridge.index, wanted))
        except NetlinkError as exc:
            if exc.errno != _EEXIST:  # another ADD was faster
                raise CNIError(
                    INVALID_CONFIG,
                    'could not add IP address %s to "%s": %s' % (wanted, bridge.name, exc.strerror),
                ) from exc
        if wanted.address.bits == 128:
            await_addresses(sock, [wanted.address])
        # A bridge that somebody else made takes its address from its ports, until it is given its own.
        sock.request(links.change(bridge.index, mac=bridge.mac))


def _ensure_flags(sock: Socket, bridge: Link, conf: NetConf, is_ours: bool) -> None:
    """Bring the bridge up, last, so that a bridge that is up is whole; mark it if it is ours and has no mark yet."""
    wanted = links.IFF_UP | (links.IFF_PROMISC if conf.promiscuous else 0)
    if bridge.flags & wanted == wanted and not is_ours:
        return
    sock.request(links.change(bridge.index, wanted, wanted, owner.ALIAS if is_ours else None))


def _ensure_forwarding(gateways: list[Network]) -> None:
    for bits, name in ((32, "net/ipv4/ip_forward"), (128, "net/ipv6/conf/all/forwarding")):
        problem = any(one.address.bits == bits for one in gateways) and files.sysctl(name, b"1")
        if problem:
            text = "failed to enable forwarding: /proc/sys/%s: %s" % (name, problem.strerror)
            raise CNIError(IO_FAILURE, text)


def settle(sock: Socket, bridge: Link, port: str) -> None:
    """Wait until *port* carries frames, and the bridge with it: the kernel gets there a moment after both ends are up.

    :param bridge: as it was before; without a carrier it had no port that forwards.

    A bridge that speaks STP, which ours does not, has none for half a minute.
    """
    if not _wait(lambda: _is_up(sock, port)):
        raise CNIError(TRY_AGAIN_LATER, "bridge port in error state: %s is not up" % port)
    if not bridge.flags & links.IFF_LOWER_UP:
        _wait(lambda: _is_up(sock, bridge.name))


def _is_up(sock: Socket, name: str) -> bool:
    return links.require(sock, name).operstate == links.OPERSTATE_UP


def await_addresses(sock: Socket, addresses: Iterable[Address]) -> None:
    """Wait until the namespace of *sock* takes packets to these IPv6 *addresses*, which it has.

    The kernel gets there a moment after the request; until then it drops what asks for their hardware address.
    """
    for address in addresses:
        if not _wait(lambda: _is_local(sock, address)):  # noqa: B023  (it is called before the next one's turn)
            files.complain("the kernel does not accept packets to %s after %d seconds" % (address, _SETTLE_SECONDS))


def announce(inside: Socket, again: Message, whose: str) -> None:
    """Carry out *again*, which gives an interface in *inside*'s namespace its MAC; the kernel tells its neighbours."""
    try:
        inside.request(again)
    except NetlinkError as exc:  # the pod works all the same
        files.complain("announcing %s: %s" % (whose, exc))


def _is_local(sock: Socket, address: Address) -> bool:
    body = route.ROUTE.pack(address.family, address.bits, 0, 0, 0, 0, 0, 0, 0)
    message = route.RTM_GETROUTE, 0, body + attribute(route.RTA_DST, address.packed)
    try:
        kind: int = route.ROUTE.unpack_from(sock.get(message))[7]
    except NetlinkError:  # the kernel has no route there at all
        return False
    return kind == route.RTN_LOCAL


def _wait(done: Callable[[], bool]) -> bool:
    """Return whether *done* returns true within _SETTLE_SECONDS."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    pause = 0.0002
    while not done():
        if time.monotonic() > deadline:
            return False
        with signals.Waiting():
            time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return True
