# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all hosts of a play registered, for actions that run once and bring it together.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import Any

NO_PART = "it took no part in this run: it failed or was unreachable before"


class Results:
    """The results that all hosts of the play registered under one name."""

    def __init__(self, task_vars: dict[str, Any], name: str) -> None:
        self._hostvars = task_vars["hostvars"]
        self._name = name
        self.hosts = task_vars["ansible_play_hosts_all"]

    def of(self, host: str) -> dict[str, Any]:
        """Return the result of *host*, or an empty one."""
        result: dict[str, Any] = self._hostvars.raw_get(host).get(self._name) or {}
        return result


def why_not(result: dict[str, Any]) -> str:
    """Return in one line why a host has not the *result* that it should have."""
    return " ".join(str(result.get("msg") or NO_PART).split())
