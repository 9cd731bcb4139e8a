# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CHECK: is an attachment still as ADD left it? Nothing is changed."""

from __future__ import annotations

from ..config import netconf, prev_result
from ..config.routes import with_defaults
from ..ipam import store
from ..ipam.record import addresses_of
from ..kernel import dumps, links, netlink, netns, owner
from ..kernel.route import RT_TABLE_MAIN
from ..network import masquerade
from ..primitives.address import BITS, Address, Network
from ..protocol.errors import INTERNAL, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..config.netconf import Ipam, NetConf
    from ..config.ranges import Range
    from ..config.vlan_keys import Vlans
    from ..ipam.allocate import Subnet
    from ..kernel.links import Link
    from ..kernel.route import Route
    from ..protocol.request import Request

    Assigned = tuple[Address, Range | Subnet | None]  # the range is None if the configuration has none for it any more


_HIGHEST = {"mtu": 65535 - 15, "advmss": 65535 - 40}  # that the kernel keeps of a route's


def run(request: Request, _finish: object) -> None:
    """Carry out the CHECK *request*; CNIError names the first difference from prevResult."""
    conf = netconf.load(request)
    result = prev_result.load(request.conf)
    interfaces, addresses, routes = (
        prev_result.interfaces(result),
        prev_result.addresses(result),
        prev_result.routes(result),
    )
    of_owner = owner.Owner(request.network, request.container_id, request.ifname)
    pod = netns.open_namespace(request.netns)
    sock = netlink.Socket()
    with netns.Inside(pod):
        inside = netlink.Socket()
    if conf.delegated:
        assigned = _check_delegate(conf, request, result)
    else:
        assigned = _check_reservation(conf, of_owner, request.netns, netns.identity(pod, inside))
    port_of = _check_bridge(sock, conf, interfaces)
    container = _check_container(inside, request, interfaces)
    port = _check_port(sock, of_owner, port_of, container, interfaces)
    if conf.vlans:
        _check_confinement(sock, conf.vlans, port_of, port)
    if not conf.leave_down and not container.is_up:
        raise _differs("interface %s in %s is down" % (request.ifname, request.netns))
    if conf.mac_check:
        _check_sources(conf, port, container, assigned)
    _check_addresses(inside, container, addresses, assigned)
    _check_routes(inside, conf, container, routes, assigned)
    _check_network(sock, conf, port_of, assigned)


def _differs(text: str) -> CNIError:
    return CNIError(INTERNAL, text)


def _check_delegate(conf: NetConf, request: Request, result: dict[str, Any]) -> list[Assigned]:
    """Return the addresses of the IPAM plugin, which must agree with them, and their ranges, as prevResult has them."""
    from ..ipam import delegate

    delegate.Plugin(request).call("CHECK")
    return [(one.address, one.range) for one in delegate.assigned(conf, request, result)]


def _check_reservation(conf: NetConf, of_owner: owner.Owner, path: str, namespace: str) -> list[Assigned]:
    """Return the addresses that are reserved for the attachment, each with its range, or None if that has changed.

    :param namespace: the identity of the namespace at *path*, which must be that of the record.
    """
    if not conf.ipam:
        return []
    reservations = store.Store(conf.ipam.data_dir, conf.name)
    try:
        record = reservations.record(of_owner)
    except OSError as exc:
        raise store.io_error(exc, reservations.path) from exc
    if not record or not record.get("addresses"):
        raise _differs("host-local: Failed to find address added by container %s" % of_owner.container_id)
    if record.get("namespace", namespace) != namespace:
        raise _differs("%s is another network namespace than that of ADD" % path)
    try:
        found = addresses_of(record)
    except (ValueError, TypeError):
        raise _differs("host-local: the record %s cannot be read" % of_owner.host_veth) from None
    return [(address, _range_of(conf.ipam, address)) for address in found]


def _check_mac(link: Link, interfaces: prev_result.Interfaces, sandbox: str = "") -> None:
    wanted = interfaces.get((link.name, sandbox))
    if wanted and wanted.lower() != links.show_mac(link.mac):
        raise _differs(
            "interface %s has hardware address %s, prevResult says %s" % (link.name, links.show_mac(link.mac), wanted)
        )


def _check_bridge(sock: netlink.Socket, conf: NetConf, interfaces: prev_result.Interfaces) -> Link:
    bridge = links.get(sock, conf.bridge)
    if bridge is None:
        raise _differs("bridge %s is missing" % conf.bridge)
    if bridge.kind != "bridge":
        raise _differs("interface %s is not a bridge" % conf.bridge)
    if not bridge.is_up:
        raise _differs("bridge %s is down" % conf.bridge)
    if bridge.alias == owner.ALIAS:  # somebody else's may take its address from its ports
        _check_mac(bridge, interfaces)
    if bool(bridge.promiscuity) != conf.promiscuous and conf.promiscuous:
        raise _differs("bridge %s is not in promiscuous mode" % conf.bridge)
    return bridge


def _check_container(inside: netlink.Socket, request: Request, interfaces: prev_result.Interfaces) -> Link:
    container = links.get(inside, request.ifname)
    if container is None:
        raise _differs("interface %s in %s is missing" % (request.ifname, request.netns))
    if container.kind != "veth":
        raise _differs("interface %s in %s is not a veth" % (request.ifname, request.netns))
    if (request.ifname, request.netns) not in interfaces:
        raise _differs("prevResult has no interface %s in sandbox %s" % (request.ifname, request.netns))
    _check_mac(container, interfaces, request.netns)
    return container


def _check_port(
    sock: netlink.Socket, of_owner: owner.Owner, bridge: Link, container: Link, interfaces: prev_result.Interfaces
) -> Link:
    port = owner.find_veth(sock, of_owner)
    if port is None:
        raise _differs("host interface %s is missing" % of_owner.host_veth)
    if port.name != of_owner.host_veth:
        raise _differs("host interface %s is called %s now" % (of_owner.host_veth, port.name))
    if port.alias != of_owner.alias:
        raise _differs("host interface %s has alias %r, ADD gave it %r" % (port.name, port.alias, of_owner.alias))
    if port.index != container.peer or port.peer != container.index:
        raise _differs("host interface %s is not the peer of %s" % (port.name, container.name))
    if port.master != bridge.index:
        raise _differs("host interface %s is not a port of bridge %s" % (port.name, bridge.name))
    if not port.is_up:
        raise _differs("host interface %s is down" % port.name)
    _check_mac(port, interfaces)
    return port


def _check_confinement(sock: netlink.Socket, vlans: Vlans, bridge: Link, port: Link) -> None:
    from ..network import vlan

    problem = vlan.problem(sock, bridge, port, vlans)
    if problem:
        raise _differs(problem)


def _check_sources(conf: NetConf, port: Link, container: Link, assigned: list[Assigned]) -> None:
    """Check that the pod can send only from the hardware address that it has now, and from its own addresses."""
    from ..network import spoofcheck_rules

    addresses = [address for address, _range in assigned] if conf.ip_check else None
    if not spoofcheck_rules.are_there(port.name, container.mac, addresses):
        what = "another hardware address or IP address" if conf.ip_check else "another hardware address"
        raise _differs(
            "the rules that keep %s from sending from %s are missing, or are not for %s, which %s has now"
            % (port.name, what, links.show_mac(container.mac), container.name)
        )


def _check_addresses(inside: netlink.Socket, container: Link, listed: list[Network], assigned: list[Assigned]) -> None:
    """Check the addresses of prevResult that are reserved for the attachment; others belong to other plugins."""
    reserved = [address for address, _range in assigned]
    ours = [network for network in listed if network.address in reserved]
    missing = [str(address) for address in reserved if address not in [network.address for network in ours]]
    if missing:
        raise _differs("prevResult does not have the reserved address %s" % ", ".join(missing))
    for network in ours:
        if network not in links.addresses(inside, container.index, network.address.family):
            raise _differs("interface %s does not have address %s" % (container.name, network))


def _check_routes(
    inside: netlink.Socket, conf: NetConf, container: Link, listed: list[Route], assigned: list[Assigned]
) -> None:
    """Check the routes of prevResult, which has only some of their keys before 1.1.0.

    Ours must be by our interface and as configured, another plugin's may be by any.
    """
    ours = _routes_of(conf, assigned)
    present = [route for family in BITS for route in dumps.routes(inside, family)]
    for route in listed:
        configured = [one for one in ours if (one.dst, one.gateway) == (route.dst, route.gateway)]
        others = {_table(one) for one in (*ours, *listed) if one.dst == route.dst} - {0, RT_TABLE_MAIN}
        for wanted in [route] if route.further else configured or [route]:
            where = {index for index, known in present if _is_as(known, wanted, others)}
            if configured and container.index not in where:
                raise _differs("interface %s has no %s" % (container.name, _show(wanted)))
            if not where:
                raise _differs("the pod has no %s" % _show(wanted))


def _is_as(known: Route, wanted: Route, others: set[int]) -> bool:
    """Return whether the kernel's route *known* is *wanted*, which is in no table of *others* unless it says so.

    A plugin after this one may have moved it to a table of its own.
    """
    if known.dst != wanted.dst or wanted.gateway not in (None, known.gateway):
        return False
    if not _table(wanted) and known.further["table"] in others:
        return False
    asked = dict(wanted.further, table=_table(wanted))
    if known.dst.address.bits == 128:
        asked.pop("scope", None)  # the kernel has none
    scope = asked.pop("scope", known.further["scope"])
    return scope == known.further["scope"] and all(
        known.further[key] == min(value, _HIGHEST.get(key, value)) for key, value in asked.items() if value
    )


def _table(route: Route) -> int:
    """Return the table that *route* is configured for, 0 for none."""
    return route.further.get("table", 0)


def _routes_of(conf: NetConf, assigned: list[Assigned]) -> list[Route]:
    """Return the routes that ADD has made, as the configuration has them."""
    ours = conf.ipam.routes if conf.ipam else []
    if not conf.is_default_gateway:
        return ours
    return with_defaults(ours, [(address, one.gateway) for address, one in assigned if one])


def _range_of(ipam: Ipam, address: Address) -> Range | None:
    """Return the range of the configuration whose subnet has *address*, or None: the configuration may have changed."""
    return next((one for of_set in ipam.sets for one in of_set if address in one.subnet), None)


def _show(route: Route) -> str:
    further = ["%s %d" % item for item in sorted(route.further.items())]
    return " ".join(["route to %s" % route.dst, *(["via %s" % route.gateway] if route.gateway else []), *further])


def _check_network(sock: netlink.Socket, conf: NetConf, bridge: Link, assigned: list[Assigned]) -> None:
    holder = bridge
    if assigned and conf.vlans and conf.vlans.tag and conf.is_gateway:
        from ..config.vlan_keys import gateway_name

        name = gateway_name(bridge.name, conf.vlans.tag)
        found = links.get(sock, name)
        if found is None:
            raise _differs("interface %s is missing" % name)
        holder = found
    for _address, one in assigned:
        if not one:
            continue
        if conf.masquerade and not masquerade.is_there(conf.name, one.subnet):
            raise _differs("traffic that leaves %s is not masqueraded" % one.subnet)
        if not (conf.is_gateway and one.gateway):
            continue
        wanted = Network(one.gateway, one.subnet.prefix)
        if wanted not in links.addresses(sock, holder.index, wanted.address.family):
            raise _differs("%s %s does not have address %s" % (holder.kind, holder.name, wanted))
