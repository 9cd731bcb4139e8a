# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight on a node: addresses that pods may have, and tables that are asked before main is."""

from __future__ import annotations

from typing import Any

from tests.support.netns.node import Node
from tests.support.netns.preflight import PART, problems

DUAL: dict[str, Any] = {
    "pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"],
    "node_ips": ["200.0.0.10", "fd00:200::10"],
    "routes": [*PART["routes"], {"dst": "fd00:100:0:1::/64", "via": "fd00:200::20"}],
    "service_cidrs": ["10.96.0.0/12", "fd00:96::/112"],
}
HOLDS = ": contains {}, an address of this node on {}, which takes packets to a pod or Service"


ADDRESSES: list[tuple[str, str | None]] = [
    ("addr add 100.100.0.20/32 dev lo", "pod_network_pod_cidr 100.100.0.0/24" + HOLDS),
    ("addr add 100.100.1.20/32 dev lo", "route 100.100.1.0/24" + HOLDS),
    ("addr add 100.100.2.0/31 dev enp1s0 noprefixroute", "route 100.100.2.0/24" + HOLDS),
    ("addr add 100.100.0.20/24 dev humanz-cni0", "pod_network_pod_cidr 100.100.0.0/24" + HOLDS),
    ("addr add 100.100.0.20/32 dev humanz-cni0", "pod_network_pod_cidr 100.100.0.0/24" + HOLDS),
    ("addr add 10.96.0.10/32 dev lo", "pod_network_service_cidr 10.96.0.0/12" + HOLDS),
    ("addr add 10.96.7.1/24 dev enp1s0", "pod_network_service_cidr 10.96.0.0/12" + HOLDS),
    ("-6 addr add fd00:100:0:1::9/128 dev enp1s0 nodad noprefixroute", "route fd00:100:0:1::/64" + HOLDS),
    ("-6 addr add fd00:96::9/128 dev enp1s0 nodad", "pod_network_service_cidr fd00:96::/112" + HOLDS),
    ("addr add 100.100.77.1/32 dev lo", None),
    ("addr add 100.64.0.1/32 dev lo", None),
]


def test_addresses_that_a_pod_or_a_service_may_have(nested: Node) -> None:
    nested.ip("link add humanz-cni0 type bridge")
    nested.ip("addr add 100.100.0.1/24 dev humanz-cni0")
    for command, expected in ADDRESSES:
        nested.ip(command)
        words = command.replace("-6 ", "").split()
        wanted = [] if expected is None else ["n1: " + expected.format(words[2].partition("/")[0], words[4])]
        found = problems(nested, **DUAL)
        assert [line.partition(" with that")[0] for line in found] == wanted, command
        variable = (expected or "").partition(" ")[0].replace("route", "pod_network_pod_cidr for the node behind it")
        assert all(line.endswith(": remove it there, or choose another " + variable) for line in found), command
        nested.ip(f"{command[:3] if command[0] == '-' else ''} addr del {words[2]} dev {words[4]}")


TAKES = "n1: pod_network_cluster_cidr 100.100.0.0/16: packets to {} go by the route `{}`, as the rule `{}` comes before"
REFUSES = "n1: pod_network_cluster_cidr 100.100.0.0/16: packets to {} are refused by the rule `{}`, which comes before"
PODS = "100.100.0.0/24, 100.100.1.0/24, 100.100.2.0/24"


TABLES: list[tuple[list[str], list[str]]] = [
    # As Tailscale has it.
    (
        [
            "rule add fwmark 0x80000/0xff0000 lookup main priority 5210",
            "rule add lookup 52 priority 5270",
            "route add 100.64.0.0/10 dev enp1s0 table 52",
        ],
        [TAKES.format(PODS, "100.64.0.0/10 dev enp1s0 proto boot table 52", "5270: from all lookup 52")],
    ),
    # As wg-quick has it, with all traffic in the tunnel: main's routes win, but for the default route.
    (
        [
            "rule add not from all fwmark 0xca6c lookup 51820 priority 32765",
            "rule add lookup main suppress_prefixlength 0 priority 32764",
            "route add default dev enp1s0 table 51820",
        ],
        [],
    ),
    (
        ["rule add not fwmark 0xca6c lookup 51820 priority 9", "route add default dev enp1s0 table 51820"],
        [TAKES.format(PODS, "default dev enp1s0 proto boot table 51820", "9: not from all fwmark 0xca6c lookup 51820")],
    ),
    (
        ["rule add lookup 7 suppress_prefixlength 10 priority 9", "route add 100.64.0.0/10 dev enp1s0 table 7"],
        [],
    ),
    (
        ["rule add lookup 7 priority 9", "route add 100.100.1.0/24 via 200.0.0.20 table 7"],
        [],
    ),
    (
        ["rule add lookup 7 priority 9", "route add 100.100.1.0/25 via 192.168.122.1 table 7"],
        [
            TAKES.format(
                "100.100.1.0/24",
                "100.100.1.0/25 via 192.168.122.1 dev enp1s0 proto boot table 7",
                "9: from all lookup 7",
            )
        ],
    ),
    (
        [
            "rule add lookup 7 priority 9",
            "route add default dev enp1s0 table 7",
            "route add throw 100.100.0.0/16 table 7",
        ],
        [],
    ),
    (
        ["rule add lookup 7 priority 9", "route add blackhole 100.0.0.0/8 table 7"],
        [TAKES.format(PODS, "blackhole 100.0.0.0/8 proto boot table 7", "9: from all lookup 7")],
    ),
    (
        ["rule add to 100.100.2.0/23 unreachable priority 9"],
        [REFUSES.format("100.100.2.0/24", "9: from all to 100.100.2.0/23 unreachable")],
    ),
    (
        ["rule add from 200.0.0.20 lookup 7 priority 9", "route add default dev enp1s0 table 7"],
        [TAKES.format("100.100.0.0/24", "default dev enp1s0 proto boot table 7", "9: from 200.0.0.20/32 lookup 7")],
    ),
    (
        ["rule add from 200.0.0.10 lookup 7 priority 9", "route add default dev enp1s0 table 7"],
        [TAKES.format(PODS, "default dev enp1s0 proto boot table 7", "9: from 200.0.0.10/32 lookup 7")],
    ),
    # The other uplink's own address: neither a pod nor another node is meant.
    (["rule add from 192.168.122.10 lookup 7 priority 9", "route add default dev enp1s0 table 7"], []),
    (["rule add iif enp1s0 lookup 7 priority 9", "route add default dev enp1s0 table 7"], []),
    (["rule add oif enp1s0 lookup 7 priority 9", "route add default dev enp1s0 table 7"], []),
    (
        ["rule add iif humanz-cni0 lookup 7 priority 9", "route add default dev enp1s0 table 7"],
        [
            TAKES.format(
                "100.100.1.0/24, 100.100.2.0/24",
                "default dev enp1s0 proto boot table 7",
                "9: from all iif humanz-cni0 lookup 7",
            )
        ],
    ),
    (
        ["rule add ipproto tcp dport 443 lookup 7 priority 9", "route add default dev enp1s0 table 7"],
        [TAKES.format(PODS, "default dev enp1s0 proto boot table 7", "9: from all ipproto dport lookup 7")],
    ),
    (
        ["rule add tos 0x10 lookup 7 priority 9", "route add default dev enp1s0 table 7"],
        [TAKES.format(PODS, "default dev enp1s0 proto boot table 7", "9: from all tos lookup 7")],
    ),
    # What the remedy says.
    (
        [
            "rule add to 100.100.0.0/16 lookup main priority 8",
            "rule add lookup 7 priority 9",
            "route add 100.64.0.0/10 dev enp1s0 table 7",
        ],
        [],
    ),
    (
        [
            "rule add goto 32766 priority 8",
            "rule add lookup 7 priority 9",
            "route add 100.64.0.0/10 dev enp1s0 table 7",
        ],
        [],
    ),
    (["rule add lookup 7 priority 32767", "route add default dev enp1s0 table 7"], []),
    (
        ["route add local 100.100.1.0/24 dev lo table local"],
        [
            TAKES.format(
                "100.100.1.0/24", "local 100.100.1.0/24 dev lo proto boot table 255", "0: from all lookup local"
            )
        ],
    ),
]


def test_tables_that_are_asked_before_main(nested: Node) -> None:
    for commands, expected in TABLES:
        for command in commands:
            nested.ip(command)
        found = problems(nested)
        assert len(found) == len(expected), (commands, found)
        assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), (commands, found)
        for command in reversed(commands):
            nested.ip(command.replace(" add ", " del "))


def test_the_remedy_for_another_table_is_a_rule_for_pods(nested: Node) -> None:
    nested.ip("-6 rule add lookup 52 priority 5270")
    nested.ip("-6 route add fd00:100::/56 dev enp1s0 table 52")
    (found,) = problems(nested, **DUAL)
    remedy = "ip -6 rule add to fd00:100::/56 lookup main priority 5269"
    assert found.endswith("choose another network for the cluster's pods, or the node `%s` at every boot" % remedy)
    nested.ip(remedy.removeprefix("ip "))
    assert problems(nested, **DUAL) == []


def test_rules_of_tailscale_that_drop_what_pods_send_are_named(nested: Node) -> None:
    for backend in ("nft", "legacy"):
        iptables = f"iptables-{backend}"
        nested.run(iptables, "-N", "ts-input")
        assert problems(nested) == []
        nested.run(iptables, *["-A", "ts-input", "-s", "100.64.0.0/10", "!", "-i", "tailscale0", "-j", "DROP"])
        (found,) = problems(nested)
        assert found.startswith("n1: pod_network_cluster_cidr 100.100.0.0/16: overlaps 100.64.0.0/10, which Tailscale")
        assert problems(nested, cluster_cidrs=["10.244.0.0/16"]) == []
        nested.run(iptables, "-F", "ts-input")
        nested.run(iptables, "-X", "ts-input")
