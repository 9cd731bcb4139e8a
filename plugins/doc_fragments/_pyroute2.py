# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules need that read the kernel.

This doc fragment is private to the collection; its interface may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    """The requirement of modules that import module_utils/_shared/kernel.py."""

    DOCUMENTATION = r"""
options:
  pyroute2_archive:
    description: Where the controller's copy of pyroute2 lies on a node without it. The action plugin fills it in.
    type: path
requirements:
  - pyroute2 >= 0.6 on the node or, if it is not there, >= 0.7 on the controller
notes:
  - A node without pyroute2 is served with the controller's own copy, see M(humanz.cni.node_python).
"""
