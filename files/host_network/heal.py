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
import os
import sys
import time

# An isolated interpreter does not look beside the program's file, and what it compiled would stay behind.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from healing import lock, wait  # noqa: E402 - found by the line above
from healing.outcome import Outcome  # noqa: E402 - likewise
from healing.repair import heal  # noqa: E402 - likewise

PATIENCE = 30  # seconds for a module that is at work
CLOSED = 3  # exit code; humanz-cni.service takes it for success, as all that is the collection's is there


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
    with wait.changes() as changes:
        while True:
            try:
                with lock.held(PATIENCE, options.unit) as locked:
                    outcome = heal() if locked else Outcome()
                    if not locked:
                        outcome.done.append(
                            "nothing was checked, as an Ansible run is in progress, which waits for this unit"
                        )
            except lock.NoLockError as exc:
                print(exc, file=sys.stderr)
                return 1
            for line in outcome.done:
                print(line, flush=True)
            if not outcome.later or not wait.one_of(changes, deadline - time.monotonic()):
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
        sys.exit("%s: %s" % (exc.filename or lock.LOCK, exc.strerror))
