# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of specification 0.1.0 and 0.2.0: no interfaces, and one address of each family, ``ip4`` and ``ip6``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSIONS = {"ip4": "4", "ip6": "6"}


def written(result: dict[str, Any]) -> dict[str, Any]:
    """Return the *result*, which has the keys of 0.3.0, with those of 0.2.0: the first address of each family."""
    document: dict[str, Any] = {"cniVersion": result["cniVersion"]}
    for key, version in VERSIONS.items():
        ip = next((one for one in result["ips"] if one["version"] == version), None)
        if ip is None:
            continue
        document[key] = {"ip": ip["address"]}
        if ip.get("gateway"):
            document[key]["gateway"] = ip["gateway"]
        routes = [route for route in result.get("routes", ()) if (":" in route["dst"]) == (version == "6")]
        if routes:
            document[key]["routes"] = routes
    document["dns"] = result["dns"]
    return document
