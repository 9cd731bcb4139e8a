# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's VXLAN interface and the static entries of its peers, as lines for ``ip -batch`` and ``bridge -batch``.

Nothing of it is learned: where a peer is, and which MAC address it has there, is said by the plan. An interface is ours
if it is VXLAN and has our alias.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from .._shared import marked_files, option_checks
from .._shared.converge import ConvergeError, Resource

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ALIAS = "humanz-cni"
# Replayed by `ip -force -batch` and `bridge -force -batch`, one after the other.
FILES = {"ip": "/etc/humanz-cni/vxlan", "bridge": "/etc/humanz-cni/vxlan-fdb"}
ROUTES = "/etc/humanz-cni/routes"  # of node_routes, which also name the interface


class State(NamedTuple):
    """*ip* and *bridge* are the lines that make what there is; *files* maps a path to a text or None."""

    ip: list[str]
    bridge: list[str]
    files: dict[str, str | None]


def is_ours(kind: str | None, alias: str | None) -> bool:
    """Return whether an interface of the *kind* and with the *alias*, texts, is one of ours."""
    return kind == "vxlan" and alias == ALIAS


def link_lines(device: str, mac: str, vni: int, node_ip: str, port: int, mtu: int) -> list[str]:
    """Return the ``ip`` lines that make the interface; only the first would make it anew."""
    added = "link add %s address %s type vxlan id %d local %s dstport %d nolearning" % (device, mac, vni, node_ip, port)
    return [added] + ["link set %s %s" % (device, what) for what in ("alias %s" % ALIAS, "mtu %d" % mtu, "up")]


def address_line(device: str, address: str) -> str:
    """Return the ``ip`` line that gives the interface an *address* of its own, without a network."""
    return "address add %s/%d dev %s" % (address, 128 if ":" in address else 32, device)


def neighbour_line(device: str, address: str, mac: str) -> str:
    """Return the ``ip`` line that says which MAC address a peer has on the interface."""
    return "neigh replace %s lladdr %s dev %s nud permanent" % (address, mac, device)


def fdb_line(device: str, mac: str, node_ip: str) -> str:
    """Return the ``bridge`` line that says to which node packets for the MAC address are sent."""
    return "fdb replace %s dev %s dst %s self permanent" % (mac, device, node_ip)


def removal(line: str) -> str | None:
    """Return the line that takes away what *line* makes; None if that goes with something else, or by its opposite."""
    words = line.split()
    if words[:2] == ["link", "add"]:
        return "link delete %s" % words[2]
    if words[0] == "address":
        return line.replace(" add ", " delete ", 1)
    if words[0] == "neigh":
        return "neigh delete %s dev %s" % (words[2], words[words.index("dev") + 1])
    if words[0] == "fdb":
        return line.replace("replace", "delete", 1).replace(" permanent", "")
    return None


def changes(actual: State, desired: State) -> list[list[str]]:
    """Return the lines for ``ip`` and those for ``bridge`` that lead from *actual* to *desired*, both State.

    An interface that must be made anew takes all that it has along.
    """
    remade = {line.split()[2] for line in actual.ip if line.startswith("link add ") and line not in desired.ip}
    lines: list[str | None] = ["link delete %s" % device for device in sorted(remade)]
    found = []
    for had, wanted in ((actual.ip, desired.ip), (actual.bridge, desired.bridge)):
        left = [line for line in had if not remade & set(line.split())]
        lines += [line for line in wanted if line not in left]
        gone = _keys(left) - _keys(wanted)
        lines += [removal(line) for line in left if _key(line) in gone]
        found.append([line for line in lines if line])
        lines = []
    return found


def _key(line: str) -> tuple[str, ...]:
    """Return what a line is about: a replaced neighbour needs no removal, and one of another name does."""
    words = line.split()
    return tuple(words[:1] + words[2:3]) if words[0] != "link" else (line,)


def _keys(lines: Iterable[str]) -> set[tuple[str, ...]]:
    return {_key(line) for line in lines}


class Vxlan(Resource):
    """The interface that is wanted, or none, and its files.

    :param module: the AnsibleModule, whose option ``peers`` lists ``{node_ip, mac, neighbours}``.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._ip = module.get_bin_path("ip", required=True)
        # To remove the interface takes its entries along.
        self._bridge = module.get_bin_path("bridge", required=module.params["state"] == "present")

    def read(self) -> State:
        ip: list[str] = []
        bridge: list[str] = []
        for link in self._json(self._ip, "-d", "link", "show", "type", "vxlan"):
            if is_ours("vxlan", link.get("ifalias")):
                ip += self._ip_lines(link)
                bridge += self._bridge_lines(link["ifname"])
        return State(ip, bridge, {path: marked_files.read(path) for path in FILES.values()})

    def _ip_lines(self, link: dict[str, Any]) -> list[str]:
        data, device = link["linkinfo"]["info_data"], link["ifname"]
        node_ip = data.get("local") or data.get("local6") or "any"
        lines = link_lines(device, link["address"], data["id"], node_ip, data["port"], link["mtu"])
        if data.get("learning"):
            lines[0] = lines[0].replace(" nolearning", "")
        if "UP" not in link["flags"]:
            lines.pop()
        for found in self._json(self._ip, "address", "show", "dev", device, "scope", "global"):
            lines += [address_line(device, one["local"]) for one in found.get("addr_info", [])]
        entries = self._json(self._ip, "neigh", "show", "dev", device, "nud", "permanent")
        return lines + sorted(neighbour_line(device, entry["dst"], entry["lladdr"]) for entry in entries)

    def _bridge_lines(self, device: str) -> list[str]:
        entries = self._json(self._bridge, "fdb", "show", "dev", device) if self._bridge else []
        return sorted(fdb_line(device, entry["mac"], entry["dst"]) for entry in entries if "dst" in entry)

    def desired(self, actual: State) -> State:
        params = self._module.params
        if params["state"] == "absent":
            return State([], [], dict.fromkeys(FILES.values()))
        device = option_checks.device("device", params["device"])
        there = any(line.startswith("link add %s " % device) for line in actual.ip)
        if not there and os.path.exists("/sys/class/net/%s" % device):
            raise ConvergeError(
                "pod_network_vxlan_device %s: is another program's interface: remove it, or choose another name"
                % device
            )
        node_ip, mac = (
            option_checks.addresses("node_ip", [params["node_ip"]])[0],
            option_checks.mac("mac", params["mac"]),
        )
        ip = link_lines(device, mac, params["vni"], node_ip, params["port"], self._mtu(node_ip))
        ip += [address_line(device, address) for address in option_checks.addresses("addresses", params["addresses"])]
        hops, bridge = [], []
        for peer in params["peers"]:
            mac = option_checks.mac("peers: mac", peer["mac"])
            hops += [(hop, mac) for hop in option_checks.addresses("peers: neighbours", peer["neighbours"])]
            bridge.append(fdb_line(device, mac, option_checks.addresses("peers: node_ip", [peer["node_ip"]])[0]))
        ip += sorted(neighbour_line(device, *hop) for hop in hops)
        bridge.sort()
        texts = {FILES["ip"]: ip, FILES["bridge"]: bridge}
        return State(ip, bridge, {path: marked_files.compose("node_vxlan", lines) for path, lines in texts.items()})

    def _mtu(self, node_ip: str) -> int:
        """Return what is left of the MTU of the interface that holds the node IP."""
        for found in self._json(self._ip, "address", "show", "to", node_ip):
            if found.get("addr_info"):
                return int(found["mtu"] - self._module.params["overhead"])
        raise ConvergeError(
            "node_ip: no interface of this node has the address %s: it must be one of its own" % node_ip
        )

    def render(self, state: State) -> str:
        return "".join("%s\n" % line for line in state.ip + state.bridge)

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        return {
            "device": next((line.split()[2] for line in desired.ip if line.startswith("link add ")), ""),
            "peers": len(desired.bridge),
        }

    def apply(self, actual: State, desired: State) -> None:
        for path, text in desired.files.items():
            if text != actual.files[path]:
                marked_files.write(path, text)
        for command, lines in zip((self._ip, self._bridge), changes(actual, desired)):
            self._batch(command, lines)

    def undo(self, before: State) -> None:
        """Undo the change, and put back the routes that the kernel has dropped with an interface."""
        actual = self.read()
        self.apply(actual, before)
        dropped = {line.split()[2] for line in before.ip if line.startswith("link add ") and line not in actual.ip}
        routes = (marked_files.read(ROUTES) or "").splitlines() if dropped else []
        self._batch(self._ip, [line for line in routes if dropped & set(line.split())], "-force")

    def _batch(self, command: str | None, lines: list[str], *options: str) -> None:
        if command is None or not lines:
            return
        code, _out, err = self._module.run_command([command, *options, "-batch", "-"], data="\n".join(lines) + "\n")
        if code:
            raise ConvergeError("%s -batch: %s" % (os.path.basename(command), " ".join(err.split())))

    def _json(self, command: str, *arguments: str) -> list[dict[str, Any]]:
        code, out, err = self._module.run_command([command, "-j", *arguments])
        if code:
            raise ConvergeError("%s %s: %s" % (os.path.basename(command), " ".join(arguments), err.strip()))
        # ip of Debian 12 shows links that are filtered out as empty objects.
        return [entry for entry in json.loads(out or "[]") if entry]
