# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules have in common that converge a node.

This doc fragment is private to the collection; its interface may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules that use module_utils/_shared/converge.py."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes, or would change in check mode.
    support: full
  platform:
    description: What the node runs.
    support: full
    platforms: linux
"""
