# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections are made, and what their outcomes mean."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import checks as reachability_checks


def cluster(nodes: int = 3, **changes: Any) -> dict[str, Any]:
    entries = {
        f"node-{number}": {
            "pod": [f"100.{number // 250}.{number % 250}.2"],
            "port": 7217,
            "own": [f"200.0.{number // 250}.{number % 250}", f"100.{number // 250}.{number % 250}.1"],
            "gateways": ["192.168.122.1"],
        }
        for number in range(1, nodes + 1)
    }
    return {"nodes": entries, "families": [4], "outside": [], "sample": 50, "masquerade": [4, 6], **changes}


def result(check: dict[str, Any], **changes: Any) -> dict[str, Any]:
    outcome = {
        "address": check["address"],
        "port": check["port"],
        "seen_as": None,
        "error": None,
        "local": None,
        "ms": 1,
    }
    return {"from": "node" if check["kind"] == "node" else "pod", **outcome, **changes}


def good_results(made: dict[str, Any], node: str) -> list[dict[str, Any]]:
    results = []
    for check in reachability_checks.checks_of(made, node):
        source = made["nodes"][node]["own" if check["kind"] == "node" else "pod"][0]
        results.append(result(check, seen_as=source if check["kind"] != "outside" else None, local=source))
        if check["kind"] == "outside":
            results.append({**results[-1], "from": "node"})
    return results


def test_every_pair_is_checked_and_no_pod_against_itself() -> None:
    made = cluster()
    checks = [check for node in made["nodes"] for check in reachability_checks.checks_of(made, node)]
    pairs = {(check["kind"], check["from"], check["to"]) for check in checks}
    names = list(made["nodes"])
    assert pairs == (
        {("pod", one, other) for one in names for other in names if one != other}
        | {("node", one, other) for one in names for other in names}
        | {("outside", one, "192.168.122.1") for one in names}
    )
    assert len(checks) == len(pairs)


def test_targets_are_what_the_checks_need_once() -> None:
    targets = {
        (target["address"], target["port"]): target for target in reachability_checks.targets_for(cluster(), "node-1")
    }
    assert targets[("100.0.1.2", 7217)]["sources"] == ["node"]
    assert targets[("100.0.2.2", 7217)] == {
        "address": "100.0.2.2",
        "port": 7217,
        "sources": ["node", "pod"],
        "may_be_silent": False,
        "full_size": True,
    }
    assert targets[("192.168.122.1", None)]["sources"] == ["node", "pod"]
    assert targets[("192.168.122.1", None)]["may_be_silent"] is True
    assert targets[("192.168.122.1", None)]["full_size"] is False
    assert len(targets) == 4


def test_a_sample_tries_every_pod_equally_often_and_is_stable() -> None:
    made = cluster(200, sample=20)
    peers = {node: reachability_checks.peers_of(made, node) for node in made["nodes"]}
    assert {len(set(found)) for found in peers.values()} == {20}
    assert all(node not in found for node, found in peers.items())
    assert set(Counter(peer for found in peers.values() for peer in found).values()) == {20}
    assert peers == {node: reachability_checks.peers_of(cluster(200, sample=20), node) for node in made["nodes"]}


def test_all_others_are_tried_up_to_the_sample() -> None:
    made = cluster(51)
    assert len(reachability_checks.peers_of(made, "node-1")) == 50


def test_good_results_pass() -> None:
    made = cluster()
    assert reachability_checks.judge(made, "node-2", good_results(made, "node-2")) == {"passed": 6, "failures": []}


def test_a_masqueraded_pod_fails() -> None:
    made = cluster()
    results = good_results(made, "node-1")
    for found in results:
        if found["from"] == "pod" and found["address"] == "100.0.2.2":
            found["seen_as"] = "200.0.0.1"
    judged = reachability_checks.judge(made, "node-1", results)
    assert judged["passed"] == 5
    assert [(failure["kind"], failure["to"], failure["what"]) for failure in judged["failures"]] == [
        ("pod", "node-2", "seen as 200.0.0.1 instead of the pod's own address")
    ]


def test_a_node_may_be_seen_by_any_of_its_own_addresses_only() -> None:
    made = cluster()
    results = good_results(made, "node-1")
    for found in results:
        if found["from"] == "node" and found["address"] == "100.0.2.2":
            found["seen_as"] = "100.0.2.1"
    failures = reachability_checks.judge(made, "node-1", results)["failures"]
    assert [failure["what"] for failure in failures] == ["seen as 100.0.2.1 instead of an address of the node"]


@pytest.mark.parametrize(
    ("masquerade", "seen_as", "what"),
    [
        (True, "200.0.0.1", None),
        (True, "203.0.113.9", None),
        (True, "SSH-2.0", None),
        (False, "2001:db8::1%{{ lookup('pipe', 'id') }}", None),
        (True, None, None),
        (True, "100.0.1.2", "seen as 100.0.1.2, the pod's own address, instead of one of the node's"),
        (False, "100.0.1.2", None),
        (False, "200.0.0.1", "seen as 200.0.0.1 instead of the pod's own address"),
    ],
)
def test_what_outside_may_see(masquerade: bool, seen_as: str | None, what: str | None) -> None:
    target = {"name": "198.51.100.1:80", "address": "198.51.100.1", "port": 80}
    made = cluster(outside=[target], masquerade=[4, 6] if masquerade else [6])
    results = good_results(made, "node-1")
    for found in results:
        if found["from"] == "pod" and found["port"] == 80:
            found["seen_as"] = seen_as
    failures = reachability_checks.judge(made, "node-1", results)["failures"]
    assert [failure["what"] for failure in failures] == ([what] if what else [])


def test_an_unreached_target_keeps_where_it_was_tried_from() -> None:
    made = cluster()
    results = good_results(made, "node-1")
    for found in results:
        if found["address"] == "100.0.3.2":
            found.update(error="no answer in 5 s", seen_as=None, local=None)
    failures = reachability_checks.judge(made, "node-1", results)["failures"]
    assert {failure["kind"]: failure["local"] for failure in failures} == {"pod": "100.0.1.2", "node": "200.0.0.1"}


def test_a_node_without_a_probe_fails_all_its_checks_and_is_named() -> None:
    made = cluster()
    made["nodes"]["node-3"] = {"error": "unreachable"}
    judged = reachability_checks.judge(made, "node-1", good_results(made, "node-1"))
    assert {failure["reason"] for failure in judged["failures"]} == {"node-3 has no probe pod: unreachable"}
    assert {failure["kind"] for failure in judged["failures"]} == {"pod", "node"}
    assert len(reachability_checks.not_tried(made, "node-3", "gone")["failures"]) == 5


def test_both_ends_are_examined_once_for_each_path() -> None:
    failure = {"kind": "pod", "from": "a", "to": "b", "address": "100.0.2.2", "port": 7217, "local": "100.0.1.2"}
    outside = {**failure, "kind": "outside", "to": "192.168.122.1", "address": "192.168.122.1", "port": None}
    untried = {**failure, "to": "c", "reason": "c has no probe pod"}
    assert reachability_checks.paths_to_examine([failure, dict(failure), outside, untried]) == {
        "a": [
            {"source": "100.0.1.2", "destination": "100.0.2.2", "port": 7217, "end": "source"},
            {"source": "100.0.1.2", "destination": "192.168.122.1", "port": 0, "end": "source"},
        ],
        "b": [{"source": "100.0.1.2", "destination": "100.0.2.2", "port": 7217, "end": "destination"}],
    }


def test_no_table_is_asked_about_what_is_no_address() -> None:
    failure = {"kind": "pod", "from": "node-1", "to": "node-2", "address": "100.0.2.2", "port": 7217}
    assert (
        reachability_checks.paths_to_examine([{**failure, "local": local} for local in (None, "", "-h", "::1%x")]) == {}
    )


def test_a_node_is_asked_for_a_limited_number_of_paths() -> None:
    failure = {"kind": "pod", "from": "a", "to": "b", "port": 7217, "local": "100.0.1.2"}
    failures = [{**failure, "address": f"100.0.2.{number}"} for number in range(200)]
    assert len(reachability_checks.paths_to_examine(failures)["a"]) == reachability_checks.MAX_PATHS


def resolve(name: str) -> list[str]:
    if name == "gateway.example":
        return ["198.51.100.7", "198.51.100.8"]
    if name == "both.example":
        return ["2001:db8::7", "198.51.100.7"]
    raise OSError(-2, "Name or service not known")


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("gateway.example", "198.51.100.7", None),
        ("gateway.example:53", "198.51.100.7", 53),
    ],
)
def test_outside_targets(text: str, address: str, port: int | None) -> None:
    assert reachability_checks.parse_outside(text, resolve, [4]) == [{"name": text, "address": address, "port": port}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("192.0.2.1:0", "'192.0.2.1:0' is not a target: give HOST for ICMP echo, HOST:PORT for TCP"),
        ("192.0.2.1:http", "'192.0.2.1:http' is not a target: give HOST for ICMP echo, HOST:PORT for TCP"),
        ("[fe80::1%eth0]:80", "'fe80::1%eth0' has a zone, which no other node knows: give an address without"),
        (":80", "':80' is not a target: give HOST for ICMP echo, HOST:PORT for TCP"),
        ("nowhere.example:80", "the controller finds no address of nowhere.example: Name or service not known"),
    ],
)
def test_what_is_no_outside_target_fails_as_a_check(text: str, error: str) -> None:
    made = cluster(outside=reachability_checks.parse_outside(text, resolve, [4]))
    failures = reachability_checks.judge(made, "node-1", good_results(made, "node-1"))["failures"]
    assert [(failure["to"], failure["reason"]) for failure in failures] == [(text, error)]


def test_gateways_of_another_family_than_the_pods_are_not_tried() -> None:
    made = cluster()
    made["nodes"]["node-1"]["gateways"] = ["192.168.122.1", "fe80::1"]
    assert [target["address"] for target in reachability_checks.outside_of(made, "node-1")] == ["192.168.122.1"]


# Both families


def dual(nodes: int = 3) -> dict[str, Any]:
    made = cluster(nodes, families=[4, 6])
    for number, found in enumerate(made["nodes"].values(), 1):
        found["pod"].append(f"fd00:100:0:{number}::2")
        found["own"].append(f"fd00:200::{number}")
        found["gateways"].append("fe80::1")
    return made


def test_families_are_those_that_any_pod_has() -> None:
    assert reachability_checks.families_of(dual()["nodes"]) == [4, 6]
    assert reachability_checks.families_of(cluster()["nodes"]) == [4]
    assert reachability_checks.families_of({"a": {"pod": ["fd00::2"]}, "b": {"error": "gone"}}) == [6]
    assert reachability_checks.families_of({"b": {"error": "gone"}}) == [4]


def test_every_pair_is_checked_in_both_families() -> None:
    made = dual()
    checks = [check for node in made["nodes"] for check in reachability_checks.checks_of(made, node)]
    counted = Counter((check["kind"], check["family"]) for check in checks)
    # A router's link-local address is nobody's to reach from a pod.
    assert counted == {("pod", 4): 6, ("pod", 6): 6, ("node", 4): 9, ("node", 6): 9, ("outside", 4): 3}
    assert all((":" in check["address"]) == (check["family"] == 6) for check in checks)


def test_a_pod_that_lacks_a_family_which_others_have_fails_and_is_named() -> None:
    made = dual()
    made["nodes"]["node-2"]["pod"].pop()
    reason = "the pod on node-2 has no IPv6 address, as others have"
    failures = reachability_checks.judge(made, "node-2", dual_results(made, "node-2"))["failures"]
    assert [(failure["kind"], failure["to"], failure["reason"]) for failure in failures] == [
        ("node", "node-2", reason),
        ("pod", "node-1", reason),
        ("pod", "node-3", reason),
    ]
    failures = reachability_checks.judge(made, "node-1", dual_results(made, "node-1"))["failures"]
    assert [(failure["kind"], failure["to"], failure["reason"]) for failure in failures] == [
        ("pod", "node-2", reason),
        ("node", "node-2", reason),
    ]


def dual_results(made: dict[str, Any], node: str) -> list[dict[str, Any]]:
    results = []
    for check in reachability_checks.checks_of(made, node):
        own = made["nodes"][node]["own" if check["kind"] == "node" else "pod"]
        source = next((address for address in own if (":" in address) == (check["family"] == 6)), None)
        results.append(result(check, seen_as=source if check["kind"] != "outside" else None, local=source))
        if check["kind"] == "outside":
            results.append({**results[-1], "from": "node"})
    return results


def test_a_host_name_stands_for_an_address_of_each_family_that_pods_have() -> None:
    assert reachability_checks.parse_outside("both.example:80", resolve, [4, 6]) == [
        {"name": "both.example:80 (IPv4)", "address": "198.51.100.7", "port": 80},
        {"name": "both.example:80 (IPv6)", "address": "2001:db8::7", "port": 80},
    ]
    assert reachability_checks.parse_outside("both.example", resolve, [6]) == [
        {"name": "both.example", "address": "2001:db8::7", "port": None}
    ]
    assert reachability_checks.parse_outside("gateway.example", resolve, [6]) == [
        {"name": "gateway.example", "error": "the controller finds no IPv6 address of gateway.example"}
    ]


@pytest.mark.parametrize(("masquerade", "seen_by"), [([4, 6], []), ([4], [6]), ([6], [4]), ([], [4, 6])])
def test_families_may_be_masqueraded_apart(masquerade: list[int], seen_by: list[int]) -> None:
    made = dual()
    made["outside"] = [
        {"name": "one", "address": "198.51.100.1", "port": 80},
        {"name": "other", "address": "2001:db8::1", "port": 80},
    ]
    made["masquerade"] = masquerade
    results = dual_results(made, "node-1")
    for found in results:
        if found["from"] == "pod" and found["port"] == 80:
            found["seen_as"] = "fd00:122::1" if ":" in found["address"] else "192.168.122.11"
    failures = reachability_checks.judge(made, "node-1", results)["failures"]
    assert [failure["family"] for failure in failures] == seen_by
    assert all(failure["what"].endswith("instead of the pod's own address") for failure in failures)
