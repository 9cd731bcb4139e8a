# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tools a node's firewall is made of, and the parts of a Firewall that keep our rules in each of them.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._shared import option_checks
from .._shared.converge import ConvergeError
from . import by_firewalld, by_nft, iptables_syntax, rules_iptables, rules_nft
from . import iptables as _iptables
from . import nft as _nft
from .by_iptables import HOOKS, Firewall, Ruleset

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from .by_iptables import Part
    from .iptables import Iptables

    #: Maps each table to its rules.
    Rules = dict[str, list[str]]

FAMILIES = (4, 6)
NO_RULES: Rules = {"filter": [], "nat": [], "raw": []}
NFTABLES = "nftables"


def firewall(module: AnsibleModule) -> Firewall:
    """Return the Firewall that the *module*'s options ask for. Raises ConvergeError for a bad option."""
    return _Parts(module).firewall()


class _Parts:
    """Finds out what there is on the node, and builds the parts."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._params = module.params
        self._present = module.params["state"] == "present"
        self._pods = self._checked_pods()
        self._peers = self._checked_peers()
        self._bridge = option_checks.device("bridge", self._params["bridge"])
        self._uplink = option_checks.device("uplink", self._params["uplink"]) if self._params["uplink"] else ""
        self._firewalld = self._firewalld_part()
        self._backend = self._resolved_backend()
        # The chains (family, table, chain as nft calls them) that iptables looks after.
        self._chains_of_iptables: set[tuple[str, str, str]] = set()

    def firewall(self) -> Firewall:
        """Return the Firewall."""
        parts: list[Part] = [self._firewalld] if self._firewalld else []
        for family in FAMILIES:
            parts += self._rulesets(family)
        parts += self._nft()
        return Firewall(parts)

    def _checked_pods(self) -> list[str]:
        if self._params["plan"]:
            raise ConvergeError(
                "plan is on the controller: run the module by its action plugin, as humanz.cni.pod_firewall"
            )
        if not self._present:
            return []
        pods = option_checks.networks("pod_cidrs", self._params["pod_cidrs"] or [])
        if not pods:
            raise ConvergeError("pod_cidrs: at least one network of this node's pods is needed, such as 100.100.0.0/24")
        return pods

    def _checked_peers(self) -> list[str]:
        if not self._present:
            return []
        port = self._params["vxlan_port"]
        if not 0 < port < 1 << 16:
            raise ConvergeError("vxlan_port: %d must be a UDP port, 1 to 65535" % port)
        peers = option_checks.addresses("vxlan_peers", self._params["vxlan_peers"])
        if len({":" in peer for peer in peers}) > 1:
            raise ConvergeError("vxlan_peers: %s must be all IPv4 or all IPv6" % ", ".join(peers))
        return peers

    def _resolved_backend(self) -> str:
        """Return the option ``backend``.

        auto becomes nftables where there is no iptables, and where firewalld runs: some releases of it empty all that
        iptables has whenever they load their configuration.
        """
        needed = [_iptables.COMMANDS[family] for family in FAMILIES if self._needed(family)]
        wiped = self._firewalld is not None and self._firewalld.running
        if self._params["backend"] == "auto" and self._path("nft") and (wiped or not all(map(self._path, needed))):
            return NFTABLES
        return str(self._params["backend"])

    def _path(self, command: str) -> str | None:
        path: str | None = self._module.get_bin_path(command)
        return path

    def _state_file(self, name: str) -> str:
        return os.path.join(self._params["state_dir"], name)

    def _pods_of(self, family: int) -> list[str]:
        return _of_family(family, self._pods)

    def _tunnels(self, family: int) -> rules_iptables.Tunnels:
        peers = [peer for peer in self._peers if (":" in peer) == (family == 6)]
        return rules_iptables.Tunnels(self._params["vxlan_port"], peers)

    def _needed(self, family: int) -> bool:
        """Return whether there are to be rules of the *family*; nodes may carry pods' IPv6 in IPv4."""
        return bool(self._pods_of(family) or self._tunnels(family).peers)

    def _kept(self, family: int) -> list[str]:
        """Return the destinations that see the pods' own addresses."""
        kept = option_checks.networks("non_masquerade_cidrs", self._params["non_masquerade_cidrs"])
        return _of_family(family, self._pods + kept + [rules_iptables.MULTICAST[family]])

    def _sources(self, family: int) -> list[str]:
        """Return who may open connections to pods, where not anybody may."""
        allowed = option_checks.networks("allowed_sources", self._params["allowed_sources"])
        return _of_family(family, self._pods + allowed)

    def _masquerades(self, family: int) -> bool:
        given = self._params["masquerade_ipv6"]
        return bool(given if family == 6 and given is not None else self._params["masquerade"])

    # firewalld

    def _firewalld_part(self) -> by_firewalld.Firewalld | None:
        command = self._path("firewall-cmd")
        if command is None and not os.path.exists(by_firewalld.FILE):
            return None
        pods = [cidr for family in FAMILIES for cidr in self._pods_of(family)] if command else []
        return by_firewalld.Firewalld(self._module.run_command, command, pods)

    # iptables

    def _rulesets(self, family: int) -> list[Ruleset]:
        """Return the Rulesets of one *family*: by the node's iptables, and by the other one if its tables drop.

        A family without pods and peers has none, unless there is something of it to remove.
        """
        needed = self._needed(family)
        state_file = self._state_file("rules.v%d" % family)
        if not needed and self._present and not os.path.exists(state_file):
            return []
        by_iptables = needed and self._backend != NFTABLES
        iptables = self._iptables(family, "auto" if self._backend == NFTABLES else self._backend, by_iptables)
        if iptables and by_iptables:
            rules = self._rules(family, iptables)
            self._leave_to(iptables, family)
        else:
            rules = self._rules_where_dropped(family, iptables)
        found = [self._ruleset(iptables, _iptables.COMMANDS[family], rules, state_file)]
        if iptables:
            backend = "legacy" if iptables.backend == "nft" else "nft"
            other = _iptables.locate(self._module, backend, family)
            rules = self._rules_where_dropped(family, other)
            command = _iptables.COMMANDS[family] + _iptables.SUFFIXES[backend]
            found.append(self._ruleset(other, command, rules, state_file + "-other"))
        return [ruleset for ruleset in found if ruleset]

    @staticmethod
    def _ruleset(iptables: Iptables | None, command: str, rules: Rules, state_file: str) -> Ruleset | None:
        """Return the Ruleset, or None if there is nothing to keep or to remove."""
        wanted = any(rules.values()) or os.path.exists(state_file)
        if wanted or iptables and any(_has_ours(iptables, hook) for hook in HOOKS):
            return Ruleset(iptables, command, rules, state_file)
        return None

    def _iptables(self, family: int, backend: str, needed: bool) -> Iptables | None:
        iptables = _iptables.locate(self._module, backend, family)
        if iptables is None and needed:
            raise ConvergeError(
                "%s is not on this node: install the package iptables (iptables-nft on RHEL and its kin), or nftables"
                % (_iptables.COMMANDS[family] + _iptables.SUFFIXES[backend])
            )
        return iptables

    def _rules(self, family: int, iptables: Iptables) -> Rules:
        pods = self._pods_of(family)
        nat: list[str] = []
        tunnels = self._tunnels(family)
        if pods and self._masquerades(family):
            random_fully = self._params["random_fully"] and iptables.random_fully
            nat = rules_iptables.masquerade_rules(pods, self._kept(family), self._uplink, random_fully, tunnels)
        guard = rules_iptables.guard_rules(pods, self._bridge, tunnels)
        return {"filter": self._forward_rules(family) if pods else [], "nat": nat, "raw": guard}

    def _forward_rules(self, family: int) -> list[str]:
        sources = self._sources(family) if self._params["allowed_sources"] else []
        return rules_iptables.forward_rules(self._pods_of(family), self._bridge, sources)

    def _rules_where_dropped(self, family: int, iptables: Iptables | None) -> Rules:
        """Return the rules for tables that are not the ones we use, but are in the way if they hold anything."""
        if not self._pods_of(family) or iptables is None or not iptables.has_table("filter"):
            return NO_RULES
        hook = rules_iptables.FILTER_HOOK
        try:
            policy, rules = iptables.listing(hook.table, hook.base)
        except ConvergeError:
            return NO_RULES  # made by nft, of what iptables does not know
        if policy == "ACCEPT" and all(iptables_syntax.target(rule) == hook.chain for rule in rules):
            return NO_RULES
        self._leave_to(iptables, family)
        return {**NO_RULES, "filter": self._forward_rules(family)}

    def _leave_to(self, iptables: Iptables, family: int) -> None:
        if iptables.backend == "nft":
            hook = rules_iptables.FILTER_HOOK
            self._chains_of_iptables.add((rules_nft.PROTOCOLS[family], hook.table, hook.base))

    # nftables

    def _nft(self) -> list[by_nft.NftRules]:
        command, state_file = self._path("nft"), self._state_file("rules.nft")
        if command is None and self._backend == NFTABLES and self._present:
            raise ConvergeError("nft is not on this node: install the package nftables")
        if command is None and not os.path.exists(state_file):
            return []
        nft = _nft.Nft(self._module.run_command, command) if command else None
        table = self._table() if command else []
        accepted = self._accepted if command else _nothing
        return [by_nft.NftRules(nft, table, accepted, self._chains_of_iptables, state_file)]

    def _accepted(self, chain_family: str) -> list[str]:
        return rules_nft.accept_rules(chain_family, self._pods, self._bridge)

    def _table(self) -> list[str]:
        chains = []
        if self._backend == NFTABLES:
            chains += self._masquerade_blocks()
        # firewalld may empty what iptables has.
        if self._backend == NFTABLES or self._firewalld and self._firewalld.pods:
            pods = [cidr for family in FAMILIES for cidr in self._pods_of(family)]
            chains.append(rules_nft.guard_chain(pods, self._bridge))
            chains += [rules_nft.tunnels_chain(self._tunnels(family)) for family in FAMILIES]
            if self._params["allowed_sources"]:
                sources = [cidr for family in FAMILIES for cidr in self._sources(family)]
                chains.append(rules_nft.sources_chain(pods, self._bridge, sources))
        return rules_nft.own_table(chains)

    def _masquerade_blocks(self) -> list[list[str]]:
        pods: list[str] = []
        kept: list[str] = []
        tunnels = rules_iptables.Tunnels(self._params["vxlan_port"], self._peers)
        for family in FAMILIES:
            if self._pods_of(family) and self._masquerades(family):
                pods += self._pods_of(family)
                kept += self._kept(family)
        chain = rules_nft.masquerade_chain(pods, kept, self._uplink, self._params["random_fully"], tunnels)
        return [*rules_nft.masquerade_sets(kept), chain]


def _nothing(_chain_family: str) -> list[str]:
    return []


def _has_ours(iptables: Iptables, hook: rules_iptables.Hook) -> bool:
    return iptables.has_table(hook.table) and iptables.own(hook.table, hook.chain) is not None


def _of_family(family: int, cidrs: Iterable[str]) -> list[str]:
    return rules_iptables.without_subnets(cidr for cidr in cidrs if (":" in cidr) == (family == 6))
