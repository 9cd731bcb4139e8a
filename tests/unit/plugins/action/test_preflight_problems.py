# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the plan's problems a node reports: each is said once by a run, and no node passes while there are some."""

from __future__ import annotations

from ansible_collections.humanz.cni.plugins.action.node_preflight import SHOWN, problems_for


def problem(node: str) -> dict[str, str]:
    return {"node": node, "value": "value of %s" % node, "remedy": "remedy"}


def test_a_node_reports_its_own_and_the_clusters() -> None:
    problems = [problem("cluster"), problem("n1"), problem("n2")]
    assert problems_for(problems, "n1", ["n1", "n2"]) == [
        "cluster: value of cluster: remedy",
        "n1: value of n1: remedy",
    ]


def test_problems_of_nodes_outside_the_run_are_reported_by_those_in_it() -> None:
    assert problems_for([problem("n2")], "n1", ["n1"]) == ["n2: value of n2: remedy"]


def test_a_node_without_problems_fails_with_the_names_of_those_that_have_some() -> None:
    assert problems_for([problem("n3"), problem("n2")], "n1", ["n1", "n2", "n3"]) == [
        "cluster: the plan has problems: see n2, n3"
    ]


def test_no_problems_no_lines() -> None:
    assert problems_for([], "n1", ["n1"]) == []


def test_a_thousand_problems_elsewhere_are_not_a_thousand_lines_each() -> None:
    lines = problems_for([problem("n%d" % number) for number in range(1000)], "x", ["x"])
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "cluster: 980 more problems of nodes outside this run"
