# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what drops all that the node forwards, pods' packets too, and has no rule of ours.

Such a chain came after the last run of humanz.cni.site. It may be what somebody closed on purpose: it is named, and
left to the operator, whose next run has it accept pods.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from heal import Result

    Run = Callable[[list[str]], Result]

# Chains as nft lists and iptables -S prints them: what is ours in them, and rules that drop every packet.
OURS = re.compile(r'comment "humanz-cni: |(jump|-j) HUMANZ-FORWARD\b')
POLICY = re.compile(r"hook forward .*policy drop;|^-P FORWARD DROP", re.MULTILINE)
# A rule for every packet, its verdict, and where to if that is another chain.
VERDICT = r"(accept|drop|reject|return|queue|jump|goto)\b ?(\S*)"
PASSING = r'(?:counter (?:packets \d+ bytes \d+ )?|log (?:prefix "[^"]*" |(?:level|group|flags|snaplen) \S+ )*)*'
EVERY_PACKET = re.compile(r"^\t\t" + PASSING + VERDICT, re.MULTILINE)
BY_IPTABLES = re.compile(r"^-A FORWARD -j (ACCEPT|DROP|REJECT|RETURN)\b", re.MULTILINE)
DORMANT = re.compile(r"^\tflags .*\bdormant\b", re.MULTILINE)

# The tables that legacy iptables has loaded, by the name of the family in nft. To ask itself would load them.
LEGACY = {"ip": ("/proc/net/ip_tables_names", "iptables"), "ip6": ("/proc/net/ip6_tables_names", "ip6tables")}
FIREWALLD_TABLES = ("firewalld", "firewalld_policy_drop")
FIREWALLD_POLICY = "/etc/firewalld/policies/humanz-cni.xml"


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
    names: list[str] = []
    table: list[str] = []
    for line in run(["nft", "list", "chains"])[1].splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = words[1:3]
        elif words[:1] == ["chain"]:
            name = words[1]
        elif "type filter hook forward " in line and table[0] in [*families, "inet"] and not is_firewalld(table[1]):
            names += ["chain %s %s of nftables" % (" ".join(table), name)] if drops(table, name, run) else []
    return names


def drops(table: list[str], name: str, run: Run) -> bool:
    """Return whether the chain *name* of *table*, family and name, drops what no rule accepts, and has none of ours.

    The role, in plugins/module_utils/_nft.py, decides by the same rules.
    """
    listed = rules(table, name, run)
    if OURS.search(listed) or not (POLICY.search(listed) or rules_drop(table, listed, run, {name})):
        return False
    return not DORMANT.search(run(["nft", "list", "table", *table])[1])


def rules(table: list[str], name: str, run: Run) -> str:
    """Return the chain *name* of *table* as nft lists it."""
    return run(["nft", "list", "chain", *table, name])[1]


def rules_drop(table: list[str], listed: str, run: Run, visited: set[str]) -> bool | None:
    """Return whether the rules for every packet of a chain, as *listed*, drop it; None if they pass it on, or back.

    *visited* are the names of the chains that have been gone through, this one among them.
    """
    for verdict, target in EVERY_PACKET.findall(listed):
        if verdict not in ("jump", "goto"):
            return None if verdict == "return" else verdict in ("drop", "reject")
        if target not in visited:
            visited.add(target)
            found = rules_drop(table, rules(table, target, run), run, visited)
            if found is not None:
                return found
        if verdict == "goto":
            return None
    return None


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
    listed = run([command, "-w", "5", "-S", "FORWARD"])[1]
    first = BY_IPTABLES.search(listed)
    closed = POLICY.search(listed) or first and first.group(1) in ("DROP", "REJECT")
    return ["FORWARD of %s" % command] if closed and not OURS.search(listed) else []


def is_firewalld(table: str) -> bool:
    """Return whether *table* is one of firewalld's, which our policy has accept pods elsewhere than in the chain."""
    return table in FIREWALLD_TABLES and os.path.exists(FIREWALLD_POLICY)
