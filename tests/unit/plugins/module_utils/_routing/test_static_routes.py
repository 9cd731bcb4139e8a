# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one set of routes to another: the lines that ``ip -batch`` gets, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._routing import static_routes
from ansible_collections.humanz.cni.plugins.module_utils._shared.kernel import Route


def routes(**hops: str) -> dict[Any, Route]:
    """``routes(_1="200.0.0.20")`` is 100.100.1.0/24 via 200.0.0.20."""
    given = [{"dst": "100.100.%s.0/24" % name[1:], "via": via} for name, via in hops.items()]
    parsed, problems = static_routes.parse_routes(given, 217, 254)
    assert problems == []
    return parsed


def test_new_routes_first_then_removals_and_nothing_for_what_stays() -> None:
    lines = static_routes.commands(
        routes(_1="200.0.0.10", _2="200.0.0.20", _3="200.0.0.30"),
        routes(_11="200.0.0.11", _2="200.0.0.22", _3="200.0.0.30"),
    )
    assert lines == [
        "route replace 100.100.2.0/24 via 200.0.0.22 proto 217 table 254",
        "route add 100.100.11.0/24 via 200.0.0.11 proto 217 table 254",
        "route del 100.100.1.0/24 proto 217 table 254",
    ]


def test_the_same_routes_need_no_line() -> None:
    assert static_routes.commands(routes(_1="200.0.0.10"), routes(_1="200.0.0.10")) == []


def test_lines_are_in_the_order_of_addresses_not_of_texts() -> None:
    lines = static_routes.commands({}, routes(_10="200.0.0.10", _9="200.0.0.10", _100="200.0.0.10"))
    assert [line.split()[2] for line in lines] == ["100.100.9.0/24", "100.100.10.0/24", "100.100.100.0/24"]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (
            Route("10.9.0.0/16", "", "", 217, "blackhole", 254, 0, 0),
            "route del blackhole 10.9.0.0/16 proto 217 table 254",
        ),
        (
            Route("10.9.0.0/16", "1.1.1.1,1.1.1.2", "a,b", 217, "unicast", 300, 7, 16),
            "route del 10.9.0.0/16 proto 217 table 300 metric 7 tos 16",
        ),
        (Route("fd01::/64", "fd00::2", "", 217, "unicast", 254, 1024, 0), "route del fd01::/64 proto 217 table 254"),
    ],
)
def test_a_removal_names_all_that_tells_the_route_from_others(route: Route, expected: str) -> None:
    assert static_routes.command("del", route) == expected


def test_one_next_hop_given_twice_is_no_problem_and_two_are() -> None:
    same = {"dst": "100.100.1.0/24", "via": "200.0.0.20"}
    assert static_routes.parse_routes([same, dict(same)], 217, 254)[1] == []
    _parsed, problems = static_routes.parse_routes([same, dict(same, via="200.0.0.21")], 217, 254)
    assert problems == ["route 100.100.1.0/24: has two next hops, 200.0.0.20 and 200.0.0.21: give it one"]
