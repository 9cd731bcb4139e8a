# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's networks: those of its CNI configurations, and those that have reservations on disk."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Callable

from ..config import ipam_keys, netconf
from ..ipam import data_dirs, records, store
from ..primitives import files, jsontext
from ..protocol import request
from ..protocol.errors import CNIError

if TYPE_CHECKING:
    from ..config.ranges import RangeSet
    from ..primitives.address import Address

PLUGIN = "humanz-cni"
_SUFFIXES = (".conf", ".conflist", ".json")  # those that container runtimes read


class Pool:
    """The range set *number* of the configuration file *conf*; *ranges* is a list of Range."""

    def __init__(self, conf: str, number: int, ranges: RangeSet) -> None:
        self.conf = conf
        self.number = number
        self.ranges = ranges

    def __contains__(self, address: Address) -> bool:
        return any(address in one for one in self.ranges)


class Network:
    """The network *name* with its records in *data_dir*.

    ``pools`` are those of all its configurations. ``has_records`` says whether its pods have records: None if no
    configuration tells, False if their addresses come from elsewhere.
    """

    def __init__(self, data_dir: str, name: str) -> None:
        self.data_dir = data_dir
        self.name = name
        self.reservations = store.Store(data_dir, name, data_dir != ipam_keys.DATA_DIR)
        self.pools: list[Pool] = []
        self.has_records: bool | None = None

    def has(self, address: Address) -> bool:
        """Return whether *address* is in a pool of the network."""
        return any(address in pool for pool in self.pools)


class _Problem(Exception):
    """What is wrong with a configuration file, which the text names."""


def find(conf_dir: str, further_dirs: list[str]) -> tuple[list[Network], list[str]]:
    """Return the Networks of this node, sorted by name, and the problems that were met, a list of texts.

    :param conf_dir: the directory of CNI configurations.
    :param further_dirs: directories of records, beside the default one and those that configurations have named.
    """
    networks: dict[tuple[str, str], Network] = {}
    problems: list[str] = []

    def network(data_dir: str, name: str) -> Network:
        key = data_dir.rstrip("/"), name
        return networks.setdefault(key, Network(*key))

    for path in _conf_files(conf_dir, problems):
        try:
            for conf in _plugins(path):
                _add_conf(network, path, conf)
        except _Problem as problem:
            problems.append(str(problem))
    for data_dir in sorted({*data_dirs.known(), *further_dirs, *(key[0] for key in networks)}):
        for name in _names(data_dir, problems):
            network(data_dir, name)
    return sorted(networks.values(), key=lambda one: (one.name, one.data_dir)), problems


def _conf_files(conf_dir: str, problems: list[str]) -> list[str]:
    try:
        names = sorted(os.listdir(conf_dir))
    except FileNotFoundError:
        return []
    except OSError as exc:
        problems.append("%s: %s" % (conf_dir, exc.strerror))
        return []
    return [os.path.join(conf_dir, name) for name in names if name.endswith(_SUFFIXES)]


def _plugins(path: str) -> list[dict[str, Any]]:
    """Return each configuration of this plugin in the file *path*, with the list's name and version."""
    try:
        conf = json.loads(files.read(path, os.O_NONBLOCK), parse_int=jsontext.number)
    except OSError as exc:
        raise _Problem("%s: %s" % (path, exc.strerror)) from exc
    except (ValueError, RecursionError) as exc:
        raise _Problem("%s: it is not JSON: %s" % (path, exc)) from exc
    if not isinstance(conf, dict):
        raise _Problem("%s: it is not a JSON object" % path)
    plugins = conf.get("plugins", [conf])
    if not isinstance(plugins, list):
        raise _Problem("%s: plugins must be a list" % path)
    common = {key: conf[key] for key in ("name", "cniVersion") if key in conf}
    return [dict(one, **common) for one in plugins if isinstance(one, dict) and one.get("type") == PLUGIN]


def _add_conf(network: Callable[[str, str], Network], path: str, conf: dict[str, Any]) -> None:
    """Add what *conf* of the file *path* says to the Network that *network* returns for a data directory and a name."""
    asked = request.Request()
    asked.conf, asked.args = conf, ""
    try:
        request.check_conf(conf)
        loaded = netconf.load(asked)
    except CNIError as exc:
        raise _Problem("%s: %s" % (path, "; ".join(filter(None, (exc.message, exc.details))))) from exc
    found = network(ipam_keys.data_dir(conf)[0], conf["name"])
    sets = getattr(loaded.ipam, "sets", None) or []
    found.has_records = bool(sets)
    found.pools += [Pool(path, number, one) for number, one in enumerate(sets)]


def _names(data_dir: str, problems: list[str]) -> list[str]:
    """Return the names of the networks that have reservations in *data_dir*."""
    try:
        return records.networks(data_dir)
    except OSError as exc:
        problems.append("%s: %s" % (data_dir, exc.strerror))
        return []
