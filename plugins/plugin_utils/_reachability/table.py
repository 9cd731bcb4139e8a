# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom, as lines of text. Pure. Clusters, checks and failures are those of ``checks``.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
import itertools
from typing import Any

from ...module_utils._shared.texts import printable
from . import checks

MATRIX_NODES = 8  # a line of the matrix still fits a terminal
SHOWN_REASONS = 20
SHOWN_CHECKS = 5
TITLES = {"pod": "pod to pod", "node": "node to pod", "outside": "pod to outside"}


def group_by_reasons(failures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``[{"reasons", "checks"}]``, those that explain the most failures first.

    :param failures: failures with their ``reasons``, each a list.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for failure in failures:
        groups.setdefault(tuple(failure["reasons"]), []).append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [{"reasons": list(reasons), "checks": found} for reasons, found in ordered]


def counts(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return ``{KIND: {"checks", "passed", "failed"}}``."""
    found = _by_family(cluster, failures)
    return {
        kind: {key: sum(found[kind, family][key] for family in (4, 6)) for key in ("checks", "passed", "failed")}
        for kind in checks.KINDS
    }


def _by_family(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, int]]:
    """Return ``{(KIND, FAMILY): {"checks", "passed", "failed"}}``."""
    made: collections.Counter[tuple[str, int]] = collections.Counter()
    failed: collections.Counter[tuple[str, int]] = collections.Counter()
    for node in cluster["nodes"]:
        made.update((check["kind"], check["family"]) for check in checks.checks_of(cluster, node))
    failed.update((failure["kind"], failure["family"]) for failure in failures)
    return {
        key: {"checks": made[key], "passed": made[key] - failed[key], "failed": failed[key]}
        for key in itertools.product(checks.KINDS, (4, 6))
    }


def render(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> list[str]:
    """Return the table: the matrix of a small cluster, the counts of any, and each failure with its reasons."""
    lines = _matrix(cluster, failures) + [""] if len(cluster["nodes"]) <= MATRIX_NODES else []
    lines += _counts(cluster, failures)
    for note in notes(cluster):
        lines.append("note: %s" % note)
    lines += _common_ends(failures)
    groups = group_by_reasons(failures)
    for number, group in enumerate(groups[:SHOWN_REASONS], 1):
        lines += [""] + _reasons(number, group)
    if len(groups) > SHOWN_REASONS:
        lines += ["", "... and %d more reasons" % (len(groups) - SHOWN_REASONS)]
    return [printable(line) for line in lines]


def summary(failures: list[dict[str, Any]], total: int) -> str:
    """Return one line on the failures of *total* checks, and the foremost reasons."""
    if not failures:
        return "all %d checks passed" % total
    groups = group_by_reasons(failures)
    reasons = "; ".join(group["reasons"][0] for group in groups[:3])
    more = "; and %d more reasons" % (len(groups) - 3) if len(groups) > 3 else ""
    return printable("%d of %d checks failed: %s%s" % (len(failures), total, reasons, more))


def notes(cluster: dict[str, Any]) -> list[str]:
    """Return what the reader must know about the checks that were not made."""
    found = []
    others = len(cluster["nodes"]) - 1
    if others > cluster["sample"]:
        text = "each node was tried against %d of the %d other nodes, the same ones in every run"
        found.append(text % (cluster["sample"], others))
    without = [node for node in cluster["nodes"] if not checks.outside_of(cluster, node)]
    if without and not cluster["outside"]:
        found.append("pod to outside was not tried where no default gateway or no pod is known: %s" % _some(without))
    return found + _families_without_outside(cluster, without)


def _families_without_outside(cluster: dict[str, Any], without: list[str]) -> list[str]:
    """Return a note for each family in which pods try nothing outside, but for the nodes in *without*."""
    found = []
    for family in cluster["families"] if not cluster["outside"] else []:
        untried = [
            node
            for node in cluster["nodes"]
            if node not in without and family not in map(checks.family_of, _gateways(cluster, node))
        ]
        if untried:
            text = "pod to outside was not tried by IPv%d where the default gateway has no address that pods reach: %s"
            found.append(text % (family, _some(untried)))
    return found


def _gateways(cluster: dict[str, Any], node: str) -> list[str]:
    return [target["address"] for target in checks.outside_of(cluster, node)]


def _some(nodes: list[str]) -> str:
    return ", ".join(nodes[:SHOWN_CHECKS]) + (" ..." if len(nodes) > SHOWN_CHECKS else "")


def _matrix(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> list[str]:
    outside = sorted({target["name"] for node in cluster["nodes"] for target in checks.outside_of(cluster, node)})
    failed = {(failure["kind"], failure["from"], failure["to"]) for failure in failures}
    columns = list(cluster["nodes"]) + outside
    rows = [["from", *("pod on %s" % node for node in cluster["nodes"]), *outside]]
    for kind, label in (("pod", "pod on %s"), ("node", "node %s")):
        for node in cluster["nodes"]:
            made = {(check["kind"], check["to"]) for check in checks.checks_of(cluster, node)}
            cells = [_cell(kind, node, column, column in outside, made, failed) for column in columns]
            rows.append([label % node, *cells])
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _cell(
    kind: str, node: str, column: str, is_outside: bool, made: set[tuple[str, str]], failed: set[tuple[str, str, str]]
) -> str:
    if is_outside:
        kind = "outside" if kind == "pod" else ""
    if (kind, column) not in made:
        return "-"
    return "FAIL" if (kind, node, column) in failed else "ok"


def _common_ends(failures: list[dict[str, Any]]) -> list[str]:
    """Name the nodes that are an end of every failed check, if that says anything."""
    ends = [{failure["from"], failure["to"]} for failure in failures]
    common = sorted(set.intersection(*ends)) if len(ends) > 2 else []
    if not common:
        return []
    return ["", "every failed check is %s %s" % ("between" if len(common) == 2 else "to or from", " and ".join(common))]


def _counts(cluster: dict[str, Any], failures: list[dict[str, Any]]) -> list[str]:
    families = cluster["families"]
    width = 16 if len(families) == 1 else 22
    lines = [" " * width + "%8s%8s%8s" % ("checks", "passed", "failed")]
    found = _by_family(cluster, failures)
    for kind in checks.KINDS:
        for family in families:
            title = TITLES[kind] if len(families) == 1 else "%s, IPv%d" % (TITLES[kind], family)
            number = found[kind, family]
            lines.append(title.ljust(width) + "%8d%8d%8d" % (number["checks"], number["passed"], number["failed"]))
    return lines


def _reasons(number: int, group: dict[str, Any]) -> list[str]:
    lines = ["%d. %s" % (number, group["reasons"][0])]
    lines += ["   also: %s" % reason for reason in group["reasons"][1:]]
    for failure in group["checks"][:SHOWN_CHECKS]:
        lines.append("     %s: %s" % (describe(failure), failure["what"]))
    if len(group["checks"]) > SHOWN_CHECKS:
        lines.append("     ... and %d more checks" % (len(group["checks"]) - SHOWN_CHECKS))
    return lines


def describe(check: dict[str, Any]) -> str:
    """Return the *check* in words."""
    source = "%s %s" % ("node" if check["kind"] == "node" else "pod on", check["from"])
    if check["kind"] == "outside":
        return "%s -> outside %s" % (source, check["to"])
    address = " (%s)" % check["address"] if check["address"] else ""
    return "%s -> pod on %s%s" % (source, check["to"], address)
