# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pod_network_info the paths that this node's tables are to be asked about."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.humanz.cni.plugins.plugin_utils import _reachability_files


class ActionModule(ActionBase):
    """Runs the module, unless a file of paths was given and none of them is this node's."""

    def run(self, tmp=None, task_vars=None):
        """Return the module's result."""
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        paths_file = args.pop("paths_file", None)
        if paths_file:
            paths = _reachability_files.read(paths_file)["paths"].get(task_vars["inventory_hostname"])
            if not paths:
                return dict(result, changed=False, paths=[])
            args["paths"] = paths
        result.update(
            self._execute_module(module_name="humanz.cni.pod_network_info", module_args=args, task_vars=task_vars)
        )
        result.pop("invocation", None)
        return result
