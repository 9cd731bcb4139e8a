# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has beside what the plan says to it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan import comparison

VXLAN = {"device": "humanz-vxlan0", "vni": 217, "port": 4789, "node_ip": "200.0.0.10"}
PART = {
    "pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"],
    "pod_ranges": ["100.100.0.0/24", "fd00:100::/120"],
    "unreachable": ["fd00:100::/64"],
    "routes": [
        {"dst": "100.100.1.0/24", "via": "200.0.0.20"},
        {"dst": "100.100.2.4/32", "via": "200.0.1.30", "dev": "humanz-vxlan0"},
    ],
    "vxlan": {**VXLAN, "peers": [{"node_ip": "200.0.1.30"}]},
}


def node(**other: Any) -> dict[str, Any]:
    """Return what pod_network_info says of a node on which all is as planned, but for *other*."""
    return {
        "plugin": {"error": None},
        "conf": {"error": None},
        "pool": {"sets": [{"subnets": ["fd00:100::/120"]}, {"subnets": ["100.100.0.0/24"]}]},
        "routes": [
            {"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0"},
            {"dst": "100.100.2.4", "gateway": "200.0.1.30", "dev": "humanz-vxlan0"},
            {"dst": "fd00:100::/64", "gateway": None, "dev": "lo"},
        ],
        "foreign_routes": [],
        "vxlan": {"up": True, "vni": 217, "port": 4789, "node_ip": "200.0.0.10", "peers": ["200.0.1.30"]},
        "sysctls": {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"},
        **other,
    }


def differences(**other: Any) -> list[str]:
    found: list[str] = comparison.compare(PART, node(**other))["differences"]
    return found


def test_nothing_differs() -> None:
    counts = {"planned": 3, "present": 3, "missing": 0, "unplanned": 0, "foreign": 0}
    assert comparison.compare(PART, node()) == {"routes": counts, "differences": []}


def test_routes() -> None:
    wrong = [
        {"dst": "100.100.1.0/24", "gateway": "200.0.0.99", "dev": "enp8s0"},
        {"dst": "100.100.2.4", "gateway": "200.0.1.30", "dev": "humanz-vxlan0"},
    ]
    blackhole = {"dst": "100.100.9.0/24", "gateway": None, "dev": None, "protocol": "static", "type": "blackhole"}
    found = comparison.compare(PART, node(routes=wrong, foreign_routes=[blackhole]))
    assert found["routes"] == {"planned": 3, "present": 1, "missing": 2, "unplanned": 1, "foreign": 1}
    assert found["differences"] == [
        "no route to 100.100.1.0/24 via 200.0.0.20",
        "no route to fd00:100::/64",
        "a route that is not planned: 100.100.1.0/24 via 200.0.0.99 dev enp8s0",
        "a route that is not ours: blackhole 100.100.9.0/24, of protocol static",
    ]


def test_of_many_differences_the_first_are_said() -> None:
    stale = [{"dst": "100.100.%d.0/24" % number, "gateway": "200.0.0.9", "dev": "e0"} for number in range(10, 40)]
    lines = differences(routes=node()["routes"] + stale)
    assert len(lines) == comparison.SHOWN + 1
    assert lines[-1] == "a route that is not planned: 20 more"


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            {"pool": {"sets": [{"subnets": ["100.100.7.0/24"]}]}},
            "pods get addresses of 100.100.7.0/24, and the plan says 100.100.0.0/24, fd00:100::/120",
        ),
        ({"pool": None, "conf": {"error": "no CNI configuration"}}, "no CNI configuration"),
        ({"plugin": {"error": "the CNI plugin is not there"}}, "the CNI plugin is not there"),
        ({"vxlan": None}, "no VXLAN interface humanz-vxlan0"),
        ({"vxlan": {**node()["vxlan"], "up": False}}, "the VXLAN interface humanz-vxlan0 is down"),
        ({"vxlan": {**node()["vxlan"], "vni": 218}}, "humanz-vxlan0 has the VNI 218 instead of 217"),
        ({"vxlan": {**node()["vxlan"], "peers": []}}, "no VXLAN peer 200.0.1.30"),
        (
            {"vxlan": {**node()["vxlan"], "peers": ["200.0.1.30", "200.0.1.40"]}},
            "a VXLAN peer that is not planned: 200.0.1.40",
        ),
        (
            {"sysctls": {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": None}},
            "the kernel has no net.ipv6.conf.all.forwarding",
        ),
    ],
)
def test_everything_else(other: dict[str, Any], line: str) -> None:
    assert differences(**other) == [line]
