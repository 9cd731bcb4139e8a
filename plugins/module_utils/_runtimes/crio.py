# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node's CRI-O looks for CNI plugins and configurations, as it says itself. Reads only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from .._cni import network_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Optional

    from .._shared.converge import RunCommand
    from .containerd import Wanted

    #: Returns the path of a command, None if it is not there.
    FindCommand = Callable[[str], Optional[str]]

SOCKETS = ("/run/crio/crio.sock", "/var/run/crio/crio.sock")
# The running one, from 1.28 on and before; then what the next one that starts would take from its files.
COMMANDS = (["crio", "status", "config"], ["crio-status", "config"], ["crio", "config"])
DROP_IN = "/etc/crio/crio.conf.d"
# `crio config` has what is the default in comments.
_VALUE = re.compile(
    r"""^[ \t]*(?:\#[ \t]*)?(?P<key>network_dir|plugin_dirs?|cni_default_network)[ \t]*=[ \t]*
    (?P<value>\[[^\]]*\]|"[^"\n]*"|'[^'\n]*')[ \t]*$""",
    re.MULTILINE | re.VERBOSE,
)
_STRING = re.compile(r"""["']([^"'\n]+)["']""")


class Settings(NamedTuple):
    """What CRI-O is configured to do about CNI; *default_network* is "" where the first configuration counts."""

    network_dir: str
    plugin_dirs: list[str]
    default_network: str


def problems(wanted: Wanted, name: str, run: RunCommand, find_command: FindCommand) -> list[str] | None:
    """Return why this node's CRI-O would not find our plugin or configuration, or takes another, a text each.

    None where no CRI-O runs.

    :param name: the network's name.
    """
    runs = any(map(os.path.exists, SOCKETS))
    # One that listens elsewhere is found by its answer.
    said = _ask(run, find_command, COMMANDS if runs else COMMANDS[:2])
    if said is None and not runs:
        return None
    if said is None:
        return ["CRI-O runs here, and none of %s prints its configuration: put crio on root's PATH" % _commands()]
    settings = read(said)
    found = [
        "pod_network_cni_%s %s: CRI-O looks in %s: must be %s, or set %s in a file in %s and restart CRI-O"
        % (option, path, ", ".join(looked_in), "one of these" if looked_in[1:] else "that", change, DROP_IN)
        for option, path, looked_in, change in (
            ("conf_dir", wanted.conf_dir, [settings.network_dir], "network_dir to %s" % wanted.conf_dir),
            (
                "bin_dir",
                wanted.cni_bin_dir,
                settings.plugin_dirs,
                "plugin_dirs to %s" % ", ".join([*settings.plugin_dirs, wanted.cni_bin_dir]),
            ),
        )
        if os.path.realpath(path) not in map(os.path.realpath, looked_in)
    ]
    if wanted.keep_foreign:
        return found
    if settings.default_network not in ("", name):
        found.append(
            "pod_network_name %s: CRI-O attaches pods to the network %s and to no other: must be that, or set "
            'cni_default_network to "" in a file in %s, drain the node and restart CRI-O'
            % (name, settings.default_network, DROP_IN)
        )
    # Its own examples, whether they come before ours or after: until ours is there, pods are attached by them.
    return found + [
        "%s: is CRI-O's own network, which pods of this node may be on: drain the node, remove that file, and restart "
        "CRI-O, or set pod_network_foreign_conf to keep if it is meant to be there" % path
        for path in network_conf.others_in(wanted.conf_dir)
        if "-crio-" in os.path.basename(path)
        and os.path.basename(path) > network_conf.NAMES["conflist"]  # what comes before ours is named by cni_conf
    ]


def _commands() -> str:
    return ", ".join("`%s`" % " ".join(command) for command in COMMANDS)


def _ask(run: RunCommand, find_command: FindCommand, commands: Iterable[list[str]]) -> str | None:
    """Return the configuration as CRI-O says it by the first of *commands* that it answers, or None."""
    for name, *words in commands:
        path = find_command(name)
        status, output, _error = run([path, *words]) if path else (1, "", "")
        if status == 0 and "network_dir" in output:
            return output
    return None


def read(text: str) -> Settings:
    """Return the settings in *text*, TOML as CRI-O writes it."""
    found: dict[str, list[str]] = {}
    for match in _VALUE.finditer(text):
        found[match.group("key")] = _STRING.findall(match.group("value"))
    directories = found.get("plugin_dirs", []) + found.get("plugin_dir", [])
    return Settings(
        "".join(found.get("network_dir", [])[:1]) or "/etc/cni/net.d",
        list(dict.fromkeys(directories)) or ["/opt/cni/bin"],
        "".join(found.get("cni_default_network", [])[:1]),
    )
