# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to no node at all: every module is answered at once, so that the controller's own work is left."""

from __future__ import annotations

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: no_node
short_description: Answer every module at once
description: Does nothing, and says that nothing was changed.
author: The humanz.cni maintainers
options: {}
"""


class Connection(ConnectionBase):
    """Takes modules by its standard input, as SSH with pipelining does."""

    transport = "no_node"
    has_pipelining = True
    always_pipeline_modules = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        return 0, b'{"changed": false}\n', b""

    def put_file(self, in_path: str, out_path: str) -> None:
        """Take a file."""

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise NotImplementedError("there is no file to fetch")

    def close(self) -> None:
        self._connected = False
