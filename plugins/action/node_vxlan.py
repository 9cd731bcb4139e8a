# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives node_vxlan the interface that the plan has for this node, or none."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/node_vxlan.py."""

    module = "humanz.cni.node_vxlan"
    hidden = ("peers",)

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return part["vxlan"] or {"state": "absent"}
