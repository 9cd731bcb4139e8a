# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that the roles' argument specifications refuse, in a line each: Ansible prints the specification along.

Templates are left to Ansible, which checks all variables of a role on each host.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._shared.texts import some_of
from .inventory_values import ROLES

SHOWN = 20  # hosts that a line names
REMEDIES = {"int": "a whole number", "bool": "true or false"}


def specification(loader: Any, roles: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the variables of *roles* of this collection that not every text can be; *loader* is an action's."""
    found: dict[str, dict[str, Any]] = {}
    for role in roles:
        path = os.path.join(ROLES, role, "meta", "argument_specs.yml")
        if os.path.exists(path):
            found.update(loader.load_from_file(path)["argument_specs"]["main"]["options"])
    return {name: one for name, one in found.items() if one["type"] in REMEDIES or "choices" in one}


def problems(specified: dict[str, dict[str, Any]], variables: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line for each value in *variables*, host by host and not templated, that *specified* does not allow."""
    known: dict[tuple[str, str], str | None] = {}
    hosts: dict[str, list[str]] = {}
    for host, values in variables.items():
        for name in [name for name in specified if name in values]:
            key = name, repr(values[name])
            if key not in known:
                known[key] = _problem(name, values[name], specified[name])
            text = known[key]
            if text:
                hosts.setdefault(text, []).append(host)
    return ["%s: %s" % (some_of(names, SHOWN), text) for text, names in sorted(hosts.items())]


def _problem(name: str, value: Any, specified: dict[str, Any]) -> str | None:
    if not isinstance(value, (str, int, float)) or "{{" in str(value) or "{%" in str(value):
        return None
    spec = {name: {key: specified[key] for key in ("type", "choices") if key in specified}}
    if not ArgumentSpecValidator(spec).validate({name: value}).error_messages:
        return None
    choices = specified.get("choices")
    remedy = "one of " + ", ".join(map(str, choices)) if choices else REMEDIES[specified["type"]]
    return "%s %s: must be %s" % (name, value, remedy)
