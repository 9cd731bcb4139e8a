# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option O(routes), which modules take that act on or look at the static routes to other nodes.

This doc fragment is private to the collection; its interface may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    """The option of the argument specification ROUTES in module_utils/_routing/static_routes.py."""

    DOCUMENTATION = r"""
options:
  routes:
    description: The routes that the node is to have.
    type: list
    elements: dict
    suboptions:
      dst:
        description: The prefix in CIDR notation, such as V(100.100.1.0/24).
        type: str
        required: true
      via:
        description: The address of the next hop, on a network that the node has an interface in, such as V(200.0.0.20).
        type: str
        required: true
      dev:
        description:
          - The interface that the next hop is reached by, although no address of this node is on a network with it,
            such as that of M(humanz.cni.node_vxlan).
          - By default the kernel finds the interface.
        type: str
"""
