# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what drops all that the node forwards, pods' packets too, and has no rule of ours.

Such a chain came after the last run of humanz.cni.site. It may be what somebody closed on purpose: it is named, and
left to the operator, whose next run has it accept pods.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from typing import TYPE_CHECKING

from . import iptables_syntax, nft_syntax

if TYPE_CHECKING:
    from .commands import Run

# What iptables -S prints: our jump, the policy, and rules for every packet.
JUMP = re.compile(r"-j %s\b" % iptables_syntax.FORWARD)
POLICY = re.compile(r"^-P FORWARD DROP", re.MULTILINE)
BY_IPTABLES = re.compile(r"^-A FORWARD -j (ACCEPT|DROP|REJECT|RETURN)\b", re.MULTILINE)
# What nft lists of a rule of ours; iptables-nft's jump is one.
OURS = re.compile(r"%s|jump %s\b" % (nft_syntax.OURS, iptables_syntax.FORWARD))

# Where legacy iptables says which tables it has, and its command, by the name of the family in nft.
LEGACY = {
    "ip": (iptables_syntax.LEGACY_TABLES[4], "iptables"),
    "ip6": (iptables_syntax.LEGACY_TABLES[6], "ip6tables"),
}


def problems(text: str, run: Run) -> list[str]:
    """Return a line for each chain that drops pods' packets; *text* is all that is to be of routes and rules.

    *run* is called with a command, and returns its status, output and error output.
    """
    try:
        names = dropping(text, run)
    except Exception as exc:  # whatever another program's tables make of this one, what was put back is to be said
        return ["cannot find out what drops pods' packets: %s: %s" % (type(exc).__name__, exc)]
    said = "%s drops what none of its rules accepts, and has no rule for pods: run humanz.cni.site for this node"
    return [said % name for name in names]


def dropping(text: str, run: Run) -> list[str]:
    """Return the names of these chains."""
    families = [family for family, cidr in (("ip", r"\d\.\d+/\d"), ("ip6", r":[0-9a-f:]*/\d")) if re.search(cidr, text)]
    names = by_nft(families, run) if families and shutil.which("nft") else []
    for family in families:
        names += by_legacy(*LEGACY[family], run)
    return names


def by_nft(families: list[str], run: Run) -> list[str]:
    """Return the names of the chains that nft shows, iptables-nft's among them."""
    chains = nft_syntax.forward_chains(run(["nft", "list", "chains"])[1])
    asked = [chain for chain in chains if chain.family in [*families, "inet"] and not is_firewalld(chain.table)]
    return ["chain %s of nftables" % " ".join(chain[:3]) for chain in asked if drops(chain, run)]


def drops(chain: nft_syntax.BaseChain, run: Run) -> bool:
    """Return whether *chain* drops whatever no rule accepts, and has none of ours."""

    @functools.lru_cache(maxsize=None)
    def rules_of(one: nft_syntax.BaseChain) -> list[nft_syntax.Rule]:
        return nft_syntax.rules(run(["nft", "-a", "list", "chain", *one[:3]])[1])

    if any(OURS.search(rule.text) for rule in rules_of(chain)) or not nft_syntax.drops(chain, rules_of):
        return False
    return not nft_syntax.is_dormant(run(["nft", "list", "table", *chain[:2]])[1])


def by_legacy(loaded: str, command: str, run: Run) -> list[str]:
    """Return the name of legacy iptables' FORWARD, in a list, if it drops."""
    try:
        with open(loaded, encoding="ascii") as stream:
            if "filter" not in stream.read().split():
                return []
    except FileNotFoundError:
        return []
    if shutil.which(command + "-legacy"):
        command += "-legacy"
    elif not shutil.which(command) or "nf_tables" in run([command, "--version"])[1]:
        return []
    listed = run([command, *iptables_syntax.WAIT, "-S", "FORWARD"])[1]
    first = BY_IPTABLES.search(listed)
    closed = POLICY.search(listed) or first and first.group(1) in ("DROP", "REJECT")
    return ["FORWARD of %s" % command] if closed and not JUMP.search(listed) else []


def is_firewalld(table: str) -> bool:
    """Return whether *table* is one of firewalld's, which our policy has accept pods elsewhere than in the chain."""
    return table in nft_syntax.FIREWALLD_TABLES and os.path.exists(nft_syntax.FIREWALLD_POLICY)
