# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods of one node send and another node drops silently, as it is larger than its interface's MTU.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...module_utils._shared.texts import some_of

SHOWN = 20  # interfaces that a line names for each size


def losses(ends: Iterable[dict[str, Any]]) -> str | None:
    """Return in words in which networks packets would be lost, and what would be right, or None.

    :param ends: what node_preflight returned as ``mtus`` on all nodes that were looked at, one after the other.
    """
    networks: dict[str, list[dict[str, Any]]] = {}
    for end in ends:
        networks.setdefault(end["network"], []).append(end)
    lines: dict[str, list[str]] = {}  # interfaces with addresses of both families are in two networks
    for network, members in networks.items():
        sent, taken = max(end["sends"] for end in members), min(end["takes"] for end in members)
        if sent > taken:
            senders = _by_size([end for end in members if end["sends"] > taken], "sends")
            takers = _by_size([end for end in members if end["takes"] < sent], "takes")
            lines.setdefault("pods send %s; %s" % (senders, takers), []).append(network)
    if not lines:
        return None
    said = "; ".join("in %s %s" % (" and ".join(names), line) for line, names in lines.items())
    remedy = "Give these interfaces the same MTU, or set pod_network_mtu to the smallest one for all nodes."
    return "large packets of pods would be lost: %s. %s" % (said, remedy)


def _by_size(ends: list[dict[str, Any]], key: str) -> str:
    found: dict[int, list[str]] = {}
    for end in ends:
        found.setdefault(end[key], []).append("%s of %s" % (end["device"], end["node"]))
    if key == "sends":
        return ", ".join(
            "up to %d bytes by %s" % (size, some_of(found[size], SHOWN)) for size in sorted(found, reverse=True)
        )
    return ", ".join("at most %d bytes pass %s" % (size, some_of(found[size], SHOWN)) for size in sorted(found))
