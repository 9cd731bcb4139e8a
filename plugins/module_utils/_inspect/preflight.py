# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a node from taking its part in the plan. Reads only; each finding is (value, remedy).

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import bisect
import ipaddress
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .._cni import network_conf
from .._cni.old_bridge import OldNetwork
from .._firewall import iptables
from .._firewall.by_firewalld import Firewalld
from .._node import forwarding, sysctl, sysctl_files
from .._routing import policy_rules, protected_addresses, static_routes, vxlan
from .._runtimes import containerd, cri_dockerd, crio
from .._shared import marked_files, option_checks
from .._shared.converge import ConvergeError
from .._shared.kernel import Kernel, describe
from . import bridge_rules, places, refusals, writable
from .places import SYSCTL_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Optional

    from .._routing.static_routes import ByKey
    from .._shared.converge import RunCommand
    from .._shared.ip_addresses import Network
    from .._shared.kernel import Address, Link, Route

    #: Returns the path of a command, None if it is not there.
    FindCommand = Callable[[str], Optional[str]]

OLDEST_PYTHON = (3, 8)

TAILSCALE = ipaddress.ip_network("100.64.0.0/10")  # that of carrier-grade NAT, RFC 6598
TAILSCALE_RULES = (["nft", "list", "chain", "ip", "filter", "ts-input"], ["iptables-nft", "-S", "ts-input"])
TAILSCALE_LEGACY_RULES = (["iptables-legacy", "-S", "ts-input"], ["iptables", "-S", "ts-input"])
ALIAS = "humanz-cni"  # begins that of each interface which the CNI plugin makes


class Part(NamedTuple):
    """A node's part of the plan."""

    pod_cidrs: list[str]
    pod_ranges: list[str]
    unreachable: list[str]
    cluster_cidrs: list[str]
    service_cidrs: list[str]
    node_ips: list[str]
    routes: list[dict[str, Any]]  # as of node_routes
    problems: list[str]
    # What is ours on the node.
    protocol: int
    table: int
    bridge: str
    vxlan_device: str
    vxlan_peers: list[str]
    # node_routes' options for routes that are to go.
    state_file: str
    force: bool
    allow_empty: bool
    max_prune: int
    backend: str  # pod_firewall's


def findings(part: Part, find_command: FindCommand) -> list[str]:
    """Return all that stands against *part* on this node, as a list of texts ``value: remedy``.

    :param part: a Part.
    :param find_command: a function that returns the path of a command, or None.
    """
    wanted, found = static_routes.parse_routes(part.routes, part.protocol, part.table)
    wanted.update(static_routes.parse_unreachable(part.unreachable, part.protocol, part.table))
    own = forwarding.families_of(part.pod_cidrs)
    found += _python() + _commands(find_command, own, part)
    found += _without_ipv6(part) if 6 in own else []
    with Kernel() as kernel:
        families = (socket.AF_INET, socket.AF_INET6)
        every = {family: kernel.routes(family, None) for family in families}
        routes = [route for family in families for route in every[family] if route.table == part.table]
        links = kernel.links()
        # Also an interface that is no longer wanted, or has a former name.
        devices = {part.bridge} | {link.name for link in links if vxlan.is_ours(link.kind, link.alias)}
        recorded, damaged = _recorded(part.state_file)
        had = static_routes.ours(routes, part.protocol, recorded)
        foreign = [route for route in static_routes.others(routes, part.protocol, had) if route.device not in devices]
        addresses = [address for family in families for address in kernel.addresses(family)]
        found += _node_ips(part.node_ips, addresses)
        found += _taken(part, links)
        found += _unreachable(kernel, part.vxlan_peers)
        hops = [route for route in wanted.values() if route.via not in part.node_ips]
        found += static_routes.next_hop_problems(kernel, hops)
        found += _moved(kernel, part, routes, foreign, wanted)
        found += _held_addresses(part, links, addresses, foreign)
        for family in families:
            ways = _ways(part, addresses, wanted, 4 if family == socket.AF_INET else 6)
            rules = kernel.rules(family) if ways else []
            found += policy_rules.problems(rules, every[family], part.table, ways, part.cluster_cidrs)
    # A plan with problems has not all of its routes.
    prunes = not damaged and not part.problems
    found += damaged + (static_routes.prune_problems(had, wanted, recorded, part._asdict()) if prunes else [])
    found += static_routes.conflicts(foreign, wanted)
    prefixes = {route.dst for route in wanted.values()}
    renamed = _renamed(part, links, foreign)
    foreign = [route for route in foreign if route not in renamed]
    found += [
        "pod_network_bridge %s: this node's pods are on %s: set it to that, or drain and reset this node first"
        % (part.bridge, route.device)
        for route in renamed
    ]
    return found + _overlaps(
        [("pod_network_pod_cidr", cidr) for cidr in part.pod_cidrs]
        + [("route", dst) for dst in sorted(prefixes.difference(part.unreachable))],
        [route for route in foreign if route.dst not in prefixes],
    )


def refused(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> list[str]:
    """Return what the modules that follow would refuse of *options*, the module's, a text each.

    :param run: AnsibleModule.run_command.
    :param find_command: as of :func:`findings`.
    """
    pod_cidrs = options["pod_cidrs"]
    checks: list[tuple[Any, ...]] = [
        (option_checks.device, "bridge", options["bridge"]),
        (option_checks.network_name, "name", options["name"]),
        (option_checks.mtu, "mtu", options["mtu"], pod_cidrs),
    ]
    if options["uplink"]:
        checks.append((_uplink, "uplink", options["uplink"]))
    if options["format"] == "conf":
        checks.append((network_conf.require_one, "pod_cidr", pod_cidrs))
    found = [_refusal(check, "pod_network_" + option, *values) for check, option, *values in checks]
    conf = network_conf.CniConf(options["conf_dir"], options["format"], "", options["foreign"] == "keep")
    found.append(_refusal(lambda: conf.desired(conf.read())))
    if pod_cidrs:
        names = ("bridge", "pod_cidrs", "pod_ranges", "cluster_cidrs", "name", "conf_dir")
        old = OldNetwork(None, **{name: options[name] for name in names})
        found.append(_refusal(lambda: old.desired(old.read())))
    if options["spoof_check"] and options["format"] != "conf":
        found.append(_without_bridge_rules())
    found.append(_tailscale(options["cluster_cidrs"], run, find_command))
    firewalld = find_command("firewall-cmd")
    if firewalld:
        found.append(_refusal(Firewalld(run, firewalld, pod_cidrs).read))
    found += refusals.found(options, run, find_command)
    return [text for text in found if text] + writable.problems(places.places(options, find_command))


def of_runtime(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> list[str] | None:
    """Return why this node's container runtime would not attach pods by our configuration; None if there is none."""
    wanted = containerd.Wanted(options["cni_bin_dir"], options["conf_dir"], options["foreign"] == "keep")
    found = crio.problems(wanted, options["name"], run, find_command)
    found = cri_dockerd.problems(wanted) if found is None else found
    return containerd.problems(wanted, run, find_command("containerd")) if found is None else found


def other_sysctls(options: dict[str, Any], run: RunCommand, find_command: FindCommand) -> tuple[list[str], list[str]]:
    """Return what the node's files of sysctl.d set against *options*, the module's, as problems and as warnings.

    Healing owns what node_kernel sets, so that another value is no problem. It cannot bring back IPv6 addresses. Among
    the problems are parameters that this node cannot change.
    """
    try:
        families = forwarding.families_of(options["pod_cidrs"])
        wanted = forwarding.sysctls(families, marked_files.read(SYSCTL_FILE))
        if 4 in families:
            hops = [route["via"] for route in options["routes"] if not route.get("dev")]
            wanted.update(forwarding.ways(run, find_command("ip"), hops, options["masquerade"], options["uplink"]))
        devices = [options["vxlan_device"]] if options["vxlan_device"] else []
        healed = forwarding.healed_sysctls(options["bridge"], devices, families, disable_ipv6=False)
        ordered = {key: wanted[key] for key in sysctl.in_order(wanted)}
        warnings = [found.text(SYSCTL_FILE) for found in sysctl_files.contraries(SYSCTL_FILE, ordered, healed)]
        return _fixed(ordered) + (_disabling_ipv6(options) if 6 in families else []), warnings
    except ConvergeError as exc:
        return [str(exc)], []


def _fixed(sysctls: dict[str, str]) -> list[str]:
    """Find parameters that have another value than the one of *sysctls*, and cannot be given it, as in a container."""
    present = [(key, value, sysctl.read(key)) for key, value in sysctls.items()]
    return [
        "sysctl %s: is %s, pods need %s, and this node cannot write it (%s): set it on the host "
        "of this container, or mount /proc/sys writable" % (key, found, value, sysctl.path_of(key))
        for key, value, found in present
        if not (found is None or sysctl.suffices(key, found, value) or os.access(sysctl.path_of(key), os.W_OK))
    ]


def _disabling_ipv6(options: dict[str, Any]) -> list[str]:
    """Find files by which this node, or an interface with one of its node IPs, has no IPv6 from its next boot on."""
    cidr = next(cidr for cidr in options["pod_cidrs"] if ":" in cidr)
    with Kernel() as kernel:
        held = [one.device for one in kernel.addresses(socket.AF_INET6) if one.address in options["node_ips"]]
    key = "net.ipv6.conf.%s.disable_ipv6"
    devices = {key % name.replace(".", "/"): name for name in held}
    wanted = dict.fromkeys([key % "default", *devices], "0")
    return [
        "pod_network_pod_cidr %s: %s line %d sets %s to %s, so that %s has no IPv6 after the next boot: remove that "
        "line" % (cidr, *found.setting, devices.get(found.setting.key, "this node"))
        for found in sysctl_files.contraries(SYSCTL_FILE, wanted, {}, ours=False)
        if found.wins
    ]


def _refusal(check: Callable[..., object], *values: Any) -> str | None:
    """Return why *check* refuses *values*, or None."""
    try:
        check(*values)
    except ConvergeError as exc:
        return str(exc)
    return None


def _uplink(option: str, name: str) -> None:
    """Raise ConvergeError unless *name* is an interface of this node. Rules know none by its other names (altname)."""
    if option_checks.device(option, name) not in [found for _index, found in socket.if_nameindex()]:
        remedy = "name the one that pods' packets to the outside leave by, or leave it empty for any"
        raise ConvergeError("%s %s: is no interface of this node: %s" % (option, name, remedy))


def _without_bridge_rules() -> str | None:
    """Find that the CNI plugin could not check what pods send, so that each ADD would fail."""
    reason = bridge_rules.refusal()
    return reason and (
        "pod_network_spoof_check: this node's kernel has no nf_tables for bridges (%s): boot one with "
        "CONFIG_NF_TABLES_BRIDGE, or set it to false for this node" % reason
    )


def _tailscale(cluster_cidrs: list[str], run: RunCommand, find_command: FindCommand) -> str | None:
    """Find that Tailscale's rules drop what pods send to the node, whatever its routes are."""
    for cidr in cluster_cidrs:
        network = ipaddress.ip_network(cidr)
        if network.version != 4 or not network.overlaps(TAILSCALE):
            continue
        legacy = "filter" in iptables.legacy_tables(4)
        for name, *words in TAILSCALE_RULES + (TAILSCALE_LEGACY_RULES if legacy else ()):
            path = find_command(name)
            status, output, _error = run([path, *words]) if path else (1, "", "")
            if status == 0 and any(str(TAILSCALE) in line and "drop" in line.lower() for line in output.splitlines()):
                return (
                    "pod_network_cluster_cidr %s: overlaps %s, which Tailscale on this node drops where it comes in by "
                    "another interface than its own (chain ts-input): choose another network for the cluster's pods, "
                    "such as 10.244.0.0/16" % (cidr, TAILSCALE)
                )
    return None


def _python() -> list[str]:
    if sys.version_info >= OLDEST_PYTHON:
        return []
    return ["Python %s: is too old: 3.8 or later is needed" % sys.version.split()[0]]


def _commands(find_command: FindCommand, families: list[int], part: Part) -> list[str]:
    packages = {"ip": "iproute2"}
    if part.vxlan_peers:
        packages["bridge"] = "iproute2"
    if part.backend not in iptables.SUFFIXES:
        packages["nft"] = "nftables, or name another pod_network_firewall_backend"
    elif part.backend != "auto" or not find_command("nft"):
        remedy = "nftables" if part.backend == "auto" else "name another pod_network_firewall_backend"
        for family in families:
            name = iptables.COMMANDS[family] + iptables.SUFFIXES[part.backend]
            packages.update(dict.fromkeys((name, name + "-restore"), "iptables, or " + remedy))
    return [
        "command %s: is not on this node: install its package, %s" % (name, package)
        for name, package in sorted(packages.items())
        if not find_command(name)
    ]


def _without_ipv6(part: Part) -> list[str]:
    """Find that the pods' bridge, or one that is made in its place, would have no IPv6.

    Where it is off on the bridge alone, as in a cluster without IPv6, the plugin turns it on.
    """
    key = "net.ipv6.conf.%s.disable_ipv6"
    default = key % "default"
    values = [sysctl.read(name) for name in (key % part.bridge.replace(".", "/"), default)]
    cidr = next(cidr for cidr in part.pod_cidrs if ":" in cidr)
    if values[1] is None:
        return ["pod_network_pod_cidr %s: this node's kernel has no IPv6: boot it without ipv6.disable=1" % cidr]
    if "0" in values:
        return []
    return ["pod_network_pod_cidr %s: IPv6 is off on this node: its sysctl %s must be 0" % (cidr, default)]


def _node_ips(node_ips: list[str], addresses: list[Address]) -> list[str]:
    """Other nodes send this node's pods' traffic to its node IP."""
    held = {address.address: address for address in addresses}
    shown = ", ".join(
        "%s on %s" % (address.address, address.device)
        for address in addresses
        if not ipaddress.ip_address(address.address).is_loopback
        and not ipaddress.ip_address(address.address).is_link_local
    )
    lines = [
        "pod_network_node_ip %s: is on no interface of this node, which has %s: must be one of its addresses"
        % (node_ip, shown or "no address")
        for node_ip in node_ips
        if node_ip not in held
    ]
    return lines + [
        "pod_network_node_ip %s: another machine on %s has it too (duplicate address detection): give each its own"
        % (node_ip, held[node_ip].device)
        for node_ip in node_ips
        if node_ip in held and held[node_ip].duplicate
    ]


def _held_addresses(part: Part, links: list[Link], addresses: list[Address], foreign: list[Route]) -> list[str]:
    """Find addresses of this node that a pod may be given, or a service: the node takes their packets for its own.

    An address in a network with a route that :func:`_overlaps` reports is not reported twice.
    """
    bridges = {link.name for link in links if link.kind == "bridge" and (link.alias or "").startswith(ALIAS)}
    ours = {link.name for link in links if vxlan.is_ours(link.kind, link.alias)} | bridges - {part.bridge}
    # kube-proxy and NodeLocal DNSCache keep addresses of services on such interfaces.
    dummies = {link.name for link in links if link.kind == "dummy"}
    gateways = {str(ipaddress.ip_network(cidr)[1]) for cidr in part.pod_ranges or part.pod_cidrs if _is_wide(cidr)}
    own = [("pod_network_pod_cidr", cidr) for cidr in part.pod_cidrs]
    pods = _Holders(own + [("route", route["dst"]) for route in part.routes])
    on_bridge, services = _Holders(own), _Holders([("pod_network_service_cidr", cidr) for cidr in part.service_cidrs])
    connected = {(route.dst, route.device) for route in foreign}
    lines = []
    for one in addresses:
        network = str(ipaddress.ip_interface("%s/%d" % (one.address, one.prefixlen)).network)
        if one.device == part.bridge:
            # Those of former pod CIDRs are gone before there are routes.
            found = None if one.address in gateways else on_bridge.of(one.address)
        elif one.device in ours:
            found = None
        else:
            found = None if (network, one.device) in connected else pods.of(one.address)
            found = found or (None if one.device in dummies else services.of(one.address))
        if found:
            other = "pod_network_pod_cidr for the node behind it" if found[0] == "route" else found[0]
            lines.append(
                "%s %s: contains %s, an address of this node on %s, which takes packets to a pod or Service with that "
                "address for its own: remove it there, or choose another %s" % (*found, one.address, one.device, other)
            )
    return lines


class _Holders:
    """Networks by name, none of which overlaps another, to be asked for the one that holds an address."""

    def __init__(self, prefixes: list[tuple[str, str]]) -> None:
        self._prefixes = sorted(((ipaddress.ip_network(cidr), name) for name, cidr in prefixes), key=_first)
        self._starts = [_first(item) for item in self._prefixes]

    def of(self, text: str) -> tuple[str, str] | None:
        """Return (name, CIDR) of the network that holds the address *text*, or None."""
        address = ipaddress.ip_address(text)
        index = bisect.bisect_right(self._starts, (address.version, int(address))) - 1
        if index < 0:
            return None
        network, name = self._prefixes[index]
        return (name, str(network)) if network.version == address.version and address in network else None


def _first(item: tuple[Network, str]) -> tuple[int, int]:
    return _start(item[0])


def _is_wide(cidr: str) -> bool:
    return ipaddress.ip_network(cidr).num_addresses > 1


def _ways(
    part: Part, addresses: list[Address], wanted: ByKey, version: int
) -> list[tuple[policy_rules.Way, list[policy_rules.Packets]]]:
    """Return how packets to pods are to go, by the routes to be and by the bridge, and which packets these are."""

    def packets(sources: Iterable[str], device: str) -> list[policy_rules.Packets]:
        networks = map(ipaddress.ip_network, sources)
        return [policy_rules.Packets(one, device) for one in networks if one.version == version]

    routes = [route for route in wanted.values() if route.type == "unicast"]
    devices = {one.device for one in addresses if one.address in part.node_ips} | {part.vxlan_device} - {""}
    local = packets(part.node_ips, "lo")
    nodes = {route.via for route in routes}
    incoming = [one for device in sorted(devices) for one in packets([*part.cluster_cidrs, *sorted(nodes)], device)]
    ways = [(_way(cidr, "", part.bridge), local + incoming) for cidr in part.pod_cidrs]
    outgoing = local + packets(part.pod_cidrs, part.bridge)
    ways += [(_way(route.dst, route.via, route.device), outgoing) for route in routes]
    return [(way, some) for way, some in ways if way.destination.version == version]


def _way(dst: str, via: str, device: str) -> policy_rules.Way:
    return policy_rules.Way(ipaddress.ip_network(dst), via, device)


def _moved(kernel: Kernel, part: Part, routes: list[Route], foreign: list[Route], wanted: ByKey) -> list[str]:
    """Find what the whole part, this node's own pods included, would send elsewhere that must not be."""
    before, after = ({route.dst: route.via for route in some} for some in (routes, [*foreign, *wanted.values()]))
    after.update(dict.fromkeys(part.pod_cidrs, ""))
    return protected_addresses.moved(kernel, protected_addresses.kept(foreign), before, after)


def _recorded(state_file: str) -> tuple[str | None, list[str]]:
    """Return the text of *state_file*, and why it cannot be told, as a list."""
    try:
        return marked_files.read(state_file), []
    except ConvergeError as exc:
        return None, [str(exc)]


def _taken(part: Part, links: list[Link]) -> list[str]:
    """Find interfaces of somebody else that have the name of the bridge, or of the VXLAN interface."""
    taken = [("bridge", link) for link in links if link.name == part.bridge and link.kind != "bridge"]
    taken += [
        ("vxlan_device", link)
        for link in links
        if link.name == part.vxlan_device and not vxlan.is_ours(link.kind, link.alias)
    ]
    return [
        "pod_network_%s %s: is another program's %s interface: remove it, or choose another name"
        % (variable, link.name, link.kind or "physical")
        for variable, link in taken
    ]


def _renamed(part: Part, links: list[Link], foreign: list[Route]) -> list[Route]:
    """Return the routes to this node's own pods by a bridge of ours that has another name than the wanted one."""
    bridges = {link.name for link in links if link.kind == "bridge" and (link.alias or "").startswith(ALIAS)}
    own = {*part.pod_cidrs, *part.pod_ranges}
    return [route for route in foreign if route.dst in own and route.device in bridges]


def _unreachable(kernel: Kernel, peers: list[str]) -> list[str]:
    """Find nodes behind a router that this node has no route to."""
    answers = [(peer, kernel.lookup(peer)) for peer in peers]
    return [
        "pod_network_node_ip %s: is unreachable (%s): this node must have a route to the nodes behind a router"
        % (peer, answer.error or "is %s" % answer.type)
        for peer, answer in answers
        if answer.error or answer.type != "unicast"
    ]


def _overlaps(prefixes: list[tuple[str, str]], foreign: list[Route]) -> list[str]:
    """Return a line for each of *prefixes*, (name, CIDR), that would take addresses from a route in *foreign*.

    A network that the node is connected to may neither contain the prefix nor be contained in it. Another route may
    be wider, such as one to all of 10.0.0.0/8: packets to pods follow the narrower one.
    """
    routes = sorted(
        ((ipaddress.ip_network(route.dst), route) for route in foreign if route.dst != "default"),
        key=lambda item: _start(item[0]),
    )
    starts = [_start(network) for network, _route in routes]
    # A blackhole of IPv6 is on lo.
    connected = [item for item in routes if not item[1].via and item[1].device and item[1].type == "unicast"]
    lines = []
    for name, cidr in prefixes:
        wanted = ipaddress.ip_network(cidr)
        first, last = bisect.bisect_left(starts, _start(wanted)), bisect.bisect_right(starts, _end(wanted))
        hit = [route for network, route in routes[first:last] if network.prefixlen >= wanted.prefixlen]
        hit += [
            route
            for network, route in connected
            if route not in hit and network.version == wanted.version and network.overlaps(wanted)
        ]
        lines += [
            "%s %s: overlaps the route `%s`: one of both must be another network" % (name, cidr, describe(route))
            for route in hit
        ]
    return lines


def _start(network: Network) -> tuple[int, int]:
    return (network.version, int(network.network_address))


def _end(network: Network) -> tuple[int, int]:
    return (network.version, int(network.broadcast_address))
