# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the picture of the pod network, on the controller; documented in modules/cluster_picture.py."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._shared.files import read_text
from ..modules.cluster_picture import OPTIONS
from ..plugin_utils._actions import controller_files, host_results, plan_file, run_files
from ..plugin_utils._picture import page

# Of what pod_network_info returned.
SHOWN = ("pool", "comparison")


class ActionModule(ActionBase):
    """Runs on the controller only, once for all hosts."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        table = _table(args["table"])
        registered = host_results.Results(task_vars, args["results"])
        picture = page.render(
            {
                **table,
                "plan": plan_file.read(args["plan"]) if args["plan"] else None,
                "plan_error": args["plan_error"],
                "nodes": {name: _node(registered.of(name)) for name in table["cluster"]["nodes"]},
            }
        )
        result.update(changed=False, diff=[], headline=picture["headline"])
        for option, text in (("path", picture["html"]), ("svg", picture["svg"])):
            if args[option]:
                # Relative ones are the user's, as on the command line.
                self._converge(option, args[option], text, result)
        return result

    def _converge(self, option: str, path: str, text: str, result: dict[str, Any]) -> None:
        """Write *text* to the file *path* unless it is there; add to *result* where that is, and what that changes.

        The file's date is always that of the last run, as nothing in it tells.
        """
        try:
            result[option] = path = controller_files.resolved(path)
            had = read_text(path)
            if not self._task.check_mode:
                put = controller_files.refresh if had == text else controller_files.write
                put(path, text)
        except (OSError, ValueError) as exc:
            raise AnsibleActionFail("%s: %s cannot be written: %s" % (option, path, exc)) from exc
        if had != text:
            result["changed"] = True
            if self._task.diff:
                result["diff"].append(_difference(path, had or "", text))


def _table(path: str) -> dict[str, Any]:
    """Return ``{"cluster", "failures"}`` of the file *path*."""
    try:
        table = run_files.read(path)
        return {"cluster": table["cluster"], "failures": table["failures"]}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise AnsibleActionFail(
            "table: %s is not a table (%s: %s): it takes the file that humanz.cni.pod_reachability returned in this "
            "run, with stage: table" % (path, type(exc).__name__, exc)
        ) from exc


def _node(registered: dict[str, Any]) -> dict[str, Any]:
    """Return what the picture shows of what one host registered."""
    found = {name: registered[name] for name in SHOWN if name in registered}
    return found or {"error": host_results.why_not(registered)}


def _difference(path: str, before: str, after: str) -> dict[str, Any]:
    """Return the difference in the form that callbacks show, without texts that are too long for them."""
    largest = constants.MAX_FILE_SIZE_FOR_DIFF
    if max(len(before), len(after)) > largest:
        return {"dst_larger": largest, "after_header": path}
    return {"before": before, "after": after, "before_header": path, "after_header": path}
