# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run puts files on a node, and which variable changes each place.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible_collections.humanz.cni.plugins.module_utils import (
    _cni_command,
    _cni_conf,
    _cni_install,
    _directories,
    _firewalld,
    _lock,
    _persistence,
    _pod_bridge,
    _routes,
)
from ansible_collections.humanz.cni.plugins.module_utils._writable import LARGE, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    #: Returns the path of a command, None if it is not there.
    FindCommand = Callable[[str], Optional[str]]

OWN_FILES = (
    *("routes", "vxlan", "vxlan-fdb", "sysctl", "sysctl.before.json"),
    *("rules.v4", "rules.v4-other", "rules.v6", "rules.v6-other", "rules.nft"),
)
WITHOUT_PERSISTENCE = "set pod_network_persistence to false"


def places(options: dict[str, Any], find_command: FindCommand) -> list[Place]:
    """Return the Places of a run with *options*, node_preflight's."""
    found = [
        Place(options["cni_bin_dir"], (_cni_install.NAME,), "pod_network_cni_bin_dir", programs=True),
        Place(options["conf_dir"], tuple(_cni_conf.NAMES.values()), "pod_network_cni_conf_dir"),
        Place(options["library_dir"], (), "pod_network_library_dir", size=LARGE),
        Place(options["sbin_dir"], (_cni_command.NAME,), "pod_network_sbin_dir", programs=True),
        Place(_directories.OWN_DIRECTORY, OWN_FILES),
        Place("/etc/sysctl.d", ("99-humanz-cni.conf",)),
        Place("/etc/modules-load.d", ("humanz-cni.conf",)),
        _of(_routes.PROTOCOL_NAMES),
        Place(_pod_bridge.DATA_DIR),
        Place(_lock.DIRECTORY),
    ]
    if os.path.isabs(options["log_file"] or ""):
        directory, name = os.path.split(options["log_file"])
        found.append(Place(directory, (name,), "pod_network_log_file", "leave it empty for the journal"))
    if options["persistence"]:
        units = _persistence.UNITS
        found += [
            Place(_persistence.UNIT_DIR, units, "", WITHOUT_PERSISTENCE),
            Place(_persistence.STATE_DIR, (), "", WITHOUT_PERSISTENCE),
        ]
        if any(map(os.path.exists, _persistence.NETWORKD)):
            found.append(_of(_persistence.NETWORKD_CONF, WITHOUT_PERSISTENCE))
        if find_command("NetworkManager"):
            found.append(_of(_persistence.NETWORKMANAGER_CONF, WITHOUT_PERSISTENCE))
    if find_command("firewall-cmd"):
        found.append(_of(_firewalld.FILE))
    return found


def _of(path: str, remedy: str = "") -> Place:
    directory, name = os.path.split(path)
    return Place(directory, (name,), "", remedy)
