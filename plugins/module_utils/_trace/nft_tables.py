# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nf_tables does with a packet, and which rules in it are the pod network's. Reads only, by the node's ``nft``.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from .._firewall import nft as _nft
from .._firewall import rules_nft
from .._firewall.nft_syntax import OURS, BaseChain
from . import nft_walk

if TYPE_CHECKING:
    from .._shared.converge import RunCommand
    from .iptables_walk import Decision, Packet


class NftTables:
    """The node's tables, each read at most once and only if it is asked for.

    :param run: runs a command, a list, and returns its status, output and error output.
    """

    def __init__(self, run: RunCommand) -> None:
        self._run = run
        self._nft = _nft.Nft(run, "nft")
        self._chains: list[dict[str, Any]] | None = None
        self._tables: dict[tuple[str, str], nft_walk.Table] = {}
        self._texts: dict[BaseChain, dict[int, str]] = {}

    def decisions(
        self, kind: str, hook: str, packet: Packet, left_out: Collection[tuple[str, str, str]]
    ) -> Iterator[Decision]:
        """Yield the Decision, of iptables_walk, of each base chain on *packet*, in the kernel's order.

        Each names its rule in nft's syntax, and the chain that it stands in.

        :param kind: filter or nat; "" stands for all but nat.
        :param hook: prerouting, forward, input, output, postrouting, ingress or egress.
        :param left_out: (family, table, chain) of chains that another tool shows.
        """
        families = ("ip6" if ":" in packet.destination else "ip", "inet", "netdev")
        device = packet.in_device if hook == "ingress" else packet.out_device
        for chain in self._base_chains():
            key = (chain["family"], chain["table"], chain["name"])
            asked = chain["hook"] == hook and chain["family"] in families and key not in left_out
            devices = chain.get("dev", device)
            if asked and _is_of(chain, kind) and device in ([devices] if isinstance(devices, str) else devices):
                yield self._decide(chain, packet)

    def bridge_decisions(self, hooks: Collection[str], packet: Packet) -> Iterator[Decision]:
        """Yield the Decision of each base chain for bridges, whose ports the packet does not tell."""
        for chain in self._base_chains():
            if chain["family"] == "bridge" and chain["hook"] in hooks:
                yield self._decide(chain, packet._replace(in_device="?", out_device="?"))

    def arp_chains(self) -> list[str]:
        """Return the names of base chains that ARP passes."""
        return ["%(family)s %(table)s %(name)s" % chain for chain in self._base_chains() if chain["family"] == "arp"]

    def _decide(self, chain: dict[str, Any], packet: Packet) -> Decision:
        return nft_walk.decide(self._table(chain["family"], chain["table"]), chain, packet, self._text)

    def _base_chains(self) -> list[dict[str, Any]]:
        if self._chains is None:
            dormant = self._dormant()
            chains = [entry["chain"] for entry in self._listing("chains") if "hook" in entry.get("chain", ())]
            awake = [chain for chain in chains if (chain["family"], chain["table"]) not in dormant]
            self._chains = sorted(awake, key=lambda chain: chain["prio"])
        return self._chains

    def _dormant(self) -> list[tuple[str, str]]:
        """Return (family, name) of the tables that decide nothing."""
        tables = [entry["table"] for entry in self._listing("tables") if "table" in entry]
        # In JSON, nft 1.0.6 has other texts in the place of the flags' names.
        flagged = [(table["family"], table["name"]) for table in tables if "flags" in table]
        return [table for table in flagged if self._nft.is_dormant(*table)]

    def _table(self, family: str, name: str) -> nft_walk.Table:
        if (family, name) not in self._tables:
            self._tables[family, name] = nft_walk.parse(self._listing("table", family, name))
        return self._tables[family, name]

    def _listing(self, *what: str) -> list[dict[str, Any]]:
        status, output, _error = self._run(["nft", "-j", "list", *what])
        listing = json.loads(output) if status == 0 and output.strip() else {}
        entries: list[dict[str, Any]] = listing.get("nftables", [])
        return entries

    def _text(self, rule: dict[str, Any]) -> str:
        """Return *rule* as nft writes it, with the chain that it stands in."""
        chain = BaseChain(rule["family"], rule["table"], rule["chain"], "")
        if chain not in self._texts:
            self._texts[chain] = {found.handle: found.text for found in self._nft.rules(chain)}
        text = self._texts[chain].get(rule["handle"], "handle %d" % rule["handle"])
        return "%s in chain %s" % (text, " ".join(chain[:3]))


def _is_of(chain: dict[str, Any], kind: str) -> bool:
    return bool(chain.get("type") == kind if kind else chain.get("type") != "nat")


def own_rules(run: RunCommand) -> list[str]:
    """Return what is in our own table, and our rules in chains of others, as commands to ``nft`` that add them."""
    nft = _nft.Nft(run, "nft")
    table = "%s %s" % (rules_nft.FAMILY, rules_nft.TABLE)
    lines: list[str] = []
    kind = name = ""
    content: list[str] = []
    for line in nft.table(rules_nft.FAMILY, rules_nft.TABLE)[1:-1]:
        if line.startswith(("set ", "chain ")):
            kind, name = line.split()[:2]
            content = []
        elif line != "}":
            content.append(line)
        elif kind == "set":
            lines.append("add set %s %s { %s; }" % (table, name, "; ".join(content)))
        else:
            lines += ["add rule %s %s %s" % (table, name, text) for text in content if not text.startswith("type ")]
    for base in nft.forward_chains():
        texts = [rule.text for rule in nft.rules(base) if OURS in rule.text]
        lines += ["insert rule %s %s" % (" ".join(base[:3]), text) for text in texts]
    return lines
