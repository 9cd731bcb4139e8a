# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that a pod network can lack is broken in turn: the right checks fail, and the reason is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.netns.fleet import Fleet, checks, reasons

ANSWERED = "for node in 200.0.0.10 200.0.0.30; do until ping -qc 1 -W 1 $node; do sleep 0.1; done; done"


@contextmanager
def broken(fleet: Fleet, node: str, breaks: str, repairs: str) -> Iterator[None]:
    """Run one command on *node* for the time of the block, and another one at its end."""
    machine = fleet.switch if node == "switch" else fleet.nodes[node]
    machine.run("sh", "-ec", breaks)
    try:
        yield
    finally:
        machine.run("sh", "-ec", repairs)
        if node == "switch":
            # A port that goes up forwards a little later, and a neighbour that was not found is asked for later, too.
            fleet.nodes["node-2"].run("timeout", "30", "sh", "-c", ANSWERED)


@pytest.fixture(scope="module")
def cluster(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """The probe pods of a run."""
    yield fleet.start()
    fleet.stop()


TO_NODE_2 = {"pod on node-1 -> pod on node-2", "node node-1 -> pod on node-2", "pod on node-2 -> pod on node-1"}
NODE_2_FORWARDS_NOTHING = {
    "pod on node-1 -> pod on node-2",
    "pod on node-3 -> pod on node-2",
    "node node-1 -> pod on node-2",
    "node node-3 -> pod on node-2",
    "pod on node-2 -> pod on node-1",
    "pod on node-2 -> pod on node-3",
    "pod on node-2 -> outside 192.168.122.1",
}

BREAKS = {
    "no route but the default one": (
        "node-1",
        "ip route del 100.100.1.0/24",
        "ip route add 100.100.1.0/24 via 200.0.0.20 proto 217",
        TO_NODE_2,
        "node-1 has no route to 100.100.1.{pod}, a pod on node-2: only its default route via 192.168.122.1 dev enp1s0 "
        "covers it",
    ),
    "a blackhole": (
        "node-1",
        "ip route replace blackhole 100.100.1.0/24",
        "ip route replace 100.100.1.0/24 via 200.0.0.20 proto 217",
        TO_NODE_2,
        "node-1 has no route to 100.100.1.{pod}, a pod on node-2 (Invalid argument, by the route "
        "`blackhole 100.100.1.0/24`)",
    ),
    "a blackhole in the table of a rule": (
        "node-2",
        "ip rule add to 100.100.1.0/24 lookup 99; ip route add blackhole default table 99",
        "ip rule del to 100.100.1.0/24 lookup 99; ip route flush table 99",
        NODE_2_FORWARDS_NOTHING | {"node node-2 -> pod on node-2"},
        "node-2 has no route to its own pod 100.100.1.{pod} (Invalid argument, by the route `blackhole default table "
        "99`, to which the rule `32765: from all to 100.100.1.0/24 lookup 99` leads)",
    ),
    "another next hop": (
        "node-1",
        "ip route replace 100.100.1.0/24 via 200.0.0.99 proto 217",
        "ip route replace 100.100.1.0/24 via 200.0.0.20 proto 217",
        TO_NODE_2,
        "node-1 sends 100.100.1.0/24 via 200.0.0.99 dev enp8s0, but that is not an address of node-2 (its own are "
        "200.0.0.20, 192.168.122.12, 100.100.1.1)",
    ),
    "the jump is missing": (
        "node-2",
        "iptables -D FORWARD -j HUMANZ-FORWARD",
        "iptables -A FORWARD -j HUMANZ-FORWARD",
        NODE_2_FORWARDS_NOTHING,
        "node-2 drops it by the policy of FORWARD, as no rule accepts it (iptables)",
    ),
    "a DROP stands ahead": (
        "node-2",
        "iptables -I FORWARD -j DROP",
        "iptables -D FORWARD -j DROP",
        NODE_2_FORWARDS_NOTHING,
        "node-2 drops it by the rule -A FORWARD -j DROP (iptables)",
    ),
    "a rejection in somebody else's chain": (
        "node-2",
        "iptables -N GUARD; iptables -A GUARD -p tcp -j REJECT; iptables -I FORWARD -i enp8s0 -j GUARD",
        "iptables -D FORWARD -i enp8s0 -j GUARD; iptables -F GUARD; iptables -X GUARD",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check},
        "node-2 drops it by the rule -A GUARD -p tcp -j REJECT --reject-with icmp-port-unreachable (iptables)",
    ),
    "a forged source is dropped ahead of all else": (
        "node-2",
        "iptables -t raw -A PREROUTING -s 100.100.0.0/24 ! -i humanz-cni0 -j DROP",
        "iptables -t raw -F",
        {
            "pod on node-1 -> pod on node-2",
            "pod on node-2 -> pod on node-1",
            "node node-2 -> pod on node-1",
        },
        "node-2 drops it by the rule -A PREROUTING -s 100.100.0.0/24 ! -i humanz-cni0 -j DROP (iptables)",
    ),
    "a native nftables chain drops": (
        "node-2",
        "nft 'add table inet guard; add chain inet guard fw { type filter hook forward priority 10; policy drop; }'",
        "nft delete table inet guard",
        NODE_2_FORWARDS_NOTHING,
        "node-2 drops it by the policy of inet guard fw, as no rule accepts it (nft)",
    ),
    "no forwarding": (
        "node-2",
        "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -qw net.ipv4.ip_forward=1",
        NODE_2_FORWARDS_NOTHING,
        "node-2 does not forward packets: its sysctl net.ipv4.ip_forward is 0",
    ),
    "pods' traffic is masqueraded": (
        "node-3",
        "iptables -t nat -D HUMANZ-POSTROUTING 1",
        "iptables -t nat -I HUMANZ-POSTROUTING -s 100.100.2.0/24 -d 100.100.0.0/16 -j RETURN",
        {"pod on node-3 -> pod on node-1", "pod on node-3 -> pod on node-2"},
        "node-3 translates the source by the rule -A HUMANZ-POSTROUTING -s 100.100.2.0/24 -j MASQUERADE (iptables): no "
        "rule ahead of it leaves traffic between pods and nodes out",
    ),
    "the far node masquerades what arrives": (
        "node-3",
        "iptables -t nat -I POSTROUTING -o humanz-cni0 -j MASQUERADE",
        "iptables -t nat -D POSTROUTING -o humanz-cni0 -j MASQUERADE",
        {
            "pod on node-1 -> pod on node-3",
            "pod on node-2 -> pod on node-3",
            "node node-1 -> pod on node-3",
            "node node-2 -> pod on node-3",
        },
        "node-3 translates the source by the rule -A POSTROUTING -o humanz-cni0 -j MASQUERADE (iptables): no rule "
        "ahead of it leaves traffic between pods and nodes out",
    ),
    "outside is not masqueraded": (
        "node-3",
        "iptables -t nat -D HUMANZ-POSTROUTING 2",
        "iptables -t nat -A HUMANZ-POSTROUTING -s 100.100.2.0/24 -j MASQUERADE",
        {"pod on node-3 -> outside 192.168.122.1"},
        "node-3 has no MASQUERADE rule that applies to 100.100.2.{pod} on its way to 192.168.122.1: answers do not "
        "find the way back",
    ),
    "only what leaves by another interface is masqueraded": (
        "node-3",
        "iptables -t nat -R HUMANZ-POSTROUTING 2 -s 100.100.2.0/24 -o eth9 -j MASQUERADE",
        "iptables -t nat -R HUMANZ-POSTROUTING 2 -s 100.100.2.0/24 -j MASQUERADE",
        {"pod on node-3 -> outside 192.168.122.1"},
        "node-3 has no MASQUERADE rule that applies to 100.100.2.{pod} on its way to 192.168.122.1 by enp1s0: the rule "
        "-A HUMANZ-POSTROUTING -s 100.100.2.0/24 -o eth9 -j MASQUERADE (iptables) is for another interface "
        "(pod_network_uplink): answers do not find the way back",
    ),
    "a rule of routing by the source": (
        "node-2",
        "ip rule add from 200.0.0.20 lookup 100; ip route add default via 192.168.122.1 table 100",
        "ip rule del from 200.0.0.20 lookup 100; ip route flush table 100",
        {"node node-2 -> pod on node-1", "node node-2 -> pod on node-3"},
        "node-2 sends packets from 200.0.0.20 to 100.100.0.{pod} via 192.168.122.1 dev enp1s0 by its table 100, as its "
        "routing policy says (ip rule): others go via 200.0.0.10 dev enp8s0",
    ),
    "a rule of routing at the other end": (
        "node-1",
        # As systemd has it: that filter lets pass whatever there is a way back for.
        "sysctl -qw net.ipv4.conf.enp8s0.rp_filter=2; ip rule add from 100.100.1.0/24 iif enp8s0 prohibit",
        "sysctl -qw net.ipv4.conf.enp8s0.rp_filter=0; ip rule del from 100.100.1.0/24 iif enp8s0 prohibit",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2"},
        "node-1 sends packets from 100.100.1.{pod} to 100.100.0.{pod} nowhere (Permission denied, by the rule "
        "`32765: from 100.100.1.0/24 iif enp8s0 prohibit`), as its routing policy says (ip rule): others go dev "
        "humanz-cni0",
    ),
    "no forwarding of one interface": (
        "node-2",
        "sysctl -qw net.ipv4.conf.enp8s0.forwarding=0",
        "sysctl -qw net.ipv4.conf.enp8s0.forwarding=1",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check},
        "node-2 does not forward what arrives on enp8s0: its sysctl net.ipv4.conf.enp8s0.forwarding is 0",
    ),
    "the way back is another one, which strict filters do not let pass": (
        "node-2",
        "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route replace 100.100.0.0/24 via 192.168.122.11 proto 217",
        "sysctl -qw net.ipv4.conf.all.rp_filter=0; ip route replace 100.100.0.0/24 via 200.0.0.10 proto 217",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2"},
        "node-2 drops packets from 100.100.0.{pod} on enp8s0: its sysctl net.ipv4.conf.all.rp_filter is 1 (strict), "
        "and its route back is another one (dev enp1s0)",
    ),
    "the way back is another one by its source, which strict filters do not let pass": (
        "node-2",
        "sysctl -qw net.ipv4.conf.enp8s0.rp_filter=1; ip rule add from 100.100.1.0/24 to 100.100.0.0/24 lookup 100; "
        "ip route add default via 192.168.122.1 table 100",
        "sysctl -qw net.ipv4.conf.enp8s0.rp_filter=0; ip rule del from 100.100.1.0/24 to 100.100.0.0/24 lookup 100; "
        "ip route flush table 100",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2"},
        "node-2 drops packets from 100.100.0.{pod} on enp8s0: its sysctl net.ipv4.conf.enp8s0.rp_filter is 1 (strict), "
        "and its route back is another one (dev enp1s0)",
    ),
    "a neighbour whose MAC address is another one": (
        "node-2",
        "ip neigh replace 200.0.0.10 lladdr 02:00:00:00:00:99 dev enp8s0 nud permanent",
        "ip neigh del 200.0.0.10 dev enp8s0",
        {*TO_NODE_2, "node node-2 -> pod on node-1"},
        "nothing was found on node-1 and node-2 that drops it (routes by source and interface, settings of interfaces, "
        "rules of iptables and nftables, IPsec policies); what may drop it on node-2: the permanent neighbour entry of "
        "200.0.0.10 on enp8s0; not examined: legacy ebtables and arptables, eBPF programs of sockets and cgroups, and "
        "what lies between (switch, security group, firewall)",
    ),
    "a DROP in another table of iptables": (
        "node-2",
        "iptables -t mangle -A PREROUTING -i enp8s0 -d 100.100.1.0/24 -j DROP",
        "iptables -t mangle -F",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check},
        "node-2 drops it by the rule -A PREROUTING -d 100.100.1.0/24 -i enp8s0 -j DROP (iptables)",
    ),
    "what comes from a pod is dropped on its bridge": (
        "node-2",
        "nft 'add table bridge guard; add chain bridge guard in { type filter hook input priority 0; }; "
        "add rule bridge guard in ip daddr 100.100.0.0/24 drop'",
        "nft delete table bridge guard",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2"},
        "node-2 drops it by the rule ip daddr 100.100.0.0/24 drop in chain bridge guard in (nft)",
    ),
    "what arrives is dropped ahead of all routing": (
        "node-2",
        "nft 'add table netdev guard; add chain netdev guard in { type filter hook ingress device enp8s0 priority 0; };"
        "add rule netdev guard in ip saddr 100.100.0.0/24 drop'",
        "nft delete table netdev guard",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2", "node node-2 -> pod on node-1"},
        "node-2 drops it by the rule ip saddr 100.100.0.0/24 drop in chain netdev guard in (nft)",
    ),
    "a policy of IPsec": (
        "node-2",
        "ip xfrm policy add src 100.100.0.0/24 dst 100.100.1.0/24 dir fwd action block",
        "ip xfrm policy flush",
        {"pod on node-2 -> pod on node-1", "pod on node-1 -> pod on node-2"},
        "node-2 drops it by the rule src 100.100.0.0/24 dst 100.100.1.0/24 dir fwd action block priority 0 "
        "(ip xfrm policy)",
    ),
    "what is outside the packet filters is named, not cleared": (
        "node-2",
        "tc qdisc add dev enp8s0 root tbf rate 1mbit burst 60 limit 100",  # it lets ARP pass
        "tc qdisc del dev enp8s0 root",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check}
        | {"node node-2 -> pod on node-1", "node node-2 -> pod on node-3"},
        "nothing was found on node-1 and node-2 that drops it (routes by source and interface, settings of interfaces, "
        "rules of iptables and nftables, IPsec policies); what may drop it on node-2: tc qdisc tbf on "
        "enp8s0; not examined: legacy ebtables and arptables, "
        "eBPF programs of sockets and cgroups, and what lies between (switch, security group, firewall)",
    ),
    "the switch carries only small packets": (
        "switch",
        "ip link set port2 mtu 1400",
        "ip link set port2 mtu 1500; ip link set lan mtu 1500",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check}
        | {"node node-2 -> pod on node-1", "node node-2 -> pod on node-3"},
        "packets of 1500 bytes are lost between node-1 and node-2, small ones pass: enp8s0 of node-1 has MTU 1500 and "
        "enp8s0 of node-2 has MTU 1500: what lies between (switch, tunnel) may carry less: raise it, or lower both and "
        "pod_network_mtu",
    ),
    "the MTU of one node is larger": (
        "node-2",
        "ip link set enp8s0 mtu 9000",
        "ip link set enp8s0 mtu 1500",
        {"node node-2 -> pod on node-1", "node node-2 -> pod on node-3"},
        "packets of 9000 bytes are lost between node-2 and node-1, small ones pass: enp8s0 of node-2 has MTU 9000 and "
        "enp8s0 of node-1 has MTU 1500: give both the same",
    ),
    "UDP alone is dropped": (
        "node-2",
        "iptables -I FORWARD -p udp -j DROP",
        "iptables -D FORWARD -p udp -j DROP",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check},
        "node-2 drops it by the rule -A FORWARD -p udp -j DROP (iptables)",
    ),
    "the link between the nodes is down": (
        "switch",
        "ip link set port2 down",
        "ip link set port2 up",
        {check for check in NODE_2_FORWARDS_NOTHING if "outside" not in check}
        | {"node node-2 -> pod on node-1", "node node-2 -> pod on node-3"},
        "node-2 gets no answer to ARP from 200.0.0.10 (node-1) on enp8s0: the link between them is down, or is another "
        "one",
    ),
    "the bridge lost its address": (
        "node-2",
        "ip addr del 100.100.1.1/24 dev humanz-cni0",
        "ip addr add 100.100.1.1/24 dev humanz-cni0",
        NODE_2_FORWARDS_NOTHING | {"node node-2 -> pod on node-2"},
        "node-2 has no connected route to its own pod 100.100.1.{pod}: the bridge is down or has lost its address",
    ),
}


def test_all_is_well(fleet: Fleet, cluster: dict[str, Any]) -> None:
    assert fleet.probe(cluster) == []


@pytest.mark.parametrize("name", BREAKS)
def test_reason(fleet: Fleet, cluster: dict[str, Any], name: str) -> None:
    node, breaks, repairs, failed, reason = BREAKS[name]
    with broken(fleet, node, breaks, repairs):
        # the kernel gives up on ARP after 3 s
        failures = fleet.probe(cluster, timeout=4 if "ARP" in reason else 2)
    assert checks(failures) == failed
    said = {re.sub(r"(100\.100\.\d\.)\d+(?!/|\d)", r"\1{pod}", text) for text in reasons(failures)}
    assert re.sub(r"(100\.100\.\d\.)\d+(?!/|\d)", r"\1{pod}", reason) in said


def test_only_what_the_break_explains_is_named(fleet: Fleet, cluster: dict[str, Any]) -> None:
    node, breaks, repairs, _failed, _reason = BREAKS["no route but the default one"]
    with broken(fleet, node, breaks, repairs):
        assert len(reasons(fleet.probe(cluster))) == 1


def test_outside_that_the_node_does_not_reach_either(fleet: Fleet, cluster: dict[str, Any]) -> None:
    failures = fleet.probe(
        dict(cluster, outside=[{"name": "192.168.122.1:81", "address": "192.168.122.1", "port": 81}])
    )
    assert checks(failures) == {f"pod on {name} -> outside 192.168.122.1:81" for name in fleet.nodes}
    assert reasons(failures) == {
        "the node itself does not reach 192.168.122.1:81 either: Connection refused (ECONNREFUSED)"
    }
