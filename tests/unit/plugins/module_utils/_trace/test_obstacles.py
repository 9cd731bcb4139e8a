# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What beside routes and rules may stop a packet. What real nodes say is in tests/integration_netns/probe."""

from __future__ import annotations

import json

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._trace import obstacles as _obstacles
from ansible_collections.humanz.cni.plugins.module_utils._trace.obstacles import Obstacles
from ansible_collections.humanz.cni.plugins.module_utils._trace.route_lookups import RouteLookups

LINKS = [
    {"ifname": "enp8s0", "mtu": 9000, "addr_info": [{"local": "200.0.0.10", "scope": "global"}], "xdp": {"mode": 1}},
    {"ifname": "enp1s0", "mtu": 1500, "addr_info": []},
]
QDISC = "qdisc fq_codel 0: root refcnt 2 limit 10240p\nqdisc clsact ffff: parent ffff:fff1\n"
FILTER = """\
filter protocol ip pref 49152 matchall chain 0
filter protocol ip pref 49152 matchall chain 0 handle 0x1
\taction order 1: gact action drop
"""
POLICIES = """\
src 100.100.0.0/24 dst 100.100.1.0/24 proto tcp
\tdir fwd action block priority 0 ptype main
src 100.100.0.0/16 dst 0.0.0.0/0
\tdir out priority 0
\ttmpl src 200.0.0.10 dst 200.0.0.20
src 0.0.0.0/0 dst 0.0.0.0/0
\tsocket in priority 0
"""
ROUTES = {
    "100.100.1.2": {"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0"},
    "100.100.1.2 from 200.0.0.10": {"dst": "default", "gateway": "192.168.122.1", "dev": "enp1s0", "table": "100"},
}


def run(command: list[str]) -> tuple[int, str, str]:
    words = " ".join(command)
    if words.startswith("ip -j -d route get fibmatch "):
        route = ROUTES.get(words.partition("fibmatch ")[2])
        return (0, json.dumps([route]), "") if route else (2, "", "RTNETLINK answers: Permission denied\n")
    answers = {
        "ip -j -d addr show": json.dumps(LINKS),
        "tc qdisc show dev enp8s0": QDISC,
        "tc filter show dev enp8s0 ingress": FILTER,
        "tc qdisc show dev enp1s0": "qdisc noqueue 0: root refcnt 2\n",
        "ip -4 xfrm policy show": POLICIES,
    }
    return 0, answers.get(words, ""), ""


def without(command: list[str]) -> tuple[int, str, str]:
    return (127, "", "tc is not installed") if command[0] == "tc" else run(command)


def test_what_is_on_an_interface_is_named() -> None:
    assert Obstacles(run, RouteLookups(run)).may_stop(["enp1s0", "enp8s0"]) == [
        "an XDP program on enp8s0",
        "tc qdisc clsact on enp8s0",
        "tc filter on enp8s0 ingress: action order 1: gact action drop",
    ]


def test_what_cannot_be_read_is_said() -> None:
    obstacles = Obstacles(without, RouteLookups(without))
    assert obstacles.may_stop(["enp1s0"]) == []
    assert obstacles.not_examined == ["traffic control (tc is not installed)"]


@pytest.mark.parametrize("ends", [("100.100.0.2", "100.100.1.2"), ("100.100.1.2", "100.100.0.2")])
def test_policies_of_ipsec(ends: tuple[str, str]) -> None:
    blocking, transforming = Obstacles(run, RouteLookups(run)).policies(4, *ends)
    assert blocking == ["src 100.100.0.0/24 dst 100.100.1.0/24 proto tcp dir fwd action block priority 0"]
    assert transforming == ["the IPsec policy src 100.100.0.0/16 dst 0.0.0.0/0 dir out priority 0"]


def test_a_route_of_one_source_is_told_from_that_of_others() -> None:
    lookups = RouteLookups(run)
    assert "instead_of" not in lookups.of_packet("200.0.0.10", "100.100.9.2", "")
    route = lookups.of_packet("200.0.0.10", "100.100.1.2", "")
    assert (route["table"], route["instead_of"]) == ("100", "via 200.0.0.20 dev enp8s0")
    refused = lookups.of_packet("100.100.0.2", "100.100.1.2", "humanz-cni0")
    assert (refused["error"], refused["instead_of"]) == ("Permission denied", "via 200.0.0.20 dev enp8s0")


STRICT, LOOSE = "1 (strict)", "2 (loose)"


@pytest.mark.parametrize(
    ("rp_filter", "source", "answer", "expected"),
    [
        ("0", "100.100.1.2", "enp1s0", None),
        ("1", "100.100.1.2", "enp8s0", None),
        ("1", "100.100.1.2", "enp1s0", (STRICT, "dev enp1s0")),
        ("1", "100.100.9.2", "enp8s0", (STRICT, "Permission denied")),
        ("2", "100.100.1.2", "enp1s0", None),
        ("2", "100.100.9.2", "enp1s0", (LOOSE, "Permission denied")),
    ],
)
def test_sources_that_filters_refuse(
    monkeypatch: pytest.MonkeyPatch, rp_filter: str, source: str, answer: str, expected: tuple[str, str] | None
) -> None:
    monkeypatch.setattr(_obstacles, "read", lambda key, device="": rp_filter if device == "enp8s0" else "0")
    found = _obstacles.refused_source(RouteLookups(run), source, "enp8s0", {"dev": answer})
    text = "drops packets from %s on enp8s0: its sysctl net.ipv4.conf.enp8s0.rp_filter is %s, and its route back is "
    assert found == (expected and (text + "another one (%s)") % (source, *expected))
