# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node's part of the plan, and pyroute2 where it is missing, reach a module in one round trip.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ...module_utils._shared import texts
from .._plan.node import node_part
from . import plan_file, pyroute2_archive


class NodeAction(ActionBase):
    """Runs one module on one node.

    The option ``plan`` is a path on the controller; what :meth:`from_plan` makes of the node's part takes its place,
    and options that are given beside it win. Only this node's part travels, and nothing of it comes back: the results
    of a thousand nodes that each echo a thousand routes would not fit into the controller's memory.
    """

    #: The module's fully qualified name.
    module = ""

    #: Options that are in no result, because they may be large.
    hidden: tuple[str, ...] = ()

    #: Whether the module also takes its part of a plan that has problems.
    takes_problems = False

    _supports_check_mode = True

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the module's options, a dict, from this node's *part* of the plan, see ``_plan/node.py``."""
        return {}

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        path = args.pop("plan", None)
        with _without_collections():
            if path and args.get("state", "present") != "absent":
                args = dict(self.from_plan(self._part(path, task_vars), task_vars), **args)
            result.update(self._call(args, task_vars))
        echoed = result.get("invocation", {}).get("module_args", {})
        for option in self.hidden:
            echoed.pop(option, None)
        return result

    def _part(self, path: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        plan, name = plan_file.read(path), task_vars["inventory_hostname"]
        if plan["problems"] and not self.takes_problems:
            raise AnsibleActionFail("plan: has %s, see humanz.cni.cluster_plan" % texts.counted(plan["problems"]))
        if name not in plan["nodes"]:
            raise AnsibleActionFail(
                "%s: is not a node of the plan: add it to the inventory group that cluster_plan was given" % name
            )
        return dict(node_part(plan, name), service_cidrs=plan["service_cidrs"], problems=plan["problems"])

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=self.module, module_args=args, task_vars=task_vars)
        if not result.pop("pyroute2_missing", False):
            return result
        try:
            archive = pyroute2_archive.archive_for(result["python_version"], constants.DEFAULT_LOCAL_TMP)
        except pyroute2_archive.NoArchiveError as exc:
            result.pop("exception", None)
            return dict(result, msg=str(exc))
        args = dict(args, pyroute2_archive=self._transfer(archive))
        return dict(self._execute_module(module_name=self.module, module_args=args, task_vars=task_vars))

    def _transfer(self, path: str) -> str:
        """Copy the file *path* to the task's temporary directory on the node and return where it is."""
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        target = str(shell.join_path(shell.tmpdir, os.path.basename(path)))
        self._transfer_file(path, target)
        self._fixup_perms2((shell.tmpdir, target))
        return target


def as_texts(items: Iterable[dict[str, str]]) -> list[str]:
    """Return dicts of texts as the texts ``key=value key=value``, which a module's list of dicts takes as well.

    Ansible encodes a module's arguments value by value, so that a thousand routes would take longer than all the rest.
    """
    return [" ".join("%s=%s" % pair for pair in item.items()) for item in items]


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the cyclic garbage collector from running.

    The objects of a large plan would set it off in each of Ansible's forks, where going through the inventory of a
    thousand nodes makes the kernel copy most of it: five times the time of all else that is done for a node.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
