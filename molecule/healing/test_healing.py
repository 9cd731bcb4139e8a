# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets real services loose on a node's network, and measures how long its routes and rules are away each time.

    HUMANZ_LAB_NAME=healing pytest --capture=no molecule/healing [-k SERVICE]

wants the lab up and converged. What counts is the longest time for which the interface to the other nodes had its
address, but routes or rules were missing. The table says "late" where that is more than is promised, as a busy machine
may be, and "by the timer" where one has missed an event, which the timer is there for. A test fails if the node does
not heal at all, if what is lost is not what is said, or if all events of a service were missed.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.settings import DEFAULT_NAME
from tests.support.lab.kernel_log import KernelLog, is_ours
from tests.support.lab.service_events import ADDRESS, INTERFACE, KEPT, LIMITS, REBOOT, STAGES, TIMER, Event, Stage

INTERVAL = 4.0  # seconds, pod_network_heal_interval as molecule.yml has it
NODE = "ubuntu-nested-1"
NAMES = os.environ.get("HUMANZ_LAB_NAME", DEFAULT_NAME) + ".%s"
NAMESPACE = "/run/netns/" + NAMES % NODE
POLL = 0.05  # seconds
QUIET = 0.8  # seconds after which an event is over, as nothing is missing any more
MISSED = 15.0  # seconds beyond what is promised, after which only the timer will heal
PATIENCE = 60.0  # seconds for a machine that is busy with something else
COLUMNS = "%-16s  %-85s  %-13s  %-13s  %6s  %5s"


class Course(NamedTuple):
    """What came of an event: what was *lost*, for how many *seconds*, and whether it was healed, and by the timer."""

    lost: set[str]
    seconds: float
    healed: bool = True
    by_timer: bool = False


class Sample(NamedTuple):
    """What was seen at a time: whether the interface has its address, and what there was of ours."""

    time: float
    address: bool
    routes: frozenset[str]
    rules: frozenset[str]

    def is_whole(self, whole: Sample) -> bool:
        """Return whether there is all that there was in *whole*."""
        return self.address and self.routes >= whole.routes and self.rules >= whole.rules


def run(*argv: str) -> str:
    """What a command on this machine prints; what it prints when it fails, too."""
    return subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def on_node(command: str) -> str:
    """What a shell on the node prints."""
    argv = ("python3", "lab", "exec", NODE, "--", "sh", "-ec", command)
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def sample() -> Sample:
    """Look into the node's network namespace from outside, which costs the node nothing."""
    namespace = NAMES % NODE
    inside = ("nsenter", "--net=" + NAMESPACE)
    addresses = run("ip", "-n", namespace, "-4", "-o", "address", "show", "dev", INTERFACE)
    routes = run("ip", "-n", namespace, "-4", "route", "show", "proto", "217").splitlines()
    rules = run(*inside, "iptables-nft-save").splitlines()
    return Sample(
        time.monotonic(),
        " %s " % ADDRESS in addresses,
        frozenset(" ".join(line.split()[:3]) for line in routes),
        frozenset(line for line in rules if line[:1] == "-" and is_ours(line)),
    )


def restored(whole: Sample, seconds: float) -> bool:
    """Wait until nothing has been missing for a while, at most so many seconds, and return whether that was so."""
    since, deadline = time.monotonic(), time.monotonic() + seconds
    while time.monotonic() - since < QUIET:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
        if not sample().is_whole(whole):
            since = time.monotonic()
    return True


def flap(seconds: float) -> None:
    """Take the carrier of the node's interface away for a while, at the switch."""
    for state in ("down", "up"):
        run("ip", "-n", NAMES % "host", "link", "set", "nodes1", state)
        time.sleep(seconds if state == "down" else 0)


def reboot(whole: Sample) -> Course:
    """Reboot the node, and see what a new namespace has lost, and how long that was so while the address was there."""
    before, longest, since = Path(NAMESPACE).stat().st_ino, 0.0, 0.0
    rebooting = subprocess.Popen(("python3", "lab", "reboot", NODE), stdout=subprocess.DEVNULL)
    while rebooting.poll() is None:
        seen = sample()
        longest = max(longest, seen.time - since) if since else longest
        since = (since or seen.time) if seen.address and not seen.is_whole(whole) else 0.0
        time.sleep(POLL)
    healed = restored(whole, PATIENCE)
    return Course({"routes", "rules"} if Path(NAMESPACE).stat().st_ino != before else set(), longest, healed)


def befall(event: Event, whole: Sample, seconds: float) -> Course:
    """Have the event take place, with the timer only if that is to heal, or if nothing else did for so many seconds."""
    timer = "systemctl %s humanz-cni-heal.timer\n" % ("start" if event.healer == TIMER else "stop")
    if event.command == REBOOT:
        on_node(timer)
        return reboot(whole)
    with KernelLog(NAMESPACE) as log:
        if event.carrier:
            on_node(timer)
            flap(event.carrier)
        else:
            on_node("%s%s\nuntil %s; do sleep 0.1; done" % (timer, event.command, event.started))
        # A busy machine may take its time before it removes anything.
        deadline = time.monotonic() + PATIENCE
        while event.healer != KEPT and not log.lost() and time.monotonic() < deadline:
            time.sleep(POLL)
        if restored(whole, seconds):
            return Course(log.lost(), log.longest())
        on_node("systemctl start humanz-cni-heal.timer")
        healed = restored(whole, INTERVAL + PATIENCE)
        return Course(log.lost(), log.longest(), healed, by_timer=True)


def measure(stage: Stage, event: Event, whole: Sample) -> Course:
    """Have the event take place and print its line of the table."""
    promised = LIMITS[event.healer] + event.busy + (INTERVAL if event.healer == TIMER else 0)
    course = befall(event, whole, promised + MISSED)
    course = course._replace(healed=course.healed and bool(course.lost) == (event.healer != KEPT))
    name = event.command or "carrier lost for %g s" % event.carrier
    lost, seconds = ", ".join(sorted(course.lost)) or "-", course.seconds
    note = "by the timer" if course.by_timer else "late" if seconds > promised else ""
    row = (stage.service, name, event.healer, lost, "%.2f s" % seconds, "%.1f s" % promised)
    print((COLUMNS % row + "  " + (note if course.healed else "FAILED")).rstrip(), flush=True)
    return course


def settle(whole: Sample) -> None:
    """Wait until nothing is missing between two services; what comes after would be measured in vain."""
    if not restored(whole, INTERVAL + PATIENCE):
        pytest.exit("not healed: there is %s, and was %s" % (sample(), whole), returncode=1)


@pytest.fixture(scope="module")
def whole() -> Sample:
    """All that the node has of ours, as site.yml made it."""
    seen = sample()
    assert seen.address
    assert seen.routes
    assert seen.rules
    print("\n" + COLUMNS % ("SERVICE", "EVENT", "HEALED BY", "LOST", "TIME", "LIMIT"))
    return seen


@pytest.mark.parametrize("stage", STAGES, ids=[stage.service for stage in STAGES])
def test_whatever_a_service_removes_comes_back(stage: Stage, whole: Sample) -> None:
    print()
    on_node("systemctl start humanz-cni-heal.timer\n" + stage.prepare)
    settle(whole)
    courses = [measure(stage, event, whole) for event in stage.events]
    on_node("systemctl start humanz-cni-heal.timer\n" + stage.finish)
    settle(whole)
    assert all(course.healed for course in courses)
    assert not all(course.by_timer for course in courses)
