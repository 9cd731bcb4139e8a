# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives node_kernel this node's pod networks, whose families the kernel is to forward, and the number of its peers."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/node_kernel.py."""

    module = "humanz.cni.node_kernel"
    hidden = ("next_hops",)

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        next_hops = {route["via"] for route in part["routes"]}
        of_ipv6 = sum(":" in address for address in next_hops)
        return {
            "pod_cidrs": part["pod_ranges"],
            "neighbours": max(of_ipv6, len(next_hops) - of_ipv6),
            # A list's text, as Ansible encodes arguments value by value.
            "next_hops": ",".join(sorted({route["via"] for route in part["routes"] if not route.get("dev")})) or [],
            "devices": [part["vxlan"]["device"]] if part["vxlan"] else [],
        }
