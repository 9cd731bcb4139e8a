# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network as its configuration file has it, carried out as libcni does; other plugins are the real ones."""

from __future__ import annotations

import json
from typing import Any

from tests.support import reference_plugins
from tests.support.plugin.runtime import Outcome, Runtime

KUBERNETES = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_INFRA_CONTAINER_ID=pod1;K8S_POD_UID=u"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # where the reference's plugins find iptables


class NetworkList:
    """The network that *conf* describes, a list of plugins or a single one, on the node of *runtime*."""

    def __init__(self, runtime: Runtime, conf: dict[str, Any]) -> None:
        self._runtime = runtime
        self._head = {"name": conf["name"], "cniVersion": conf["cniVersion"]}
        self._plugins = conf.get("plugins") or [conf]
        self.directories = [runtime.executable.parent, reference_plugins.fetch()]

    def add(self, container: str = "pod1", ifname: str = "eth0", **requests: Any) -> dict[str, Any]:
        """Attach *container*, whose namespace is made if it is not there; return the last plugin's result."""
        if container not in self._runtime.node.run("ip", "netns", "list").stdout.split():
            self._runtime.pod(container)
        previous: dict[str, Any] | None = None
        for plugin in self._plugins:
            outcome = self.call("ADD", plugin, container, ifname, requests, previous)
            assert outcome.status == 0, outcome
            previous = outcome.document
        assert previous is not None
        return previous

    def check(self, result: dict[str, Any], container: str = "pod1", ifname: str = "eth0", **requests: Any) -> None:
        """Carry out CHECK by every plugin; each must succeed and print nothing."""
        for plugin in self._plugins:
            outcome = self.call("CHECK", plugin, container, ifname, requests, result)
            assert (outcome.status, outcome.output) == (0, ""), outcome

    def delete(self, container: str = "pod1", ifname: str = "eth0", result: Any = None, **requests: Any) -> None:
        """Detach *container*, last plugin first."""
        for plugin in reversed(self._plugins):
            outcome = self.call("DEL", plugin, container, ifname, requests, result)
            assert (outcome.status, outcome.output) == (0, ""), outcome

    def call(
        self, command: str, plugin: dict[str, Any], container: str, ifname: str, requests: dict[str, Any], previous: Any
    ) -> Outcome:
        """Carry out one operation by one plugin of the list."""
        conf = {**plugin, **self._head}
        asked = {key: requests[key] for key in plugin.get("capabilities", {}) if key in requests}
        conf.update({"runtimeConfig": asked} if asked else {})
        conf.update({"prevResult": previous} if previous else {})
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": f"/run/netns/{container}",
            "CNI_IFNAME": ifname, "CNI_ARGS": KUBERNETES, "CNI_PATH": ":".join(map(str, self.directories)),
            "PATH": PATH,
        }  # fmt: skip
        where = next(one for one in self.directories if (one / plugin["type"]).exists())
        command_line = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        done = self._runtime.node.run(*command_line, str(where / plugin["type"]), input=json.dumps(conf), check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)
