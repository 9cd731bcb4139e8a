# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has of the pod network. Reads only, by the node's own tools, so that it also tells of a node on which
nothing of the collection stands, pyroute2 included.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import ipaddress
import json
import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from .._cni import executable, install, invoke
from .._shared import files, ip_addresses, option_checks
from .._trace import nft_tables

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from .._shared.converge import RunCommand
    from .._shared.ip_addresses import Address, Network

DATA_DIRS = {"humanz-cni": "/run/humanz-cni"}
REFERENCE_DATA_DIR = "/var/lib/cni/networks"  # of host-local, whatever plugin delegates to it
ROUTE = ("dst", "gateway", "dev")
# What tells routes to one destination apart; ``ip`` leaves the protocol out where it is asked for those of one.
IDENTITY = (*ROUTE, "metric", "tos")
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)


def runner(module: AnsibleModule) -> RunCommand:
    """Return a function that runs a command, a list, and returns its status, output and error output.

    A command that the node does not have ends with status 127, as in a shell.
    """

    def run(command: list[str]) -> tuple[int, str, str]:
        path = module.get_bin_path(command[0])
        if path is None:
            return 127, "", "%s is not installed" % command[0]
        done: tuple[int, str, str] = module.run_command([path] + command[1:], environ_update={"LC_ALL": "C"})
        return done

    return run


def plugin(name: str, cni_path: list[str]) -> dict[str, Any]:
    """Return what there is of the CNI plugin *name*."""
    found: dict[str, Any] = {"path": None, "interpreter": None, "library": None, "versions": [], "error": None}
    try:
        found["path"] = invoke.find_plugin(name, cni_path)
        found.update(_launcher(found["path"]))
        answer = invoke.call_plugin(found["path"], {"cniVersion": "1.0.0"}, {"CNI_COMMAND": "VERSION"})
        found["versions"] = (answer or {}).get("supportedVersions", [])
    except invoke.CniError as exc:
        found["error"] = str(exc)
    return found


def _launcher(path: str) -> dict[str, Any]:
    launcher = executable.read_script(path)
    return {"interpreter": install.interpreter_of(launcher), "library": install.library_of(launcher)}


def configuration(conf_dir: str) -> tuple[dict[str, Any], invoke.Network | None]:
    """Return the CNI configuration files of *conf_dir* and the network that is in force, or why there is none."""
    found: dict[str, Any] = {"files": invoke.conf_files(conf_dir), "in_force": None, "error": None}
    try:
        network = invoke.network_in_force(conf_dir)
    except invoke.CniError as exc:
        found["error"] = str(exc)
        return found, None
    found["in_force"] = {
        "path": network["path"],
        "name": network["name"],
        "cni_version": network["cniVersion"],
        "plugins": [conf["type"] for conf in network["plugins"]],
    }
    return found, network


def routes(run: RunCommand, protocol: int) -> list[dict[str, Any]]:
    """Return the routes of *protocol*, dicts as ``ip`` has them."""
    found: list[dict[str, Any]] = []
    for family in ("-4", "-6"):
        status, output, _error = run(["ip", family, "-j", "route", "show", "table", "main", "proto", str(protocol)])
        found += json.loads(output) if status == 0 and output.strip() else []
    return found


def route_lines(run: RunCommand, protocol: int) -> list[str]:
    """Return the same routes as ``ip`` shows them to people."""
    lines: list[str] = []
    for family in ("-4", "-6"):
        status, output, _error = run(["ip", family, "route", "show", "table", "main", "proto", str(protocol)])
        lines += [line.strip() for line in output.splitlines()] if status == 0 else []
    return lines


def foreign_routes(
    run: RunCommand, networks: Iterable[str], own: Iterable[dict[str, Any]], bridge_name: str
) -> list[dict[str, Any]]:
    """Return the routes into *networks*, CIDRs, that are neither among *own* nor the kernel's for the bridge.

    *own* are those of :func:`routes`. Returns ``[{"dst", "gateway", "dev", "protocol", "type"}]``; a protocol that
    ``ip`` leaves out is ``boot``.
    """
    wanted = [ipaddress.ip_network(network) for network in networks]
    ours = collections.Counter(identity(route) for route in own)
    found = []
    for family in ("-4", "-6") if wanted else ():
        status, output, _error = run(["ip", family, "-j", "route", "show", "table", "main"])
        for route in json.loads(output) if status == 0 and output.strip() else []:
            key = identity(route)
            ours[key] -= 1
            of_bridge = route.get("dev") == bridge_name and route.get("protocol") == "kernel"
            if ours[key] < 0 and not of_bridge and _within(route["dst"], wanted):
                named = {"protocol": route.get("protocol", "boot"), "type": route.get("type", "unicast")}
                found.append(dict(shown(route), **named))
    return found


def identity(route: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(route.get(name) for name in IDENTITY)


def shown(route: dict[str, Any]) -> dict[str, Any]:
    """Return of a *route* what this module returns."""
    return {name: route.get(name) for name in ROUTE}


def _within(destination: str, networks: Iterable[Network]) -> bool:
    return destination != "default" and option_checks.is_within(ipaddress.ip_network(destination), networks)


def vxlan(run: RunCommand, name: str | None) -> dict[str, Any] | None:
    """Return the VXLAN interface *name* and the nodes that its static entries lead to, or None if there is none."""
    status, output, _error = run(["ip", "-j", "-d", "link", "show", "dev", name]) if name else (1, "", "")
    link = json.loads(output)[0] if status == 0 and output.strip() else {}
    kind = link.get("linkinfo", {})
    if kind.get("info_kind") != "vxlan":
        return None
    data = kind.get("info_data", {})
    _status, output, _error = run(["bridge", "-j", "fdb", "show", "dev", name])
    entries = json.loads(output) if output.strip() else []
    return {
        "name": name,
        "up": "UP" in link.get("flags", []),
        "vni": data.get("id"),
        "port": data.get("port"),
        "node_ip": data.get("local") or data.get("local6"),
        "peers": sorted({entry["dst"] for entry in entries if entry.get("dst")}),
    }


def rules(run: RunCommand, chains: Collection[str]) -> dict[str, list[str]]:
    """Return our rules by the tool that shows them: those in and into *chains* of iptables, with their counters, and
    those of nft.
    """
    found: dict[str, list[str]] = {}
    for tool in ("iptables-save", "ip6tables-save"):
        status, output, _error = run([tool, "-c"])
        lines = [line for line in output.splitlines() if any(word in chains for word in line.replace(":", "").split())]
        if status == 0 and lines:
            found[tool] = lines
    by_nft = nft_tables.own_rules(run)
    return dict(found, nft=by_nft) if by_nft else found


def bridge(run: RunCommand, name: str) -> dict[str, Any] | None:
    """Return the bridge *name*, or None if there is none."""
    status, output, _error = run(["ip", "-j", "-d", "addr", "show", "dev", name])
    if status != 0 or not output.strip():
        return None
    link = json.loads(output)[0]
    _status, output, _error = run(["ip", "-j", "link", "show", "master", name])
    ports = json.loads(output) if output.strip() else []
    return {
        "name": name,
        "kind": link.get("linkinfo", {}).get("info_kind"),
        "up": "UP" in link.get("flags", []),
        "mac": link.get("address"),
        "mtu": link.get("mtu"),
        "alias": link.get("ifalias"),
        "addresses": ["%(local)s/%(prefixlen)d" % address for address in link.get("addr_info", [])],
        "ports": sorted(port["ifname"] for port in ports if port.get("ifname")),
    }


def pool(network: invoke.Network | None) -> dict[str, Any] | None:
    """Return how many addresses of each range set of *network* are reserved and how many it has for pods, or None
    without a network. A pod has one address of each set, which with dual stack are one for each address family.

    Counts the files that are named by an address, which is what this plugin and host-local keep.
    """
    if network is None:
        return None
    conf = network["plugins"][0]
    ipam = dict(conf, **conf.get("ipam", {}))
    data_dir = ipam.get("dataDir") or DATA_DIRS.get(conf["type"], REFERENCE_DATA_DIR)
    directory = os.path.join(data_dir, network["name"])
    sets = ipam.get("ranges") or ([[ipam]] if "subnet" in ipam else [])
    names = os.listdir(directory) if os.path.isdir(directory) else []
    reserved = [address for address in map(_address, names) if address]
    return {"directory": directory, "sets": [_set(one_set, reserved) for one_set in sets]}


def _set(ranges: Iterable[dict[str, Any]], reserved: Iterable[Address]) -> dict[str, Any]:
    subnets = [subnet for subnet in (_subnet(of_range) for of_range in ranges) if subnet]
    return {
        "subnets": [str(subnet) for subnet in subnets],
        "reserved": sum(1 for address in reserved if any(address in subnet for subnet in subnets)),
        "total": sum(_size(of_range) for of_range in ranges),
    }


def _subnet(of_range: dict[str, Any]) -> Network | None:
    try:
        return ipaddress.ip_network(of_range["subnet"], strict=False)
    except (KeyError, ValueError):
        return None


def _size(of_range: dict[str, Any]) -> int:
    """Return how many pods find an address in *of_range*; the network's own, broadcast and the gateway's are none."""
    try:
        subnet = ipaddress.ip_network(of_range["subnet"], strict=False)
        first = ipaddress.ip_address(of_range.get("rangeStart", subnet.network_address + 1))
        last = ipaddress.ip_address(of_range.get("rangeEnd", subnet.broadcast_address - (subnet.version == 4)))
        gateway = ipaddress.ip_address(of_range.get("gateway", subnet.network_address + 1))
    except (KeyError, ValueError):
        return 0
    return max(0, int(last) - int(first) + 1 - (1 if int(first) <= int(gateway) <= int(last) else 0))


def _address(text: str) -> Address | None:
    try:
        return ip_addresses.address(text)
    except ValueError:
        return None


def sysctls() -> dict[str, str | None]:
    """Return the kernel's settings that the pod network needs, as text; one that the kernel does not have is None."""
    found: dict[str, str | None] = {}
    for key in SYSCTLS:
        text = files.read_text("/proc/sys/" + key.replace(".", "/"))
        found[key] = None if text is None else text.strip()
    return found
