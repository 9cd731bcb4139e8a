# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run puts files on a node, and which variable changes each place.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._cni import install, network_conf, old_bridge, operator_command
from .._firewall import by_firewalld
from .._node import persistence
from .._routing import static_routes
from .._shared import directories, lock
from .writable import LARGE, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    #: Returns the path of a command, None if it is not there.
    FindCommand = Callable[[str], Optional[str]]

SYSCTL_FILE = "/etc/sysctl.d/99-humanz-cni.conf"
MODULES_FILE = "/etc/modules-load.d/humanz-cni.conf"
_OWN_MARKED = ("sysctl", "rules.v4", "rules.v4-other", "rules.v6", "rules.v6-other", "rules.nft", "vxlan", "vxlan-fdb")
# Files that modules mark as theirs; what somebody else has put there stays, and fails them.
MARKED_FILES = (
    *(SYSCTL_FILE, MODULES_FILE, static_routes.PROTOCOL_NAMES),
    *("%s/%s" % (directories.OWN_DIRECTORY, name) for name in _OWN_MARKED),
)
WITHOUT_PERSISTENCE = "set pod_network_persistence to false"


def places(options: dict[str, Any], find_command: FindCommand) -> list[Place]:
    """Return the Places of a run with *options*, node_preflight's."""
    found = [
        Place(options["cni_bin_dir"], (install.NAME,), "pod_network_cni_bin_dir", programs=True),
        Place(options["conf_dir"], tuple(network_conf.NAMES.values()), "pod_network_cni_conf_dir"),
        Place(options["library_dir"], (), "pod_network_library_dir", size=LARGE),
        Place(options["sbin_dir"], (operator_command.NAME,), "pod_network_sbin_dir", programs=True),
        Place(directories.OWN_DIRECTORY, ("routes", "sysctl.before.json", *_OWN_MARKED)),
        _of(SYSCTL_FILE),
        _of(MODULES_FILE),
        _of(static_routes.PROTOCOL_NAMES),
        Place(old_bridge.DATA_DIR),
        Place(lock.DIRECTORY),
    ]
    if os.path.isabs(options["log_file"] or ""):
        directory, name = os.path.split(options["log_file"])
        found.append(Place(directory, (name,), "pod_network_log_file", "leave it empty for the journal"))
    if options["persistence"]:
        units = persistence.UNITS
        found += [
            Place(persistence.UNIT_DIR, units, "", WITHOUT_PERSISTENCE),
            Place(persistence.STATE_DIR, (), "", WITHOUT_PERSISTENCE),
        ]
        if any(map(os.path.exists, persistence.NETWORKD)):
            found.append(_of(persistence.NETWORKD_CONF, WITHOUT_PERSISTENCE))
        if find_command("NetworkManager"):
            found.append(_of(persistence.NETWORKMANAGER_CONF, WITHOUT_PERSISTENCE))
    if find_command("firewall-cmd"):
        found.append(_of(by_firewalld.FILE))
    return found


def _of(path: str, remedy: str = "") -> Place:
    directory, name = os.path.split(path)
    return Place(directory, (name,), "", remedy)
