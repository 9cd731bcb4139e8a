# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option O(plan), which modules take that act on one node's part of the cluster's plan.

This doc fragment is private to the collection; its interface may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules whose action plugin is built on plugin_utils/_actions/node.py."""

    DOCUMENTATION = r"""
options:
  plan:
    description:
      - The path, on the controller, of the cluster's plan as returned by M(humanz.cni.cluster_plan).
      - The action plugin of the same name reads this node's part of it, and passes on what the module needs.
        Options that are given beside it win.
    type: str
"""
