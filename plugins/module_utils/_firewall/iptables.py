# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's own iptables: chains are read one by one, and written by one ``iptables-restore --noflush``.

A *rule* is a line as ``iptables -S CHAIN`` prints it, such as ``-A FORWARD -s 192.0.2.0/24 -j ACCEPT``.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING

from .._shared import files
from .._shared.converge import ConvergeError
from .iptables_syntax import LEGACY_TABLES, WAIT, is_comment, rules, split

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from .._shared.converge import RunCommand

COMMANDS = {4: "iptables", 6: "ip6tables"}
SUFFIXES = {"auto": "", "nft": "-nft", "legacy": "-legacy"}
_FIRST = ("-s", "-d", "-i", "-o", "-p")
# The options of a rule, in iptables' order, by what rule() calls them.
_MATCHES = {
    "-s": "source",
    "-d": "destination",
    "-i": "in_device",
    "-o": "out_device",
    "-p": "protocol",
    "-m udp --dport": "udp_port",
    "-m conntrack --ctstate": "state",
    "-m addrtype --src-type": "source_type",
    "-m addrtype --dst-type": "destination_type",
}


class Iptables:
    """One family's iptables, with one of its backends.

    ``name`` is the command's name, such as iptables or iptables-nft, ``backend`` is nft or legacy, ``version`` a tuple
    such as (1, 8, 9).
    """

    def __init__(self, run: RunCommand, command: str, restore: str, family: int = 4) -> None:
        """Ask *command*, the path of an iptables, for its version; *restore* is the path of its iptables-restore.

        *run* is AnsibleModule.run_command. Raises ConvergeError.
        """
        self._run = run
        self._family = family
        self._command = command
        self.name = os.path.basename(command)
        self._restore = restore
        found = re.search(r"v(\d+)\.(\d+)\.(\d+)(?: \((\w+)\))?", self._output([command, "--version"]))
        if not found:
            raise ConvergeError("%s --version prints no version such as v1.8.9" % command)
        self.version = tuple(int(part) for part in found.group(1, 2, 3))
        # Releases before 1.8 know no nf_tables and do not say so.
        self.backend = "nft" if found.group(4) == "nf_tables" else "legacy"

    @property
    def random_fully(self) -> bool:
        """Return whether MASQUERADE knows ``--random-fully``."""
        return self.version >= (1, 6, 2)

    def has_table(self, table: str) -> bool:
        """Return whether there is *table*, without making it."""
        return self.backend == "nft" or table in legacy_tables(self._family)

    def listing(self, table: str, chain: str) -> tuple[str, list[str]]:
        """Return the policy and the rules of a chain that the kernel always has. Raises ConvergeError."""
        output = self._output([self._command] + WAIT + ["-t", table, "-S", chain])
        policy = re.search(r"^-P \S+ (\S+)", output, re.MULTILINE)
        return policy.group(1) if policy else "ACCEPT", rules(output)

    def builtin(self, table: str, chain: str) -> list[str]:
        """Return the rules of a chain that the kernel always has. Raises ConvergeError."""
        return self.listing(table, chain)[1]

    def own(self, table: str, chain: str) -> list[str] | None:
        """Return the rules of a user-defined chain, or None if there is none.

        Every iptables says "no such chain" in other words and with status 1. That iptables works at all must be known
        from :meth:`builtin`.
        """
        status, output, error = self._run([self._command] + WAIT + ["-t", table, "-S", chain])
        if status > 1:
            raise ConvergeError("chain %s of table %s cannot be read: %s" % (chain, table, error.strip()))
        return rules(output) if status == 0 else None

    def restore(self, text: str) -> None:
        """Apply *text*, in the syntax of iptables-restore; each of its tables at once or not at all."""
        status, _output, error = self._run([self._restore, "--noflush"] + WAIT, data=text)
        if status:
            raise ConvergeError(
                "%s refused the rules: %s" % (self._restore, _explained(error)), rules=text.splitlines()
            )

    def _output(self, command: list[str]) -> str:
        status, output, error = self._run(command)
        if status:
            raise ConvergeError("%s failed: %s" % (" ".join(command), _explained(error)))
        return output


def legacy_tables(family: int) -> list[str]:
    """Return the tables of legacy iptables that this network namespace has; to ask legacy iptables for one makes it."""
    return (files.read_text(LEGACY_TABLES[family]) or "").split()


def locate(module: AnsibleModule, backend: str = "auto", family: int = 4) -> Iptables | None:
    """Return the node's Iptables, or None if it has none with this *backend*: auto, nft or legacy."""
    name = COMMANDS[family] + SUFFIXES[backend]
    command, restore = module.get_bin_path(name), module.get_bin_path(name + "-restore")
    return Iptables(module.run_command, command, restore, family) if command and restore else None


def _explained(error: str) -> str:
    """Return what iptables says, and what helps where nft has made chains by the names of iptables' own."""
    if "use 'nft' tool" in error or "CHAIN_ADD failed" in error:
        return "%s: set backend (pod_network_firewall_backend) to nftables" % error.strip()
    return error.strip()


def rule(chain: str, target: list[str], comment: str | None = None, **matches: str) -> str:
    """Return a rule in canonical form.

    :param target: the target with its options, as a list of words.
    :param matches: by the names in _MATCHES; an empty one is left out, and ``! `` ahead of a value negates it.
    """
    words = ["-A", chain]
    for option, key in _MATCHES.items():
        if matches.get(key):
            *negation, value = matches[key].split()
            *module, name = option.split()
            words += module + negation + [name, value]
    if comment:
        words += ["-m", "comment", "--comment", comment]
    return " ".join(_quote(word) for word in words + ["-j"] + target)


def canonical(line: str) -> str:
    """Return the rule *line* in one form, whatever release of iptables printed it."""
    options, target = split(line)
    comment = [option for option in options if option[1] == "--comment"]
    rest = [option for option in options if not is_comment(option)]
    rest.sort(key=lambda option: _FIRST.index(option[1]) if option[1] in _FIRST else len(_FIRST))
    words = ["-A", line.split()[1]]
    for negation, name, *values in rest + ([["", "-m", "comment"]] + comment if comment else []):
        if name in ("-s", "-d"):
            values = [str(ipaddress.ip_network(values[0], strict=False))]
        elif [name, *values] in (["-p", "icmpv6"], ["-p", "58"]):
            values = ["ipv6-icmp"]
        words += ([negation] if negation else []) + [name] + values
    return " ".join(_quote(word) for word in words + target)


def _quote(word: str) -> str:
    """Return *word* as iptables-restore reads it."""
    if re.match(r"[^\s\"'\\]+\Z", word):
        return word
    return '"%s"' % word.replace("\\", "\\\\").replace('"', '\\"')
