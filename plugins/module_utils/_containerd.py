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
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.humanz.cni.plugins.module_utils import _files
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Returns what else than the inventory may be changed; takes the setting, the directory, and those looked in.
    OtherWay = Callable[[str, str, list[str]], str]

# containerd's own directories, which hold where its configuration names none.
CONF_DIR = "/etc/cni/net.d"
BIN_DIR = "/opt/cni/bin"
# As much of TOML as these few settings take: older Pythons have no parser of it.
_TOKEN = re.compile(
    r"""^[ \t]*(?:\[\[?(?P<table>[^\[\]\n]+)\]
    |(?P<within>[^=\[\]\n\#]+\.)?(?P<key>bin_dirs?|conf_dir|disabled_plugins|imports|use_internal_loopback)[ \t]*=[ \t]*
     (?P<value>\[[^\]]*\]|"[^"\n]*"|'[^'\n]*'|true|false))""",
    re.MULTILINE | re.VERBOSE,
)
_STRING = re.compile(r"""["']([^"'\n]+)["']|\#.*""")  # the comments in a list of several lines are none


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
# Where kubeadm's package kubernetes-cni, and containernetworking-plugins of Debian and of Fedora, have them.
CONTAINERD = Place("containerd", "/etc/containerd/config.toml", (BIN_DIR, "/usr/lib/cni", "/usr/libexec/cni"))
SOCKET = "/run/containerd/containerd.sock"
# Runtimes beside which this containerd is there for something else, such as Docker.
OTHERS = (
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",  # RKE2's, too
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
)


class Settings(NamedTuple):
    """What a containerd is configured to do about CNI; *cri* is False where Kubernetes cannot use it at all."""

    conf_dir: list[str] = [CONF_DIR]
    bin_dir: list[str] = []
    bin_dirs: list[str] = [BIN_DIR]
    internal_loopback: bool = False
    cri: bool = True

    @property
    def plugins_in(self) -> list[str]:
        """The directories of CNI plugins: containerd 2.1, which knows both, takes ``bin_dir`` if it is set."""
        return self.bin_dir or self.bin_dirs


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

    def without_flannel(key: str, _path: str, looked_in: list[str]) -> str:
        default = CONF_DIR if key == "conf_dir" else BIN_DIR
        if looked_in == [default]:
            return ""
        return ", or k3s be started with flannel-backend: none, which makes it look in %s" % default

    found = _problems(cni_bin_dir, conf_dir, place, without_flannel)
    return ["%s, or remove %s if k3s is no longer used here" % (text, place.config) for text in found]


def containerd_problems(cni_bin_dir: str, conf_dir: str, place: Place) -> list[str]:
    """Return what :func:`problems` does, of a node with a containerd that its operator configures."""

    def configured(key: str, path: str, _looked_in: list[str]) -> str:
        change = "add %s to bin_dirs in %s" if key == "bin_dirs" else "set " + key + " to %s in %s"
        return ", or " + change % (path, place.config) + " and restart containerd"

    return _problems(cni_bin_dir, conf_dir, place, configured)


def _problems(cni_bin_dir: str, conf_dir: str, place: Place, other_way: OtherWay) -> list[str]:
    try:
        settings = read(place.config)
    except ConvergeError as exc:
        return [str(exc)]
    if not settings.cri:
        return []
    # Both together would be refused by containerd, unless bin_dirs is the default.
    bin_key = "bin_dir" if settings.plugins_in in (settings.bin_dir, [BIN_DIR]) else "bin_dirs"
    found = [
        "pod_network_cni_%s %s: %s looks in %s: " % (option, path, place.name, ", ".join(looked_in))
        + ("must be that" if len(looked_in) == 1 else "must be one of these")
        + other_way(key, path, looked_in)
        for option, key, path, looked_in in (
            ("conf_dir", "conf_dir", conf_dir, settings.conf_dir),
            ("bin_dir", bin_key, cni_bin_dir, settings.plugins_in),
        )
        if os.path.realpath(path) not in [os.path.realpath(each) for each in looked_in]
    ]
    if found or settings.internal_loopback or any(map(_has_loopback, settings.plugins_in)):
        return found
    return [_without_loopback(place, cni_bin_dir)]


def _has_loopback(directory: str) -> bool:
    return os.path.exists(os.path.join(directory, "loopback"))


def _without_loopback(place: Place, cni_bin_dir: str) -> str:
    text = "CNI plugin loopback: is not in %s, and %s starts no pod without it: " % (cni_bin_dir, place.name)
    having = next(filter(_has_loopback, place.loopback), None)
    if having:
        return text + "make a link to %s/loopback there" % having
    return text + (
        "install the CNI plugins of containernetworking, such as the package kubernetes-cni, which has them in %s, or"
        " containernetworking-plugins" % BIN_DIR
    )


def read(config: str) -> Settings:
    """Return the settings of a containerd with the file *config*; without that, it has its defaults.

    Raises ConvergeError if the file cannot be read.
    """
    found: dict[str, Any] = {}
    if not os.path.lexists(config):
        return Settings()
    for table, key, value in _with_imports(config):
        strings = _strings(value)
        if table.endswith(".cni") and key in ("conf_dir", "bin_dir", "bin_dirs") and strings:
            found[key] = strings
        elif table.endswith(".cni") and key == "use_internal_loopback":
            found["internal_loopback"] = value == "true"
        # What an imported file disables comes on top.
        elif not table and key == "disabled_plugins" and any("cri" in name.split(".") for name in strings):
            found["cri"] = False
    return Settings(**found)


def _with_imports(config: str) -> Iterator[tuple[str, str, str]]:
    """Yield what :func:`_values` does, of the file *config* and of what it, and that, imports, which goes over it."""
    paths = [config]
    for path in paths:  # which grows meanwhile
        for table, key, value in _values(path):
            yield table, key, value
            for pattern in _strings(value) if key == "imports" and not table else []:
                # Relative ones are from the directory of the file that imports on.
                found = sorted(glob.glob(os.path.join(os.path.dirname(path), pattern)))
                paths += [each for each in found if each not in paths]


def _strings(value: str) -> list[str]:
    return [text for text in _STRING.findall(value) if text]


def _values(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, value as it is written) of the settings in the file *path* that matter here."""
    try:
        text = _files.require_text(path)
    except (OSError, ValueError) as exc:
        raise ConvergeError("%s: cannot be read: %s" % (path, exc)) from exc
    table = ""
    for token in _TOKEN.finditer(text):
        if token.group("table"):
            table = token.group("table")
        else:
            within = ".".join(filter(None, (table, token.group("within"))))
            yield re.sub(r"""[\s"']""", "", within).rstrip("."), token.group("key"), token.group("value")
