# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pod_firewall this node's pod networks, what is not masqueraded, who may call pods, and its VXLAN peers."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/pod_firewall.py."""

    module = "humanz.cni.pod_firewall"
    hidden = ("vxlan_peers",)

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        options = {name: part[name] for name in ("pod_cidrs", "non_masquerade_cidrs", "allowed_sources")}
        if part["vxlan"]:
            peers = [peer["node_ip"] for peer in part["vxlan"]["peers"]]
            options.update(vxlan_port=part["vxlan"]["port"], vxlan_peers=peers)
        return options
