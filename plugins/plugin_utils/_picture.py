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

import jinja2

from ansible_collections.humanz.cni.plugins.plugin_utils import (
    _picture_drawing,
    _picture_matrix,
    _picture_nodes,
    _reachability_table,
)

TEMPLATES = Path(__file__).with_name("_picture_templates")
REASONS = 20
SAMPLES = 5
CARDS = 60  # nodes that are said more of than their line in the table
NAMED = 5
COLOURS = {"well": "#00734f", "attention": "#8a5a00", "broken": "#b3261e"}


def render(data):
    """Return ``{"html": text, "svg": text, "headline": text}``.

    :param data: ``{"cluster", "failures"}`` as ``_reachability`` has them, each failure with its ``reasons``;
        ``"plan"``, as ``humanz.cni.cluster_plan`` wrote it, or None;
        ``"nodes"``, by name what ``humanz.cni.pod_network_info`` returned with its ``comparison``, or
        ``{"error": text}``.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
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


def view(data):
    """Return all that the templates show, by the names that they use."""
    lines = _picture_nodes.nodes(data)
    counts = _reachability_table.counts(data["cluster"], data["failures"])
    groups = _reachability_table.group_by_reasons(data["failures"])
    rank = list(_picture_nodes.STATES)
    cards = sorted(
        (line for line in lines if line["state"] not in ("well", "affected")),
        key=lambda line: rank.index(line["state"]),
    )
    segments = _picture_nodes.segments(data, lines)
    return {
        **_headline(lines, counts, data),
        "facts": _facts(data, lines, segments),
        "counts": [{"title": _reachability_table.TITLES[kind], **count} for kind, count in counts.items()],
        "reasons": [_reason(group) for group in groups[:REASONS]],
        "further_reasons": max(0, len(groups) - REASONS),
        "problems": (data["plan"] or {}).get("problems", []),
        "compared": _compared(data),
        "notes": _reachability_table.notes(data["cluster"]),
        "cards": cards[:CARDS],
        "further_cards": max(0, len(cards) - CARDS),
        "states": _picture_nodes.STATES,
        "present_states": [state for state in rank if any(line["state"] == state for line in lines)],
        "drawings": _picture_drawing.drawings(segments, _crossing(data["plan"])),
        "matrix": _picture_matrix.matrix(data["cluster"], data["failures"]),
        "nodes": lines,
        "carded": {line["id"] for line in cards[:CARDS]},
    }


def _headline(lines, counts, data):
    """Return the one thing to know: ``{"state", "headline", "subline", "first", "colour"}``."""
    total, failed = (sum(count[key] for count in counts.values()) for key in ("checks", "failed"))
    noticed = [line for line in lines if line["notices"]]
    first = [line for line in lines if line["state"] in ("silent", "failing")] or noticed
    worked = f"{total - failed:,} of {total:,} connections work"
    look = f"{len(noticed):,} of {len(lines):,} nodes need a look"
    if failed:
        state, headline = "broken", f"{failed:,} of {total:,} connections fail"
        subline = "%s by what is on them." % look
    elif noticed:
        state, headline, subline = "attention", look, "%s." % worked
    elif not _compared(data):
        state, headline, subline = "attention", worked, "The nodes were not compared with a plan, see below."
    else:
        state, headline = "well", "All is well"
        subline = f"{worked}, and what {len(lines):,} nodes have is what was planned."
    return {
        "state": state,
        "headline": headline,
        "subline": subline,
        "first": first[:NAMED],
        "further_first": max(0, len(first) - NAMED),
        "colour": COLOURS[state],
    }


def _compared(data):
    return any("comparison" in info for info in data["nodes"].values())


def _reason(group):
    """Return one reason of failures, with a few of these in words."""
    examples = [
        "%s: %s" % (_reachability_table.describe(failure), failure["what"]) for failure in group["checks"][:SAMPLES]
    ]
    return {"lines": group["reasons"], "count": len(group["checks"]), "examples": examples}


def _facts(data, lines, segments):
    """Return what the cluster is, as (name, text) pairs."""
    plan = data["plan"] or {}
    networks = "1 network" if len(segments) == 1 else "%d networks" % len(segments)
    facts = [("Nodes", f"{len(lines):,} on {networks}")]
    for key, name in (("cluster_cidrs", "Pods"), ("service_cidrs", "Services")):
        if plan.get(key):
            facts.append((name, ", ".join(plan[key])))
    if plan.get("vxlan"):
        facts.append(("VXLAN", "{device}, VNI {vni}, UDP port {port}".format(**plan["vxlan"])))
    return facts + _fullest(lines)


def _fullest(lines):
    pools = [(pool, line["name"]) for line in lines for pool in line["pools"] if pool["total"]]
    if not pools:
        return []
    used, total = (sum(pool[key] for pool, _name in pools) for key in ("used", "total"))
    pool, name = max(pools, key=lambda found: found[0]["used"] / found[0]["total"])
    text = "{:,} of {:,} in use; fullest: {}, {:,} of {:,}".format(used, total, name, pool["used"], pool["total"])
    return [("Pod addresses", text)]


def _crossing(plan):
    """Return what stands between two networks of the drawing, a text."""
    if plan and plan.get("vxlan"):
        return "router, VXLAN through it: VNI {vni}, UDP {port}".format(**plan["vxlan"])
    return "another network, on the same link"
