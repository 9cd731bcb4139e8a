# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back what is missing of the pod network's routes, rules and kernel parameters on this node.

The desired state is in /etc/humanz-cni: in routes, which humanz.cni.node_routes writes, in rules.*, which
humanz.cni.pod_firewall writes, in vxlan*, which humanz.cni.node_vxlan writes, and in sysctl, which
humanz.cni.node_kernel writes. What pods' packets are checked by, the CNI plugin's command knows. What is there stays:
nothing is removed but a jump to our own chain, or a rule of ours, that stands in the wrong place. A prefix that
somebody else's route holds is reported and left to it, and so is a chain of somebody else's that drops pods' packets
and came after those files. When nothing is missing, nothing is written to the kernel and nothing is printed.
Exits with 1 if something could not be put back, or the lock not be had, with 3 if there is nothing but such a chain,
and says what.

Runs on Python 3.8 or later, with the standard library, ip, and of iptables, ip6tables and nft what those files are for.
"""

from __future__ import annotations

import argparse
import glob
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

# An isolated interpreter does not look beside the program's file, and what it compiled would stay behind.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import heal_addresses  # noqa: E402 - found by the line above
import heal_checks  # noqa: E402 - likewise
import heal_drops  # noqa: E402 - likewise
import heal_iptables  # noqa: E402 - likewise
import heal_lock  # noqa: E402 - likewise
import heal_nft  # noqa: E402 - likewise
import heal_sysctls  # noqa: E402 - likewise
import heal_vxlan  # noqa: E402 - likewise
import heal_wait  # noqa: E402 - likewise

if TYPE_CHECKING:
    Result = tuple[int, str, str]  # a command's status, output and error output

VXLAN = "/etc/humanz-cni/vxlan*"
ROUTES = "/etc/humanz-cni/routes"
RULES = "/etc/humanz-cni/rules.v[46]*"
NFT_RULES = "/etc/humanz-cni/rules.nft"
SYSCTL = "/etc/humanz-cni/sysctl"
PATIENCE = 30  # seconds for a module that is at work
WAIT = ["-w", "5"]  # seconds for the lock of legacy iptables
CLOSED = 3  # exit code; humanz-cni.service takes it for success, as all that is the collection's is there
SHOWN = 5  # routes of a kind that are named in one line


class Route(NamedTuple):
    """A line of the file of routes: *family* is -4 or -6, *protocol* and *table* are numbers as texts.

    *via* is empty for a network that is to be unreachable.
    """

    dst: str
    via: str
    family: str
    protocol: str
    table: str
    line: str


class Refused(Exception):
    """A command failed; the text says which, and why."""


class Outcome:
    """What came of one attempt, texts: what was put back, what can't be, what may be later, and what drops pods."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.wrong: list[str] = []
        self.later: list[str] = []
        self.closed: list[str] = []


def heal() -> Outcome:
    """Put back what is missing and return the Outcome."""
    outcome, known = Outcome(), ""
    kinds = (
        (VXLAN, put_back_vxlan),  # ahead of the routes that lead through it
        (ROUTES, put_back_routes),
        (RULES, put_back_rules),
        (NFT_RULES, put_back_nft_rules),
        (SYSCTL, put_back_sysctls),
    )
    for path, put_back in [(path, put_back) for paths, put_back in kinds for path in sorted(glob.glob(paths))]:
        try:
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
            if not text:
                raise ValueError("is empty: run humanz.cni.site for this node")
            known += text
            put_back(text.splitlines(), outcome)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, Refused) as exc:
            outcome.wrong.append("%s: %s" % (path, exc))
        except Exception as exc:  # whatever a file or a command's output makes of this program, the other files count
            outcome.wrong.append("%s: %s: %s" % (path, type(exc).__name__, exc))
    try:
        done, wrong = heal_checks.put_back(run)
        outcome.done += done
        outcome.wrong += wrong
    except (OSError, Refused) as exc:
        outcome.wrong.append("spoof checks of pods: %s" % exc)
    outcome.closed = heal_drops.problems(known, run)
    return outcome


def run(command: list[str], data: str | None = None) -> Result:
    """Run *command*, a list, with the text *data* as its input; return its status, output and error output."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, text=True, errors="replace", check=False)
    except OSError as exc:
        raise Refused("%s: %s" % (command[0], exc.strerror)) from exc
    return done.returncode, done.stdout, done.stderr


def output_of(command: list[str]) -> str:
    """Return what *command* prints; Refused if it fails."""
    status, output, error = run(command)
    if status:
        raise Refused("%s: %s" % (" ".join(command), error.strip()))
    return output


# Routes, and the interface to nodes behind a router


def put_back_vxlan(lines: list[str], outcome: Outcome) -> None:
    """Make the interface again, or what is missing of it."""
    command, device, missing = heal_vxlan.missing(lines, run)
    if missing:
        refused = refusals(run([command, "-force", "-batch", "-"], "\n".join(missing) + "\n"))
        if len(refused) < len(missing):
            outcome.done.append("put back %d settings of %s" % (len(missing) - len(refused), device))
        outcome.later += ["cannot put back %s (%s)" % (device, reason) for reason in sorted(set(refused.values()))]


def put_back_routes(lines: list[str], outcome: Outcome) -> None:
    """Add the routes of *lines* that are missing, and give those of ours that lead elsewhere their next hop."""
    wanted = [parse_route(line) for line in lines if line and not line.startswith("#")]
    for kind in sorted({(route.family, route.table, route.protocol) for route in wanted}):
        family, table, protocol = kind
        routes = [route for route in wanted if (route.family, route.table, route.protocol) == kind]
        own = own_routes(family, table, protocol)
        missing = [route for route in routes if own.get(route.dst) != route.via]
        if missing:
            foreign = foreign_routes(family, table, protocol)
            for route in missing:
                if route.dst in foreign:
                    holder = output_of(["ip", family, "route", "show", "table", table, "exact", route.dst])
                    text = "; ".join(" ".join(line.split()) for line in holder.splitlines())
                    outcome.wrong.append("route %s exists already and is not ours: %s" % (route.dst, text))
            apply_routes([route for route in missing if route.dst not in foreign], own, outcome)


def parse_route(line: str) -> Route:
    """Return the Route of a line such as ``route add 100.100.1.0/24 via 200.0.0.20 proto 217 table 254``.

    Another is ``route add unreachable fd00:100::/64 proto 217 table 254``.
    """
    words = line.split()
    unreachable = words[2:3] == ["unreachable"]
    options = dict(zip(words[3 + unreachable :: 2], words[4 + unreachable :: 2]))
    needed = {"proto", "table"} if unreachable else {"via", "proto", "table"}
    if words[:2] != ["route", "add"] or not needed <= set(options):
        raise ValueError("cannot be understood: %s" % line)
    dst = words[2 + unreachable]
    host = "/128" if ":" in dst else "/32"  # ip leaves it out
    dst = dst[: -len(host)] if dst.endswith(host) else dst
    return Route(dst, options.get("via", ""), "-6" if ":" in dst else "-4", options["proto"], options["table"], line)


def own_routes(family: str, table: str, protocol: str) -> dict[str, str]:
    """Return ``{prefix: next hop}`` of our routes; the next hop is empty for what has none, such as a blackhole."""
    found = {}
    for line in output_of(["ip", family, "route", "show", "table", table, "proto", protocol]).splitlines():
        words = line.split()
        options = dict(zip(words, words[1:]))
        # Another metric or TOS makes it a route beside the one that is wanted. IPv6 writes its usual metric.
        usual = options.get("metric") == ("1024" if family == "-6" else None) and "tos" not in options
        if usual and not line[0].isspace():
            found[prefix_of(words)] = options.get("via", "")
    return found


def foreign_routes(family: str, table: str, protocol: str) -> set[str]:
    """Return the prefixes of the routes of every other protocol, whatever their type, metric and TOS."""
    found = set()
    for line in output_of(["ip", "-N", family, "route", "show", "table", table]).splitlines():
        words = line.split()
        if not line[0].isspace() and dict(zip(words, words[1:])).get("proto") != protocol:
            found.add(prefix_of(words))
    return found


def prefix_of(words: list[str]) -> str:
    """Return the prefix of a listed route; the word before it is its type, unless that is unicast."""
    return words[0] if words[0] == "default" or "." in words[0] or ":" in words[0] else words[1]


def apply_routes(routes: list[Route], own: dict[str, str], outcome: Outcome) -> None:
    """Let ``ip`` put *routes* back; *own* are those of ours that exist. An ``add`` never overwrites another route."""
    if not routes:
        return
    lines = [route.line.replace("add", "replace", 1) if route.dst in own else route.line for route in routes]
    refused = refusals(run(["ip", "-force", "-batch", "-"], "\n".join(lines) + "\n"))
    texts = [("%s via %s" % (route.dst, route.via)) if route.via else "unreachable " + route.dst for route in routes]
    summarise("put back", [text for number, text in enumerate(texts, 1) if number not in refused], outcome.done)
    for reason in sorted(set(refused.values())):
        named = [text for number, text in enumerate(texts, 1) if refused.get(number) == reason]
        summarise("cannot put back (%s)" % reason, named, outcome.later)


def refusals(result: Result) -> dict[int, str]:
    """Return ``{number of the line: reason}`` of what ``ip -force -batch -`` says in *result*."""
    status, _output, error = result
    refused, reason = {}, "no reason given"
    for line in error.splitlines():
        if line.startswith("Command failed -:"):
            refused[int(line.rpartition(":")[2])] = reason
        else:
            reason = line
    if status and not refused:
        raise Refused("ip -batch: %s" % (error.strip() or "exit code %d" % status))
    return refused


def summarise(what: str, routes: list[str], lines: list[str]) -> None:
    """Append one line that says *what* happened to the *routes*, if any, to *lines*."""
    if routes:
        more = " and %d more" % (len(routes) - SHOWN) if len(routes) > SHOWN else ""
        plural = "" if len(routes) == 1 else "s"
        lines.append("%s %d route%s: %s%s" % (what, len(routes), plural, ", ".join(routes[:SHOWN]), more))


# Rules


def put_back_rules(lines: list[str], outcome: Outcome) -> None:
    """Fill our chains again and place the jumps to them, each table in one transaction."""
    command, tables = heal_iptables.parse_rules(lines)
    for table in tables:
        try:
            broken, placing = damage(command, table)
            if broken:
                restore(command, table, placing)
                outcome.done.append("put back in table %s of %s: %s" % (table.name, command, ", ".join(broken)))
        except Refused as exc:
            outcome.wrong.append("table %s of %s: %s" % (table.name, command, exc))


def damage(command: str, table: heal_iptables.Table) -> tuple[list[str], list[str]]:
    """Return names of what is missing of *table*, and the lines for iptables-restore that place its jumps."""
    names, placing = [], []
    for chain, rules in table.chains.items():
        if not holds(command, table.name, chain, rules):
            names.append("chain %s" % chain)
    for jump in table.jumps:
        base = heal_iptables.chain_of(jump.rule)
        changes = heal_iptables.place(jump, rules_of(command, table.name, base))
        if changes:
            names.append("the jump in %s" % base)
            placing += changes
    return names, placing


def restore(command: str, table: heal_iptables.Table, placing: list[str]) -> None:
    """Fill our chains of *table*; to declare a chain empties it, so that there is no moment without its rules."""
    declared = [":%s - [0:0]" % chain for chain in table.chains]
    rules = [rule for chain in table.chains.values() for rule in chain]
    text = "\n".join(["*" + table.name, *declared, *placing, *rules, "COMMIT"]) + "\n"
    status, _output, error = run([command + "-restore", "--noflush", *WAIT], text)
    if status:
        raise Refused("%s-restore: %s" % (command, error.strip()))


def put_back_nft_rules(lines: list[str], outcome: Outcome) -> None:
    """Put back what is by nft."""
    names = heal_nft.put_back(lines, run)
    if names:
        outcome.done.append("put back by nft: %s" % ", ".join(names))


def rules_of(command: str, table: str, chain: str) -> list[str]:
    """Return the rules of a built-in chain; Refused if iptables does not work."""
    return listed(output_of([command, *WAIT, "-t", table, "-S", chain]))


def listed(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("-A ")]


def holds(command: str, table: str, chain: str, wanted: list[str]) -> bool:
    """Return whether our *chain* has the rules *wanted*, also where this iptables writes them in other words."""
    status, output, _error = run([command, *WAIT, "-t", table, "-S", chain])
    rules = listed(output)
    if status or len(rules) != len(wanted):
        return False
    if sorted(rules) == sorted(wanted):
        return rules == wanted
    return all(run([command, *WAIT, "-t", table, "-C", *shlex.split(rule)[1:]])[0] == 0 for rule in wanted)


# Kernel parameters


def put_back_sysctls(lines: list[str], outcome: Outcome) -> None:
    """Set the parameters that somebody has changed, and add the addresses that went along with one."""
    for put_back in (heal_sysctls.put_back, heal_addresses.put_back):
        done, wrong = put_back(lines, run)
        outcome.done += done
        outcome.wrong += wrong


def main() -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(
        description="Put back what is missing of the pod network: routes, rules, kernel parameters."
    )
    waiting = "how long the network may take to come up (%(default)s)"
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help=waiting)
    unit = "the unit that runs this: a module that waits for it to start is not waited for"
    parser.add_argument("--unit", metavar="NAME", help=unit)
    options = parser.parse_args()
    deadline = time.monotonic() + options.wait
    with heal_wait.changes() as changes:
        while True:
            try:
                with heal_lock.held(PATIENCE, options.unit) as locked:
                    outcome = heal() if locked else Outcome()
                    if not locked:
                        outcome.done.append("nothing was checked, as a module at work waits for this unit")
            except heal_lock.NoLockError as exc:
                print(exc, file=sys.stderr)
                return 1
            for line in outcome.done:
                print(line, flush=True)
            if not outcome.later or not heal_wait.one_of(changes, deadline - time.monotonic()):
                break
    if outcome.later and options.wait:
        print("%g seconds were not enough for the network: pods may start without this" % options.wait, file=sys.stderr)
    for line in outcome.wrong + outcome.later + outcome.closed:
        print(line, file=sys.stderr)
    return 1 if outcome.wrong or outcome.later else CLOSED if outcome.closed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as exc:  # such as a full /run
        sys.exit("%s: %s" % (exc.filename or heal_lock.LOCK, exc.strerror))
