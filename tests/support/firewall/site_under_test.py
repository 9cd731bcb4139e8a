# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with a pod between others, with some firewall, and the module under test on it."""

from __future__ import annotations

import re
from typing import Any

from tests.support import ROOT
from tests.support.firewall.lan import IPV4, IPV6, Addresses, Lan, source_seen

HEAL = ROOT / "files" / "host_network" / "heal.py"
PAGE = (ROOT / "docs" / "firewalls.md").read_text(encoding="utf-8")
ARGS = {
    "pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"],
    "non_masquerade_cidrs": ["100.100.0.0/16", "200.0.0.0/24", "fd00:100::/48", "fd00:200::/64"],
}


class Site:
    """A Lan whose node has some firewall, and the module under test on it."""

    def __init__(self, lan: Lan) -> None:
        self.lan = lan
        self.node = lan.node
        self.args: dict[str, Any] = dict(ARGS)

    def converge(self, **options: Any) -> dict[str, Any]:
        result = self.node.module("pod_firewall", self.args, **options)
        assert not result.get("failed"), result
        return result

    def remove(self) -> dict[str, Any]:
        result = self.node.module("pod_firewall", {"state": "absent"})
        assert not result.get("failed"), result
        return result

    def sources(self, address: Addresses, cut_off: str = "") -> list[str]:
        """Who is seen from pod to node, pod to pod, pod to outside and node to pod; *cut_off* is a target that is."""
        lan = self.lan
        calls = [(lan.pod, lan.peer, address.peer), (lan.pod, lan.peer, address.peer_pod)]
        calls += [(lan.pod, lan.outside, address.outside), (lan.peer, lan.pod, address.pod)]
        return [source_seen(*call, timeout=0.5 if call[2] == cut_off else 30) for call in calls]

    def is_cut_off(self) -> bool:
        """Whether pods reach neither each other nor the outside, in both families."""
        lan = self.lan
        calls = [(lan.pod, lan.outside, IPV4.outside), (lan.pod, lan.outside, IPV6.outside)]
        calls += [(lan.peer, lan.pod, IPV4.pod), (lan.peer, lan.pod, IPV6.pod)]
        return [source_seen(*call, timeout=0.2) for call in calls] == [""] * 4

    def is_router_for_others(self, address: Addresses) -> bool:
        lan = self.lan
        return source_seen(lan.outside, lan.peer, address.peer, timeout=0.3) != ""

    def ruleset(self) -> str:
        """Everything nf_tables has, without handles and counters."""
        return self.node.run("nft", "--stateless", "list", "ruleset").stdout

    def heal(self) -> str:
        done = self.node.run("/usr/bin/python3", "-I", str(HEAL), check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


def through(address: Addresses) -> list[str]:
    return [address.pod, address.pod, address.node_outside, address.peer]


def page_blocks(heading: str) -> list[list[str]]:
    """The commands of each block below *heading* on the page about firewalls."""
    section = re.split(r"^##+ ", PAGE.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [[line[len("# ") :] for line in block.splitlines()] for block in blocks]
