# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node's containerd looks for CNI plugins and configurations. Reads only.

k3s has a containerd of its own and writes its configuration whenever it starts. With flannel, and only then, that names
directories of its own.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Iterator

# containerd's own directories, which hold where its configuration names none.
CONF_DIR = "/etc/cni/net.d"
BIN_DIR = "/opt/cni/bin"
# As much of TOML as these few settings take: older Pythons have no parser of it.
_TOKEN = re.compile(
    r"""^[ \t]*(?:\[\[?(?P<table>[^\[\]\n]+)\]
    |(?P<key>bin_dirs?|conf_dir|disabled_plugins|imports|use_internal_loopback)[ \t]*=[ \t]*
     (?P<value>\[[^\]]*\]|"[^"\n]*"|'[^'\n]*'|true|false))""",
    re.MULTILINE | re.VERBOSE,
)
_STRING = re.compile(r"""["']([^"'\n]+)["']""")


class Place(NamedTuple):
    """Where one's containerd has what; *loopback* are the directories with the plugin that come with it."""

    name: str
    config: str
    loopback: tuple[str, ...]


K3S = Place(
    "k3s",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    # The second is that of releases before October 2024.
    ("/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/data/current/bin"),
)
# Where the package containernetworking-plugins of Debian and of Fedora has them.
CONTAINERD = Place("containerd", "/etc/containerd/config.toml", ("/usr/lib/cni", "/usr/libexec/cni"))
SOCKET = "/run/containerd/containerd.sock"
# Runtimes beside which a containerd is there for something else.
OTHERS = ("/run/crio/crio.sock", "/run/cri-dockerd.sock")


class Settings(NamedTuple):
    """What a containerd is configured to do about CNI; *cri* is False where Kubernetes cannot use it at all."""

    conf_dir: list[str] = [CONF_DIR]
    bin_dir: list[str] = [BIN_DIR]
    internal_loopback: bool = False
    cri: bool = True


def problems(cni_bin_dir: str, conf_dir: str) -> list[str]:
    """Return why this node's containerd would not find our plugin or configuration, or starts no pod, a text each.

    None where no containerd runs pods.
    """
    if os.path.exists(K3S.config):
        return k3s_problems(cni_bin_dir, conf_dir, K3S)
    if os.path.exists(SOCKET) and not any(os.path.exists(other) for other in OTHERS):
        return containerd_problems(cni_bin_dir, conf_dir, CONTAINERD)
    return []


def k3s_problems(cni_bin_dir: str, conf_dir: str, place: Place) -> list[str]:
    """Return what :func:`problems` does, of a node with k3s, or with what it left behind where it was just deleted."""
    found = _problems(cni_bin_dir, conf_dir, place, "k3s be started with flannel-backend: none")
    return ["%s, or remove %s if k3s is no longer used here" % (text, place.config) for text in found]


def containerd_problems(cni_bin_dir: str, conf_dir: str, place: Place) -> list[str]:
    """Return what :func:`problems` does, of a node with a containerd that its operator configures."""
    return _problems(cni_bin_dir, conf_dir, place, "change %s and restart containerd" % place.config)


def _problems(cni_bin_dir: str, conf_dir: str, place: Place, change: str) -> list[str]:
    """:param change: what makes the containerd look in its own default directories."""
    try:
        settings = read(place.config)
    except ConvergeError as exc:
        return [str(exc)]
    if not settings.cri:
        return []
    found = [
        _elsewhere(place, "pod_network_cni_" + key, path, looked_in, default, change)
        for key, path, looked_in, default in (
            ("conf_dir", conf_dir, settings.conf_dir, CONF_DIR),
            ("bin_dir", cni_bin_dir, settings.bin_dir, BIN_DIR),
        )
        if os.path.realpath(path) not in [os.path.realpath(each) for each in looked_in]
    ]
    if found or settings.internal_loopback or any(_has_loopback(path) for path in settings.bin_dir):
        return found
    return [_without_loopback(place, cni_bin_dir)]


def _has_loopback(directory: str) -> bool:
    return os.path.exists(os.path.join(directory, "loopback"))


def _without_loopback(place: Place, cni_bin_dir: str) -> str:
    text = "CNI plugin loopback: is not in %s, and %s starts no pod without it: " % (cni_bin_dir, place.name)
    having = next(filter(_has_loopback, place.loopback), None)
    if having:
        return text + "make a link to %s/loopback there" % having
    return text + "install the CNI plugins of containernetworking, such as the package containernetworking-plugins"


def _elsewhere(place: Place, variable: str, path: str, looked_in: list[str], default: str, change: str) -> str:
    remedy = "must be that" if len(looked_in) == 1 else "must be one of these"
    if looked_in != [default]:
        remedy += ", or %s, which makes it look in %s" % (change, default)
    return "%s %s: %s looks in %s: %s" % (variable, path, place.name, ", ".join(looked_in), remedy)


def read(config: str) -> Settings:
    """Return the settings of a containerd with the file *config*; without that, it has its defaults.

    Raises ConvergeError if the file cannot be read.
    """
    settings = Settings()
    if not os.path.lexists(config):
        return settings
    for path in [config, *_imported(config)]:
        for table, key, value in _values(path):
            strings = _STRING.findall(value)
            if table.endswith(".cni") and key.startswith("bin_dir") and strings:
                settings = settings._replace(bin_dir=strings)
            elif table.endswith(".cni") and key == "conf_dir" and strings:
                settings = settings._replace(conf_dir=strings)
            elif table.endswith(".cni") and key == "use_internal_loopback":
                settings = settings._replace(internal_loopback=value == "true")
            elif not table and key == "disabled_plugins":
                settings = settings._replace(cri=not any("cri" in name.split(".") for name in strings))
    return settings


def _imported(config: str) -> list[str]:
    """Return the files that *config* imports, which go over it."""
    patterns = [
        pattern
        for table, key, value in _values(config)
        if key == "imports" and not table
        for pattern in _STRING.findall(value)
    ]
    # Relative ones are from the configuration's own directory on.
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(os.path.dirname(config), pattern)))]


def _values(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, value as it is written) of the settings in the file *path* that matter here."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, ValueError) as exc:
        raise ConvergeError("%s: cannot be read: %s" % (path, exc)) from exc
    table = ""
    for token in _TOKEN.finditer(text):
        if token.group("table"):
            table = token.group("table").strip()
        else:
            yield table, token.group("key"), token.group("value")
