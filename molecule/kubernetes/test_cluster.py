# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster's user expects of its pod network, asked of a real Kubernetes by kubectl.

The scenario's playbooks say which of these tests they run, and in which order: each one goes on with the cluster that
the one before has left.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.support import ROOT
from tests.support.lab.cluster import (
    from_node,
    from_pod,
    gateway,
    items,
    kubectl,
    lab,
    nodes,
    one_per_node,
    pods,
    reservations,
    wait_until_gone,
)

PORT, HOST_PORT, SERVICE_PORT = "8080", "8088", "80"
OUTSIDE = "203.0.113.10"
MANY = 60
WAIT = "--timeout=300s"
MANIFESTS = ROOT / "molecule" / "kubernetes" / "manifests"


def test_not_ready() -> None:
    """Every node has its pod CIDR and waits for a pod network."""
    assert [name for name, node in nodes().items() if node["ready"] == "True"] == [], "nodes that are ready"


def test_inventory() -> None:
    """The inventory plugin reads the same from the API, by the administrator's kubeconfig, as from the saved nodes."""
    state = "/var/lib/humanz-lab/%s" % os.environ["HUMANZ_LAB_NAME"]
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "kubernetes_nodes.yml")
        source.write_text("plugin: humanz.cni.kubernetes_nodes\n")
        network = "--net=/run/netns/%s.host" % os.environ["HUMANZ_LAB_NAME"]
        read = subprocess.run(
            ["nsenter", network, "ansible-inventory", "--list", "--inventory", str(source)],
            env={**os.environ, "KUBECONFIG": state + "/etc/kubernetes/admin.kubeconfig"},
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    # What comes from outside is marked as such.
    hosts = json.loads(read.stdout, object_hook=lambda each: each.get("__ansible_unsafe", each))["_meta"]["hostvars"]
    seen = {
        name: {"ip": each["pod_network_node_ip"], "cidr": each["pod_network_pod_cidr"]} for name, each in hosts.items()
    }
    known = {name: {"ip": node["ip"], "cidr": node["cidr"]} for name, node in nodes().items()}
    assert seen == known, "inventory from the API"


def test_ready() -> None:
    """Every node is ready."""
    kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
    assert sorted({node["ready"] for node in nodes().values()}) == ["True"], "nodes that are ready"


def test_deploy() -> None:
    """The cluster's DNS and pods on every node come up."""
    for manifest in ("coredns", "peers"):
        kubectl("apply", "--filename=-", stdin=(MANIFESTS / f"{manifest}.yml").read_text())
    kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", WAIT)
    for workload in ("deployment/peer", "deployment/alone", "daemonset/published"):
        kubectl("rollout", "status", workload, WAIT)


def test_talk() -> None:
    """Pods reach each other by their own addresses, on a node and across nodes, and the outside; nodes reach pods."""
    known, every, callers = nodes(), pods("peer"), one_per_node("peer")
    assert [pod["node"] for pod in callers] == sorted(known), "nodes with pods"
    assert len(every) > len(callers), "nodes with several pods"
    for pod in callers:
        remote = [other["ip"] for other in callers if other != pod]
        near = [other["ip"] for other in every if other != pod and other["node"] == pod["node"]]
        seen = from_pod(pod, *((address, PORT) for address in (*remote, *near, OUTSIDE)))
        assert seen[: len(remote)] == [pod["ip"]] * len(remote), "pod to pods of other nodes"
        assert seen[len(remote) : -1] == [pod["ip"]] * len(near), "pod to pods of its node"
        assert seen[-1:] == [known[pod["node"]]["uplink"]], "pod to the outside"
    for name, node in known.items():
        seen = from_node(name, *((pod["ip"], PORT) for pod in callers))
        assert seen == [gateway(node) if pod["node"] == name else node["ip"] for pod in callers], "node to pods"


def test_services() -> None:
    """Services, their names, published ports and a pod's call of itself by its service work."""
    known, callers = nodes(), one_per_node("peer")
    (service,) = (each for each in items("services") if each["metadata"]["name"] == "peer")
    address, name = (service["spec"]["clusterIP"], SERVICE_PORT), ("alone.default.svc.cluster.local", SERVICE_PORT)
    for pod in callers:
        *by_address, by_name = from_pod(pod, address, address, address, name)
        assert len(by_address) == 3, "answers of a service"
        assert set(by_address) <= {pod["ip"], gateway(known[pod["node"]])}, "pod to service"
        assert by_name == pod["ip"], "pod to service by name"
        other = next(each for each in callers if each != pod)
        caller = from_node(other["node"], (known[pod["node"]]["ip"], HOST_PORT))
        assert caller == [known[other["node"]]["ip"]], "node to a published port"
    (alone,) = pods("alone")
    seen = from_pod(alone, ("alone", SERVICE_PORT))
    assert seen == [gateway(known[alone["node"]])], "pod to itself by its service"


def test_no_leaks() -> None:
    """What is reserved is what the pods have."""
    with_address = [pod for pod in items("pods", "--all-namespaces") if pod["status"].get("podIP")]
    held = reservations()
    reserved = sorted(address for each in held for address in each["addresses"])
    assert reserved == sorted(pod["status"]["podIP"] for pod in with_address), "reserved addresses"
    assert {each["status"] for each in held} == {"live"}, "what the reservations are"


def test_rolling_restart() -> None:
    """Many pods are replaced by others; every address comes back."""
    kubectl("scale", "deployment/peer", "--replicas=%d" % MANY)
    kubectl("rollout", "status", "deployment/peer", WAIT)
    before = {pod["name"] for pod in pods("peer")}
    assert len(before) == MANY, "pods"
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    kubectl("scale", "deployment/peer", "--replicas=6")
    # What is left after scaling down may all be on one node.
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    wait_until_gone("peer", 6)
    assert [pod["name"] for pod in pods("peer") if pod["name"] in before] == [], "pods that are still the same"


def test_nftables_proxy() -> None:
    """kube-proxy works by nftables instead of iptables from now on."""
    count = "iptables-save | grep -c '^-A KUBE-SERVICES' || true"
    for name in nodes():
        rules = int(lab("exec", name, "--", "sh", "-c", count))
        assert rules > 0, "kube-proxy has rules in iptables on %s" % name
        command = "echo PROXY_MODE=nftables > /etc/default/kube-proxy; systemctl restart kube-proxy"
        lab("exec", name, "--", "sh", "-ec", command)
    for name in nodes():
        found = "until nft list table ip kube-proxy 2> /dev/null | grep -q service-ips; do sleep 0.2; done; echo yes"
        assert lab("exec", name, "--", "timeout", "30", "sh", "-c", found) == "yes", "kube-proxy's table on %s" % name
        assert lab("exec", name, "--", "sh", "-c", count) == "0", "kube-proxy's rules in iptables"


def test_drain_and_reboot() -> None:
    """A node is emptied, restarted and used again."""
    name = "ubuntu-nested-3"
    kubectl("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", WAIT)
    assert [pod["name"] for pod in pods("peer") if pod["node"] == name] == [], "pods on the drained node"
    boot = lab("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id")
    lab("reboot", name)
    same = lab("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id") == boot
    assert not same, "the node is in its former boot"
    kubectl("uncordon", name)
    test_ready()
    test_spread()


def test_spread() -> None:
    """New pods take all nodes."""
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    kubectl("rollout", "status", "daemonset/published", WAIT)
    wait_until_gone("peer", 6)


def test_no_route_to_fourth() -> None:
    """Every other node has a route to each of the others, and no more."""
    known = nodes()
    for name in known:
        routes = json.loads(lab("exec", name, "--", "ip", "-json", "route", "show", "proto", "217"))
        others = sorted(node["cidr"] for other, node in known.items() if other != name)
        assert sorted(route["dst"] for route in routes) == others, "routes on %s" % name
