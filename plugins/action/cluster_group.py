# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what plays on the cluster's nodes take from the inventory; documented in modules/cluster_group.py."""

from __future__ import annotations

import re
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._shared.texts import some_of
from ..modules.cluster_group import OPTIONS

GROUP = "pod_network_group"
SERIAL = "pod_network_serial"
SHOWN = 3  # hosts that are named for each value


class ActionModule(ActionBase):
    """Runs on the controller only, once for all hosts."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the group, and the size of batches if there are to be some."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        of_hosts = _of_hosts(task_vars["hostvars"])
        group = choose(GROUP, _text(args["group"]), of_hosts[GROUP]) or "k8s_cluster"
        nodes = task_vars["groups"].get(group, [])
        if not nodes:
            raise AnsibleActionFail(
                "the inventory has no host in a group %s: put the cluster's nodes into it, or set %s to the name of "
                "the group that they are in; and check that -i names the right inventory" % (group, GROUP)
            )
        if not set(nodes) & set(task_vars["ansible_play_hosts_all"]):
            result["warnings"] = ["--limit leaves no host of the group %s" % group]
        serial = choose(SERIAL, _text(args["serial"]), of_hosts[SERIAL])
        return dict(result, changed=False, group=group, **batches(serial))


def choose(variable: str, given: str | None, of_hosts: dict[str, list[str]]) -> str | None:
    """Return the value of *variable*, or None if nobody says one.

    :param given: as the play has it, or None.
    :param of_hosts: the hosts that have each value.
    """
    if given is not None and given not in of_hosts:
        return given
    if len(of_hosts) > 1:
        said = "; ".join("%s on %s" % (value, some_of(hosts, SHOWN)) for value, hosts in of_hosts.items())
        raise AnsibleActionFail(
            "%s: hosts of the inventory have different values: %s. Set the same for all of them, or choose one, "
            "as by -e %s=%s" % (variable, said, variable, next(iter(of_hosts)))
        )
    return next(iter(of_hosts), None)


def batches(serial: str | None) -> dict[str, list[str]]:
    """Return the result's ``serial`` of the value *serial*."""
    if serial is None:
        return {}
    sizes = [size.strip() for size in serial.split(",")]
    if not all(re.fullmatch("[0-9]+%?", size) for size in sizes):
        raise AnsibleActionFail(
            "%s: %s must be a number of nodes, such as 10, a percentage, such as 25%%, or a list of these"
            % (SERIAL, serial)
        )
    return {"serial": sizes}


def _of_hosts(hostvars: Any) -> dict[str, dict[str, list[str]]]:
    """Return of each variable which hosts have each of its values."""
    found: dict[str, dict[str, list[str]]] = {GROUP: {}, SERIAL: {}}
    for host in hostvars:
        # Untemplated, which costs a fraction.
        variables = hostvars.raw_get(host)
        for variable in found:
            if variable in variables:
                found[variable].setdefault(_templated(hostvars[host], host, variable), []).append(host)
    return found


def _templated(variables: Any, host: str, variable: str) -> str:
    try:
        return str(_text(variables.get(variable)))
    except AnsibleError as exc:
        raise AnsibleActionFail("%s of %s cannot be read: %s" % (variable, host, str(exc).splitlines()[0])) from exc


def _text(value: Any) -> str | None:
    """Return *value* so that a list and its items with commas between them are the same."""
    if value is None:
        return None
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
