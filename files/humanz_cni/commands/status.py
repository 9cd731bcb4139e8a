# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STATUS: could the next ADD be served, and is the network of the running pods intact?

A runtime that asks takes an error for "this node's network is not ready", and Kubernetes may then evict all pods. So an
error is only what the end of pods does not cure, and each one says what is to be done about it. A full pool is a line
in the log, and fails the next ADD.
"""

from __future__ import annotations

import posix

from .. import log
from ..config import netconf, ranges
from ..ipam import delegate, records, store
from ..kernel import dumps, links, netlink
from ..kernel.owner import Owner
from ..network.bridge import conflicting
from ..primitives import files
from ..primitives.address import Network
from ..protocol.errors import PLUGIN_UNAVAILABLE, PLUGIN_UNAVAILABLE_LIMITED, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config.netconf import Ipam, NetConf
    from ..config.ranges import RangeSet
    from ..kernel.links import Link
    from ..protocol.request import Request

_RECORD_SIZE = 512  # in bytes; what a record takes at least


def run(request: Request, _finish: object) -> None:
    """Carry out the STATUS *request*: CNIError 50 if no ADD can succeed, 51 if pods that are there are cut off."""
    conf = netconf.load(request)
    sock = netlink.Socket()
    attachments = _attachments(sock, conf.name)  # before the bridge, which an ADD under way brings up first
    bridge = links.get(sock, conf.bridge)
    missing = []
    if bridge:
        missing = _check_bridge(sock, conf, bridge)
    _check_kernel(sock, conf)
    if conf.ipam:
        exhausted = _check_pool(conf, conf.ipam)
        if exhausted:
            log.warning(request, exhausted)
    if conf.delegated:
        delegate.Plugin(request).call("STATUS")
    if attachments:
        _check_connectivity(conf, bridge, missing, attachments)


def _unavailable(message: str, details: str = "") -> CNIError:
    return CNIError(PLUGIN_UNAVAILABLE, message, details)


def _check_bridge(sock: netlink.Socket, conf: NetConf, bridge: Link) -> list[Network]:
    """Return the gateway addresses (Networks) that *bridge* lacks and ADD would give it."""
    if bridge.kind != "bridge":
        raise _unavailable(
            '"%s" already exists but is not a bridge' % bridge.name, "delete it, or change the key bridge"
        )
    missing = []
    holder = _gateway_holder(sock, conf, bridge)
    sets = conf.ipam.sets if conf.ipam and conf.is_gateway else []
    gateways = [[Network(one.gateway, one.subnet.prefix) for one in of_set] for of_set in sets]
    every = [one for of_set in gateways for one in of_set]
    for wanted in gateways:
        present = links.addresses(sock, holder.index, wanted[0].address.family) if holder else []
        if any(one in present for one in wanted):
            continue
        wrong = conflicting(present, wanted[0], every)
        if wrong and holder and not conf.force_address:
            raise _unavailable(
                '"%s" already has an IP address different from %s' % (holder.name, wanted[0]),
                "it has %s; remove that, or set forceAddress" % wrong[0],
            )
        missing.append(wanted[0])
    return missing


def _gateway_holder(sock: netlink.Socket, conf: NetConf, bridge: Link) -> Link | None:
    """Return the Link that has the gateway addresses, None if it is missing."""
    if not (conf.vlans and conf.vlans.tag):
        return bridge
    from ..config.vlan_keys import gateway_name

    return links.get(sock, gateway_name(bridge.name, conf.vlans.tag))


def _check_kernel(sock: netlink.Socket, conf: NetConf) -> None:
    """Raise CNIError if the kernel lacks what the configuration needs of it; nothing is changed."""
    try:
        if conf.vlans:
            from ..network import vlan

            vlan.require_filtering(sock, conf.vlans)
        if conf.mac_check:
            from ..network import spoofcheck_rules

            spoofcheck_rules.rehearse(conf.ip_check)
        if conf.masquerade and conf.ipam:
            from ..network import masquerade

            masquerade.ensure(conf.name, [one[0].subnet for one in conf.ipam.sets], rehearse=True)
    except CNIError as exc:
        raise _unavailable(exc.message, exc.details) from exc


def _check_pool(conf: NetConf, ipam: Ipam) -> str:
    """Raise CNIError if nothing can be reserved; return which range sets have no free address, as a text."""
    reservations = store.Store(ipam.data_dir, conf.name, ipam.durable)
    try:
        reservations.create()
        with reservations.locked() as state:
            _write(reservations.path_of(".status"))
            of_this_boot = state.boot == store.boot_id()
        return _exhausted(reservations, ipam.sets) if of_this_boot else ""  # otherwise ADD begins with an empty pool
    except OSError as exc:
        raise _unavailable(store.io_error(exc, reservations.path).message) from exc
    except CNIError as exc:
        raise _unavailable(exc.message, exc.details) from exc


def _write(path: str) -> None:
    """Write and remove a file as large as a record."""
    descriptor = files.create(path)
    try:
        files.write_all(descriptor, bytes(_RECORD_SIZE))
    finally:
        posix.close(descriptor)
        files.unlink(path)


def _exhausted(reservations: store.Store, sets: list[RangeSet]) -> str:
    """Return which of the range *sets* have no free address, empty if none."""
    names = len(reservations.names())
    found = []
    for number, of_set in enumerate(sets):
        used, total = (0, 1) if names < sum(len(one) for one in of_set) else records.usage(reservations, of_set)
        if used >= total:
            what = (number, used, total, ranges.show(of_set))
            found.append("range set %d is exhausted: %d of %d addresses of %s are used" % what)
    return "; ".join(found)


def _attachments(sock: netlink.Socket, network: str) -> int:
    """Return how many attachments of *network* there are."""
    owners = (Owner.from_alias(link.alias) for link in dumps.all_links(sock))
    return sum(1 for one in owners if one and one.network == network)


def _check_connectivity(conf: NetConf, bridge: Link | None, missing: list[Network], attachments: int) -> None:
    if bridge is None:
        problem = "is missing"
    elif not bridge.is_up:
        problem = "is down"
    elif missing:
        problem = "does not have address %s" % ", ".join(map(str, missing))
    else:
        return
    raise CNIError(
        PLUGIN_UNAVAILABLE_LIMITED, "bridge %s %s" % (conf.bridge, problem),
        "attachments of %s that depend on it: %d" % (conf.name, attachments),
    )  # fmt: skip
