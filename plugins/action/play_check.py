# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says before anything is changed why a play cannot go on, on the controller; documented in modules/play_check.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import strategy_loader

from ..module_utils._shared.texts import counted, some_of
from ..modules.play_check import OPTIONS
from ..plugin_utils._actions.host_results import Results
from ..plugin_utils._plan import packet_sizes
from ..plugin_utils._plan.problems import SEE

LOCKSTEP = "ansible.builtin.linear"
SHOWN = 20  # hosts that a line names
SHOWN_PROBLEMS = 100


class ActionModule(ActionBase):
    """Runs on the controller only, once for all hosts of a batch."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the hosts that are left."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        active = task_vars["ansible_play_batch"]
        said = [self._strategy() or self._undefined()]
        if not any(said) and args["hosts"] is not None:
            registered = _registered(task_vars, args["hosts"], args["results"])
            said = [failures(registered, set(active))]
            if args["group"] and args["results"]:
                said.append(packet_sizes.losses(_mtus(task_vars, args["group"], args["results"])))
            said.append(deferred(registered))
        if any(said):
            batches = len(task_vars["ansible_play_hosts"]) > len(active)
            start = "Nothing was changed on any node%s, as " % (" of this batch" if batches else "")
            return dict(result, failed=True, msg=start + " Also, ".join(filter(None, said)))
        return dict(result, changed=False, hosts=list(active))

    def _strategy(self) -> str | None:
        """Return what is wrong with the play's strategy, or None."""
        strategy = self._task.get_play().strategy
        found = strategy_loader.get(strategy, class_only=True)
        if issubclass(found, strategy_loader.get(LOCKSTEP, class_only=True)):
            return None
        return (
            "the strategy of this play is %s: one node would be changed while others have yet to be checked. Give the "
            "play strategy: %s" % (strategy, LOCKSTEP)
        )

    def _undefined(self) -> str | None:
        """Return what is wrong with how undefined variables are taken, or None. Since ansible-core 2.19 nothing is."""
        if getattr(self._templar, "_fail_on_undefined_errors", True):
            return None
        return (
            "an undefined variable would be written into files and rules as text: set error_on_undefined_vars "
            "(ANSIBLE_ERROR_ON_UNDEFINED_VARS) to true"
        )


def _registered(task_vars: dict[str, Any], hosts: list[str], name: str | None) -> dict[str, dict[str, Any] | None]:
    """Return what :func:`failures` takes. A host that ``when`` keeps from the role lacks nothing."""
    if not name:
        return dict.fromkeys(hosts)
    results, hostvars = Results(task_vars, name), task_vars["hostvars"]
    found: dict[str, dict[str, Any] | None] = {host: results.of(host) for host in hosts}
    for host in [host for host, result in found.items() if not result and host in task_vars["ansible_play_batch"]]:
        # Ansible sets this on a host that goes on with a rescue section.
        if "ansible_failed_task" not in hostvars.raw_get(host):
            found[host] = None
    return found


def _mtus(task_vars: dict[str, Any], group: str, name: str) -> list[dict[str, Any]]:
    """Return what hosts of *group* have registered of their MTUs in this run, also those of other batches and plays."""
    results = Results(task_vars, name)
    return [end for host in task_vars["groups"].get(group, []) for end in results.of(host).get("mtus") or []]


def deferred(registered: dict[str, dict[str, Any] | None]) -> str | None:
    """Return, each once, the problems that hosts registered without having failed, or None."""
    results = [result for result in registered.values() if result and not result.get("failed")]
    lines = list(dict.fromkeys(line for result in results for line in result.get("problems") or []))
    lines = [line for line in lines if not line.startswith(SEE)] or lines[:1]
    between = "\n" if len(lines) > 1 else " "
    text = "%s must be solved first:%s%s" % (counted(lines), between, some_of(lines, SHOWN_PROBLEMS, between))
    return text if lines else None


def failures(registered: dict[str, dict[str, Any] | None], active: set[str]) -> str | None:
    """Return which hosts have failed, in words, or None. Those that could not be reached have not.

    :param registered: what each host has registered, an empty dict if nothing although it should have, or else None.
    :param active: the hosts that are still in the play.
    """
    refused, early = [], []
    for host, result in registered.items():
        if result and result.get("failed"):
            refused.append(host)
        elif not (result and result.get("unreachable")) and (result == {} or host not in active):
            early.append(host)
    said = ["%s reported problems" % some_of(refused, SHOWN)] if refused else []
    said += ["%s failed before the checks" % some_of(early, SHOWN)] if early else []
    return " and ".join(said) + ", see above." if said else None
