# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node's containerd looks for CNI plugins and configurations, as it says itself. Reads only.

The program that runs is asked, with the configuration that it was started with, for what it makes of that and of all
that it imports. k3s, RKE2, k0s and MicroK8s have a containerd of their own. k3s writes its configuration whenever it
starts; with flannel, and only then, that names directories of its own.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .._cni import network_conf
from .._shared import files
from .._shared.converge import ConvergeError
from . import processes as _processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._shared.converge import RunCommand
    from .processes import Process

    #: Returns what else than the inventory may be changed; takes the setting, the directory, and those looked in.
    OtherWay = Callable[[str, str, list[str]], str]

# containerd's own directories, which hold where its configuration names none.
CONF_DIR = "/etc/cni/net.d"
BIN_DIR = "/opt/cni/bin"
TEMPLATED = "10-containerd-net.conflist"  # what containerd makes of conf_template
# As much of TOML as these few settings take in what containerd writes: older Pythons have no parser of it.
_KEYS = (
    "bin_dirs?|conf_dir|disabled_plugins|use_internal_loopback|max_conf_num|conf_template|cni_conf_dir"
    "|default_runtime_name"
)
_TOKEN = re.compile(
    r"""^[ \t]*(?:\[\[?(?P<table>[^\[\]\n]+)\]
    |(?P<within>[^=\[\]\n\#]+\.)?(?P<key>%s)[ \t]*=[ \t]*
     (?P<value>\[[^\]]*\]|"[^"\n]*"|'[^'\n]*'|true|false|[0-9]+))"""
    % _KEYS,
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
K3S_PROGRAM = "/var/lib/rancher/k3s/data/current/bin/containerd"
# Where kubeadm's package kubernetes-cni, and containernetworking-plugins of Debian and of Fedora, have them.
CONTAINERD = Place("containerd", "/etc/containerd/config.toml", (BIN_DIR, "/usr/lib/cni", "/usr/libexec/cni"))
SOCKET = "/run/containerd/containerd.sock"
K3S_SOCKET = "/run/k3s/containerd/containerd.sock"  # RKE2's, too
# Whose containerd listens where.
EMBEDDED = {
    K3S_SOCKET: "k3s",
    "/run/k0s/containerd.sock": "k0s",
    "/var/snap/microk8s/common/run/containerd.sock": "MicroK8s",
}
# Runtimes beside which this containerd is there for something else, such as Docker.
OTHERS = ("/run/crio/crio.sock", "/run/cri-dockerd.sock", *EMBEDDED)


class Settings(NamedTuple):
    """What a containerd is configured to do about CNI; *cri* is False where Kubernetes cannot use it at all."""

    conf_dir: list[str] = [CONF_DIR]
    bin_dir: list[str] = []
    bin_dirs: list[str] = [BIN_DIR]
    internal_loopback: bool = False
    cri: bool = True
    max_conf_num: int = 1
    conf_template: str = ""

    @property
    def plugins_in(self) -> list[str]:
        """The directories of CNI plugins: containerd 2.1, which knows both, takes ``bin_dir`` if it is set."""
        return self.bin_dir or self.bin_dirs


class Wanted(NamedTuple):
    """What the inventory says: where our plugin and our configuration are, and whether others' are welcome."""

    cni_bin_dir: str
    conf_dir: str
    keep_foreign: bool = False


def problems(wanted: Wanted, run: RunCommand, program: str | None) -> list[str] | None:
    """Return why this node's containerd would not find our plugin or configuration, or starts no pod, a text each.

    None where no containerd runs pods.

    :param run: AnsibleModule.run_command.
    :param program: the path of the containerd that a user would call, or None.
    """
    processes = _processes.named("containerd")
    embedded = [one for one in processes if _address(one) in EMBEDDED]
    if embedded:
        return [text for one in embedded for text in _of_embedded(wanted, run, one)]
    if os.path.exists(K3S.config):
        return k3s_problems(wanted, K3S, _ask(run, [K3S_PROGRAM, "--config", K3S.config]))
    if os.path.exists(SOCKET) and not any(os.path.exists(other) for other in OTHERS):
        running = next((one for one in processes if _address(one) == SOCKET), None)
        words = running.words if running else _processes.of_unit(run, "containerd.service") or [program or ""]
        config = _processes.option(words, "config", "c")
        place = CONTAINERD._replace(config=config) if config else CONTAINERD
        return containerd_problems(wanted, place, _ask(run, [words[0], *(["--config", config] if config else [])]))
    return None


def _address(process: Process) -> str:
    """Return where it listens, by its options; k3s's and RKE2's may say that in their configuration."""
    config = _processes.option(process.words, "config", "c") or ""
    address = _processes.option(process.words, "address", "a") or (K3S_SOCKET if "/rancher/" in config else SOCKET)
    return address.replace("/var/run/", "/run/", 1) if address.startswith("/var/run/") else address


def _of_embedded(wanted: Wanted, run: RunCommand, process: Process) -> list[str]:
    """Return what :func:`problems` does, of the containerd of one that brings its own."""
    config = _processes.option(process.words, "config", "c") or CONTAINERD.config
    name = "RKE2" if "/rke2/" in config else EMBEDDED[_address(process)]
    said = _ask(run, [process.words[0], "--config", config])
    if name == "k3s":
        return k3s_problems(wanted, K3S._replace(config=config), said)
    return containerd_problems(wanted, Place(name, config, CONTAINERD.loopback), said)


def _ask(run: RunCommand, command: list[str]) -> tuple[str, str] | None:
    """Return (its configuration, its complaint), as it says by *command*; None if there is no such program."""
    if not os.access(command[0], os.X_OK):
        return None
    status, output, error = run([*command, "config", "dump"])
    if status == 0:
        return output, ""
    return "", "`%s config dump` says: %s" % (" ".join(command), (error.strip().splitlines() or ["nothing"])[-1])


def k3s_problems(wanted: Wanted, place: Place, said: tuple[str, str] | None) -> list[str]:
    """Return what :func:`problems` does, of a node with k3s, or with what it left behind where it was just deleted.

    :param said: as of :func:`_ask`.
    """

    def without_flannel(key: str, _path: str, looked_in: list[str]) -> str:
        default = CONF_DIR if key == "conf_dir" else BIN_DIR
        if looked_in == [default]:
            return ""
        return ", or start k3s with flannel-backend: none, which makes it look in %s" % default

    found = _problems(wanted, place, said, without_flannel)
    return ["%s, or remove %s if k3s is no longer used here" % (text, place.config) for text in found]


def containerd_problems(wanted: Wanted, place: Place, said: tuple[str, str] | None) -> list[str]:
    """Return what :func:`problems` does, of a node with a containerd that its operator configures."""

    def configured(key: str, path: str, _looked_in: list[str]) -> str:
        change = "add %s to bin_dirs in %s" if key == "bin_dirs" else "set " + key + " to %s in %s"
        return ", or " + change % (path, place.config) + " and restart containerd"

    return _problems(wanted, place, said, configured)


def _problems(wanted: Wanted, place: Place, said: tuple[str, str] | None, other_way: OtherWay) -> list[str]:
    if said is not None and said[1]:
        return ["%s: its configuration cannot be read: %s: correct %s" % (place.name, said[1], place.config)]
    try:
        # Where no program is left to be asked, the file tells as much as one reads without its imports.
        settings = read(_text_of(place.config) if said is None else said[0])
    except ConvergeError as exc:
        return [str(exc)]
    if not settings.cri:
        return []
    conf_dir, cni_bin_dir = wanted.conf_dir, wanted.cni_bin_dir
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
    found += [] if wanted.keep_foreign else _of_further_networks(settings, conf_dir, place)
    if found or settings.internal_loopback or any(map(_has_loopback, settings.plugins_in)):
        return found
    return [_without_loopback(place, cni_bin_dir)]


def _of_further_networks(settings: Settings, conf_dir: str, place: Place) -> list[str]:
    """Find what gives pods another network than ours, or a further one."""
    found = []
    if settings.conf_template:
        found.append(
            "conf_template %s in %s: has %s write %s, which would be loaded instead of %s: drop it and restart %s"
            % (settings.conf_template, place.config, place.name, TEMPLATED, network_conf.NAMES["conflist"], place.name)
        )
    others = network_conf.others_in(conf_dir) if settings.max_conf_num != 1 else []
    if others:
        found.append(
            "max_conf_num %d in %s: attaches pods to the network of %s, too: set it to 1, or remove that file"
            % (settings.max_conf_num, place.config, ", ".join(others))
        )
    return found


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


def read(text: str) -> Settings:
    """Return the settings of a containerd with the configuration *text*."""
    found: dict[str, Any] = {}
    default, of_runtimes = "", {}
    for table, key, value in _values(text):
        strings = _strings(value)
        if table.endswith(".cni") and key in ("conf_dir", "bin_dir", "bin_dirs") and strings:
            found[key] = strings
        elif table.endswith(".cni") and key == "use_internal_loopback":
            found["internal_loopback"] = value == "true"
        elif table.endswith(".cni") and key == "max_conf_num":
            found[key] = int(value)
        elif table.endswith(".cni") and key == "conf_template" and strings:
            found[key] = strings[0]
        elif key == "default_runtime_name" and strings:
            default = strings[0]
        elif key == "cni_conf_dir" and strings:
            of_runtimes[table.rpartition(".runtimes.")[2]] = strings
        elif not table and key == "disabled_plugins" and any("cri" in name.split(".") for name in strings):
            found["cri"] = False
    # A runtime's own directory goes over that of all.
    found.update({"conf_dir": of_runtimes[default]} if default in of_runtimes else {})
    return Settings(**found)


def _strings(value: str) -> list[str]:
    return [text for text in _STRING.findall(value) if text]


def _text_of(config: str) -> str:
    """Return the text of the file *config*, "" if there is none; raises ConvergeError if it cannot be read."""
    try:
        return files.require_text(config) if os.path.lexists(config) else ""
    except (OSError, ValueError) as exc:
        raise ConvergeError("%s: cannot be read: %s" % (config, exc)) from exc


def _values(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, value as it is written) of the settings in *text* that matter here."""
    table = ""
    for token in _TOKEN.finditer(text):
        if token.group("table"):
            table = token.group("table")
        else:
            within = ".".join(filter(None, (table, token.group("within"))))
            yield re.sub(r"""[\s"']""", "", within).rstrip("."), token.group("key"), token.group("value")
