# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How files of the collection reach a module in its one round trip, and stay out of its result.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

FILES = Path(__file__).resolve().parents[3] / "files"


class FilesAction(ActionBase):
    """Runs one module on one node."""

    #: The module's fully qualified name.
    module = ""

    #: The option that takes the files.
    option = ""

    _supports_check_mode = True

    def content(self) -> Any:
        """Return the files as the module's option takes them."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args.get("state", "present") == "present":
            args.setdefault(self.option, self.content())
        result.update(self._execute_module(module_name=self.module, module_args=args, task_vars=task_vars))
        result.get("invocation", {}).get("module_args", {}).pop(self.option, None)
        return result
