# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pod_network_info the paths that this node is asked about, or compares what it says with the plan."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..modules.pod_network_info import OPTIONS
from ..plugin_utils._actions import run_files
from ..plugin_utils._actions.node import NodeAction
from ..plugin_utils._plan import comparison

# As long as the cluster has nodes; the module was asked for them to compare them.
TABLES = ("routes", "foreign_routes")


class ActionModule(NodeAction):
    """Runs the module, unless a file of paths was given and none of them is this node's."""

    module = "humanz.cni.pod_network_info"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._planned: dict[str, Any] | None = None

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's result. With paths, a plan that was given to all modules is left out."""
        given = {name for name in ("paths", "paths_file") if self._task.args.get(name) is not None}
        if len(given) == 2:
            raise AnsibleActionFail("paths, paths_file: give only one of them, as each names the targets")
        if given:
            self._task.args.pop("plan", None)
        return super().run(tmp, task_vars)

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self._planned = part
        options = {"cluster_cidrs": part["cluster_cidrs"]}
        if part["vxlan"]:
            options["vxlan_device"] = part["vxlan"]["device"]
        return options

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        paths_file = args.pop("paths_file", None)
        if paths_file:
            paths = run_files.read(paths_file)["paths"].get(task_vars["inventory_hostname"])
            if not paths:
                # The module, which would say what is wrong with the other options, does not run.
                self.validate_argument_spec(argument_spec=OPTIONS)
                return {"changed": False, "paths": []}
            args["paths"] = paths
        result = super()._call(args, task_vars)
        result.pop("invocation", None)
        if self._planned and "routes" in result:
            result["comparison"] = comparison.compare(self._planned, result)
        for name in () if boolean(args.get("tables", True)) else TABLES:
            result.pop(name, None)
        return result
