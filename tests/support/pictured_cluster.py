# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of any size as a verification finds them, for the tests of their picture."""

from __future__ import annotations

from typing import Any

from ansible_collections.humanz.cni.plugins.plugin_utils._plan import comparison
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.cluster import make_plan
from ansible_collections.humanz.cni.plugins.plugin_utils._plan.node import node_part
from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import checks

GATEWAY = "192.168.122.1"
VXLAN = {"device": "humanz-vxlan0", "vni": 217, "port": 4789}
CLUSTER = {
    "pod_network_cluster_cidr": ["100.96.0.0/11"],
    "pod_network_service_cidr": ["10.96.0.0/12"],
    "pod_network_node_cidrs": ["200.0.0.0/20", "200.0.16.0/20"],
}


class PicturedCluster:
    """Nodes that are all well; two thirds are on the first network, and the others on the second, if *vxlan*.

    :param name: of which ``%d`` becomes each node's number, from 1.
    """

    def __init__(self, count: int, name: str = "node-%d", vxlan: bool = False) -> None:
        variables = {}
        for number in range(1, count + 1):
            third = 16 if vxlan and number > count * 2 // 3 else 0
            variables[name % number] = {
                "pod_network_node_ip": "200.0.%d.%d" % (third + number // 250, number % 250 + 1),
                "pod_network_pod_cidr": "100.%d.%d.0/24" % (100 + number // 256, number % 256),
            }
        self.names = list(variables)
        self.plan, problems = make_plan(CLUSTER, variables, VXLAN if vxlan else None)
        assert problems == []
        self.plan["problems"] = []
        nodes = {name: self._probed(name) for name in self.names}
        self.cluster: dict[str, Any] = {"nodes": nodes, "families": [4], "outside": [], "sample": 50, "masquerade": [4]}
        self.failures: list[dict[str, Any]] = []
        # Of nodes that are well, one is compared for all: a thousand would take the test's time.
        well = self.compared(self.names[0])
        self.nodes = {name: {**self._info(name, number), **well} for number, name in enumerate(self.names)}

    def _probed(self, name: str) -> dict[str, Any]:
        own = self.plan["nodes"][name]
        pods = [cidr.replace(".0/24", ".2") for cidr in own["pod_cidrs"]]
        return {"pod": pods, "port": 7217, "own": own["node_ips"], "gateways": [GATEWAY]}

    def _info(self, name: str, used: int) -> dict[str, Any]:
        (cidr,) = self.plan["nodes"][name]["pod_cidrs"]
        one_set = {"subnets": [cidr], "reserved": used % 100, "total": 253}
        return {"pool": {"directory": "/run/humanz-cni/humanz-cni", "sets": [one_set]}}

    def compared(self, name: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
        """Compare a node that has all routes of the plan but those to *without*."""
        part = node_part(self.plan, name)
        planned, vxlan = part["routes"], part["vxlan"]
        routes = [{"gateway": route["via"], "dev": "enp8s0", **route} for route in planned]
        routes = [route for route in routes if route["dst"] not in without]
        peers = {"up": True, "peers": [peer["node_ip"] for peer in vxlan["peers"]]} if vxlan else {}
        info = {
            "plugin": {"error": None},
            "conf": {"error": None},
            "pool": {"sets": [{"subnets": part["pod_cidrs"]}]},
            "routes": routes,
            "foreign_routes": [],
            "vxlan": vxlan and {**vxlan, **peers},
            "sysctls": {"net.ipv4.ip_forward": "1"},
        }
        return {"comparison": comparison.compare(part, info)}

    def cut(self, one: str, other: str) -> None:
        """Take the route to *other*'s pods from *one*, so that the two reach each other no more."""
        (cidr,) = self.plan["nodes"][other]["pod_cidrs"]
        self.nodes[one].update(self.compared(one, without=(cidr,)))
        for name, peer in ((one, other), (other, one)):
            for check in checks.checks_of(self.cluster, name):
                if check["to"] == peer:
                    reasons = [f"{one} has no route to {cidr}, the pods of {other}"]
                    self.failures.append({**check, "what": "no answer in 5 s", "reasons": reasons})

    def lose(self, *lost: str) -> None:
        """Have nodes that cannot be reached."""
        for name in lost:
            error = f"Failed to connect to the host via ssh: connect to host {name} port 22: No route to host"
            self.cluster["nodes"][name] = {"error": error}
            self.nodes[name] = {"error": "it took no part in this run"}
        for name in self.names:
            for check in checks.checks_of(self.cluster, name):
                end = next((end for end in (name, check["to"]) if end in lost), None)
                if end:
                    reason = checks.no_probe(self.cluster, end)
                    self.failures.append({**check, "what": "not tried", "reasons": [reason]})

    def fill(self, name: str) -> None:
        """Let a node's pods have nearly all addresses."""
        self.nodes[name]["pool"]["sets"][0]["reserved"] = 240

    @property
    def data(self) -> dict[str, Any]:
        """All that the picture is drawn from."""
        return {"cluster": self.cluster, "failures": self.failures, "plan": self.plan, "nodes": self.nodes}
