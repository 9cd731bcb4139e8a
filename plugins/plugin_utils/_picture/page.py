# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the pod network: one HTML page, and its drawing as SVG. No Ansible, no node, no clock.

Nothing in it tells when it was made, so that the same network gives the same page. It loads nothing and runs nothing:
its Content-Security-Policy allows its own style sheet, by digest, and its icon.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from ...module_utils._shared.texts import printable
from .._reachability import table
from . import drawing
from . import matrix as picture_matrix
from . import nodes as picture_nodes

TEMPLATES = Path(__file__).with_name("templates")
REASONS = 20
SAMPLES = 5
CARDS = 60  # nodes that are said more of than their line in the table
NAMED = 5
# Of what nodes have; docs/picture.md says it in the same words.
COMPARED = "routes, VXLAN, pods' subnets and forwarding"
COLOURS = {"well": "#00734f", "attention": "#8a5a00", "broken": "#b3261e"}


def render(data: dict[str, Any]) -> dict[str, str]:
    """Return ``{"html": text, "svg": text, "headline": text}``.

    :param data: ``{"cluster", "failures"}`` as ``_reachability/checks.py`` has them, each failure with its ``reasons``;
        ``"plan"``, as ``humanz.cni.cluster_plan`` wrote it, or None, and ``"plan_error"``, a text, why there is none;
        ``"nodes"``, by name what ``humanz.cni.pod_network_info`` returned with its ``comparison``, or
        ``{"error": text}``.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = view(data)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page["style"] = style
    page["style_digest"] = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return {
        "html": environment.get_template("page.html.j2").render(page),
        "svg": environment.get_template("drawing.svg.j2").render(page),
        "headline": page["headline"],
    }


def _shown(value: object) -> object:
    """Return *value* of an expression in a template; markup, which is no plain text, stays as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def view(data: dict[str, Any]) -> dict[str, Any]:
    """Return all that the templates show, by the names that they use."""
    lines = picture_nodes.nodes(data)
    counts = table.counts(data["cluster"], data["failures"])
    groups = table.group_by_reasons(data["failures"])
    rank = list(picture_nodes.STATES)
    cards = sorted(
        (line for line in lines if line["state"] not in ("well", "affected")),
        key=lambda line: rank.index(line["state"]),
    )
    segments = picture_nodes.segments(data, lines)
    return {
        **_headline(lines, counts, data),
        "facts": _facts(data, lines, segments),
        "counts": [{"title": table.TITLES[kind], **count} for kind, count in counts.items()],
        "reasons": [_reason(group) for group in groups[:REASONS]],
        "further_reasons": max(0, len(groups) - REASONS),
        "problems": (data["plan"] or {}).get("problems", []),
        "plan": data["plan"],
        "plan_error": data.get("plan_error"),
        "compared": _compared(data),
        "notes": table.notes(data["cluster"]),
        "cards": cards[:CARDS],
        "further_cards": max(0, len(cards) - CARDS),
        "states": picture_nodes.STATES,
        "present_states": [state for state in rank if any(line["state"] == state for line in lines)],
        "tunnelled": bool((data["plan"] or {}).get("vxlan")),
        "drawings": drawing.drawings(segments, _crossing(data["plan"])),
        "matrix": picture_matrix.matrix(data["cluster"], data["failures"]),
        "nodes": lines,
        "carded": {line["id"] for line in cards[:CARDS]},
    }


def _headline(lines: list[dict[str, Any]], counts: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the one thing to know: ``{"state", "headline", "subline", "first", "further_first", "colour"}``."""
    total, failed = (sum(count[key] for count in counts.values()) for key in ("checks", "failed"))
    noticed = [line for line in lines if line["notices"]]
    first = [line for line in lines if line["state"] in ("silent", "failing")] or noticed
    worked = f"{total - failed:,} of {total:,} connections work"
    part = _part(data)
    if failed:
        state, headline, said = "broken", f"{failed:,} of {total:,} connections fail", _differing(lines)
    elif noticed:
        state, said = "attention", [worked]
        headline = f"{len(noticed):,} of {len(lines):,} nodes {'needs' if len(noticed) == 1 else 'need'} a look"
    elif not _compared(data):
        state, headline, said = "attention", worked, ["the nodes were not compared with a plan, see below"]
    else:
        said = [f"{COMPARED} of {len(lines):,} {'node is' if len(lines) == 1 else 'nodes are'} as planned"]
        state, headline = ("attention", worked) if part else ("well", "All is well")
        said = said if part else [worked, *said]
    if part:
        said.insert(0, f"only {part[0]:,} of the plan's {part[1]:,} nodes took part")
    subline = "; ".join(said)
    return {
        "state": state,
        "headline": headline,
        "subline": subline[:1].upper() + subline[1:] + "." if subline else "",
        "first": first[:NAMED],
        "further_first": max(0, len(first) - NAMED),
        "colour": COLOURS[state],
    }


def _part(data: dict[str, Any]) -> tuple[int, int] | None:
    """Return how many of the plan's nodes took part and how many there are, or None if that is all of them."""
    planned = set((data["plan"] or {"nodes": {}})["nodes"])
    present = planned & set(data["cluster"]["nodes"])
    return None if present == planned else (len(present), len(planned))


def _differing(lines: list[dict[str, Any]]) -> list[str]:
    """Return in words how many nodes something is to be said of, but for those of which no more than that is known."""
    number = sum(1 for line in lines if line["notices"] and line["state"] != "silent")
    if not number:
        return []
    verbs = "differs from the plan or has" if number == 1 else "differ from the plan or have"
    return [f"{number:,} of {len(lines):,} nodes also {verbs} a nearly full pool"]


def _compared(data: dict[str, Any]) -> bool:
    return any("comparison" in info for info in data["nodes"].values())


def _reason(group: dict[str, Any]) -> dict[str, Any]:
    """Return one reason of failures, with a few of these in words."""
    examples = ["%s: %s" % (table.describe(failure), failure["what"]) for failure in group["checks"][:SAMPLES]]
    return {"lines": group["reasons"], "count": len(group["checks"]), "examples": examples}


def _facts(data: dict[str, Any], lines: list[dict[str, Any]], segments: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what the cluster is, as (name, text) pairs."""
    plan = data["plan"] or {}
    networks = "1 network" if len(segments) == 1 else "%d networks" % len(segments)
    part = _part(data)
    facts = [
        ("Nodes", f"{part[0]:,} of {part[1]:,} in the plan, on {networks}" if part else f"{len(lines):,} on {networks}")
    ]
    for key, name in (("cluster_cidrs", "Pods"), ("service_cidrs", "Services")):
        if plan.get(key):
            facts.append((name, ", ".join(plan[key])))
    if plan.get("vxlan"):
        facts.append(("VXLAN", "{device}, VNI {vni}, UDP port {port}".format(**plan["vxlan"])))
    return facts + _fullest(lines)


def _fullest(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    pools = [(pool, line["name"]) for line in lines for pool in line["pools"] if pool["total"]]
    if not pools:
        return []
    used, total = (sum(pool[key] for pool, _name in pools) for key in ("used", "total"))
    pool, name = max(pools, key=lambda found: found[0]["used"] / found[0]["total"])
    text = "{:,} of {:,} in use; fullest: {}, {:,} of {:,}".format(used, total, name, pool["used"], pool["total"])
    return [("Pod addresses", text)]


def _crossing(plan: dict[str, Any] | None) -> str:
    """Return what stands between two networks of the drawing, a text."""
    if plan and plan.get("vxlan"):
        return "router, VXLAN through it: VNI {vni}, UDP {port}".format(**plan["vxlan"])
    return "another network, on the same link"
