# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the program that heals, and its units, along with the one call of the module."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.action import ActionBase

SOURCE = Path(__file__).resolve().parents[2] / "files" / "host_network"


class ActionModule(ActionBase):
    """Runs the module in one round trip; the files are in no result."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Return the module's result."""
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args.get("state", "present") == "present":
            args.setdefault("files", read(SOURCE))
        module = "humanz.cni.node_persistence"
        result.update(self._execute_module(module_name=module, module_args=args, task_vars=task_vars))
        result.get("invocation", {}).get("module_args", {}).pop("files", None)
        return result


def read(directory):
    """Return the program and the units in *directory* as the module's option ``files`` takes them."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.iterdir()) if path.is_file()}
