# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives cni_conf this node's pod networks and address."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/cni_conf.py."""

    module = "humanz.cni.cni_conf"

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return {
            "pod_cidrs": part["pod_ranges"],
            "node_ip": part["node_ips"],
            "cluster_cidr": part["cluster_cidrs"][0],
            "mtu_overhead": part["vxlan"]["overhead"] if part["vxlan"] else 0,
        }
