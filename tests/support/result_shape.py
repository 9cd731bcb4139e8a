# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CNI specification says a result of ADD looks like, version by version, written down by hand."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_KEYS = {"cniVersion", "interfaces", "ips", "routes", "dns"}
_ROUTE_KEYS = {"1.1.0": {"dst", "gw", "mtu", "advmss", "priority", "table", "scope"}}


def problems(result: Any, version: str) -> list[str]:
    """Return what is wrong with *result* as the result of an ADD by configuration *version*; nothing if it is right."""
    if not isinstance(result, dict):
        return ["it is no object"]
    found = ["unknown key %s" % key for key in result.keys() - _KEYS]
    if result.get("cniVersion") != version:
        found.append("cniVersion is %r" % result.get("cniVersion"))
    interfaces = result.get("interfaces", [])
    found += [problem for one in interfaces for problem in _interface(one)]
    found += [problem for one in result.get("ips", []) for problem in _ip(one, version, len(interfaces))]
    found += [problem for one in result.get("routes", []) for problem in _route(one, version)]
    if not isinstance(result.get("dns", {}), dict):
        found.append("dns is no object")
    return found


def _interface(one: Any) -> list[str]:
    found = ["interface has key %s" % key for key in one.keys() - {"name", "mac", "sandbox"}]
    if not isinstance(one.get("name"), str) or not one["name"]:
        found.append("interface without name")
    if not _MAC.fullmatch(one.get("mac", "")):
        found.append("interface has mac %r" % one.get("mac"))
    if not isinstance(one.get("sandbox", ""), str):
        found.append("sandbox is no string")
    return found


def _ip(one: Any, version: str, interfaces: int) -> list[str]:
    keys = {"address", "gateway", "interface"} | ({"version"} if version < "1" else set())
    found = ["ip has key %s" % key for key in one.keys() - keys]
    interface = ipaddress.ip_interface(one["address"])
    if version < "1" and one.get("version") != str(interface.version):
        found.append("ip has version %r" % one.get("version"))
    if "/" not in one["address"]:
        found.append("address %s has no prefix length" % one["address"])
    if not isinstance(one.get("interface"), int) or not 0 <= one["interface"] < interfaces:
        found.append("ip has interface %r" % one.get("interface"))
    if "gateway" in one and ipaddress.ip_address(one["gateway"]).version != interface.version:
        found.append("gateway %s is of another family" % one["gateway"])
    return found


def _route(one: Any, version: str) -> list[str]:
    found = ["route has key %s" % key for key in one.keys() - _ROUTE_KEYS.get(version, {"dst", "gw"})]
    dst = ipaddress.ip_network(one["dst"])
    if "gw" in one and ipaddress.ip_address(one["gw"]).version != dst.version:
        found.append("route %s has a gateway of another family" % dst)
    return found
