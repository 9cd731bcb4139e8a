# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a cluster from being planned. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections import namedtuple

SEE = "cluster: the plan has problems: see "  # what a node says that has none itself, and the names of those that have


class Problem(namedtuple("Problem", "node value remedy")):
    """What is wrong.

    *node* is an inventory name or "cluster", *value* names variable and value, *remedy* says what would be right.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "%s: %s: %s" % self


class Unreadable(namedtuple("Unreadable", "reason")):
    """In place of a variable's value: why the inventory does not give one, a text."""

    __slots__ = ()
