# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ADD: attach a pod to the bridge, whole or not at all."""

from __future__ import annotations

from ..config import netconf
from ..config.ipam_keys import DATA_DIR
from ..config.routes import with_defaults
from ..ipam import allocate, store
from ..kernel import links, netlink, netns, owner
from ..kernel.route import Route, new_route
from ..network import bridge, spoofcheck, sysctls
from ..primitives import files, signals
from ..primitives.address import Network
from ..protocol.cni_args import pod as pod_of
from ..protocol.errors import INTERNAL, INVALID_CONFIG, CNIError, listed
from . import result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

    from ..config.vlan_keys import Vlans
    from ..ipam.delegate import Plugin
    from ..protocol.request import Request

    Finish = Callable[[dict[str, Any]], None]  # takes the result document

_EEXIST = 17
_AT_ONCE = 200  # so many messages fit into a socket's buffers, and so do the answers if all are refused


class Attachment:
    """One ADD on its way: what it was asked for, and what it has made so far, to be undone if a later step fails."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.conf = netconf.load(request)
        self.owner = owner.Owner(request.network, request.container_id, request.ifname)
        if len(self.owner.alias) > owner.ALIAS_LENGTH:
            raise CNIError(
                INVALID_CONFIG, "name, CNI_CONTAINERID and CNI_IFNAME are too long together",
                "they are %d characters, at most %d are possible" % (len(self.owner.alias), owner.ALIAS_LENGTH),
            )  # fmt: skip
        self._delegate = self._plugin_of_ipam()
        self.chosen: list[allocate.Assignment] = []
        self._wanted: Sequence[Route] = self.conf.ipam.routes if self.conf.ipam else ()
        self._undo: list[Callable[[ModuleType], object]] = []
        self._may_be_checked = not self.conf.ipam  # where there is a record, checks go before it does

    def run(self, finish: Finish) -> None:
        """Attach the pod and hand the result document to *finish*; if anything fails, *finish* too, undo it all."""
        pod = netns.open_namespace(self.request.netns)
        netns.refuse_own(pod, self.request.netns_override)
        with netns.Inside(pod):
            inside = netlink.Socket()
        dns = self._dns()
        try:
            self._reserve(netns.identity(pod, inside))
            sock = netlink.Socket()
            gateways = bridge.gateways_of(self.conf, self.chosen)
            port_of = bridge.ensure(sock, self.conf, gateways)
            mac = self._pod_mac()
            port = self._plug(sock, port_of, pod, mac)
            if self.conf.vlans:
                from ..network import vlan

                vlan.confine(sock, port.name, self.conf.vlans)
            if self.conf.mac_check:
                self._check_sources(sock, port, mac)
            if self._delegate:
                dns = self._ask_delegate(sock, self._delegate)
                if self.conf.ip_check:
                    self._check_sources(sock, port, mac)
            routes = self._routes()
            self._configure(pod, inside, port.peer, routes)
            if self.conf.masquerade:
                self._masquerade()
            if self._may_be_checked and not self.conf.mac_check:
                spoofcheck.remove(port.name)  # of a former pod
            if not self.conf.leave_down:
                bridge.settle(sock, port_of, self.owner.host_veth)
                self._make_known(pod, inside, links.change(port.peer, mac=mac))
            if self.conf.hairpin and self._is_announced():  # not before: the pod would take it for another's
                sock.request(self._as_port(hairpin=True))
            if port_of.alias != owner.ALIAS:  # somebody else's may take its address from its ports
                port_of = links.require(sock, port_of.name)
            interfaces = [
                (port_of.name, port_of.mac, ""),
                (self.owner.host_veth, self.owner.host_mac, ""),
                (self.request.ifname, mac, self.request.netns),
            ]
            if self.conf.vlans:
                interfaces += self._vlan_interface(sock, port_of, self.conf.vlans)
            document = result.document(self.conf, interfaces, self.chosen, routes, dns)
            if self.request.conf.get("prevResult") is not None:
                from ..config import prev_result

                document = prev_result.merged(document, prev_result.checked(self.request.conf))
            finish(document)
        except BaseException:
            self._roll_back()
            raise

    def _plugin_of_ipam(self) -> Plugin | None:
        if not self.conf.delegated:
            return None
        from ..ipam import delegate

        return delegate.Plugin(self.request)

    def _ask_delegate(self, sock: netlink.Socket, plugin: Plugin) -> dict[str, Any]:
        """Take what the delegate gives to the pod, which has its interface by now; return the dns object."""
        from ..config import dns

        self._undo.append(lambda _detach: plugin.call("DEL"))
        self.chosen, self._wanted, offered = plugin.add(self.conf)
        bridge.ensure(sock, self.conf, bridge.gateways_of(self.conf, self.chosen))
        return dns.result(self.conf, offered)

    def _reserve(self, namespace: str) -> None:
        ipam = self.conf.ipam
        if not ipam:
            return
        reservations = store.Store(ipam.data_dir, self.conf.name, ipam.durable)
        checks = "ip" if self.conf.ip_check else "mac" if self.conf.mac_check else None
        facts: dict[str, Any] = {"netns": self.request.netns, "namespace": namespace, "spoofchk": checks}
        facts["pod"] = pod_of(self.request.args)
        if self.conf.masquerade:
            facts["ipMasq"] = True
        try:
            reservations.create()
            self.chosen = self._choose(reservations, ipam, facts)
        except OSError as exc:
            raise store.io_error(exc, reservations.path) from exc
        self._undo.append(lambda delete: delete.release(reservations, self.owner))

    def _choose(
        self, reservations: store.Store, ipam: netconf.Ipam, facts: dict[str, Any]
    ) -> list[allocate.Assignment]:
        boot = store.boot_id()
        asked = (reservations, self.owner, ipam.sets, ipam.requested, boot, facts)
        try:
            return allocate.reserve(*asked)
        except allocate.StateLost:
            from ..ipam import restore

            self._may_be_checked = True
            restore.run(reservations, self.conf.name, self.conf.bridge, ipam.sets, boot)
        except allocate.Exhausted:
            pass
        try:
            return allocate.reserve(*asked, restored=True)
        except allocate.Exhausted:
            from ..network import reclaim

            if not reclaim.run(reservations, boot):
                raise
        return allocate.reserve(*asked, restored=True)

    def _dns(self) -> dict[str, Any]:
        conf = self.conf
        if not conf.dns and not conf.runtime_dns and not (conf.ipam and conf.ipam.resolv_conf):
            return {}
        from ..config import dns

        return dns.result(conf)

    def _pod_mac(self) -> bytes:
        if self.conf.mac:
            return self.conf.mac
        # Without an address of its own the pod still needs one that stays the same.
        return owner.mac_of(self.chosen[0].address) if self.chosen else b"\x0a\x58" + self.owner.host_mac[2:]

    def _plug(self, sock: netlink.Socket, port_of: links.Link, pod: int, mac: bytes) -> links.Link:
        """Make the veth pair and return its host's end."""
        conf, name = self.conf, self.owner.host_veth
        host = (name, self.owner.host_mac)
        self._undo.append(lambda delete: delete.delete_link(self.owner))
        try:
            sock.request(links.new_veth(host, (self.request.ifname, mac), port_of.index, pod, conf.mtu))
            port = links.require(sock, name, self._as_port(conf.hairpin and not self._is_announced()))
        except netlink.NetlinkError as exc:
            if exc.errno != _EEXIST:
                raise bridge.not_plugged(sock, port_of, exc) from exc
            self._undo.pop()  # it was there before
            raise bridge.name_taken(sock, self.owner) from exc
        sysctls.ensure_port(name, not conf.disable_ipv6)  # before the pod's end can send
        return port

    def _as_port(self, hairpin: bool) -> netlink.Message:
        # The bridge learns even from frames that nf_tables does not see, such as LLDP's.
        flags = hairpin, self.conf.isolated, not self.conf.mac_check, self.conf.ip_check
        return links.set_port(self.owner.host_veth, self.owner.alias, *flags)

    def _is_announced(self) -> bool:
        # The MAC follows the first address, unless the user gives it or a delegate chooses the address afterwards.
        return not self.conf.leave_down and bool(self.conf.mac or self._delegate or len(self.chosen) > 1)

    def _check_sources(self, sock: netlink.Socket, port: links.Link, mac: bytes) -> None:
        """Let the pod, which may bring its end up, send only from *mac* and, with ipspoofchk, its own addresses."""
        spoofcheck.forward(sock, port, mac, self.conf.vlans)
        self._undo.insert(0, lambda _detach: spoofcheck.remove(port.name))  # done last: no link is there unchecked
        addresses = [one.address for one in self.chosen] if self.conf.ip_check else None
        spoofcheck.ensure(port.name, mac, addresses, again=bool(self._delegate and addresses))

    def _masquerade(self) -> None:
        from ..network import masquerade

        if self._delegate:  # there is no record to be undone with it
            self._undo.insert(0, lambda delete: delete.remove_masquerading(store.Store(DATA_DIR, self.conf.name)))
        masquerade.ensure(self.conf.name, [one.range.subnet for one in self.chosen])

    def _vlan_interface(self, sock: netlink.Socket, port_of: links.Link, vlans: Vlans) -> list[result.Interface]:
        """Return the node's own interface in the pod's VLAN as the result has it, if there is one."""
        from ..config.vlan_keys import gateway_name

        if not (vlans.tag and bridge.gateways_of(self.conf, self.chosen)):
            return []
        link = links.require(sock, gateway_name(port_of.name, vlans.tag))
        return [(link.name, link.mac, "")]

    def _routes(self) -> list[Route]:
        """Return the pod's routes: those of the configuration, and default routes where isDefaultGateway wants them."""
        if not self.conf.is_default_gateway:
            return list(self._wanted)
        return with_defaults(self._wanted, [(one.address, one.range.gateway) for one in self.chosen])

    def _configure(self, pod: int, sock: netlink.Socket, index: int, routes: list[Route]) -> None:
        """Give the pod's end its addresses and routes, and bring it up; *sock* is a socket in the namespace *pod*."""
        ifname = self.request.ifname
        with netns.Inside(pod):
            if self.conf.disable_ipv6:
                sysctls.disable_ipv6(ifname)
            elif self.chosen:
                sysctls.ensure_pod(ifname, any(one.address.bits == 128 for one in self.chosen), self.conf.dad)
        if self.conf.leave_down:
            return
        messages = [links.change(index, links.IFF_UP, links.IFF_UP)]
        if self.chosen:
            messages.insert(0, sysctls.of_pod(index, [one.address for one in self.chosen]))
        for one in self.chosen:
            network = Network(one.address, one.range.subnet.prefix)
            messages.append(links.new_address(index, network, self.conf.dad))
        gateways = {one.address.bits: one.range.gateway for one in reversed(self.chosen)}
        for route in routes:
            via = route.gateway or (None if route.is_direct else gateways.get(route.dst.address.bits))
            messages.append(new_route(index, Route(route.dst, via, route.further)))
        try:
            for first in range(0, len(messages), _AT_ONCE):
                sock.request(*messages[first : first + _AT_ONCE])
        except netlink.NetlinkError as exc:
            raise CNIError(
                INTERNAL,
                "failed to configure %s: %s" % (ifname, exc.strerror),
                "addresses %s, routes %s"
                % (listed(one.text for one in self.chosen), listed(str(one.dst) for one in routes)),
            ) from exc

    def _make_known(self, pod: int, inside: netlink.Socket, again: netlink.Message) -> None:
        """Wait until the pod's IPv6 addresses work, and tell the neighbours those that may have had another MAC before.

        :param inside: a socket of the namespace *pod*.
        :param again: the request that gives the interface its MAC, upon which the kernel announces all its addresses.
        """
        of_ipv6 = [one.address for one in self.chosen if one.address.bits == 128]
        if self.conf.dad and of_ipv6:
            from ..kernel import dad

            dad.wait(pod, self.request.ifname)
        bridge.await_addresses(inside, of_ipv6)
        if self._is_announced():
            bridge.announce(inside, again, self.owner.alias)

    def _roll_back(self) -> None:
        signals.ignore()
        from . import delete

        for step in reversed(self._undo):
            try:
                step(delete)
            except Exception as exc:  # the error that led here is the one to report
                files.complain("undoing ADD of %s: %s" % (self.owner.alias, exc))


def run(request: Request, finish: Finish) -> None:
    """Carry out the ADD *request*; *finish* gets the result document."""
    Attachment(request).run(finish)
