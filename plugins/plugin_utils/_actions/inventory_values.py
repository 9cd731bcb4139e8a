# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory gives hosts, also those that ``--limit`` leaves out, and what roles give where it gives nothing.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleError

from .._plan.problems import Unreadable

ROLES = os.path.join(os.path.dirname(__file__), "..", "..", "..", "roles")


def values_of(task_vars: dict[str, Any], hosts: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the variables *names* of each of *hosts*, by its name; only those are templated."""
    hostvars, names = task_vars["hostvars"], list(names)
    return {
        host: {name: _value(variables, name) for name in names}
        for host, variables in ((host, hostvars[host]) for host in hosts)
    }


def _value(variables: Any, name: str) -> Any:
    """Return one variable of a host; a template that fails is that host's problem, not the end of the run."""
    try:
        value = variables.get(name)
        return list(value) if isinstance(value, list) else value  # its items may be templates too
    except AnsibleError as exc:
        return Unreadable(str(exc).splitlines()[0])


def role_defaults(loader: Any, *roles: str) -> dict[str, Any]:
    """Return the defaults of *roles* of this collection, not templated; *loader* is an action's DataLoader."""
    defaults: dict[str, Any] = {}
    for role in roles:
        defaults.update(loader.load_from_file(os.path.join(ROLES, role, "defaults", "main.yml")))
    return defaults
