# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables of nf_tables are asked. What real nodes say is in tests/integration_netns/probe."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.humanz.cni.plugins.module_utils._trace.iptables_walk import Packet
from ansible_collections.humanz.cni.plugins.module_utils._trace.nft_tables import NftTables

PACKET = Packet("100.100.0.2", "100.100.1.2", "humanz-cni0", "enp8s0", 7217, "NEW")
HOOK = {"type": "filter", "hook": "forward", "name": "way", "handle": 1}
# As nft 1.0.6 prints them: the text for flags is another one's.
TABLES: list[dict[str, Any]] = [
    {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
    {"table": {"family": "ip", "name": "asleep", "handle": 1, "flags": "ip"}},
    {"table": {"family": "ip", "name": "owned", "handle": 2, "flags": "ip"}},
    {"table": {"family": "inet", "name": "plain", "handle": 3}},
]
CHAINS: list[dict[str, Any]] = [
    {"chain": {"family": "ip", "table": "asleep", "prio": -5, "policy": "drop", **HOOK}},
    {"chain": {"family": "ip", "table": "owned", "prio": 5, "policy": "drop", **HOOK}},
    {"chain": {"family": "inet", "table": "plain", "prio": 0, "policy": "accept", **HOOK}},
    {"chain": {"family": "inet", "table": "plain", "name": "called", "handle": 2}},
]
TEXTS = {"asleep": "table ip asleep {\n\tflags dormant\n}\n", "owned": "table ip owned {\n\tflags owner\n}\n"}


def run(command: list[str]) -> tuple[int, str, str]:
    if command[1:3] == ["-j", "list"]:
        listings = {"tables": TABLES, "chains": CHAINS}
        return 0, json.dumps({"nftables": listings.get(command[3], [])}), ""
    return 0, TEXTS[command[-1]], ""


def test_a_dormant_table_decides_nothing() -> None:
    said = "the policy of %s way, as no rule accepts it"
    decisions = NftTables(run).decisions("filter", "forward", PACKET, set())
    assert [decision[:3] for decision in decisions] == [
        ("ACCEPT", said % "inet plain", []),
        ("DROP", said % "ip owned", []),
    ]
