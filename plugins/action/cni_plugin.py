# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the plugin's source along with the one call of the module."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

from ..plugin_utils._actions.node_files import FILES, FilesAction

SOURCE = FILES / "humanz_cni"


class ActionModule(FilesAction):
    """Documented in modules/cni_plugin.py."""

    module = "humanz.cni.cni_plugin"
    option = "source"

    def content(self) -> str:
        return pack(SOURCE)


def pack(directory: Path) -> str:
    """Return the Python modules in *directory* and below as the module's option ``source`` takes them."""
    paths = sorted(directory.rglob("*.py"))
    files = {path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return base64.b64encode(zlib.compress(json.dumps(files).encode("utf-8"), 9)).decode("ascii")
