# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin as the first of a list, with the reference's own plugins after it, called as libcni calls them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support import reference_plugins
from tests.support.plugin.runtime import Runtime, nested

KUBERNETES = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_INFRA_CONTAINER_ID=pod1;K8S_POD_UID=u"
MAC = "0a:00:00:00:00:77"
SLOW = {"ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 8000000, "egressBurst": 8000000}
PORTS = [
    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
    {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
]
REQUESTS: dict[str, dict[str, Any]] = {
    "ports and bandwidth": {"portMappings": PORTS, "bandwidth": SLOW},
    "mac": {"mac": MAC},
    "ips": {"ips": ["10.9.0.50/24", "fd00:9::50/64"], "portMappings": PORTS},
}


class Chain:
    """A network that is a list of plugins, on a node."""

    def __init__(self, runtime: Runtime, version: str, plugins: list[dict[str, Any]]) -> None:
        self._runtime = runtime
        self._version = version
        self._plugins = plugins
        self._reference = reference_plugins.fetch()

    def call(self, command: str, requests: dict[str, Any], previous: Any = None, netns: str = "/run/netns/pod1") -> Any:
        """Carry out an operation by every plugin, in the order that it takes, and return the last one's result."""
        for plugin in self._plugins[:: -1 if command == "DEL" else 1]:
            conf = {**plugin, "name": "net1", "cniVersion": self._version}
            asked = {key: requests[key] for key in plugin.get("capabilities", {}) if key in requests}
            conf.update({"runtimeConfig": asked} if asked else {})
            conf.update({"prevResult": previous} if previous and (command != "DEL" or self._version > "0.3.1") else {})
            printed = self._run(command, conf, netns)
            if command == "ADD":
                previous = json.loads(printed)
            else:
                assert printed == "", plugin["type"]
        return previous

    def _run(self, command: str, conf: dict[str, Any], netns: str) -> str:
        ours = conf["type"] == "humanz-cni"
        directory = self._runtime.executable.parent if ours else self._reference
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": "pod1", "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
            "CNI_PATH": f"{self._runtime.executable.parent}:{self._reference}", "CNI_ARGS": KUBERNETES,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }  # fmt: skip
        command_line = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        return self._runtime.node.run(*command_line, str(directory / conf["type"]), input=json.dumps(conf)).stdout


def ours(**further: Any) -> dict[str, Any]:
    """Return the list's first plugin: dual stack, with a default route and hairpin mode."""
    conf = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True, hairpinMode=True, **further)
    return {key: value for key, value in conf.items() if key not in ("name", "cniVersion")}


def plugins(mac_of: str = "humanz-cni") -> list[dict[str, Any]]:
    """Return the list; *mac_of* is the plugin that sets the hardware address."""
    listed: list[dict[str, Any]] = [
        ours(capabilities={"ips": True, "mac": True, "ipRanges": True}),
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}, "capabilities": {"mac": True}},
    ]
    for plugin in listed:
        if plugin["type"] != mac_of:
            plugin["capabilities"].pop("mac", None)
    return listed


@pytest.mark.parametrize("requests", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_s_054_s_157_s_162_a_pod_of_four_plugins_comes_and_goes_without_a_trace(
    runtime: Runtime, version: str, requests: dict[str, Any]
) -> None:
    runtime.pod("pod1")
    chain = Chain(runtime, version, plugins())

    result = chain.call("ADD", requests)
    assert [one["name"] for one in result["interfaces"]][0] == "br1"
    assert len(result["interfaces"]) == (4 if "bandwidth" in requests else 3)
    if version > "0.3.1":
        chain.call("CHECK", requests, result)
    chain.call("DEL", requests, result)

    assert set(runtime.links()) == {"lo", "br1"}
    assert set(runtime.links("pod1")) == {"lo"}
    assert runtime.records() == {}
    assert "10.9.0." not in runtime.node.run("iptables-save").stdout


def test_s_074_the_list_is_undone_without_namespace_and_previous_result(runtime: Runtime) -> None:
    runtime.pod("pod1")
    chain = Chain(runtime, "1.0.0", plugins())
    chain.call("ADD", REQUESTS["ports and bandwidth"])

    chain.call("DEL", REQUESTS["ports and bandwidth"], netns="")

    assert not [name for name in runtime.links() if name.startswith("veth")]
    assert runtime.records() == {}


def test_s_093_check_accepts_what_later_plugins_of_the_list_changed(runtime: Runtime) -> None:
    runtime.pod("pod1")
    listed = [*plugins(mac_of="tuning"), {"type": "sbr"}]
    chain = Chain(runtime, "1.0.0", listed)

    result = chain.call("ADD", {"mac": MAC})

    assert runtime.links("pod1")["eth0"]["address"] == MAC
    assert [route for route in runtime.routes("pod1") if route["dst"] == "default"] == []  # sbr has its own table
    chain.call("CHECK", {"mac": MAC}, result)


@pytest.mark.parametrize("pod", ["", "pod1", "pod2"], ids=["node", "itself", "neighbour"])
def test_s_156_a_port_of_the_node_leads_to_the_pod(runtime: Runtime, pod: str) -> None:
    runtime.pod("pod1")
    Chain(runtime, "1.0.0", plugins()).call("ADD", REQUESTS["ports and bandwidth"])
    runtime.add({**ours(), "name": "net1", "cniVersion": "1.0.0"}, "pod2")
    listen = "import socket; s = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)"
    serve = f"{listen}\nprint('up')\nwhile True: s.accept()[0].sendall(b'here')"
    shell = 'setsid ip netns exec pod1 python3 -uc "$0" > /run/served 2>&1 & echo $!'
    server = runtime.node.run("sh", "-c", shell, serve).stdout.strip()
    try:
        while runtime.node.run("cat", "/run/served").stdout != "up\n":
            time.sleep(0.05)
        where = ["ip", "netns", "exec", pod] if pod else []
        ask = "import socket, sys; print(socket.create_connection((sys.argv[1], 8080), 30).recv(9).decode())"
        for address in ("10.9.0.1", "fd00:9::1"):
            assert runtime.node.run(*where, "python3", "-c", ask, address).stdout == "here\n"
    finally:
        runtime.node.run("kill", server)
