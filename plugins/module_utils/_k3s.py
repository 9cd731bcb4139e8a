# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the containerd of k3s looks for CNI plugins and configurations. Reads only.

k3s writes containerd's configuration whenever it starts. With flannel, and only then, it names directories of its own.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import glob
import os
import re

from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError

CONFIG = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
# Those that k3s brings along, and where releases before October 2024 have them.
PLUGINS = ("/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/data/current/bin")
# containerd's own, which hold where the configuration names none.
DEFAULTS = {"conf_dir": ["/etc/cni/net.d"], "bin_dir": ["/opt/cni/bin"]}
# As much of TOML as these few settings take: older Pythons have no parser of it.
_TOKEN = re.compile(
    r"""^[ \t]*(?:\[(?P<table>[^\[\]\n]+)\]
    |(?P<key>bin_dirs?|conf_dir|imports)[ \t]*=[ \t]*(?P<value>\[[^\]]*\]|"[^"\n]*"|'[^'\n]*'))""",
    re.MULTILINE | re.VERBOSE,
)
_STRING = re.compile(r"""["']([^"'\n]+)["']""")


def problems(cni_bin_dir, conf_dir, config=CONFIG, plugins=PLUGINS):
    """Return why containerd would not find our plugin or configuration, a text each; none where there is no k3s.

    :param config: what a k3s that was removed without its own program for that leaves behind, too.
    """
    if not os.path.exists(config):
        return []
    found = _problems(cni_bin_dir, conf_dir, config, plugins)
    return ["%s, or remove %s if k3s is no longer used here" % (text, config) for text in found]


def _problems(cni_bin_dir, conf_dir, config, plugins):
    try:
        looked_in = directories(config)
    except ConvergeError as exc:
        return [str(exc)]
    found = []
    for key, path in (("conf_dir", conf_dir), ("bin_dir", cni_bin_dir)):
        if os.path.realpath(path) not in [os.path.realpath(each) for each in looked_in[key]]:
            found.append(_elsewhere("pod_network_cni_" + key, path, looked_in[key], DEFAULTS[key]))
    if not found and not os.path.exists(os.path.join(cni_bin_dir, "loopback")):
        found.append(
            "CNI plugin loopback: is not in %s, and k3s's containerd starts no pod without it:"
            " make a link to %s/loopback there" % (cni_bin_dir, _brought_along(plugins))
        )
    return found


def _brought_along(plugins):
    """Return the first directory of *plugins* that has loopback, or else the first."""
    having = (path for path in plugins if os.path.exists(os.path.join(path, "loopback")))
    return next(having, plugins[0])


def _elsewhere(variable, path, looked_in, default):
    remedy = "must be that" if len(looked_in) == 1 else "must be one of these"
    if looked_in != default:
        remedy += ", or k3s be started with flannel-backend: none, which makes it look in %s" % default[0]
    return "%s %s: k3s looks in %s: %s" % (variable, path, ", ".join(looked_in), remedy)


def directories(config):
    """Return where a containerd with that *config* looks, as a dict like DEFAULTS. Raises ConvergeError."""
    found = dict(DEFAULTS)
    for path in [config, *_imported(config)]:
        for table, key, values in _settings(path):
            if table.endswith(".cni") and values:
                found[key.rstrip("s")] = values
    return found


def _imported(config):
    """Return the files that *config* imports, which go over it."""
    patterns = [value for table, key, values in _settings(config) if key == "imports" and not table for value in values]
    # Relative ones are from the configuration's own directory on.
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(os.path.dirname(config), pattern)))]


def _settings(path):
    """Yield (table, key, values) of the settings in the file *path* that matter here."""
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
            yield table, token.group("key"), _STRING.findall(token.group("value"))
