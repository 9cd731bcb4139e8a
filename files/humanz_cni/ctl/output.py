# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command prints: tables for people, JSON for programs. The documents' keys are described in docs/."""

from __future__ import annotations

import json
from typing import Any

_CONTAINER_ID_SHOWN = 13  # as crictl and docker do
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_ALIVE = {True: "alive", False: "gone", None: "-"}

_RESERVATIONS = (
    ("NETWORK", "network"), ("POD", "pod"), ("CONTAINER", "container"), ("IFNAME", "ifname"), ("ADDRESS", "address"),
    ("AGE", "age"), ("NETNS", "namespace"), ("VETH", "veth"), ("STATUS", "status"),
)  # fmt: skip
_WIDE = (*_RESERVATIONS, ("REASON", "reason"), ("HOST VETH", "hostVeth"), ("NETNS PATH", "netns"))
_POOLS = (
    ("NETWORK", "network"), ("SET", "set"), ("RANGE", "range"), ("USED", "used"), ("TOTAL", "total"),
    ("USE%", "percent"), ("LEAKED", "leaked"), ("CONF", "conf"),
)  # fmt: skip


def reservations(documents: list[dict[str, Any]], wide: bool) -> str:
    """Return the table of reservations, one line each; *wide* cuts nothing off and says why."""
    return _table(_WIDE if wide else _RESERVATIONS, [_reservation_row(one, wide) for one in documents])


def pools(documents: list[dict[str, Any]]) -> str:
    """Return the table of pools, one line each."""
    return _table(_POOLS, [_pool_row(one) for one in documents])


def as_json(document: dict[str, Any], problems: list[str]) -> str:
    """Return *document*, and the texts *problems*, as indented JSON in ASCII."""
    return json.dumps(dict(document, problems=problems), indent=2) + "\n"


def age(seconds: int) -> str:
    """Return a duration in its largest whole unit, as kubectl shows it."""
    for length, unit in _UNITS:
        if seconds >= length:
            return "%d%s" % (seconds // length, unit)
    return "%ds" % seconds


def printable(text: str) -> str:
    """Return *text* without what a terminal would take for a command: pod names and records come from elsewhere."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _reservation_row(one: dict[str, Any], wide: bool) -> dict[str, Any]:
    pod = "%s/%s" % (one["podNamespace"] or "", one["podName"]) if one["podName"] else None
    container = one["containerID"]
    return dict(
        one,
        pod=pod,
        container=container if wide or container is None else container[:_CONTAINER_ID_SHOWN],
        address=",".join(one["addresses"]),
        age=None if one["ageSeconds"] is None else age(one["ageSeconds"]),
        namespace=_ALIVE[one["netnsAlive"]],
        veth=_ALIVE[one["hostVethAlive"]],
    )


def _pool_row(one: dict[str, Any]) -> dict[str, Any]:
    percent = None if one["total"] is None else "%d%%" % (100 * one["used"] // max(one["total"], 1))
    ranges = ",".join(one["ranges"]) or "(in no configured range)"
    return dict(one, range=ranges, percent=percent)


def _table(columns: tuple[tuple[str, str], ...], rows: list[dict[str, Any]]) -> str:
    lines = [[title for title, _key in columns]]
    lines += [[_cell(row[key]) for _title, key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "".join("   ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + "\n" for line in lines)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))
