"""The lab's wires: switches, router and outside, all in network namespaces of their own.

``LAB.host`` is what the hypervisor is to libvirt's guests: bridge virbr0 with 192.168.122.1 is the nodes' uplink
and routes, without NAT, to ``LAB.outside``; bridge virbr1, without an address, is the inter-node switch.
Both families are on every wire. IPv6 addresses are nobody else's there, so that nothing waits for their check.
The router knows nothing of pod networks: what leaves a node with a pod's address gets no answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.settings import Lab
from lab.shell import run, wait_until
from lab.topology import (
    OUTSIDE_ADDRESS,
    OUTSIDE_ADDRESS_IPV6,
    OUTSIDE_GATEWAY,
    OUTSIDE_GATEWAY_IPV6,
    PEER_PORT,
    UPLINK_GATEWAY,
    UPLINK_GATEWAY_IPV6,
    UPLINK_GATEWAY_MAC,
    Node,
)

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
PEER = Path(__file__).parent / "node/usr/local/lib/lab/peer.py"


def namespaces(lab: Lab) -> list[str]:
    """The names of the lab's network namespaces that exist."""
    directory = Path("/run/netns")
    return sorted(p.name for p in directory.glob(lab.namespace("*"))) if directory.exists() else []


def _inside(namespace: str, *argv: str) -> list[str]:
    return ["nsenter", "--net=/run/netns/%s" % namespace, *argv]


def _ip(namespace: str, lines: list[str]) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="".join("%s\n" % line for line in lines))


def _sysctl(namespace: str, key: str, value: str) -> None:
    run(_inside(namespace, "sysctl", "-qw", "%s=%s" % (key, value)))


def lay_switches(lab: Lab) -> None:
    """Make the switches, the router and the outside with its server, unless they are there."""
    host, outside = lab.namespace("host"), lab.namespace("outside")
    if outside in namespaces(lab):
        return
    run(["ip", "netns", "add", host])
    run(["ip", "netns", "add", outside])
    _ip(
        host,
        [
            "link set lo up",
            # Without an address of its own, a bridge changes its MAC as ports come and go, and neighbours lose it.
            "link add virbr0 address %s type bridge" % UPLINK_GATEWAY_MAC,
            "link add virbr1 type bridge",
            "address add %s/24 dev virbr0" % UPLINK_GATEWAY,
            "address add %s/64 dev virbr0 nodad" % UPLINK_GATEWAY_IPV6,
            "link set virbr0 up",
            "link set virbr1 up",
            "link add outside type veth peer name eth0 netns %s" % outside,
            "address add %s/24 dev outside" % OUTSIDE_GATEWAY,
            "address add %s/64 dev outside nodad" % OUTSIDE_GATEWAY_IPV6,
            "link set outside up",
        ],
    )
    _ip(
        outside,
        [
            "link set lo up",
            "address add %s/24 dev eth0" % OUTSIDE_ADDRESS,
            "address add %s/64 dev eth0 nodad" % OUTSIDE_ADDRESS_IPV6,
            "link set eth0 up",
            "route add default via %s" % OUTSIDE_GATEWAY,
            "route add default via %s" % OUTSIDE_GATEWAY_IPV6,
        ],
    )
    for key in FORWARDING:
        _sysctl(host, key, "1")
    _serve_outside(outside)


def _serve_outside(outside: str) -> None:
    argv = _inside(outside, sys.executable, "-I", str(PEER), "serve", str(PEER_PORT))
    null = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, cwd="/", start_new_session=True)
    call = _inside(outside, sys.executable, "-I", str(PEER), "call", OUTSIDE_ADDRESS, str(PEER_PORT))
    wait_until(lambda: run(call, check=False).returncode == 0, "an answer of the outside server", 10)


def plug_in(lab: Lab, node: Node) -> None:
    """Give the node a new namespace with its NICs and addresses, as a machine has them after power-on."""
    namespace = lab.namespace(node.name)
    unplug(lab, node)
    run(["ip", "netns", "add", namespace])
    # A new namespace may inherit forwarding from the machine; a bare node has it off.
    for key in FORWARDING:
        _sysctl(namespace, key, "0")
    nic = "link add %s%d type veth peer name %s address %s netns " + namespace
    _ip(
        lab.namespace("host"),
        [
            nic % ("uplink", node.index, "enp1s0", node.mac(0)),
            nic % ("nodes", node.index, node.node_interface, node.mac(1)),
            "link set uplink%d master virbr0 up" % node.index,
            "link set nodes%d master virbr1 up" % node.index,
        ],
    )
    _ip(
        namespace,
        [
            "link set lo up",
            "address add %s/24 dev enp1s0" % node.uplink_address,
            "address add %s/64 dev enp1s0 nodad" % node.uplink_address_ipv6,
            "address add %s/24 dev %s" % (node.node_address, node.node_interface),
            "address add %s/64 dev %s nodad" % (node.node_address_ipv6, node.node_interface),
            "link set enp1s0 up",
            "link set %s up" % node.node_interface,
            "route add default via %s dev enp1s0" % UPLINK_GATEWAY,
            "route add default via %s dev enp1s0" % UPLINK_GATEWAY_IPV6,
        ],
    )


def unplug(lab: Lab, node: Node) -> None:
    """Delete the node's namespace and NICs, if there."""
    existing = namespaces(lab)
    if lab.namespace(node.name) in existing:
        _delete(lab.namespace(node.name))
    if lab.namespace("host") in existing:
        for port in ("uplink", "nodes"):
            # A NIC outlives its namespace's name for as long as a process holds the namespace.
            run(["ip", "-n", lab.namespace("host"), "link", "delete", "%s%d" % (port, node.index)], check=False)


def remove_all(lab: Lab) -> None:
    """Delete every namespace of the lab and end what runs in it."""
    for namespace in namespaces(lab):
        _delete(namespace)


def _delete(namespace: str) -> None:
    for pid in run(["ip", "netns", "pids", namespace]).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run(["ip", "netns", "delete", namespace])
