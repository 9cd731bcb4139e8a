# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the packets are that a node's pods would send to other nodes, and that it takes from theirs.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from .._shared import option_checks
from .._shared.converge import ConvergeError
from .._shared.kernel import Kernel

EVERY_HOST = 576  # bytes of a packet that each must be able to take by IPv4, RFC 791
WITHOUT = 1500  # bytes that an interface has of itself, where the configuration names none


def of_node(node: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``[{"node", "network", "device", "sends", "takes"}]``, one for each interface that holds a node IP.

    :param params: of node_preflight: node_ips, mtu, mtu_overhead, format, pod_cidrs.
    Raises ConvergeError if the pods' MTU, which is that of an interface, is too small for their addresses.
    """
    with Kernel() as kernel:
        sizes = {link.name: link.mtu for link in kernel.links()}
        held = [found for family in (socket.AF_INET, socket.AF_INET6) for found in kernel.addresses(family)]
    found = [address for address in held if address.address in params["node_ips"]]
    if not found:
        return []
    smallest = min(found, key=lambda address: sizes[address.device])
    pods = _of_pods(params, sizes[smallest.device])
    if not params["mtu"] and params["format"] != "conf":
        _require(pods, smallest.device, params["pod_cidrs"])
    return [
        {
            "node": node,
            "network": str(ipaddress.ip_interface("%s/%d" % (each.address, each.prefixlen)).network),
            "device": each.device,
            "sends": min(pods, sizes[each.device]),
            "takes": sizes[each.device],
        }
        for each in found
    ]


def doubts(params: dict[str, Any], found: list[dict[str, Any]]) -> list[str]:
    """Return what is to be thought over about the MTU that *params* name, a text each.

    :param found: what :func:`of_node` returned.
    """
    mtu = 0 if params["format"] == "conf" else params["mtu"]
    texts = []
    if 0 < mtu < EVERY_HOST:
        texts.append("pod_network_mtu %d: is smaller than the %d bytes of RFC 791" % (mtu, EVERY_HOST))
    for end in found:
        most = end["takes"] - params["mtu_overhead"]
        if mtu > most:
            texts.append(
                "pod_network_mtu %d: %s of this node passes at most %d bytes of a pod's packet: larger ones are split, "
                "or dropped and reported to the pod: set it to %d or less" % (mtu, end["device"], most, most)
            )
    return list(dict.fromkeys(texts))


def _of_pods(params: dict[str, Any], smallest: int) -> int:
    if params["format"] == "conf":
        return WITHOUT
    return int(params["mtu"] or smallest - params["mtu_overhead"])


def _require(pods: int, device: str, pod_cidrs: list[str]) -> None:
    try:
        option_checks.mtu("mtu", pods, pod_cidrs)
    except ConvergeError as exc:
        text = "pod_network_mtu 0: the pods' MTU, that of %s less what tunnels need, is too small: %s"
        raise ConvergeError(text % (device, exc)) from exc
