# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether systemd can start our units in the order that they ask for, on this node, beside all that it has.

It breaks a cycle of units that each start after the next by leaving one of them out at boot, which may be a firewall.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._shared.converge import ConvergeError

if TYPE_CHECKING:
    from .._shared.converge import RunCommand

    #: The units that each unit starts after.
    Order = dict[str, set[str]]

BOOT, HEAL, CHECK = "humanz-cni.service", "humanz-cni-heal.service", "humanz-cni-check.service"
FIREWALLS = (
    "nftables.service",
    "iptables.service",
    "netfilter-persistent.service",
    "firewalld.service",
    "ufw.service",
)
RUNTIMES = (
    "containerd.service",
    "crio.service",
    "docker.service",
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
)
# What our units say, see files/host_network; a target starts after what it wants.
AFTER = {BOOT: FIREWALLS, CHECK: (BOOT,), HEAL: (BOOT, CHECK, *FIREWALLS, "docker.service")}
BEFORE = (*RUNTIMES, "multi-user.target")
_IRRELEVANT = (".device", ".slice")  # nothing of them starts after a service


def problems(run: RunCommand, systemctl: str) -> list[str]:
    """Return a line for each cycle that our units would close.

    :param run: AnsibleModule.run_command.
    :param systemctl: the path of systemctl.
    """
    order = _order(run, systemctl)
    for unit, others in AFTER.items():
        order[unit] = {other for other in others if other in order or other in AFTER}
    for unit in BEFORE:
        if unit in order:
            order[unit].add(BOOT)
    cycles: dict[frozenset[str], list[str]] = {}
    for unit in AFTER:
        cycle = _cycle(unit, order)
        # That of the boot is the one to solve.
        if cycle and not any(known <= {*cycle} for known in cycles):
            cycles[frozenset(cycle)] = cycle
    return [_line(cycle) for cycle in cycles.values()]


def _order(run: RunCommand, systemctl: str) -> Order:
    """Return the Order of the firewalls and runtimes that are installed, and of all that they start after."""
    order: Order = {}
    asked: set[str] = set()
    names = {*FIREWALLS, *RUNTIMES, "multi-user.target"}
    while names:
        asked |= names
        found = _show(run, systemctl, sorted(names))
        for unit, (after, before) in found.items():
            order.setdefault(unit, set()).update(after)
            for other in before:
                order.setdefault(other, set()).add(unit)
        reached = {other for unit in found for other in order[unit]}
        names = {other for other in reached - asked if not other.endswith(_IRRELEVANT)}
    return order


def _show(run: RunCommand, systemctl: str, names: Iterable[str]) -> dict[str, tuple[list[str], list[str]]]:
    """Return ``{unit: (units that it starts after, units that it starts before)}``, by each name that a unit has.

    A unit that is not installed, or masked, is never started.
    """
    command = [systemctl, "show", "--property=Names,LoadState,After,Before", "--", *names]
    status, output, error = run(command)
    if status:
        raise ConvergeError("systemctl show failed: %s" % error.strip())
    found = {}
    for block in output.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines())
        if values.get("LoadState") == "loaded":
            for name in values["Names"].split():
                found[name] = values["After"].split(), values["Before"].split()
    return found


def _cycle(unit: str, order: Order) -> list[str]:
    """Return the shortest cycle of units through *unit*, each starting after the next; empty if there is none."""
    before = {unit: ""}
    queue = collections.deque([unit])
    while queue:
        reached = queue.popleft()
        for other in sorted(order.get(reached, ())):
            if other == unit:
                path = [reached]
                while path[-1] != unit:
                    path.append(before[path[-1]])
                return path[::-1]
            if other not in before:
                before[other] = reached
                queue.append(other)
    return []


def _line(cycle: list[str]) -> str:
    start = next(number for number, unit in enumerate(cycle) if unit not in AFTER)
    first, *others = cycle[start:] + cycle[:start]
    chain = ", which starts after ".join([*others, first])
    return (
        "unit %s: starts after %s: systemd would skip one of them at boot: have %s not start after %s (`systemctl "
        "cat %s` shows why it does), or set pod_network_persistence to false" % (first, chain, first, others[0], first)
    )
