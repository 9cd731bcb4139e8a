# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A delegate of a meta plugin such as Multus: a second interface, wishes from annotations, what others have made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration_netns.plugin.test_plugin_traffic import serve, source_seen
from tests.support import result_shape
from tests.support.plugin.network_list import NetworkList
from tests.support.plugin.runtime import Outcome, Runtime, nested

# What Multus hands on of the kubelet's call, the same for every interface of the pod.
KUBERNETES = (
    "IgnoreUnknown=true;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_INFRA_CONTAINER_ID=pod1;K8S_POD_UID=u"
)
MAC = "c2:b0:57:49:47:f1"


def main_network(version: str) -> dict[str, Any]:
    """Return the cluster's own network."""
    return nested(("10.9.0.0/24",), cniVersion=version, isDefaultGateway=True)


def storage(version: str, **further: Any) -> dict[str, Any]:
    """Return a second network, as a NetworkAttachmentDefinition has it: no gateway, a route of its own."""
    conf = nested(("192.168.7.0/24",), cniVersion=version, name="storage", bridge="br2", isGateway=False)
    conf["ipam"]["routes"] = [{"dst": "192.168.8.0/24", "gw": "192.168.7.9"}]
    wishes = {"capabilities": {"ips": True, "mac": True}, "runtimeConfig": {"ips": ["192.168.7.77/24"], "mac": MAC}}
    return {**conf, **wishes, "deviceID": "", "args": {"cni": {"pod": "cart-0"}}, **further}


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_a_second_interface_leaves_the_first_one_alone(runtime: Runtime, version: str) -> None:
    eth0, net1 = main_network(version), storage(version)
    runtime.add(eth0, ARGS=KUBERNETES)
    runtime.node.run("sh", "-c", "until ip -n pod1 link show eth0 | grep -q 'state UP'; do sleep 0.01; done")
    before = runtime.links("pod1")["eth0"], runtime.routes("pod1")

    result = runtime.add(net1, ifname="net1", ARGS=KUBERNETES)

    assert result["ips"][0]["address"] == "192.168.7.77/24"
    assert result["routes"] == [{"dst": "192.168.8.0/24", "gw": "192.168.7.9"}]
    assert runtime.links("pod1")["net1"]["address"] == MAC
    assert runtime.links("pod1")["eth0"] == before[0]
    routes = {(one["dst"], one["dev"]) for one in runtime.routes("pod1")}
    assert routes == {
        ("default", "eth0"), ("10.9.0.0/24", "eth0"), ("192.168.7.0/24", "net1"), ("192.168.8.0/24", "net1"),
    }  # fmt: skip
    assert runtime.addresses("br2") == set()

    runtime.delete(net1, ifname="net1", ARGS=KUBERNETES)
    assert set(runtime.links("pod1")) == {"lo", "eth0"}
    assert runtime.routes("pod1") == before[1]
    runtime.delete(eth0, ARGS=KUBERNETES)
    assert runtime.records() == {}


def test_pods_reach_each_other_by_the_second_network(runtime: Runtime) -> None:
    for number, pod in enumerate(("pod1", "pod2")):
        runtime.add(main_network("1.0.0"), pod, ARGS=KUBERNETES)
        wishes = {"ips": [f"192.168.7.{70 + number}"], "mac": f"c2:b0:57:49:47:f{number}"}
        runtime.add(storage("1.0.0", runtimeConfig=wishes), pod, "net1", ARGS=KUBERNETES)

    server = serve(runtime, "pod1", "192.168.7.70")
    try:
        assert source_seen(runtime, "pod2", "192.168.7.70") == "192.168.7.71"
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_s_054_what_was_there_before_is_passed_on(runtime: Runtime, version: str) -> None:
    eth0, net1 = main_network(version), storage(version)
    eth0["dns"] = {"nameservers": ["10.96.0.10"]}
    first = runtime.add(eth0)

    both = runtime.add({**net1, "prevResult": first}, ifname="net1")

    assert result_shape.problems(both, version) == []
    assert both["interfaces"][:3] == first["interfaces"]
    assert [one["name"] for one in both["interfaces"][3:]][::2] == ["br2", "net1"]
    assert both["ips"][0] == first["ips"][0]
    assert (both["ips"][1]["address"], both["ips"][1]["interface"]) == ("192.168.7.77/24", 5)
    assert [route["dst"] for route in both["routes"]] == ["0.0.0.0/0", "192.168.8.0/24"]
    assert both["dns"] == first["dns"]
    if version >= "0.4.0":
        for conf, ifname in ((eth0, "eth0"), (net1, "net1")):
            assert runtime.call("CHECK", {**conf, "prevResult": both}, ifname=ifname) == Outcome(0, "", "")
    runtime.delete({**net1, "prevResult": both}, ifname="net1")
    runtime.delete({**eth0, "prevResult": both})
    assert runtime.records() == {}


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "1.0.0"])
def test_s_131_s_143_a_previous_result_of_0_2_0_is_passed_on(runtime: Runtime, version: str) -> None:
    ip4 = {"ip": "192.0.2.1/24", "routes": [{"dst": "0.0.0.0/0"}]}
    previous = {"cniVersion": "0.2.0", "ip4": ip4, "dns": {"domain": "first.example"}}

    result = runtime.add({**storage(version), "prevResult": previous}, ifname="net1")

    assert result["dns"] == previous["dns"]
    if version == "0.2.0":  # which has no place for the second address
        assert result["ip4"] == {**ip4, "routes": [*ip4["routes"], {"dst": "192.168.8.0/24", "gw": "192.168.7.9"}]}
    else:
        assert [one["address"] for one in result["ips"]] == ["192.0.2.1/24", "192.168.7.77/24"]
        assert [route["dst"] for route in result["routes"]] == ["0.0.0.0/0", "192.168.8.0/24"]


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0", "1.1.0"])
def test_s_143_a_previous_result_of_another_version_is_converted(runtime: Runtime, version: str) -> None:
    previous: dict[str, Any] = {
        "interfaces": [{"name": "tap0", "mac": MAC, "mtu": 9000, "socketPath": "/run/x"}],
        "ips": [{"version": "6", "address": "fd00::1/64"}, {"address": "192.0.2.1/24", "interface": 0}],
        "routes": [{"dst": "192.0.2.0/24", "mtu": 1400}],
    }
    own = {**storage(version), "dns": {"domain": "storage.example"}}

    result = runtime.add({**own, "prevResult": previous}, ifname="net1")

    tells = version < "1"
    newer = version == "1.1.0"
    assert result["interfaces"][0] == (previous["interfaces"][0] if newer else {"name": "tap0", "mac": MAC})
    assert [ip.get("version") for ip in result["ips"]] == (["6", "4", "4"] if tells else [None] * 3)
    assert [ip.get("interface") for ip in result["ips"]] == [None, 0, 3]
    assert result["routes"][0] == (previous["routes"][0] if newer else {"dst": "192.0.2.0/24"})
    assert result["dns"] == {"domain": "storage.example"}


@pytest.mark.parametrize("previous", ["x", [1], {"ips": 7}, {"interfaces": [7]}, {"routes": {}}, {"dns": 7}])
def test_a_previous_result_of_a_wrong_type_is_refused_without_a_trace(runtime: Runtime, previous: Any) -> None:
    runtime.add(storage("1.0.0", runtimeConfig=None), "pod2", "net1")
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", {**storage("1.0.0"), "prevResult": previous}, ifname="net1")

    assert error["code"] == 7
    assert error["msg"].startswith("prevResult")
    assert runtime.state() == before


def test_a_list_of_real_plugins_makes_the_second_interface(runtime: Runtime) -> None:
    """A network attachment may be a list as well; sbr moves its routes to a table of their own."""
    network = storage("1.0.0")
    head = {key: network.pop(key) for key in ("name", "cniVersion")}
    network.pop("runtimeConfig")
    attachment = NetworkList(runtime, {**head, "plugins": [network, {"type": "tuning", "mtu": 1400}, {"type": "sbr"}]})
    runtime.add(main_network("1.0.0"))
    wishes = {"ips": ["192.168.7.77/24"], "mac": MAC}

    result = attachment.add("pod1", "net1", **wishes)

    assert runtime.links("pod1")["net1"]["mtu"] == 1400
    assert [one["dev"] for one in runtime.routes("pod1") if one["dst"] == "default"] == ["eth0"]
    attachment.check(result, "pod1", "net1", **wishes)
    attachment.delete("pod1", "net1", result, **wishes)
    assert set(runtime.links("pod1")) == {"lo", "eth0"}
