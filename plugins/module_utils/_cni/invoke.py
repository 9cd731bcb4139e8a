# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the CNI configuration of a node as a container runtime does: CNI specification, sections 1 to 3.

Needs the standard library only. Nothing is cached: whoever attaches keeps the result for the detachment.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, cast

from .._shared import files as _files
from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from typing import TypedDict

    class Network(TypedDict):
        """A CNI network; *path* is that of its configuration, *plugins* the configuration of each of its plugins."""

        path: str
        name: str
        cniVersion: str
        plugins: list[dict[str, Any]]


SUFFIXES = (".conf", ".conflist", ".json")
LONGEST = 4096  # characters of a plugin's message and of its details, which may hold what somebody else wrote
PLUGIN_TIMEOUT = 60  # seconds; a plugin may wait for its lock, and for duplicate address detection


class CniError(ConvergeError):
    """A pod cannot be attached or detached.

    ``facts["reason"]`` is one of ``conf_missing``, ``conf_broken``, ``plugin_missing``, ``plugin_failed``;
    with ``plugin_failed``, ``facts["plugin_error"]`` holds plugin, command, code, msg and details.
    """


def conf_files(conf_dir: str) -> list[str]:
    """Return the configuration files of *conf_dir* in the order a runtime reads them; the first is in force."""
    try:
        names = sorted(os.listdir(conf_dir))
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [os.path.join(conf_dir, name) for name in names if name.endswith(SUFFIXES)]
    return [path for path in paths if os.path.isfile(path)]


def network_in_force(conf_dir: str) -> Network:
    """Return the network of the first file in *conf_dir*; see :func:`read_network`. Raises CniError."""
    files = conf_files(conf_dir)
    if not files:
        raise CniError(
            "no CNI configuration: %s holds no file named *%s" % (conf_dir, ", *".join(SUFFIXES)), reason="conf_missing"
        )
    return read_network(files[0])


def read_network(path: str) -> Network:
    """Return the network that the file *path* describes, a single plugin's configuration being a list of one.

    ``{"path", "name", "cniVersion", "plugins": [configuration, ...]}``. Raises CniError if the file is no such thing.
    """
    try:
        conf = json.loads(_files.require_text(path))
    except (OSError, ValueError, RecursionError) as exc:
        raise CniError("%s is not a CNI configuration: %s" % (path, exc), reason="conf_broken") from exc
    problem = _conf_problem(conf)
    if problem:
        raise CniError("%s is not a CNI configuration: %s" % (path, problem), reason="conf_broken")
    return {
        "path": path,
        "name": conf["name"],
        "cniVersion": conf.get("cniVersion", "0.1.0"),
        "plugins": conf.get("plugins", [conf]),
    }


def _conf_problem(conf: Any) -> str | None:
    if not isinstance(conf, dict):
        return "it is not a JSON object"
    if not isinstance(conf.get("name"), str) or not conf["name"]:
        return "the key name is missing"
    plugins = conf.get("plugins", [conf])
    if not isinstance(plugins, list) or not plugins:
        return "the key plugins must be a list of at least one plugin"
    for plugin in plugins:
        if not isinstance(plugin, dict) or not isinstance(plugin.get("type"), str) or not plugin["type"]:
            return "a plugin has no type"
    return None


class Runtime:
    """Attaches and detaches one container to one network.

    :param network: as :func:`read_network` returns it.
    :param cni_path: directories in which plugins are looked up.
    :param container_id: CNI_CONTAINERID.
    :param netns: path of the container's network namespace.
    :param ifname: the container's interface.
    """

    def __init__(
        self, network: Network, cni_path: list[str], container_id: str, netns: str, ifname: str = "eth0"
    ) -> None:
        self.network = network
        self.cni_path = cni_path
        self.container_id = container_id
        self.netns = netns
        self.ifname = ifname

    def require_plugins(self) -> None:
        """Raise CniError unless every plugin of the network is there."""
        for conf in self.network["plugins"]:
            find_plugin(conf["type"], self.cni_path)

    def attach(self) -> dict[str, Any]:
        """Run ADD through all plugins and return the last one's result, a dict. Raises CniError.

        After a failure the plugins that did something are the caller's to :meth:`detach`, as in every runtime.
        """
        result: dict[str, Any] | None = None
        for conf in self.network["plugins"]:
            answer = self._call("ADD", conf, result)
            if not isinstance(answer, dict):
                raise _plugin_failed(conf["type"], "ADD", "printed no result")
            result = answer
        # A network has one plugin at least.
        return cast("dict[str, Any]", result)

    def detach(self, result: dict[str, Any] | None = None) -> None:
        """Run DEL through all plugins, last one first; go on after a failure, then raise the first CniError.

        :param result: what :meth:`attach` returned, if it did.
        """
        failure: CniError | None = None
        for conf in reversed(self.network["plugins"]):
            try:
                self._call("DEL", conf, result)
            except CniError as exc:
                failure = failure or exc
        if failure:
            raise failure

    def _call(self, command: str, conf: dict[str, Any], result: dict[str, Any] | None) -> Any:
        conf = dict(conf, name=self.network["name"], cniVersion=self.network["cniVersion"])
        if result is not None:
            conf["prevResult"] = result
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": self.ifname,
            "CNI_ARGS": "IgnoreUnknown=1",
            "CNI_PATH": ":".join(self.cni_path),
        }
        return call_plugin(find_plugin(conf["type"], self.cni_path), conf, environment)


def find_plugin(name: str, cni_path: list[str]) -> str:
    """Return the path of the plugin *name*; raises CniError if no directory of *cni_path* holds it."""
    for directory in cni_path:
        path = os.path.join(directory, name)
        if "/" not in name and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise CniError(
        "the CNI plugin %s is not an executable in %s" % (name, ", ".join(cni_path)),
        reason="plugin_missing",
        plugin=name,
    )


def call_plugin(path: str, conf: dict[str, Any], environment: dict[str, str]) -> Any:
    """Run the plugin *path* with *conf* on its standard input; return the JSON that it prints, or None.

    :param environment: the CNI_* variables, set on top of the process's own.
    Raises CniError, with the plugin's own code and message where it gives them.
    """
    name, command = os.path.basename(path), environment["CNI_COMMAND"]
    try:
        done = subprocess.run(
            [path],
            input=json.dumps(conf).encode("utf-8"),
            env=dict(os.environ, **environment),
            capture_output=True,
            timeout=PLUGIN_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise _plugin_failed(name, command, "gave no answer in %d s" % PLUGIN_TIMEOUT) from exc
    except OSError as exc:
        raise _plugin_failed(name, command, "cannot be run: %s" % exc) from exc
    try:
        answer = json.loads(done.stdout) if done.stdout.strip() else None
    except ValueError:
        raise _plugin_failed(name, command, "printed no JSON but %r" % _text(done.stdout)) from None
    if done.returncode == 0:
        return answer
    if isinstance(answer, dict) and "msg" in answer:
        raise _plugin_failed(name, command, answer["msg"], answer.get("code"), answer.get("details"))
    raise _plugin_failed(name, command, "ended with status %d: %s" % (done.returncode, _text(done.stderr)))


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()[-500:]


def _plugin_failed(
    plugin: str, command: str, message: str, code: int | None = None, details: str | None = None
) -> CniError:
    message, details = (str(said or "")[:LONGEST] for said in (message, details))
    text = "%s of the CNI plugin %s failed%s: %s" % (
        command,
        plugin,
        "" if code is None else " with code %s" % code,
        message,
    )
    if details:
        text += " (%s)" % details
    error = {"plugin": plugin, "command": command, "code": code, "msg": message, "details": details}
    return CniError(text, reason="plugin_failed", plugin_error=error)
