# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of one repair."""

from __future__ import annotations


class Outcome:
    """What came of one attempt, texts: what was put back, what can't be, what may be later, and what drops pods."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.wrong: list[str] = []
        self.later: list[str] = []
        self.closed: list[str] = []
