# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that say who gives addresses and where their records are, as DEL and GC read them.

Both work whatever has become of the configuration: nothing here raises.
"""

from __future__ import annotations

from ..primitives import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DATA_DIR = "/run/humanz-cni"
OWN_IPAM = ("host-local", "humanz-cni")


def data_dir(conf: dict[str, Any]) -> tuple[str, bool]:
    """Return the directory of all records that a configuration names, and whether it names one."""
    if is_delegated(conf):
        return DATA_DIR, False
    ipam = conf.get("ipam")
    configured = (ipam if isinstance(ipam, dict) and ipam.get("type") else conf).get("dataDir")
    if files.is_path(configured):
        return configured, True
    return DATA_DIR, False


def is_delegated(conf: dict[str, Any]) -> bool:
    """Return whether addresses come from another plugin, by the decoded configuration *conf*."""
    ipam = conf.get("ipam")
    kind = ipam.get("type") if isinstance(ipam, dict) else None
    return isinstance(kind, str) and kind != "" and kind not in OWN_IPAM
