# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that others publish for the reference's bridge plugin, with this plugin's type instead of its."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration_netns.plugin.test_plugin_traffic import serve, source_seen
from tests.support.plugin.network_list import NetworkList
from tests.support.plugin.runtime import Runtime

TYPE = "humanz-cni"
DEFAULT = {"dst": "0.0.0.0/0"}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def flannel(delegate: dict[str, Any], subnets: tuple[str, ...], networks: tuple[str, ...]) -> dict[str, Any]:
    """Return what the flannel plugin makes of its ``delegate`` and of /run/flannel/subnet.env."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": subnet}] for subnet in subnets],
        "routes": [{"dst": network} for network in networks],
    }
    return {"type": TYPE, "ipMasq": False, "mtu": 1450, **delegate, "ipam": ipam}


CONFS: dict[str, dict[str, Any]] = {
    "flannel": {
        "name": "cbr0", "cniVersion": "0.3.1",
        "plugins": [
            flannel({"hairpinMode": True, "isDefaultGateway": True}, ("10.244.1.0/24",), ("10.244.0.0/16",)),
            PORTMAP,
        ],
    },
    "k3s": {
        "name": "cbr0", "cniVersion": "1.0.0",
        "plugins": [
            flannel(
                {"hairpinMode": True, "forceAddress": True, "isDefaultGateway": True},
                ("10.42.0.0/24", "2001:cafe:42::/64"), ("10.42.0.0/16", "2001:cafe:42::/56"),
            ),
            PORTMAP,
            {"type": "bandwidth", "capabilities": {"bandwidth": True}},
        ],
    },
    "kubespray kube-router": {
        "cniVersion": "0.3.0", "name": "kubernetes",
        "plugins": [
            {
                "name": "kubernetes", "type": TYPE, "bridge": "kube-bridge", "isDefaultGateway": True,
                "hairpinMode": True, "ipam": {"subnet": "10.233.64.0/24", "type": "host-local"},
            },
            {"type": "portmap", "capabilities": {"snat": True, "portMappings": True}},
        ],
    },
    "CRI-O": {
        "cniVersion": "1.0.0", "name": "crio",
        "plugins": [
            {
                "type": TYPE, "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
                "ipam": {
                    "type": "host-local", "routes": [DEFAULT, {"dst": "::/0"}],
                    "ranges": [[{"subnet": "10.85.0.0/16"}], [{"subnet": "1100:200::/24"}]],
                },
            }
        ],
    },
    "CRI-O IPv4, no list": {
        "cniVersion": "0.3.1", "name": "crio", "type": TYPE, "bridge": "cni0", "isGateway": True, "ipMasq": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "routes": [DEFAULT], "ranges": [[{"subnet": "10.85.0.0/16"}]]},
    },
    "containerd install-cni": {
        "cniVersion": "1.0.0", "name": "containerd-net",
        "plugins": [
            {
                "type": TYPE, "bridge": "cni0", "isGateway": True, "ipMasq": True, "promiscMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "2001:4860:4860::/64"}]],
                    "routes": [DEFAULT, {"dst": "::/0"}],
                },
            },
            PORTMAP,
        ],
    },
    "nerdctl": {
        "cniVersion": "1.0.0", "name": "bridge", "nerdctlID": "17f29b073143d8cd97b5bbe492bdeffe", "nerdctlLabels": {},
        "plugins": [
            {
                "type": TYPE, "bridge": "nerdctl0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
                "ipam": {
                    "ranges": [[{"gateway": "10.4.0.1", "subnet": "10.4.0.0/24"}]], "routes": [DEFAULT],
                    "type": "host-local",
                },
            },
            PORTMAP,
            {"type": "firewall", "ingressPolicy": "same-bridge"},
            {"type": "tuning"},
        ],
    },
    "CNI's own 10-mynet": {
        "cniVersion": "0.3.0", "name": "mynet", "type": TYPE, "bridge": "cni0", "isGateway": True, "ipMasq": True,
        "ipam": {"type": "host-local", "subnet": "10.22.0.0/16", "routes": [DEFAULT]},
    },
}  # fmt: skip


@pytest.mark.parametrize("conf", CONFS.values(), ids=CONFS)
def test_a_published_configuration_works_with_its_type_replaced(runtime: Runtime, conf: dict[str, Any]) -> None:
    network = NetworkList(runtime, conf)
    ports = [{"hostPort": 8080, "containerPort": 8080, "protocol": "tcp"}]
    slow = {"ingressRate": 80000000, "ingressBurst": 8000000, "egressRate": 80000000, "egressBurst": 8000000}
    requests: dict[str, dict[str, Any]] = {"pod1": {"portMappings": ports, "bandwidth": slow}, "pod2": {}}

    first, second = (network.add(pod, **asked) for pod, asked in requests.items())

    for (one, own), gateway in zip(addresses(first).items(), addresses(second).values()):
        server = serve(runtime, "pod1", one)
        try:
            other = next(address for address, of in addresses(second).items() if of == own)
            assert source_seen(runtime, "pod2", one) == other
            assert source_seen(runtime, "", one) == gateway
            if any(plugin["type"] == "portmap" for plugin in conf.get("plugins", [])):
                assert source_seen(runtime, "pod2", gateway, 8080) in (other, gateway)
        finally:
            server.kill()
            server.communicate()
    for pod, result in (("pod1", first), ("pod2", second)):
        if conf["cniVersion"] >= "0.4.0":
            network.check(result, pod, **requests[pod])
        network.delete(pod, result=result, **requests[pod])
        assert set(runtime.links(pod)) == {"lo"}
    assert not [name for name in runtime.links() if name.startswith(("veth", "bwp"))]
    assert runtime.records() == {}


def addresses(result: dict[str, Any]) -> dict[str, str]:
    """Return the addresses of *result*, each with its gateway."""
    return {ip["address"].partition("/")[0]: ip["gateway"] for ip in result["ips"]}


def test_a_default_route_of_the_published_configuration_leads_out(runtime: Runtime) -> None:
    """The ``routes`` of ``ipam`` without gw, which most of them have, go by the bridge."""
    NetworkList(runtime, CONFS["CRI-O"]).add()

    for family, gateway in (("-4", "10.85.0.1"), ("-6", "1100:200::1")):
        default = [route for route in runtime.routes("pod1", family) if route["dst"] == "default"]
        assert [route["gateway"] for route in default] == [gateway]


def test_the_reference_plugins_run_from_the_same_directory_of_configurations(runtime: Runtime) -> None:
    """The bridge, loopback and macvlan of a node that has had them before: each its network, none in another's way."""
    confs: dict[str, dict[str, Any]] = {
        "10-humanz-cni-plugin.conf": {**CONFS["CRI-O IPv4, no list"], "bridge": "humanz-cni0", "name": "humanz-cni"},
        "10-mynet.conf": {**CONFS["CNI's own 10-mynet"], "type": "bridge"},
        "20-lan.conf": {
            "cniVersion": "0.3.1", "name": "lan", "type": "macvlan", "master": "uplink", "mode": "bridge",
            "ipam": {"type": "host-local", "subnet": "192.168.77.0/24"},
        },
        "99-loopback.conf": {"cniVersion": "0.3.1", "name": "lo", "type": "loopback"},
    }  # fmt: skip
    node = runtime.node
    node.ip("link add uplink type veth peer name far")
    node.ip("link set uplink up")
    node.ip("link set far up")
    directory = "/etc/cni/net.d"
    node.run("sh", "-c", f"rm -rf {directory} && mkdir -p {directory}")
    for name, conf in confs.items():
        node.run("tee", f"{directory}/{name}", input=json.dumps(conf))
    files = node.run("sh", "-c", f"ls {directory}/*").stdout.split()
    networks = [NetworkList(runtime, json.loads(node.run("cat", path).stdout)) for path in files]
    names = ["eth0", "net1", "net2", "lo"]

    for pod in ("pod1", "pod2"):
        runtime.pod(pod)
        node.ip(f"-n {pod} link set lo down")
        for network, name in zip(networks, names):
            network.add(pod, name)

    assert set(runtime.links("pod1")) == {"lo", "eth0", "net1", "net2"}
    assert "UP" in runtime.links("pod1")["lo"]["flags"]
    for name in ("eth0", "net1", "net2"):
        address = sorted(runtime.addresses(name, "pod1"))[0].partition("/")[0]
        server = serve(runtime, "pod1", address)
        try:
            assert source_seen(runtime, "pod2", address) in {
                one.partition("/")[0] for one in runtime.addresses(name, "pod2")
            }
        finally:
            server.kill()
            server.communicate()
    for pod in ("pod1", "pod2"):
        for network, name in zip(networks, names):
            network.delete(pod, name)
        assert set(runtime.links(pod)) == {"lo"}
    assert set(runtime.links()) == {"lo", "uplink", "far", "humanz-cni0", "cni0"}
