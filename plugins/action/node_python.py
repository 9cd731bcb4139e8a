# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the controller's pyroute2 to a node that has none."""

from __future__ import annotations

from ..plugin_utils._actions.node import NodeAction


class ActionModule(NodeAction):
    """Documented in modules/node_python.py."""

    module = "humanz.cni.node_python"
