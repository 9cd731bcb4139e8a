# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight, called for a node."""

from __future__ import annotations

from typing import Any

from tests.support.netns.node import Node

PART: dict[str, Any] = {
    "node": "n1",
    "pod_cidrs": ["100.100.0.0/24"],
    "cluster_cidrs": ["100.100.0.0/16", "fd00:100::/56"],
    "node_ips": ["200.0.0.10"],
    "routes": [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}],
}


def problems(node: Node, **changes: Any) -> list[str]:
    """Return what it finds on *node*, whose part of the plan is PART with *changes*; it changes nothing."""
    how = {key: changes.pop(key) for key in ("path", "python") if key in changes}
    # IPv6 routes come by themselves, once link-local addresses are no longer tentative.
    before = node.ip("-4 route show table all")
    result = node.module("node_preflight", {**PART, **changes}, **how)
    assert node.ip("-4 route show table all") == before
    assert not result.get("changed")
    assert bool(result["problems"]) == bool(result.get("failed"))
    found = result["problems"]
    assert isinstance(found, list)
    if found:
        assert not [line for line in found if line in result["msg"]]
    return found
