# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a run, small and large."""

from __future__ import annotations

from typing import Any

from ansible_collections.humanz.cni.plugins.plugin_utils._reachability import checks, table


def cluster(nodes: int, **changes: Any) -> dict[str, Any]:
    entries = {
        f"n{number}": {"pod": [f"100.{number}.0.2"], "port": 7217, "own": [], "gateways": ["192.0.2.1"]}
        for number in range(1, nodes + 1)
    }
    return {"nodes": entries, "families": [4], "outside": [], "sample": 50, "masquerade": [4, 6], **changes}


def failures_to(made: dict[str, Any], target: str, reason: str) -> list[dict[str, Any]]:
    return [
        {**check, "what": "no answer in 5 s", "reasons": [reason]}
        for node in made["nodes"]
        for check in checks.checks_of(made, node)
        if check["to"] == target and node != target
    ]


def test_a_small_cluster_is_a_matrix() -> None:
    made = cluster(2)
    failures = failures_to(made, "n2", "n1 has no route")
    assert table.render(made, failures) == [
        "from       pod on n1  pod on n2  192.0.2.1",
        "pod on n1  -          FAIL       ok",
        "pod on n2  ok         -          ok",
        "node n1    ok         FAIL       -",
        "node n2    ok         ok         -",
        "",
        "                  checks  passed  failed",
        "pod to pod             2       1       1",
        "node to pod            4       3       1",
        "pod to outside         2       2       0",
        "",
        "1. n1 has no route",
        "     pod on n1 -> pod on n2 (100.2.0.2): no answer in 5 s",
        "     node n1 -> pod on n2 (100.2.0.2): no answer in 5 s",
    ]


def test_a_large_cluster_is_counts_and_reasons() -> None:
    made = cluster(60)
    lines = table.render(made, failures_to(made, "n7", "n7 drops it"))
    assert not [line for line in lines if line.startswith("from")]
    assert lines[1].split() == ["pod", "to", "pod", "3000", "2950", "50"]
    assert "note: each node was tried against 50 of the 59 other nodes, the same ones in every run" in lines
    assert "every failed check is to or from n7" in lines
    assert [line for line in lines if line.startswith("1. ")] == ["1. n7 drops it"]
    assert lines[-1] == "     ... and 95 more checks"
    assert len(lines) < 20


def test_the_reason_that_explains_most_comes_first_and_there_is_an_end() -> None:
    made = cluster(60)
    failures = failures_to(made, "n1", "many")
    for number, failure in enumerate(failures[-30:]):
        failure["reasons"] = [f"single {number}", "second"]
    lines = table.render(made, failures)
    assert lines[lines.index("1. many") - 1] == ""
    assert "   also: second" in lines
    assert lines[-1] == "... and 11 more reasons"
    assert table.summary(failures, 6000).startswith("100 of 6000 checks failed: many; single 0; single 1; and 28")


def test_reasons_of_a_check_belong_together() -> None:
    one = {"kind": "pod", "from": "a", "to": "b", "reasons": ["x", "y"]}
    other = {**one, "to": "c", "reasons": ["x"]}
    groups = table.group_by_reasons([one, other, dict(other)])
    assert [(group["reasons"], len(group["checks"])) for group in groups] == [(["x"], 2), (["x", "y"], 1)]


def test_no_word_of_a_node_is_an_escape_sequence() -> None:
    made = cluster(3)
    failures = failures_to(made, "n2", "\x1b[2J\x9b2J\u202e{{ a }}\nis gone")
    said = [*table.render(made, failures), table.summary(failures, 9)]
    assert all(line.isprintable() for line in said)
    assert said[-1].endswith("checks failed: ?[2J?2J?{{ a }} is gone")


def test_no_outside_is_said() -> None:
    made = cluster(2)
    made["nodes"]["n2"]["gateways"] = []
    lines = table.render(made, [])
    assert lines[2] == "pod on n2  ok         -          -"
    assert "note: pod to outside was not tried where no default gateway or no pod is known: n2" in lines


def test_two_addresses_of_a_pod_are_two_checks_and_one_cell() -> None:
    made = cluster(2)
    made["nodes"]["n2"]["pod"].append("100.2.9.2")
    failure = {
        "kind": "pod",
        "from": "n1",
        "to": "n2",
        "family": 4,
        "address": "100.2.9.2",
        "port": 7217,
        "what": "x",
        "reasons": ["y"],
    }
    lines = table.render(made, [failure])
    assert lines[1] == "pod on n1  -          FAIL       ok"
    assert lines[7].split() == ["pod", "to", "pod", "3", "2", "1"]


def test_the_summary_of_success() -> None:
    assert table.summary([], 18) == "all 18 checks passed"


def test_the_families_of_dual_stack_are_counted_apart() -> None:
    made = cluster(2, families=[4, 6])
    for number, found in enumerate(made["nodes"].values(), 1):
        found["pod"].append(f"fd00:{number}::2")
        found["gateways"].append("fe80::1")
    failures = [failure for failure in failures_to(made, "n2", "n1 has no route") if failure["family"] == 6]
    assert table.render(made, failures)[:14] == [
        "from       pod on n1  pod on n2  192.0.2.1",
        "pod on n1  -          FAIL       ok",
        "pod on n2  ok         -          ok",
        "node n1    ok         FAIL       -",
        "node n2    ok         ok         -",
        "",
        "                        checks  passed  failed",
        "pod to pod, IPv4             2       2       0",
        "pod to pod, IPv6             2       1       1",
        "node to pod, IPv4            4       4       0",
        "node to pod, IPv6            4       3       1",
        "pod to outside, IPv4         2       2       0",
        "pod to outside, IPv6         0       0       0",
        "note: pod to outside was not tried by IPv6 where the default gateway has no address that pods reach: n1, n2",
    ]


def test_what_a_node_or_a_listener_says_is_a_line_and_no_command_to_a_terminal() -> None:
    made = cluster(2)
    failures = failures_to(made, "n2", "n1 drops it\n\x1b[2Jall 8 checks passed")
    failures[0]["what"] = "seen as \x1b]0;title\x07\u202e instead of the pod's own address"
    lines = [*table.render(made, failures), table.summary(failures, 8)]
    assert [line for line in lines if not line.isprintable()] == []
    assert "1. n1 drops it ?[2Jall 8 checks passed" in lines
