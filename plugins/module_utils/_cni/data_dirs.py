# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CNI plugin keeps on disk: a directory for each network, where that one's configuration says.

The plugin's package has the other reader of these, as a node may have no plugin, or another version of it, when modules
look.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .._shared import ip_addresses
from .._shared.files import read_text
from . import invoke
from .network_conf import TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "lock"
NOTES = ".elsewhere"  # where the plugin notes other data directories, see files/humanz_cni/ipam/data_dirs.py


def networks(data_dir: str, conf_dir: str) -> list[str]:
    """Return the paths of all networks' directories, sorted.

    :param data_dir: a directory that is the plugin's alone.
    :param conf_dir: the CNI configurations, which may name other directories, or have done so since boot. Those may be
        shared with other plugins.
    """
    names = os.listdir(data_dir) if os.path.isdir(data_dir) else []
    found = {os.path.join(data_dir, name) for name in names}
    found = {path for path in found if os.path.isfile(os.path.join(path, _LOCK))}
    return sorted(found.union(filter(_is_ours, _configured(conf_dir)), filter(_is_ours, _noted(data_dir))))


def reservations(paths: list[str]) -> list[str]:
    """Return the reserved addresses of the networks whose directories are *paths*."""
    return sorted(name for path in paths for name in os.listdir(path) if ip_addresses.is_address(name))


def with_pods(paths: list[str], addresses: list[str]) -> list[str]:
    """Return the reserved *addresses* of the networks in *paths*, each with its pod's name if its record has one."""
    return ["%s (%s)" % (one, pod) if pod else one for one in addresses for pod in [_pod(paths, one)]]


def _pod(paths: list[str], address: str) -> str:
    for path in paths:
        try:
            record = json.loads(read_text(os.path.join(path, address)) or "{}")
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("pod"), str):
            return str(record["pod"])
    return ""


def _noted(data_dir: str) -> Iterator[str]:
    """Generate the directories in the data directories that configurations named before."""
    notes = os.path.join(data_dir, NOTES)
    for name in os.listdir(notes) if os.path.isdir(notes) else []:
        other = os.path.normpath(os.readlink(os.path.join(notes, name)))
        for network in os.listdir(other) if os.path.isdir(other) else []:
            yield os.path.join(other, network)


def _configured(conf_dir: str) -> Iterator[str]:
    """Generate the directory of each network for which a configuration of the plugin names the data directory."""
    for path in invoke.conf_files(conf_dir):
        try:
            network = invoke.read_network(path)
        except invoke.CniError:
            continue  # nothing can have been attached by it
        for conf in network["plugins"]:
            ipam = conf.get("ipam")
            configured: Any = (ipam if isinstance(ipam, dict) and ipam.get("type") else conf).get("dataDir")
            is_path = isinstance(configured, str) and configured.startswith("/")
            if conf["type"] == TYPE and is_path and network["name"] == os.path.basename(network["name"]):
                yield os.path.join(os.path.normpath(configured), network["name"])


def _is_ours(path: str) -> bool:
    """Return whether the directory *path* is the plugin's: the reference's host-local keeps nothing in its lock."""
    try:
        state = json.loads(read_text(os.path.join(path, _LOCK)) or "")
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(state, dict) and "boot" in state and "last" in state
