# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pod_bridge the node's pod CIDRs, and the networks that they are parts of."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/pod_bridge.py."""

    module = "humanz.cni.pod_bridge"

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return {name: part[name] for name in ("pod_cidrs", "pod_ranges", "cluster_cidrs")}
