# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cni_plugin, run on a node."""

from __future__ import annotations

from typing import Any

from ansible_collections.humanz.cni.plugins.action.cni_plugin import pack
from tests.support import installed_plugin
from tests.support.netns.node import Node

EXECUTABLE = "/opt/cni/bin/humanz-cni"
COMMAND = "/usr/local/sbin/humanz-cni-ctl"
LIBRARY = "/usr/local/lib/humanz-cni"


def present(node: Node, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
    """Run the module with state=present, which must succeed."""
    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE), **args}, check=check, diff=diff)
    assert not result.get("failed"), result
    return result


def absent(node: Node, **args: Any) -> dict[str, Any]:
    """Run the module with state=absent."""
    return node.module("cni_plugin", {"state": "absent", **args})


def tree(node: Node) -> str:
    """Return all files and directories that an installation may touch, with permissions and digests."""
    places = f"/opt/cni {LIBRARY} {COMMAND}"
    shell = (
        f"find {places} -printf '%M %u %p\\n' 2>/dev/null | sort;"
        f"find {places} -type f -exec sha256sum {{}} + 2>/dev/null | sort; true"
    )
    return node.run("sh", "-c", shell).stdout
