# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pod_probe this run's name and this node's targets, and judges what came of them."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils._actions import run_files
from ..plugin_utils._reachability import checks


class ActionModule(ActionBase):
    """Runs the module in one round trip; a cluster's targets are in no host's variables and in no result."""

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's result, or with ``targets_file`` only how many checks passed and which failed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        args.setdefault("name", "humanz-probe-%s" % run_files.run_id())
        args.setdefault("lifetime", lifetime(len(task_vars["ansible_play_hosts_all"]), task_vars["ansible_forks"]))
        targets_file = args.pop("targets_file", None)
        node = task_vars["inventory_hostname"]
        cluster = run_files.read(targets_file) if targets_file else None
        if cluster:
            args["targets"] = checks.targets_for(cluster, node)
        result.update(self._execute_module(module_name="humanz.cni.pod_probe", module_args=args, task_vars=task_vars))
        result.pop("invocation", None)
        if cluster and "results" in result:
            result.update(checks.judge(cluster, node, result.pop("results")))
        return result


def lifetime(hosts: int, forks: int) -> int:
    """Return for how many seconds a pod must be there until all *hosts* have tried it, *forks* of them at a time."""
    return 120 + 10 * -(-hosts // min(forks, 5))
