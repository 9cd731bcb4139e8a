# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CNI configuration of the pod network: its text, and the file that a container runtime loads.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
import os
from typing import TYPE_CHECKING, Any

from .._shared import directories, files
from .._shared.converge import ConvergeError, Resource

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

TYPE = "humanz-cni"
NAMES = {"conflist": "10-humanz-cni-plugin.conflist", "conf": "10-humanz-cni-plugin.conf"}
# What libcni's users look for in the directory, sorted by name over all three.
EXTENSIONS = (".conf", ".conflist", ".json")
DEFAULT_ROUTES = {4: "0.0.0.0/0", 6: "::/0"}
# The plugins that may follow ours, with the options that they need to do anything.
CHAINED: dict[str, dict[str, Any]] = {
    "portmap": {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
    "bandwidth": {"type": "bandwidth", "capabilities": {"bandwidth": True}},
}


def conflist_text(
    name: str, cni_version: str, cni_versions: list[str], plugin: dict[str, Any], chained: list[str]
) -> str:
    """Return a configuration list as JSON.

    :param plugin: the configuration of our plugin, see :func:`plugin_conf`.
    :param chained: the names, in CHAINED, of the plugins that follow it.
    """
    conf: dict[str, Any] = {"cniVersion": cni_version}
    if cni_versions:
        conf["cniVersions"] = cni_versions
    conf["name"] = name
    conf["plugins"] = [plugin] + [CHAINED[other] for other in chained]
    return json.dumps(conf, indent=2) + "\n"


def plugin_conf(
    bridge: str,
    pod_cidrs: list[str],
    hairpin: bool,
    mtu: int = 0,
    data_dir: str | None = None,
    log_file: str | None = None,
    log_level: str = "info",
    spoof_check: bool = False,
    port_isolation: bool = False,
    ipv6_link_local: bool = False,
) -> dict[str, Any]:
    """Return our plugin's configuration, with the keys of the reference's bridge and host-local, as a dict.

    Each of *pod_cidrs* gives the pod an address. Without an IPv6 network among them there is no IPv6 at all, unless
    *ipv6_link_local* keeps it. What has its default is left out.
    """
    ipam: dict[str, Any] = {"type": "host-local", "ranges": [[{"subnet": cidr}] for cidr in pod_cidrs]}
    families = sorted({ipaddress.ip_network(cidr).version for cidr in pod_cidrs})
    ipam["routes"] = [{"dst": DEFAULT_ROUTES[family]} for family in families]
    if data_dir:
        ipam["dataDir"] = data_dir
    conf: dict[str, Any] = {
        "type": TYPE,
        "bridge": bridge,
        "isDefaultGateway": True,
        "hairpinMode": hairpin,
        "ipMasq": False,
    }
    if 6 not in families and not ipv6_link_local:
        conf["disableIPv6"] = True
    if mtu:
        conf["mtu"] = mtu
    if spoof_check:
        conf["ipspoofchk"] = True
    if port_isolation:
        conf["portIsolation"] = True
    conf["ipam"] = ipam
    if log_file:
        conf["logFile"] = log_file
    if log_level != "info":
        conf["logLevel"] = log_level
    return conf


def require_one(option: str, pod_cidrs: list[str]) -> None:
    """Raise ConvergeError unless *pod_cidrs*, the value of *option*, fit into :func:`conf_text`."""
    if len(pod_cidrs) > 1:
        raise ConvergeError(
            "%s: %s are %d networks, and the format conf has room for one: it must be conflist"
            % (option, ", ".join(pod_cidrs), len(pod_cidrs))
        )


def conf_text(name: str, bridge: str, cluster_cidr: str, pod_cidr: str, ipv6_link_local: bool = False) -> str:
    """Return the single configuration of the humanz-cni blog series, part 1: its keys, order, indentation and end.

    With *ipv6_link_local* it has a key more, as the plugin disables IPv6 for an IPv4 network in this form.
    """
    conf: dict[str, Any] = {
        "cniVersion": "0.3.1",
        "name": name,
        "type": TYPE,
        "bridge": bridge,
        "network": cluster_cidr,
        "subnet": pod_cidr,
    }
    if ipv6_link_local:
        conf["disableIPv6"] = False
    return json.dumps(conf, indent=4)


def is_ours(text: str) -> bool:
    """Return whether *text* is a configuration whose first plugin is ours."""
    try:
        conf = json.loads(text)
        first = conf["plugins"][0] if "plugins" in conf else conf
        return bool(first["type"] == TYPE)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def supported_versions(run: RunCommand, path: str) -> list[str]:
    """Return the CNI versions that the plugin at *path* says it supports; none if it cannot be asked.

    :param run: AnsibleModule.run_command.
    """
    try:
        # Nothing goes to its standard input: a plugin may end without reading it, which would break the pipe.
        status, output, _error = run([path], environ_update={"CNI_COMMAND": "VERSION"}, handle_exceptions=False)
        return json.loads(output)["supportedVersions"] if status == 0 else []
    except (OSError, ValueError, LookupError, TypeError):
        return []


def choose_chained(
    run: RunCommand, cni_bin_dir: str, wanted: list[str], versions: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the plugins among *wanted* that this node can run with all *versions*, and why it cannot run the others.

    :returns: a list of names, and a dict of name to reason.
    """
    chained: list[str] = []
    left_out: dict[str, str] = {}
    for name in wanted:
        path = os.path.join(cni_bin_dir, name)
        if not os.access(path, os.X_OK):
            left_out[name] = "%s is not there" % path
            continue
        supported = supported_versions(run, path)
        missing = [version for version in versions if version not in supported]
        if missing:
            left_out[name] = "%s does not support CNI %s" % (path, ", ".join(missing))
        else:
            chained.append(name)
    return chained, left_out


def others_in(conf_dir: str) -> list[str]:
    """Return the paths of the configurations in *conf_dir* that are not of our names, in a runtime's order."""
    names = os.listdir(conf_dir) if os.path.isdir(conf_dir) else []
    paths = [os.path.join(conf_dir, name) for name in names if name.endswith(EXTENSIONS) and name not in NAMES.values()]
    return sorted((path for path in paths if not os.path.isdir(path)), key=os.fsencode)


class CniConf(Resource):
    """Our file in the directory of CNI configurations, in one of two formats.

    The state is a dict of path to text; only files that are ours are in it.
    """

    def __init__(self, conf_dir: str, form: str | None = None, text: str = "", keep_foreign: bool = False) -> None:
        """Take the directory and the text wanted in the format *form*, a key of NAMES; None for no file at all."""
        self._conf_dir = conf_dir
        self._path = os.path.join(conf_dir, NAMES[form]) if form else ""
        self._text = text
        self._keep_foreign = keep_foreign

    def read(self) -> dict[str, str]:
        """Return the state."""
        texts = {path: _read(path) for path in self._own_paths()}
        return {path: text for path, text in texts.items() if text is not None and is_ours(text)}

    def desired(self, actual: dict[str, str]) -> dict[str, str]:
        """Return the state wanted. Raises ConvergeError where somebody else's configuration is in the way."""
        if not self._path:
            return {}
        if self._path not in actual and os.path.lexists(self._path):
            raise ConvergeError(
                "%s is not ours, as its plugin is not %s: move it away, or name another conf_dir "
                "(pod_network_cni_conf_dir)" % (self._path, TYPE)
            )
        earlier = [] if self._keep_foreign else self._earlier(actual)
        if earlier:
            raise ConvergeError(
                "%s would be loaded instead of %s, which comes later by name: remove it, rename it so that it does not "
                "end in %s, or set foreign to keep (pod_network_foreign_conf) if it is meant to come first"
                % (" and ".join(earlier), os.path.basename(self._path), " or ".join(EXTENSIONS)),
                foreign=earlier,
            )
        return {self._path: self._text}

    def render(self, state: dict[str, str]) -> str:
        """Return the files, each below its path."""
        return "".join("# %s\n%s\n" % (path, text.rstrip("\n")) for path, text in sorted(state.items()))

    def apply(self, actual: dict[str, str], desired: dict[str, str]) -> None:
        """Write the file beside its name and rename it, which container runtimes notice; then remove the other one."""
        try:
            for path, text in desired.items():
                if actual.get(path) != text:
                    directories.make_for(path)
                    files.write_text(path, text)
            for path in actual:
                if path not in desired:
                    files.remove(path)
                    if not desired:
                        directories.remove_for(path)
        except OSError as exc:
            raise ConvergeError("%s cannot be changed: %s" % (self._conf_dir, exc)) from exc

    def _own_paths(self) -> list[str]:
        return [os.path.join(self._conf_dir, name) for name in NAMES.values()]

    def _earlier(self, actual: dict[str, str]) -> list[str]:
        """Return the paths of others' configurations that a runtime would load before ours."""
        names = os.listdir(self._conf_dir) if os.path.isdir(self._conf_dir) else []
        paths = [os.path.join(self._conf_dir, name) for name in names if name.endswith(EXTENSIONS)]
        earlier = [path for path in paths if path not in actual and os.fsencode(path) < os.fsencode(self._path)]
        return sorted(path for path in earlier if not os.path.isdir(path))


def _read(path: str) -> str | None:
    """Return the text of the file *path*, None if there is none; what is no text is nobody's configuration."""
    try:
        return files.read_text(path)
    except UnicodeDecodeError:
        return ""
    except OSError as exc:
        raise ConvergeError(files.unreadable(path, exc)) from exc
