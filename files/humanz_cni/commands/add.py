# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ADD: attach a pod to the bridge, whole or not at all.

Its steps are :func:`run`'s, in that order: reserve addresses, bring up the bridge, plug the pod in, configure its
interface, announce it. What they have made is undone, see :mod:`undo`, if a later one fails or nobody takes the result.
"""

from __future__ import annotations

from ..config import netconf
from ..config.ipam_keys import DATA_DIR
from ..config.routes import with_defaults
from ..ipam import allocate, store
from ..kernel import links, netlink, netns, owner
from ..kernel.route import Route, new_route
from ..network import bridge, spoofcheck, spoofcheck_elements, sysctls
from ..primitives.address import Network
from ..protocol.cni_args import pod as pod_of
from ..protocol.errors import INTERNAL, CNIError, listed
from . import result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..ipam.delegate import Plugin
    from ..protocol.request import Request

    Finish = Callable[[dict[str, Any]], None]  # takes the result document

_EEXIST = 17
_AT_ONCE = 200  # so many messages fit into a socket's buffers, and so do the answers if all are refused


class Attachment:
    """One ADD on its way: what it was asked for, and what its steps have found and made so far.

    ``pod`` is a descriptor of the pod's network namespace, ``inside`` a netlink socket in it and ``sock`` one of the
    host; ``bridge`` and ``port``, the host's end of the veth pair, are Links, and ``mac`` is of the pod's end.
    ``addresses`` are Assignments, ``routes`` the configuration's or the IPAM plugin's, and ``dns`` is the result's.
    ``made`` names what :mod:`undo` is to take away.
    """

    __slots__ = (
        "request", "conf", "owner", "plugin", "reservations", "addresses", "routes", "dns", "pod", "inside", "sock",
        "bridge", "port", "mac", "made",
    )  # fmt: skip
    pod: int
    inside: netlink.Socket
    sock: netlink.Socket
    bridge: links.Link
    port: links.Link
    mac: bytes

    def __init__(self, request: Request) -> None:
        self.request = request
        self.conf = conf = netconf.load(request)
        self.owner = owner.checked(request.network, request.container_id, request.ifname)
        self.plugin: Plugin | None = None
        if conf.delegated:
            from ..ipam import delegate

            self.plugin = delegate.Plugin(request)
        ipam = conf.ipam
        self.reservations = store.Store(ipam.data_dir if ipam else DATA_DIR, conf.name, bool(ipam and ipam.durable))
        self.addresses: list[allocate.Assignment] = []
        self.routes: Sequence[Route] = ipam.routes if ipam else ()
        self.dns: dict[str, Any] = {}
        self.made: list[str] = []

    @property
    def is_announced(self) -> bool:
        """Return whether the pod's MAC is to be announced: it may have been another for the same address.

        It follows the first address, unless the user gives it or a delegate chooses the address afterwards.
        """
        return not self.conf.leave_down and bool(self.conf.mac or self.plugin or len(self.addresses) > 1)

    @property
    def pod_routes(self) -> list[Route]:
        """The pod's routes: those of the configuration, and default routes where isDefaultGateway wants them."""
        if not self.conf.is_default_gateway:
            return list(self.routes)
        return with_defaults(self.routes, [(one.address, one.range.gateway) for one in self.addresses])

    def port_settings(self, hairpin: bool) -> netlink.Message:
        """Return the request that makes the host's end the bridge's port that the configuration wants."""
        # The bridge learns even from frames that nf_tables does not see, such as LLDP's.
        flags = hairpin, self.conf.isolated, not self.conf.mac_check, self.conf.ip_check
        return links.set_port(self.owner.host_veth, self.owner.alias, *flags)


def run(request: Request, finish: Finish) -> None:
    """Carry out the ADD *request*; *finish* gets the result document."""
    add = Attachment(request)
    enter(add)
    try:
        reserve(add)
        make_bridge(add)
        plug(add)
        if add.plugin:
            delegate(add, add.plugin)
        configure(add)
        if add.conf.masquerade:
            masquerade(add)
        if not add.conf.mac_check:
            spoofcheck_elements.remove(add.port.name)  # of a former pod; the kernel brings the port up meanwhile
        announce(add)
        finish(document(add))
    except BaseException:
        from . import undo

        undo.run(add.made, add.owner, add.reservations, add.plugin)
        raise


def enter(add: Attachment) -> None:
    """Open the pod's network namespace, and read what may be wrong still before anything is made."""
    add.pod = netns.open_namespace(add.request.netns)
    netns.refuse_own(add.pod, add.request.netns_override)
    with netns.Inside(add.pod):
        add.inside = netlink.Socket()
    conf = add.conf
    if conf.dns or conf.runtime_dns or (conf.ipam and conf.ipam.resolv_conf):
        from ..config import dns

        add.dns = dns.result(conf)


def reserve(add: Attachment) -> None:
    """Reserve the pod's addresses, where no other plugin gives them."""
    conf = add.conf
    if not conf.ipam:
        return
    namespace = netns.identity(add.pod, add.inside)
    facts: dict[str, Any] = {"netns": add.request.netns, "namespace": namespace, "pod": pod_of(add.request.args)}
    facts["spoofchk"] = "ip" if conf.ip_check else "mac" if conf.mac_check else None
    if conf.masquerade:
        facts["ipMasq"] = True
    try:
        add.reservations.create()
        add.addresses = _reserve(add, conf.ipam, facts)
    except OSError as exc:
        raise store.io_error(exc, add.reservations.path) from exc
    add.made.append("reservation")


def _reserve(add: Attachment, ipam: netconf.Ipam, facts: dict[str, Any]) -> list[allocate.Assignment]:
    """Reserve addresses, after what was lost is restored and what nobody needs is reclaimed, if that is needed."""
    boot = store.boot_id()
    asked = (add.reservations, add.owner, ipam.sets, ipam.requested, boot, facts)
    try:
        return allocate.reserve(*asked)
    except allocate.StateLost:
        from ..ipam import restore

        restore.run(add.reservations, add.conf.name, add.conf.bridge, ipam.sets, boot)
    except allocate.Exhausted:
        pass
    try:
        return allocate.reserve(*asked, restored=True)
    except allocate.Exhausted:
        from ..network import reclaim

        if not reclaim.run(add.reservations, boot):
            raise
    return allocate.reserve(*asked, restored=True)


def make_bridge(add: Attachment) -> None:
    """Bring the bridge to what the configuration wants, with the gateways of the pod's addresses."""
    add.sock = netlink.Socket()
    add.bridge = bridge.ensure(add.sock, add.conf, bridge.gateways_of(add.conf, add.addresses))


def plug(add: Attachment) -> None:
    """Make the veth pair, one end a port of the bridge, the other in the pod's namespace and down."""
    conf, sock, name = add.conf, add.sock, add.owner.host_veth
    add.mac = conf.mac or (owner.mac_of(add.addresses[0].address) if add.addresses else add.owner.pod_mac)
    add.made.append("link")
    try:
        ends = (name, add.owner.host_mac), (add.request.ifname, add.mac)
        sock.request(links.new_veth(*ends, add.bridge.index, add.pod, conf.mtu))
        add.port = links.require(sock, name, add.port_settings(conf.hairpin and not add.is_announced))
    except netlink.NetlinkError as exc:
        if exc.errno != _EEXIST:
            raise bridge.not_plugged(sock, add.bridge, exc) from exc
        add.made.remove("link")  # it was there before
        raise bridge.name_taken(sock, add.owner) from exc
    sysctls.ensure_port(name, not conf.disable_ipv6)  # before the pod's end can send
    if conf.vlans:
        from ..network import vlan

        vlan.confine(sock, name, conf.vlans)
    if conf.mac_check:
        check_sources(add)


def check_sources(add: Attachment) -> None:
    """Let the pod, which may bring its end up, send only from its MAC and, with ipspoofchk, from its own addresses."""
    spoofcheck.forward(add.sock, add.port, add.mac, add.conf.vlans)
    add.made.append("checks")
    addresses = [one.address for one in add.addresses] if add.conf.ip_check else None
    wanted = add.port.name, add.mac, addresses, bool(add.plugin and addresses)
    try:
        spoofcheck.ensure(*wanted)
    except spoofcheck.Incomplete:
        from ..network import spoofcheck_rules

        spoofcheck_rules.ensure(*wanted)


def delegate(add: Attachment, plugin: Plugin) -> None:
    """Take what the IPAM *plugin* gives to the pod, which has its interface by now."""
    from ..config import dns

    add.made.append("delegation")
    add.addresses, add.routes, offered = plugin.add(add.conf)
    bridge.ensure(add.sock, add.conf, bridge.gateways_of(add.conf, add.addresses))
    add.dns = dns.result(add.conf, offered)
    if add.conf.ip_check:
        check_sources(add)


def configure(add: Attachment) -> None:
    """Give the pod's end its addresses and routes, and bring it up."""
    conf, index, given = add.conf, add.port.peer, add.addresses
    with netns.Inside(add.pod):
        if conf.disable_ipv6:
            sysctls.disable_ipv6(add.request.ifname)
        elif given:
            sysctls.ensure_pod(add.request.ifname, any(one.address.bits == 128 for one in given), conf.dad)
    if conf.leave_down:
        return
    messages = [sysctls.of_pod(index, [one.address for one in given])] if given else []
    messages.append(links.change(index, links.IFF_UP, links.IFF_UP))
    for one in given:
        messages.append(links.new_address(index, Network(one.address, one.range.subnet.prefix), conf.dad))
    routes = add.pod_routes
    gateways = {one.address.bits: one.range.gateway for one in reversed(given)}
    for route in routes:
        via = route.gateway or (None if route.is_direct else gateways.get(route.dst.address.bits))
        messages.append(new_route(index, Route(route.dst, via, route.further)))
    try:
        for first in range(0, len(messages), _AT_ONCE):
            add.inside.request(*messages[first : first + _AT_ONCE])
    except netlink.NetlinkError as exc:
        what = listed(one.text for one in given), listed(str(one.dst) for one in routes)
        text = "failed to configure %s: %s" % (add.request.ifname, exc.strerror)
        raise CNIError(INTERNAL, text, "addresses %s, routes %s" % what) from exc


def masquerade(add: Attachment) -> None:
    """Masquerade what leaves the subnets of the pod's addresses."""
    from ..network import masquerade as rules

    if add.plugin:
        add.made.append("masquerading")  # there is no record to be undone with it
    rules.ensure(add.conf.name, [one.range.subnet for one in add.addresses])


def announce(add: Attachment) -> None:
    """Wait until the port carries frames and the pod's IPv6 addresses work; tell neighbours of a MAC that is new."""
    if not add.conf.leave_down:
        bridge.settle(add.sock, add.bridge, add.owner.host_veth)
        of_ipv6 = [one.address for one in add.addresses if one.address.bits == 128]
        if add.conf.dad and of_ipv6:
            from ..kernel import dad

            dad.wait(add.pod, add.request.ifname)
        bridge.await_addresses(add.inside, of_ipv6)
        if add.is_announced:  # given its MAC, an interface announces all its addresses
            bridge.announce(add.inside, links.change(add.port.peer, mac=add.mac), add.owner.alias)
    if add.conf.hairpin and add.is_announced:  # not before: the pod would take it for another's
        add.sock.request(add.port_settings(hairpin=True))


def document(add: Attachment) -> dict[str, Any]:
    """Return the result, with what a plugin before this one has made."""
    vlans, gateway = add.conf.vlans, ""
    if vlans and vlans.tag and bridge.gateways_of(add.conf, add.addresses):
        from ..config.vlan_keys import gateway_name

        gateway = gateway_name(add.bridge.name, vlans.tag)
    pod = add.request.ifname, add.mac, add.request.netns
    interfaces = result.interfaces(add.sock, add.bridge, add.owner, pod, gateway)
    made = result.document(add.conf, interfaces, add.addresses, add.pod_routes, add.dns)
    if add.request.conf.get("prevResult") is None:
        return made
    from ..config import prev_result

    return prev_result.merged(made, prev_result.checked(add.request.conf))
