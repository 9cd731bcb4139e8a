# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the CNI plugin from a node, with all that it made there and nothing else. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from .._shared import directories, library_dirs
from .._shared.converge import ConvergeError, Resource
from .._shared.files import read_text, remove
from . import data_dirs, operator_command
from . import library as _cni_library
from .executable import read_script
from .install import DIRECTORIES, NAME, library_of

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

_LINKS = "/sys/class/net"

# The plugin's own code knows its rules in nf_tables; nft need not be on the node.
_RULES = """
import sys
sys.path.insert(0, sys.argv[1])
try:
    from humanz_cni.network import masquerade
except ImportError:  # an installation of before the package had folders
    from humanz_cni import masquerade
if sys.argv[2:]:
    masquerade.remove(sys.argv[2:])
else:
    print(*masquerade.tables())
"""


class NoPlugin(Resource):
    """A node without the plugin.

    :param bin_dir: the CNI bin directory; *sbin_dir*: that of the operator's command.
    :param library_dir: the directory of the library's versions.
    :param data_dir: the directory of address reservations, beside those that CNI configurations name.
    :param conf_dir: the directory of CNI configurations.
    :param force: whether pods that are still attached may lose their interface.
    :param run: runs a command, a list, and returns status, output and error output.
    """

    def __init__(
        self, bin_dir: str, sbin_dir: str, library_dir: str, data_dir: str, conf_dir: str, force: bool, run: RunCommand
    ) -> None:
        # The launcher first, so that no new pod is attached meanwhile.
        self._scripts = [os.path.join(bin_dir, NAME), os.path.join(sbin_dir, operator_command.NAME)]
        # The inventory may have named others before.
        self._library_dirs = [library_dir, *library_dirs.others(library_dir)]
        self._scripts += [path for path in operator_command.paths(self._library_dirs) if path not in self._scripts]
        names = (DIRECTORIES, operator_command.RECORD)
        self._records = [os.path.join(directory, name) for directory in self._library_dirs for name in names]
        self._data_dir = data_dir
        self._conf_dir = conf_dir
        self._force = force
        self._run = run

    def read(self) -> dict[str, list[str]]:
        """Return the paths and link names of all that is ours: a dict of sorted lists."""
        files = [path for path in self._scripts if library_of(read_script(path)) is not None]
        files += filter(os.path.exists, self._records)
        found = self._versions()
        networks = data_dirs.networks(self._data_dir, self._conf_dir)
        links = _aliases()
        return {
            "files": files,
            "libraries": found,
            "directories": [path for record in self._records for path in directories.removable(record, files + found)],
            "reservations": data_dirs.reservations(networks),
            "networks": networks,
            "rules": self._rules(),
            "ports": sorted(name for name, alias in links.items() if alias.startswith(NAME + " ")),
            "bridges": sorted(name for name, alias in links.items() if alias == NAME and self._is_free(name, links)),
        }

    def desired(self, actual: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return the empty state; ConvergeError names the pods that are still attached."""
        if not self._force and (actual["ports"] or actual["reservations"]):
            addresses = data_dirs.with_pods(actual["networks"], actual["reservations"])
            raise ConvergeError(
                "pods are still attached: links %s, addresses %s; remove the pods first, or set force to cut them off "
                "(pod_network_force_detach: true); `humanz-cni-ctl reclaim` releases the addresses of pods that are "
                "gone" % (", ".join(actual["ports"]) or "none", ", ".join(addresses) or "none")
            )
        return {key: [] for key in actual}

    def render(self, state: dict[str, list[str]]) -> str:
        """Return one line for each thing."""
        return "".join("%s: %s\n" % (key, item) for key in sorted(state) for item in state[key])

    def apply(self, actual: dict[str, list[str]], desired: dict[str, list[str]]) -> None:
        """Remove it all."""
        for path in actual["files"]:
            if path not in self._records:
                remove(path)
        for name in actual["ports"] + actual["bridges"]:
            status, output, error = self._run(["ip", "link", "delete", "dev", name])
            if status != 0 and os.path.exists(os.path.join(_LINKS, name)):
                raise ConvergeError("link %s cannot be deleted: %s" % (name, (error or output).strip()))
        if actual["rules"]:
            self._rules(*actual["rules"])
        for path in actual["networks"]:
            shutil.rmtree(path)
            _remove_if_empty(os.path.dirname(path))
        shutil.rmtree(os.path.join(self._data_dir, data_dirs.NOTES), ignore_errors=True)
        _remove_if_empty(self._data_dir)
        for directory in self._library_dirs:
            _cni_library.remove(directory)
        for path in filter(os.path.exists, self._records):
            remove(path)
        for path in actual["directories"]:
            _remove_if_empty(path)
        for directory in self._library_dirs:
            library_dirs.remove_if_empty(directory)

    def undo(self, before: dict[str, list[str]]) -> None:
        """Say that there is no way back: what pods had is gone."""
        raise ConvergeError("what was removed stays removed: run this again")

    def _rules(self, *families: str) -> list[str]:
        """Return the families in which nf_tables has rules of the plugin; or remove those in *families*."""
        for library in self._versions():
            package = os.path.join(library, _cni_library.PACKAGE)
            if any(os.path.exists(os.path.join(package, name)) for name in ("network/masquerade.py", "masquerade.py")):
                status, output, error = self._run([sys.executable, "-ISB", "-c", _RULES, library, *families])
                if status != 0:
                    raise ConvergeError("the plugin's rules in nf_tables cannot be found: %s" % error.strip())
                return output.split()
        return []

    def _versions(self) -> list[str]:
        return [path for directory in self._library_dirs for path in _cni_library.versions(directory)]

    def _is_free(self, bridge: str, links: dict[str, str]) -> bool:
        """Return whether *bridge* has no port but those of our pods, and of our own interfaces in VLANs."""
        directory = os.path.join(_LINKS, bridge, "brif")
        ports = os.listdir(directory) if os.path.isdir(directory) else []
        return all(links.get(port, "").partition(" ")[0] == NAME for port in ports)


def _aliases() -> dict[str, str]:
    """Return the alias of every link that has one."""
    aliases = {}
    for name in os.listdir(_LINKS):
        alias = (read_text(os.path.join(_LINKS, name, "ifalias")) or "").strip()
        if alias:
            aliases[name] = alias
    return aliases


def _remove_if_empty(directory: str) -> None:
    if os.path.isdir(directory) and not os.listdir(directory):
        os.rmdir(directory)
