# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the program that heals, and its units, along with the one call of the module."""

from __future__ import annotations

from pathlib import Path

from ..plugin_utils._actions.node_files import FILES, FilesAction

SOURCE = FILES / "host_network"


class ActionModule(FilesAction):
    """Documented in modules/node_persistence.py."""

    module = "humanz.cni.node_persistence"
    option = "files"

    def content(self) -> dict[str, str]:
        return read(SOURCE)


def read(directory: Path) -> dict[str, str]:
    """Return the programs and the units in *directory* as the module's option ``files`` takes them: texts by path."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(directory)): path.read_text(encoding="utf-8") for path in paths}
