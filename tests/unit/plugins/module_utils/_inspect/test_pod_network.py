# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a node's routes into the pods' networks are somebody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._inspect import pod_network

OURS = {"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0", "protocol": "humanz-cni", "flags": []}
# As ip shows it when it is asked for the routes of one protocol.
OWN = {name: value for name, value in OURS.items() if name != "protocol"}


def foreign(*others: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is foreign on a node that has OURS and *others*."""

    def run(command: list[str]) -> tuple[int, str, str]:
        return 0, json.dumps([OURS, *others] if "-4" in command else []), ""

    found: list[dict[str, Any]] = pod_network.foreign_routes(run, ["100.100.0.0/16"], [OWN], "humanz-cni0")
    return found


def test_ours_and_what_leads_elsewhere_is_none() -> None:
    bridge = {"dst": "100.100.0.0/24", "dev": "humanz-cni0", "protocol": "kernel"}
    assert foreign(bridge, {"dst": "default", "gateway": "192.168.122.1"}, {**OURS, "dst": "10.0.0.0/8"}) == []


@pytest.mark.parametrize("other", [{"metric": 50}, {"tos": "0x10"}, {}], ids=["metric", "type of service", "appended"])
def test_a_second_one_along_the_same_way_is_somebodys(other: dict[str, Any]) -> None:
    way = {"dst": "100.100.1.0/24", "gateway": "200.0.0.20", "dev": "enp8s0"}
    assert foreign({**OURS, **other, "protocol": "static"}) == [{**way, "protocol": "static", "type": "unicast"}]
