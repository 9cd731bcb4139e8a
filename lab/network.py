"""The lab's wires: switches, router and outside, all in network namespaces of their own.

``LAB.host`` is what the hypervisor is to libvirt's guests: its bridges are the switches of the topology's networks. In
the nodes' uplink it has an address and routes, without NAT, to ``LAB.outside``. ``LAB.lan-host``, if the topology has
it, is a machine in the nodes' network that is no node.
Both families are on every wire. IPv6 addresses are nobody else's there, so that nothing waits for their check.
Router and LAN host know nothing of pod networks: what leaves a node with a pod's address gets no answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.settings import Lab
from lab.shell import LabError, run, wait_until
from lab.topology import OUTSIDE, OUTSIDE_GATEWAY, PEER_PORT, Network, Node, Topology, mac

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
PEER = Path(__file__).parent / "node/usr/local/lib/lab/peer.py"
RESOLVER = Path(__file__).parent / "resolver.py"


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


def _addresses(nic: str, addresses: tuple[str, str]) -> list[str]:
    ipv4, ipv6 = addresses
    return ["address add %s/24 dev %s" % (ipv4, nic), "address add %s/64 dev %s nodad" % (ipv6, nic)]


def _default_routes(nic: str, gateways: tuple[str, str]) -> list[str]:
    return ["route add default via %s dev %s" % (gateway, nic) for gateway in gateways]


def lay_switches(lab: Lab, topology: Topology) -> None:
    """Make the switches, the router, and the machines that are no nodes with their servers, unless they are there."""
    host = lab.namespace("host")
    if lab.namespace("outside") in namespaces(lab):
        return
    run(["ip", "netns", "add", host])
    _ip(host, ["link set lo up", *(line for network in topology.networks for line in _switch(topology, network))])
    for key in FORWARDING:
        _sysctl(host, key, "1")
    for network in topology.networks:
        if network.lan_host is not None:
            port = ["link set lan-host master %s" % network.switch]
            _add_machine(lab, "lan-host", port, network.addresses(network.lan_host), topology.gateway)
    if topology.resolver:
        _serve_names(lab, topology)
    _add_machine(lab, "outside", _addresses("outside", OUTSIDE_GATEWAY), OUTSIDE, OUTSIDE_GATEWAY)


def _switch(topology: Topology, network: Network) -> list[str]:
    return [
        # Without an address of its own, a bridge changes its MAC as ports come and go, and neighbours lose it.
        "link add %s address %s type bridge" % (network.switch, mac(topology, network, 0)),
        *([] if network.router is None else _addresses(network.switch, network.addresses(network.router))),
        "link set %s up" % network.switch,
    ]


def _add_machine(lab: Lab, place: str, port: list[str], addresses: tuple[str, str], gateways: tuple[str, str]) -> None:
    """Make a machine that answers its callers; *port* is what is to be done to the other end of its wire."""
    namespace = lab.namespace(place)
    run(["ip", "netns", "add", namespace])
    wire = "link add %s type veth peer name eth0 netns %s" % (place, namespace)
    _ip(lab.namespace("host"), [wire, *port, "link set %s up" % place])
    nic = ["link set lo up", *_addresses("eth0", addresses), "link set eth0 up", *_default_routes("eth0", gateways)]
    _ip(namespace, nic)
    _start(namespace, PEER, "serve", str(PEER_PORT))
    call = _inside(namespace, sys.executable, "-I", str(PEER), "call", addresses[0], str(PEER_PORT))
    wait_until(lambda: run(call, check=False).returncode == 0, "an answer of %s" % namespace, 10)


def _serve_names(lab: Lab, topology: Topology) -> None:
    names = {"outside.lab": OUTSIDE}
    for network in topology.networks:
        if network.lan_host is not None:
            names["lan-host.lab"] = network.addresses(network.lan_host)
    words = ["%s=%s" % (name, address) for name, addresses in names.items() for address in addresses]
    server = _start(lab.namespace("host"), RESOLVER, *words, "--", *topology.resolvers, stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout:
        if not server.stdout.readline():
            raise LabError("%s does not start" % RESOLVER)


def _start(namespace: str, program: Path, *words: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start one of our servers in a namespace, which runs until that is deleted."""
    argv, null = _inside(namespace, sys.executable, "-I", str(program), *words), subprocess.DEVNULL
    return subprocess.Popen(argv, stdin=null, stdout=stdout, stderr=null, cwd="/", start_new_session=True)


def plug_in(lab: Lab, node: Node) -> None:
    """Give the node a new namespace with its NICs and addresses, as a machine has them after power-on."""
    namespace, topology = lab.namespace(node.name), node.topology
    unplug(lab, node)
    run(["ip", "netns", "add", namespace])
    # A new namespace may inherit forwarding from the machine; a bare node has it off.
    for key in FORWARDING:
        _sysctl(namespace, key, "0")
    _ip(lab.namespace("host"), [line for network in topology.networks for line in _wire(node, network, namespace)])
    _ip(
        namespace,
        [
            "link set lo up",
            *(line for network in topology.networks for line in _nic(node, network)),
            *_default_routes(topology.uplink.nic_of(node.index), topology.gateway),
        ],
    )


def _wire(node: Node, network: Network, namespace: str) -> list[str]:
    nic = "%s address %s netns %s" % (network.nic_of(node.index), node.mac(network), namespace)
    return [
        "link add %s type veth peer name %s" % (network.port(node.index), nic),
        "link set %s master %s up" % (network.port(node.index), network.switch),
    ]


def _nic(node: Node, network: Network) -> list[str]:
    name = network.nic_of(node.index)
    return [*_addresses(name, node.addresses(network)), "link set %s up" % name]


def unplug(lab: Lab, node: Node) -> None:
    """Delete the node's namespace and NICs, if there."""
    existing = namespaces(lab)
    if lab.namespace(node.name) in existing:
        _delete(lab.namespace(node.name))
    if lab.namespace("host") in existing:
        for network in node.topology.networks:
            # A NIC outlives its namespace's name for as long as a process holds the namespace.
            run(["ip", "-n", lab.namespace("host"), "link", "delete", network.port(node.index)], check=False)


def remove_all(lab: Lab) -> None:
    """Delete every namespace of the lab and end what runs in it."""
    for namespace in namespaces(lab):
        _delete(namespace)


def _delete(namespace: str) -> None:
    for pid in run(["ip", "netns", "pids", namespace]).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run(["ip", "netns", "delete", namespace])
