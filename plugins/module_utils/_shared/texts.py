# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that anybody may have written. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations


def counted(problems: list[str]) -> str:
    """Return how many *problems* there are, in words; the lines themselves are a return value of their own."""
    return "%d problem%s" % (len(problems), "" if len(problems) == 1 else "s")


def some_of(items: list[str], most: int, separator: str = ", ") -> str:
    """Return the first *most* of *items* as one text, and how many more there are."""
    more = " and %d more" % (len(items) - most) if len(items) > most else ""
    return separator.join(items[:most]) + more


def printable(text: str) -> str:
    """Return *text* as one line, without what a terminal takes for commands and XML and UTF-8 have no place for."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text)
