# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster's user expects of its pod network, asked of a real Kubernetes by kubectl.

Usage: python3 cluster.py CHECK ...    from the project's directory, with the lab up; the checks are the functions below
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

PORT, HOST_PORT, SERVICE_PORT = "8080", "8088", "80"
OUTSIDE = "203.0.113.10"
CALL = ("/usr/bin/python3", "-I", "/usr/local/lib/lab/peer.py", "call")
MANY = 60
FOURTH = "ubuntu-nested-4"
WAIT = "--timeout=300s"
failures: list[str] = []


def lab(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command of the lab and return what it prints; what it says when it fails goes to our stderr."""
    done = subprocess.run(("python3", "lab", *argv), check=check, stdout=subprocess.PIPE, text=True, input=stdin or "")
    return done.stdout.strip()


def kubectl(*argv: str, stdin: str | None = None) -> str:
    """Run kubectl as the administrator."""
    return lab("kubectl", "--", *argv, stdin=stdin)


def items(*argv: str) -> list[dict[str, Any]]:
    """Return the objects that kubectl lists."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "--output=json", *argv))["items"]
    return found


def expect(what: str, seen: object, wanted: object) -> None:
    """Print what was seen, and remember if it is not what was wanted."""
    print("%s: %s: %r, expected %r" % ("ok" if seen == wanted else "FAILED", what, seen, wanted), flush=True)
    if seen != wanted:
        failures.append(what)


def pods(app: str) -> list[dict[str, Any]]:
    """Return the running pods of *app*: name, ip, node."""
    found = [
        {"name": pod["metadata"]["name"], "ip": pod["status"]["podIP"], "node": pod["spec"]["nodeName"]}
        for pod in items("pods", "--selector=app=%s" % app, "--field-selector=status.phase=Running")
        if "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(found, key=lambda pod: (pod["node"], pod["name"]))


def nodes() -> dict[str, dict[str, Any]]:
    """Return by name each node's address, pod CIDR, uplink address and whether it is ready."""
    return {
        node["metadata"]["name"]: {
            "ip": next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"),
            "cidr": node["spec"]["podCIDR"],
            "uplink": "192.168.122.%d" % (10 + int(node["metadata"]["name"].rsplit("-", 1)[1])),
            "ready": {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"],
        }
        for node in items("nodes")
    }


def from_pod(pod: dict[str, Any], *servers: tuple[str, str]) -> list[str]:
    """Return the address that each of the servers, an address and a port, saw *pod* call from."""
    return kubectl("exec", pod["name"], "--", *_calls(servers)).splitlines()


def from_node(node: str, *servers: tuple[str, str]) -> list[str]:
    """Return the address that each of the servers saw *node* call from."""
    return lab("exec", node, "--", *_calls(servers)).splitlines()


def _calls(servers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """One command for all of them, as kubectl takes longer than a call."""
    return "/bin/sh", "-ec", "; ".join(" ".join((*CALL, *server)) for server in servers)


def wait_for(what: str, seen: Callable[[], bool]) -> None:
    """Wait until *what* is seen, and end the run if it is not."""
    deadline = time.monotonic() + 300
    while not seen():
        if time.monotonic() > deadline:
            sys.exit("waited in vain for " + what)
        time.sleep(1)


def wait_until_gone(app: str, left: int) -> None:
    """Wait until *app* has no more than *left* pods, ending ones included."""
    wait_for("the end of pods of " + app, lambda: len(items("pods", "--selector=app=%s" % app)) <= left)


def one_per_node(app: str) -> list[dict[str, Any]]:
    """Return a running pod of *app* on each node."""
    return list({pod["node"]: pod for pod in pods(app)}.values())


def not_ready() -> None:
    """Every node has its pod CIDR and waits for a pod network."""
    expect("nodes that are ready", [name for name, node in nodes().items() if node["ready"] == "True"], [])


def inventory() -> None:
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
    expect("inventory from the API", seen, known)


def ready() -> None:
    """Every node is ready."""
    kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
    expect("nodes that are ready", sorted({node["ready"] for node in nodes().values()}), ["True"])


def deploy() -> None:
    """The cluster's DNS and pods on every node come up."""
    for manifest in ("coredns", "peers"):
        with open("molecule/kubernetes/manifests/%s.yml" % manifest, encoding="utf-8") as stream:
            kubectl("apply", "--filename=-", stdin=stream.read())
    kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", WAIT)
    for workload in ("deployment/peer", "deployment/alone", "daemonset/published"):
        kubectl("rollout", "status", workload, WAIT)


def talk() -> None:
    """Pods reach each other by their own addresses, on a node and across nodes, and the outside; nodes reach pods."""
    known, every, callers = nodes(), pods("peer"), one_per_node("peer")
    expect("nodes with pods", [pod["node"] for pod in callers], sorted(known))
    expect("nodes with several pods", len(every) > len(callers), True)
    for pod in callers:
        remote = [other["ip"] for other in callers if other != pod]
        near = [other["ip"] for other in every if other != pod and other["node"] == pod["node"]]
        seen = from_pod(pod, *((address, PORT) for address in (*remote, *near, OUTSIDE)))
        expect("pod to pods of other nodes", seen[: len(remote)], [pod["ip"]] * len(remote))
        expect("pod to pods of its node", seen[len(remote) : -1], [pod["ip"]] * len(near))
        expect("pod to the outside", seen[-1:], [known[pod["node"]]["uplink"]])
    for name, node in known.items():
        seen = from_node(name, *((pod["ip"], PORT) for pod in callers))
        expect("node to pods", seen, [gateway(node) if pod["node"] == name else node["ip"] for pod in callers])


def services() -> None:
    """Services, their names, published ports and a pod's call of itself by its service work."""
    known, callers = nodes(), one_per_node("peer")
    (service,) = (each for each in items("services") if each["metadata"]["name"] == "peer")
    address, name = (service["spec"]["clusterIP"], SERVICE_PORT), ("alone.default.svc.cluster.local", SERVICE_PORT)
    for pod in callers:
        *by_address, by_name = from_pod(pod, address, address, address, name)
        expect("answers of a service", len(by_address), 3)
        expect("pod to service", set(by_address) <= {pod["ip"], gateway(known[pod["node"]])}, True)
        expect("pod to service by name", by_name, pod["ip"])
        other = next(each for each in callers if each != pod)
        caller = from_node(other["node"], (known[pod["node"]]["ip"], HOST_PORT))
        expect("node to a published port", caller, [known[other["node"]]["ip"]])
    (alone,) = pods("alone")
    seen = from_pod(alone, ("alone", SERVICE_PORT))
    expect("pod to itself by its service", seen, [gateway(known[alone["node"]])])


def gateway(node: dict[str, Any]) -> str:
    """Return the first address of the node's pod CIDR, which is its bridge's."""
    return str(node["cidr"]).rsplit(".", 1)[0] + ".1"


def reservations() -> list[dict[str, Any]]:
    """Return what the plugin holds reserved on all nodes, and the pods without a reservation."""
    found = []
    for name in nodes():
        found += json.loads(lab("exec", name, "--", "humanz-cni-ctl", "list", "--output", "json"))["reservations"]
    return found


def no_leaks() -> None:
    """What is reserved is what the pods have."""
    with_address = [pod for pod in items("pods", "--all-namespaces") if pod["status"].get("podIP")]
    held = reservations()
    reserved = sorted(address for each in held for address in each["addresses"])
    expect("reserved addresses", reserved, sorted(pod["status"]["podIP"] for pod in with_address))
    expect("what the reservations are", {each["status"] for each in held}, {"live"})


def rolling_restart() -> None:
    """Many pods are replaced by others; every address comes back."""
    kubectl("scale", "deployment/peer", "--replicas=%d" % MANY)
    kubectl("rollout", "status", "deployment/peer", WAIT)
    before = {pod["name"] for pod in pods("peer")}
    expect("pods", len(before), MANY)
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    kubectl("scale", "deployment/peer", "--replicas=6")
    # What is left after scaling down may all be on one node.
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    wait_until_gone("peer", 6)
    expect("pods that are still the same", [pod["name"] for pod in pods("peer") if pod["name"] in before], [])


def nftables_proxy() -> None:
    """kube-proxy works by nftables instead of iptables from now on."""
    count = "iptables-save | grep -c '^-A KUBE-SERVICES' || true"
    for name in nodes():
        rules = int(lab("exec", name, "--", "sh", "-c", count))
        expect("kube-proxy has rules in iptables on %s" % name, rules > 0, True)
        command = "echo PROXY_MODE=nftables > /etc/default/kube-proxy; systemctl restart kube-proxy"
        lab("exec", name, "--", "sh", "-ec", command)
    for name in nodes():
        found = "until nft list table ip kube-proxy 2> /dev/null | grep -q service-ips; do sleep 0.2; done; echo yes"
        expect("kube-proxy's table on %s" % name, lab("exec", name, "--", "timeout", "30", "sh", "-c", found), "yes")
        expect("kube-proxy's rules in iptables", lab("exec", name, "--", "sh", "-c", count), "0")


def drain_and_reboot() -> None:
    """A node is emptied, restarted and used again."""
    name = "ubuntu-nested-3"
    kubectl("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", WAIT)
    expect("pods on the drained node", [pod["name"] for pod in pods("peer") if pod["node"] == name], [])
    boot = lab("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id")
    lab("reboot", name)
    same = lab("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id") == boot
    expect("the node is in its former boot", same, False)
    kubectl("uncordon", name)
    ready()
    spread()


def spread() -> None:
    """New pods take all nodes."""
    kubectl("rollout", "restart", "deployment/peer")
    kubectl("rollout", "status", "deployment/peer", WAIT)
    kubectl("rollout", "status", "daemonset/published", WAIT)
    wait_until_gone("peer", 6)


def no_route_to_fourth() -> None:
    """Every other node has a route to each of the others, and no more."""
    known = nodes()
    for name in known:
        routes = json.loads(lab("exec", name, "--", "ip", "-json", "route", "show", "proto", "217"))
        others = sorted(node["cidr"] for other, node in known.items() if other != name)
        expect("routes on %s" % name, sorted(route["dst"] for route in routes), others)


def run(checks: list[str], functions: dict[str, Any]) -> int:
    """Run *checks*, which are functions by name, and return the exit code."""
    for check in checks:
        print("== %s" % check, flush=True)
        functions[check]()
    for what in failures:
        print("FAILED: %s" % what)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], globals()))
