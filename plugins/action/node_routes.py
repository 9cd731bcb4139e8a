# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives node_routes the routes to all other nodes' pods, and the networks of which it has only a part."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction, as_texts


class ActionModule(NodeAction):
    """Documented in modules/node_routes.py."""

    module = "humanz.cni.node_routes"
    hidden = ("routes",)

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return {"routes": as_texts(part["routes"]), "unreachable": part["unreachable"]}
