# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of ADD, in the shape of each version of the specification."""

from __future__ import annotations

from ..kernel import links
from ..kernel.owner import ALIAS
from ..protocol import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..config.netconf import NetConf
    from ..ipam.allocate import Assignment
    from ..kernel.netlink import Socket
    from ..kernel.owner import Owner
    from ..kernel.route import Route

    Interface = tuple[str, bytes, str]  # name, hardware address, sandbox or an empty text

CONTAINER = 2  # where the pod's interface stands in the result's interfaces


def document(
    conf: NetConf, interfaces: list[Interface], chosen: list[Assignment], routes: list[Route], dns: dict[str, Any]
) -> dict[str, Any]:
    """Return the result for *conf*.

    :param interfaces: (name, hardware address as bytes, sandbox or "") of bridge, host's end and pod's end.
    :param chosen: the pod's addresses (Assignments); gateways are given where the bridge or the ranges have them.
    :param routes: the pod's routes.
    :param dns: the dns object, possibly empty.
    """
    version = versions.parse(conf.cni_version)
    result: dict[str, Any] = {"cniVersion": conf.cni_version, "interfaces": [_interface(*one) for one in interfaces]}
    if chosen:
        result["ips"] = [_ip(one, version < (1, 0, 0)) for one in chosen]
    if routes:
        result["routes"] = [route.document(version >= (1, 1, 0)) for route in routes]
    result["dns"] = dns
    return result


def interfaces(sock: Socket, of_bridge: links.Link, of_owner: Owner, pod: Interface, gateway: str) -> list[Interface]:
    """Return the interfaces that :func:`document` takes.

    :param of_bridge: as it was found, or made.
    :param gateway: the name of the node's own interface in the pod's VLAN, empty if there is none.
    """
    if of_bridge.alias != ALIAS:  # somebody else's may take its address from its ports
        of_bridge = links.require(sock, of_bridge.name)
    found = [(of_bridge.name, of_bridge.mac, ""), (of_owner.host_veth, of_owner.host_mac, ""), pod]
    if gateway:
        link = links.require(sock, gateway)
        found.append((link.name, link.mac, ""))
    return found


def _interface(name: str, mac: bytes, sandbox: str) -> dict[str, str]:
    document = {"name": name, "mac": links.show_mac(mac)}
    if sandbox:
        document["sandbox"] = sandbox
    return document


def _ip(assignment: Assignment, versioned: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"version": "4" if assignment.address.bits == 32 else "6"} if versioned else {}
    document.update(interface=CONTAINER, address=assignment.text)
    if assignment.range.gateway:
        document["gateway"] = str(assignment.range.gateway)
    return document
