# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One configuration, once with the reference's bridge plugin and once with this one: the same comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.plugin.network_list import NetworkList
from tests.support.plugin.runtime import Runtime, nested

DUAL = ("10.9.0.0/24", "fd00:9::/64")
ROUTES = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
PARAMETERS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/br1/accept_ra")
POD_PARAMETERS = ("net/ipv4/conf/eth0/arp_notify", "net/ipv6/conf/eth0/accept_dad")


def with_ipam(subnets: tuple[str, ...] = DUAL[:1], **further: Any) -> dict[str, Any]:
    """Return a configuration whose ``ipam`` has the *further* keys."""
    conf = nested(subnets)
    conf["ipam"].update(further)
    return conf


CONFS: dict[str, dict[str, Any]] = {
    "gateway": nested(),
    "no gateway": nested(isGateway=False),
    "default gateway": nested(DUAL, isDefaultGateway=True, isGateway=False),
    "two families": nested(DUAL),
    "routes": with_ipam(DUAL, routes=ROUTES),
    "routes with a gateway": with_ipam(routes=[{"dst": "198.51.100.0/24", "gw": "10.9.0.77"}]),
    "routes of 1.1.0": {
        **with_ipam(routes=[{"dst": "198.51.100.0/24", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 100}]),
        "cniVersion": "1.1.0",
    },
    "default gateway and other routes": {
        **with_ipam(routes=[{"dst": "198.51.100.0/24"}]), "isDefaultGateway": True,
    },
    "gateway of its own": {
        **nested(), "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "gateway": "10.9.0.254"},
    },
    "a part of the subnet": {
        **nested(),
        "ipam": {"type": "host-local", "ranges": [[
            {"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.20", "rangeEnd": "10.9.0.20"},
            {"subnet": "10.9.1.0/24", "rangeStart": "10.9.1.30"},
        ]]},
    },
    "hairpin": nested(hairpinMode=True),
    "promiscuous": nested(promiscMode=True),
    "isolated": nested(portIsolation=True),
    "mtu": nested(mtu=1400),
    "layer 2": {key: value for key, value in nested().items() if key not in ("ipam", "isGateway")},
    "interface down": {
        **{key: value for key, value in nested().items() if key not in ("ipam", "isGateway")},
        "disableContainerInterface": True,
    },
    "hardware address": nested(runtimeConfig={"mac": "0a:00:00:00:00:01"}),
    "address of the runtime": nested(runtimeConfig={"ips": ["10.9.0.50/24"]}),
    "ranges of the runtime": {
        **nested(), "ipam": {"type": "host-local"}, "runtimeConfig": {"ipRanges": [[{"subnet": "10.77.0.0/24"}]]},
    },
    "dns": nested(dns={"nameservers": ["10.96.0.10"], "domain": "d", "search": ["a"], "options": ["ndots:5"]}),
    "duplicate address detection": nested(DUAL, enabledad=True),
    "addresses from elsewhere": {
        **nested(isDefaultGateway=True),
        "ipam": {"type": "static", "addresses": [{"address": "10.9.0.5/24"}], "dns": {"domain": "d"}},
    },
    "0.3.1": nested(DUAL, cniVersion="0.3.1", isDefaultGateway=True),
    "0.4.0": nested(DUAL, cniVersion="0.4.0", isDefaultGateway=True),
}  # fmt: skip
WRONG: dict[str, dict[str, Any]] = {
    "hairpin and promiscuous": nested(hairpinMode=True, promiscMode=True),
    "interface down with addresses": nested(disableContainerInterface=True),
    "vlan": nested(vlan=4095),
    "trunk": nested(vlanTrunk=[{"minID": 5}]),
    "trunk backwards": nested(vlanTrunk=[{"minID": 5, "maxID": 4}]),
    "trunk of nothing": nested(vlanTrunk=[{"id": 0}]),
    "subnet too small": nested(("10.9.0.0/31",)),
    "subnet with host bits": nested(("10.9.0.1/24",)),
    "sets that overlap": nested(("10.9.0.0/24", "10.9.0.0/16")),
    "address that is not in the ranges": nested(runtimeConfig={"ips": ["192.0.2.1"]}),
    "address of the gateway": nested(runtimeConfig={"ips": ["10.9.0.1"]}),
    "range outside of the subnet": with_ipam((), subnet="10.9.0.0/24", rangeStart="10.8.0.1"),
    "no ranges": with_ipam(()),
}


@pytest.fixture
def both(make_node: Callable[[], Node], executable: Path) -> list[Runtime]:
    """Two nodes: one for the reference's plugin, one for ours."""
    return [Runtime(make_node(), executable) for _number in range(2)]


def networks(both: list[Runtime], conf: dict[str, Any]) -> list[NetworkList]:
    """Return the network *conf* by the reference's plugin, and by ours."""
    conf = {**conf, "capabilities": {"mac": True, "ips": True, "ipRanges": True}}
    return [NetworkList(one, {**conf, "type": kind}) for one, kind in zip(both, ("bridge", "humanz-cni"))]


def normal_result(result: dict[str, Any]) -> dict[str, Any]:
    """Return *result* without what is random: names of ports and hardware addresses; an empty dns object is none."""
    interfaces = [{"name": one["name"][:4], "sandbox": one.get("sandbox", "")} for one in result["interfaces"]]
    dns = {key: value for key, value in result.get("dns", {}).items() if value}
    return {**result, "interfaces": interfaces, "dns": dns}


def observed(runtime: Runtime, result: dict[str, Any]) -> dict[str, Any]:
    """Return what there is to see of a pod that was attached: links, addresses, routes, parameters."""
    port = runtime.links()[result["interfaces"][1]["name"]]
    found: dict[str, Any] = {
        "bridge": link(runtime.links()["br1"]),
        "port": {**link(port), **{key: port["linkinfo"]["info_slave_data"][key] for key in ("hairpin", "isolated")}},
        "pod": link(runtime.links("pod1")["eth0"]),
        "parameters": [read(runtime, "", name) for name in PARAMETERS],
        "pod's parameters": [read(runtime, "pod1", name) for name in POD_PARAMETERS],
    }
    for family in ("-4", "-6"):
        listed = json.loads(runtime.node.run("ip", "-n", "pod1", family, "-j", "route", "show", "table", "all").stdout)
        found[f"routes {family}"] = sorted(route(one) for one in listed if one.get("table") != "local")
    return found


def link(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what two links have in common if they were made alike."""
    addresses = sorted(f"{one['local']}/{one['prefixlen']}" for one in shown["addr_info"] if one["scope"] == "global")
    return {
        "mtu": shown["mtu"], "up": "UP" in shown["flags"], "promiscuity": min(shown["promiscuity"], 1),
        "addresses": addresses, "master": shown.get("master"),
    }  # fmt: skip


def route(shown: dict[str, Any]) -> str:
    """Return what matters of a route; the kernel's own of a link-local network comes when it will.

    The reference leaves out a route's ``mtu`` and ``advmss``, which this plugin sets.
    """
    keys = ("dst", "gateway", "dev", "scope", "metric", "table")
    if shown["dst"] in ("fe80::/64", "ff00::/8", "multicast"):
        return ""
    return json.dumps({key: shown[key] for key in keys if key in shown}, sort_keys=True)


def read(runtime: Runtime, pod: str, name: str) -> str:
    """Return the kernel parameter *name* of the node, or of a pod."""
    where = ["ip", "netns", "exec", pod] if pod else []
    return runtime.node.run(*where, "cat", f"/proc/sys/{name}").stdout.strip()


@pytest.mark.parametrize("conf", CONFS.values(), ids=CONFS)
def test_the_same_comes_of_the_same_configuration(both: list[Runtime], conf: dict[str, Any]) -> None:
    requests = conf.pop("runtimeConfig", {})
    results = [network.add(**requests) for network in networks(both, conf)]

    assert normal_result(results[1]) == normal_result(results[0])
    assert observed(both[1], results[1]) == observed(both[0], results[0])
    if conf["cniVersion"] >= "0.4.0":  # the reference's CHECK fails without addresses, and for routes in other tables
        networks(both, conf)[1].check(results[1], **requests)
    for network, runtime, result in zip(networks(both, conf), both, results):
        network.delete(result=result, **requests)
        assert set(runtime.links()) == {"lo", "br1"}


@pytest.mark.parametrize("conf", WRONG.values(), ids=WRONG)
def test_what_the_reference_refuses_is_refused_in_its_words(both: list[Runtime], conf: dict[str, Any]) -> None:
    conf = dict(conf)
    requests = conf.pop("runtimeConfig", {})
    said = []
    for network, runtime, kind in zip(networks(both, conf), both, ("bridge", "humanz-cni")):
        runtime.pod("pod1")
        outcome = network.call(
            "ADD", {**conf, "type": kind, "capabilities": {"ips": True}}, "pod1", "eth0", requests, None
        )
        assert outcome.status == 1
        said.append(outcome.document["msg"])
    assert said[1] == said[0] or said[1] in said[0] or said[0] in said[1], said
