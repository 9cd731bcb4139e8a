# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prevResult: what ADD has made, and what other plugins of the list have added to it.

All functions take the decoded ``prevResult`` and raise CNIError 7 for a value that no result can have.
"""

from __future__ import annotations

from ..protocol import versions
from ..protocol.errors import INVALID_CONFIG, CNIError, invalid_config
from ..protocol.result_020 import VERSIONS
from .routes import parse
from .typed import address, field, parse_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..kernel.route import Route
    from ..primitives.address import Network

    Interfaces = dict[tuple[str, str], str]  # hardware addresses by name and sandbox

# keys that only a result of specification 1.1.0 has
_SINCE_1_1 = {
    "interfaces": ("mtu", "socketPath", "pciID"),
    "routes": ("mtu", "advmss", "priority", "table", "scope"),
}


def load(conf: dict[str, Any]) -> dict[str, Any]:
    """Return the ``prevResult`` of the decoded configuration *conf*, which must have one."""
    previous = field(conf, "prevResult", dict, None)
    if previous is None:
        raise CNIError(INVALID_CONFIG, "Required prevResult missing")
    return converted(previous, "prevResult.")


def interfaces(previous: dict[str, Any]) -> Interfaces:
    """Return the hardware addresses of the interfaces, texts, by name and sandbox."""
    found = {}
    for path, one in items(previous, "interfaces"):
        name, mac, sandbox = (field(one, key, str, "", path) for key in ("name", "mac", "sandbox"))
        found[name, sandbox] = mac
    return found


def addresses(previous: dict[str, Any]) -> list[Network]:
    """Return the addresses of all interfaces: Networks with their host bits."""
    return [parse_network(one.get("address"), path + "address") for path, one in items(previous, "ips")]


def routes(previous: dict[str, Any]) -> list[Route]:
    """Return the routes."""
    return [parse(one, path) for path, one in items(previous, "routes")]


def checked(conf: dict[str, Any]) -> dict[str, Any]:
    """Return the ``prevResult`` of the configuration *conf*, if all in it is what it must be. Raises CNIError."""
    previous = load(conf)
    interfaces(previous)
    addresses(previous)
    routes(previous)
    return previous


def merged(result: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
    """Return ADD's document *result* with what *previous*, of a plugin before, has: all of that stays, and comes first.

    Both are in the shape of *result*'s version; without a dns object of its own it has that of *previous*.
    """
    version = versions.parse(result["cniVersion"])
    before = {key: [dict(one) for _path, one in items(previous, key)] for key in ("interfaces", "ips", "routes")}
    for ip in before["ips"]:
        ip.pop("version", None)
        if version < (1, 0, 0):
            ip["version"] = "6" if ":" in str(ip.get("address")) else "4"
    for key, newer in _SINCE_1_1.items() if version < (1, 1, 0) else ():
        before[key] = [{name: one[name] for name in one if name not in newer} for one in before[key]]
    ours = [dict(ip, interface=ip["interface"] + len(before["interfaces"])) for ip in result.get("ips", ())]
    document = {"cniVersion": result["cniVersion"], "interfaces": before["interfaces"] + result["interfaces"]}
    for key, listed in (("ips", before["ips"] + ours), ("routes", before["routes"] + result.get("routes", []))):
        if listed:
            document[key] = listed
    document["dns"] = result["dns"] or field(previous, "dns", dict, {}, "prevResult.")
    return document


def items(result: dict[str, Any], key: str, path: str = "prevResult.") -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of the list *key* of the *result* at *path*, each with the path that leads to its keys."""
    listed = field(result, key, list, [], path)
    for number, one in enumerate(listed):
        if not isinstance(one, dict):
            raise invalid_config("%s%s[%d]" % (path, key, number), one, "it must be an object")
    return [("%s%s[%d]." % (path, key, number), one) for number, one in enumerate(listed)]


def converted(result: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the *result* at *path* of a document with the keys of 0.3.0 and later. Raises CNIError 7.

    A result that has those keys already is returned as it is.
    """
    if not any(key in result for key in VERSIONS):
        return result
    ips, routes = [], []
    for key, version in VERSIONS.items():
        one = field(result, key, dict, None, path)
        if one is None:
            continue
        where = "%s%s." % (path, key)
        ip = {"version": version, "address": str(parse_network(one.get("ip"), where + "ip"))}
        gateway = address(one, "gateway", where)
        ips.append(dict(ip, gateway=str(gateway)) if gateway else ip)
        for of_route, route in items(one, "routes", where):
            parse_network(route.get("dst"), of_route + "dst")
            address(route, "gw", of_route)
            routes.append(route)
    kept = {key: value for key, value in result.items() if key not in VERSIONS}
    return {**kept, "ips": ips, "routes": routes}
