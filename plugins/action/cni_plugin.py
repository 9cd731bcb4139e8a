# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the plugin's source along with the one call of the module."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

from ansible.plugins.action import ActionBase

SOURCE = Path(__file__).resolve().parents[2] / "files" / "humanz_cni"


class ActionModule(ActionBase):
    """Runs the module in one round trip; the source is in no result."""

    def run(self, tmp=None, task_vars=None):
        """Return the module's result."""
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args.get("state", "present") == "present":
            args.setdefault("source", pack(SOURCE))
        result.update(self._execute_module(module_name="humanz.cni.cni_plugin", module_args=args, task_vars=task_vars))
        result.get("invocation", {}).get("module_args", {}).pop("source", None)
        return result


def pack(directory):
    """Return the Python modules in *directory* and below as the module's option ``source`` takes them."""
    paths = sorted(directory.rglob("*.py"))
    files = {path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return base64.b64encode(zlib.compress(json.dumps(files).encode("utf-8"), 9)).decode("ascii")
