# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Range sets: defaults, limits, what is never given, and how many addresses there are."""

from __future__ import annotations

from typing import Any

import pytest

from humanz_cni.config import ranges
from humanz_cni.ipam import allocate
from humanz_cni.primitives.address import Address


def one(**conf: Any) -> ranges.Range:
    """Return the one range of a configuration."""
    ((found,),) = ranges.load(conf, "ipam.")
    return found


@pytest.mark.parametrize(
    ("subnet", "start", "end", "gateway", "count"),
    [
        ("10.9.0.0/24", "10.9.0.1", "10.9.0.254", "10.9.0.1", 253),
        ("10.9.0.0/30", "10.9.0.1", "10.9.0.2", "10.9.0.1", 1),
        ("100.100.0.0/16", "100.100.0.1", "100.100.255.254", "100.100.0.1", 65533),
        ("fd00:9::/64", "fd00:9::1", "fd00:9::ffff:ffff:ffff:ffff", "fd00:9::1", 2**63 - 1),
        ("fd00:9::/126", "fd00:9::1", "fd00:9::3", "fd00:9::1", 2),
    ],
)
def test_defaults(subnet: str, start: str, end: str, gateway: str, count: int) -> None:
    found = one(subnet=subnet)

    assert (str(found.start), str(found.end), str(found.gateway)) == (start, end, gateway)
    assert len(found) == count


def test_an_explicit_range_keeps_its_ends_and_loses_what_no_pod_may_have() -> None:
    found = one(subnet="10.9.0.0/29", rangeStart="10.9.0.0", rangeEnd="10.9.0.7", gateway="10.9.0.4")

    given = [str(candidate.address) for candidate in allocate.candidates([found], None)]
    assert given == ["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.5", "10.9.0.6"]
    assert len(found) == 5


def test_a_gateway_outside_the_range_costs_no_address() -> None:
    assert len(one(subnet="10.9.0.0/24", rangeStart="10.9.0.10", rangeEnd="10.9.0.19")) == 10


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (None, ["10.9.0.2", "10.9.0.3", "10.9.1.2"]),
        ("10.9.0.2", ["10.9.0.3", "10.9.1.2", "10.9.0.2"]),
        ("10.9.0.3", ["10.9.1.2", "10.9.0.2", "10.9.0.3"]),
        ("10.9.1.2", ["10.9.0.2", "10.9.0.3", "10.9.1.2"]),
        ("172.16.0.1", ["10.9.0.2", "10.9.0.3", "10.9.1.2"]),
        ("fd00::1", ["10.9.0.2", "10.9.0.3", "10.9.1.2"]),
    ],
)
def test_once_round_from_the_one_after_the_last(last: str | None, wanted: list[str]) -> None:
    conf = {"ranges": [[{"subnet": "10.9.0.0/29", "rangeEnd": "10.9.0.3"}, {"subnet": "10.9.1.0/30"}]]}
    (range_set,) = ranges.load(conf, "ipam.")

    candidates = allocate.candidates(range_set, Address.parse(last) if last else None)
    assert [str(candidate.address) for candidate in candidates] == wanted


def test_legacy_subnet_comes_before_ranges_and_both_after_those_of_the_runtime() -> None:
    conf = {"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}]]}

    sets = ranges.load(conf, "ipam.", [[{"subnet": "10.0.0.0/24"}]])

    assert [ranges.show(one) for one in sets] == ["10.0.0.1-10.0.0.254", "10.1.0.1-10.1.0.254", "10.2.0.1-10.2.0.254"]
