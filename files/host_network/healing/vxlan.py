# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is missing of the interface to nodes behind a router, for heal.py, and puts it back.

Its two files, which humanz.cni.node_vxlan writes, are for ``ip -batch`` and for ``bridge -batch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import commands

if TYPE_CHECKING:
    from .commands import Run
    from .outcome import Outcome

# What the entries that are listed on an interface are made by; the words of a line are numbered.
LISTED = (
    (["ip", "-o", "address", "show"], "address add {3} dev {device}"),
    # Others have no MAC address while the kernel looks for it.
    (["ip", "neigh", "show", "nud", "permanent"], "neigh replace {0} lladdr {2} dev {device} nud permanent"),
    (["bridge", "fdb", "show"], "fdb replace {0} dev {device} dst {2} self permanent"),
)


def put_back(lines: list[str], outcome: Outcome) -> None:
    """Make the interface again, or what is missing of it."""
    command, device, lacking = missing(lines, commands.run)
    if lacking:
        refused = commands.refusals(commands.run([command, "-force", "-batch", "-"], "\n".join(lacking) + "\n"))
        if len(refused) < len(lacking):
            outcome.done.append("put back %d settings of %s" % (len(lacking) - len(refused), device))
        outcome.later += ["cannot put back %s (%s)" % (device, reason) for reason in sorted(set(refused.values()))]


def missing(lines: list[str], run: Run) -> tuple[str, str, list[str]]:
    """Return the command that *lines* are for, the interface, and those of the lines that are to be done.

    *run* is called with a command, and returns its status, output and error output. ValueError if somebody else's
    interface has the name.
    """
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return "ip", "", []
    command, place = ("bridge", 4) if lines[0].startswith("fdb ") else ("ip", 2)
    device = lines[0].split()[place]
    status, shown, _error = run(["ip", "-o", "-d", "link", "show", "dev", device])
    if status:
        return command, device, lines
    if not ("vxlan id" in shown and "alias humanz-cni" in shown):
        raise ValueError("%s is another program's interface" % device)
    there = made_by(device, shown.split(), run)
    return command, device, [line for line in lines if line not in there and not line.startswith("link add ")]


def made_by(device: str, words: list[str], run: Run) -> list[str]:
    """Return the lines that make what there is of *device*, which ``ip link`` shows as *words*."""
    lines = ["link set %s %s %s" % (device, word, words[words.index(word) + 1]) for word in ("alias", "mtu")]
    if "UP" in words[2].strip("<>").split(","):
        lines.append("link set %s up" % device)
    for command, form in LISTED:
        listed = run([*command, "dev", device])[1]
        lines += [form.format(*line.split(), device=device) for line in listed.splitlines()]
    return lines
