# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes, a switch between them and an outside, all throw-away, with the plugin and all rules in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.humanz.cni.plugins.action.cni_plugin import pack
from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import checks as reachability_checks
from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import reasons as reachability_reasons
from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import table
from tests.support import ROOT
from tests.support.netns.node import Node

FILES = ROOT / "files" / "humanz_cni"
CLUSTER_CIDR = "100.100.0.0/16"
OUTSIDE = "192.168.122.1"
GUARD = """\
table inet guard {
    chain way {
        type filter hook forward priority 10; policy drop;
        ct state established,related accept
    }
}
"""


class Fleet:
    """The nodes by name, and what verify does with them, module by module.

    :param rules: gives a node, whose pods have addresses of a CIDR, what there is to be of rules.
    """

    def __init__(self, rules: Callable[[Node, str], None]) -> None:
        self.switch = Node()
        self.switch.ip("link add lan type bridge")
        self.switch.ip("link set lan up")
        self.outside = Node()
        self.outside.ip("link add uplink type bridge")
        self.outside.ip("link set uplink up")
        self.outside.ip(f"addr add {OUTSIDE}/24 dev uplink")
        self.nodes = {f"node-{number}": Node() for number in (1, 2, 3)}
        for number, node in enumerate(self.nodes.values(), 1):
            self._wire(node, number)
            pod_cidr = f"100.100.{number - 1}.0/24"
            self._converge(node, number, pod_cidr)
            rules(node, pod_cidr)

    def _wire(self, node: Node, number: int) -> None:
        node.wire("enp8s0", self.switch, f"port{number}")
        self.switch.ip(f"link set port{number} master lan")
        node.wire("enp1s0", self.outside, f"port{number}")
        self.outside.ip(f"link set port{number} master uplink")
        node.ip(f"addr add 200.0.0.{number}0/24 dev enp8s0")
        node.ip(f"addr add 192.168.122.1{number}/24 dev enp1s0")
        node.ip(f"route add default via {OUTSIDE}")

    def _converge(self, node: Node, number: int, pod_cidr: str) -> None:
        installed = node.module("cni_plugin", {"source": pack(FILES)})
        assert not installed.get("failed"), installed
        node.run("rm", "-rf", "/etc/cni/net.d")
        node.run("mkdir", "-p", "/etc/cni/net.d")
        self.write_conf(node, {"cniVersion": "1.0.0", "name": "humanz-cni", "plugins": [self.plugin_conf(pod_cidr)]})
        for other in {1, 2, 3} - {number}:
            node.ip(f"route add 100.100.{other - 1}.0/24 via 200.0.0.{other}0 proto 217")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    @staticmethod
    def plugin_conf(pod_cidr: str) -> dict[str, Any]:
        ipam = {"type": "host-local", "ranges": [[{"subnet": pod_cidr}]]}
        return {"type": "humanz-cni", "bridge": "humanz-cni0", "isDefaultGateway": True, "ipam": ipam}

    @staticmethod
    def write_conf(node: Node, conf: dict[str, Any]) -> None:
        node.run("tee", "/etc/cni/net.d/10-humanz-cni-plugin.conflist", input=json.dumps(conf))

    def close(self) -> None:
        for node in (*self.nodes.values(), self.switch, self.outside):
            node.close()

    def start(self) -> dict[str, Any]:
        """Start a probe pod on every node; return the cluster as the verification takes it."""
        started = self._on(self.nodes, "pod_probe", dict.fromkeys(self.nodes, {"lifetime": 600}))
        nodes = {name: cluster_entry(result) for name, result in started.items()}
        families = reachability_checks.families_of(nodes)
        return {"nodes": nodes, "families": families, "outside": [], "sample": 50, "masquerade": [4, 6]}

    def stop(self) -> None:
        stopped = self._on(self.nodes, "pod_probe", dict.fromkeys(self.nodes, {"state": "stopped"}))
        assert not any(result.get("failed") for result in stopped.values()), stopped

    @staticmethod
    def _on(nodes: dict[str, Node], module: str, args: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Run one module on each node that *args* names, on all at the same time."""
        with ThreadPoolExecutor() as pool:
            results = {name: pool.submit(nodes[name].module, module, arguments) for name, arguments in args.items()}
            return {name: result.result() for name, result in results.items()}

    def probe(self, cluster: dict[str, Any], timeout: float = 2) -> list[dict[str, Any]]:
        """Connect from everywhere; return the failures with their reasons."""
        args = {
            name: {"state": "probed", "targets": reachability_checks.targets_for(cluster, name), "timeout": timeout}
            for name in self.nodes
        }
        failures = []
        for name, result in self._on(self.nodes, "pod_probe", args).items():
            failures += reachability_checks.judge(cluster, name, result["results"])["failures"]
        questions = {name: {"paths": paths} for name, paths in reachability_checks.paths_to_examine(failures).items()}
        examined = {
            (name, found["source"], found["destination"]): found
            for name, result in self._on(self.nodes, "pod_network_info", questions).items()
            for found in result["paths"]
        }
        for failure in failures:
            evidence = {
                name: examined[name, failure.get("local"), failure["address"]]
                for name in self.nodes
                if (name, failure.get("local"), failure["address"]) in examined
            }
            failure["reasons"] = reachability_reasons.explain(cluster, failure, evidence)
        return failures


def by_iptables(node: Node, pod_cidr: str) -> None:
    """Rules in iptables, whose FORWARD drops what no rule accepts."""
    for rule in (
        "-P FORWARD DROP",
        "-N HUMANZ-FORWARD",
        "-A FORWARD -j HUMANZ-FORWARD",
        f"-A HUMANZ-FORWARD -s {CLUSTER_CIDR} -j ACCEPT",
        f"-A HUMANZ-FORWARD -d {CLUSTER_CIDR} -j ACCEPT",
        "-t nat -N HUMANZ-POSTROUTING",
        "-t nat -A POSTROUTING -j HUMANZ-POSTROUTING",
        f"-t nat -A HUMANZ-POSTROUTING -s {pod_cidr} -d {CLUSTER_CIDR} -j RETURN",
        f"-t nat -A HUMANZ-POSTROUTING -s {pod_cidr} -j MASQUERADE",
    ):
        node.run("iptables", "-w", *rule.split())


def by_nft(node: Node, pod_cidr: str) -> None:
    """Rules in nf_tables on a node that has no iptables, where an administrator's chain drops what no rule accepts."""
    commands = " ".join(f"/usr/sbin/{name}" for name in ("nft", "sysctl"))
    hide = f"mkdir /run/sbin; cp {commands} /run/sbin; mount --bind /run/sbin /usr/sbin"
    node.run("sh", "-ec", hide)
    node.run("nft", "-f", "-", input=GUARD)
    args = {"pod_cidrs": [pod_cidr], "non_masquerade_cidrs": [CLUSTER_CIDR, "200.0.0.0/24"]}
    done = node.module("pod_firewall", args)
    assert done["backends"] == {"nft": "nftables"}, done


def cluster_entry(result: dict[str, Any]) -> dict[str, Any]:
    """Return a node of the cluster from the module's result, as the action plugin does."""
    if "pod" not in result:
        return {"error": result["msg"]}
    pod = result["pod"]
    found = {"own": result["node_addresses"], **{key: result[key] for key in ("gateways", "lacked")}}
    return {"pod": pod["addresses"], "port": pod["port"], **found}


def checks(failures: list[dict[str, Any]]) -> set[str]:
    """Return the failed checks in words, without addresses."""
    return {table.describe(dict(failure, address="")) for failure in failures}


def reasons(failures: list[dict[str, Any]]) -> set[str]:
    """Return all reasons of all failures."""
    return {reason for failure in failures for reason in failure["reasons"]}
