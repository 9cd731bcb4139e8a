# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody but pods sends with pods' addresses, and pods send with no others: through the node, and to itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.firewall.lan import IPV4, IPV6, Addresses, Lan, source_seen, sources_arrived

if TYPE_CHECKING:
    from tests.support.firewall.site_under_test import Site
    from tests.support.netns.node import Node

BACKENDS = ["nft", "legacy", "nftables"]
FAMILIES = pytest.mark.parametrize("address", [IPV4, IPV6], ids=["IPv4", "IPv6"])
# The outside's, an unused node's, another node's and its pod's, and the node's own.
NOT_PODS = {
    IPV4: ["8.8.8.8", "200.0.0.77", "200.0.0.20", "100.100.1.2", "200.0.0.10", "192.168.122.10", "100.100.0.1"],
    IPV6: ["2001:db8:8::8", "fd00:200::77", "fd00:200::20", "fd00:100:0:1::2", "fd00:200::10", "fd00:100::1"],
}
LOOPBACK = {IPV4: "127.0.0.1", IPV6: "::1"}
LINK_LOCAL = "fe80::77"
POD = {IPV4: "100.100.0.3", IPV6: "fd00:100::3"}  # none that runs
NODE = {IPV4: "200.0.0.10", IPV6: "fd00:200::10"}
# As kube-proxy makes them: what is marked, and what is part of a connection, is accepted ahead of ours.
SERVICE = {IPV4: "10.96.0.10", IPV6: "fd00:96::10"}
KUBERNETES = """\
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d {service} ! -s {cluster} -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d {service} -j DNAT --to-destination {to}
COMMIT
"""


def settings(node: Node, backend: str) -> Iterator[None]:
    """Try what lets the most through, and what drops the most, with rp_filter off and loose."""
    suffix = "legacy" if backend == "legacy" else "nft"
    for policy, rp_filter in itertools.product(("ACCEPT", "DROP"), (0, 2)):
        # Without iptables there is no policy.
        if backend != "nftables":
            for command in ("iptables", "ip6tables"):
                node.run(f"{command}-{suffix}", "-P", "FORWARD", policy)
        names = node.run("ls", "/proc/sys/net/ipv4/conf").stdout.split()
        node.run("sysctl", "-qw", *(f"net/ipv4/conf/{name}/rp_filter={rp_filter}" for name in names))
        node.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")  # as kube-proxy sets it
        yield


def from_pod(lan: Lan, address: Addresses) -> list[list[str]]:
    """What another node, the outside and the node itself take of what a pod forges."""
    forged = [*NOT_PODS[address], LOOPBACK[address], *([LINK_LOCAL] if address is IPV6 else [])]
    sends = [(lan.pod, [*forged, address.pod])]
    return [
        sources_arrived(sends, lan.peer, address.peer, address.pod),
        sources_arrived(sends, lan.outside, address.outside, address.node_outside),
        sources_arrived(sends, lan.node, NODE[address], address.pod, "socket"),
    ]


def from_lan(lan: Lan, address: Addresses) -> list[list[str]]:
    """What a pod and the node itself take of what hosts on the LAN send with pods' addresses."""
    forged = [POD[address], address.pod]
    outside, peer = [(lan.outside, [*forged, address.outside])], [(lan.peer, [*forged, address.peer])]
    return [
        sources_arrived(outside, lan.pod, address.pod, address.outside),
        sources_arrived(outside, lan.node, NODE[address], address.outside, "socket"),
        sources_arrived(peer, lan.pod, address.pod, address.peer),
    ]


@FAMILIES
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_forged_source_gets_nowhere(site: Site, backend: str, address: Addresses) -> None:
    lan = site.lan
    next(settings(site.node, backend))
    forged = NOT_PODS[address][0]
    assert sources_arrived([(lan.pod, [forged, address.pod])], lan.peer, address.peer, address.pod) == [forged]
    assert POD[address] in from_lan(lan, address)[0]
    site.args["backend"] = backend
    site.converge()
    for _setting in settings(site.node, backend):
        assert from_pod(lan, address) == [[], [], []]
        assert from_lan(lan, address) == [[], [], []]
    # The node reaches its own address among the pods, by lo.
    own = NOT_PODS[address][-1]
    assert source_seen(site.node, site.node, own) == own


@FAMILIES
@pytest.mark.parametrize("backend", BACKENDS)
def test_nor_by_a_service_or_as_part_of_a_connection(site: Site, backend: str, address: Addresses) -> None:
    lan, node = site.lan, site.node
    command = ("iptables" if address is IPV4 else "ip6tables") + ("-legacy" if backend == "legacy" else "-nft")
    cluster = site.args["non_masquerade_cidrs"][0 if address is IPV4 else 2]
    rules = KUBERNETES.format(service=SERVICE[address], cluster=cluster, to=address.peer_pod)
    node.run(f"{command}-restore", input=rules)
    site.args["backend"] = backend

    lan.outside.ip(f"route add {address.peer_pod} via {address.node_outside}")

    def arrived() -> list[list[str]]:
        by_service = [(lan.pod, [*NOT_PODS[address], address.pod])]
        # The answer to a pod of the other node, from the LAN, and then something of a pod.
        answer = [(lan.outside, [address.pod]), (lan.pod, [POD[address]])]
        sources_arrived([(lan.peer, [address.peer_pod])], lan.pod, address.pod, address.peer_pod)
        return [
            sources_arrived(by_service, lan.peer, SERVICE[address], address.pod),
            sources_arrived(answer, lan.peer, address.peer_pod, POD[address]),
        ]

    forged = arrived()
    assert NOT_PODS[address][0] in forged[0]
    assert forged[1] == [address.pod]
    site.converge()
    assert arrived() == [[], []]


@pytest.mark.parametrize("backend", BACKENDS)
def test_neighbours_are_discovered_among_pods(site: Site, make_node: Callable[[], Node], backend: str) -> None:
    """From link-local addresses too, where iptables look at what a bridge forwards; nothing else comes from these."""
    node, pod, other = site.node, site.lan.pod, make_node()
    node.wire("veth1", other, "eth0")
    node.ip("link set veth1 master humanz-cni0")
    node.run("sysctl", "-qw", "net.bridge.bridge-nf-call-ip6tables=1", "net.bridge.bridge-nf-call-iptables=1")
    pod.run("sysctl", "-qw", "net.ipv6.neigh.eth0.mcast_solicit=30")  # a busy kernel takes a new address up late
    site.args["backend"] = backend
    site.converge()
    for _setting in settings(node, backend):
        for each, destination in ((other, "fe80::77"), (node, "fe80::1")):
            device = "eth0" if each is other else "humanz-cni0"
            each.ip(f"address replace {destination}/64 dev {device} nodad")
            pod.ip("neigh flush dev eth0")
            pod.run("ping", "-c1", "-W30", f"{destination}%eth0")
