# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets real services loose on a node's network, and measures how long its routes and rules are away each time.

Usage: python3 heal_times.py INTERVAL [SERVICE ...]    from the project's directory, with the lab up and converged

INTERVAL is pod_network_heal_interval, in seconds. What counts is the longest time for which the interface to the other
nodes had its address, but routes or rules were missing. Says "late" where that is more than is promised, as a busy
machine may be, and exits with 1 if it does not heal at all, or if what is lost is not what is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import NamedTuple

from events import ADDRESS, INTERFACE, KEPT, LIMITS, REBOOT, STAGES, TIMER, Event, Stage

NODE = "ubuntu-nested-1"
NAMES = os.environ["HUMANZ_LAB_NAME"] + ".%s"
POLL = 0.01  # seconds
QUIET = 0.8  # seconds after which an event is over, as nothing is missing any more
PATIENCE = 15.0  # seconds beyond what is promised
COLUMNS = "%-16s  %-85s  %-13s  %-13s  %6s  %5s"


class Sample(NamedTuple):
    """What was seen at a time: whether the interface has its address, and what there was of ours."""

    time: float
    address: bool
    routes: frozenset[str]
    rules: frozenset[str]


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
    inside = ("nsenter", "--net=/run/netns/%s" % namespace)
    addresses = run("ip", "-n", namespace, "-4", "-o", "address", "show", "dev", INTERFACE)
    routes = run("ip", "-n", namespace, "-4", "route", "show", "proto", "217").splitlines()
    rules = run(*inside, "iptables-nft-save").splitlines()
    return Sample(
        time.monotonic(),
        " %s " % ADDRESS in addresses,
        frozenset(" ".join(line.split()[:3]) for line in routes),
        frozenset(line for line in rules if line[:1] == "-" and "HUMANZ-" in line),
    )


class Watch:
    """Samples while an event takes place; a context manager."""

    def __init__(self, whole: Sample) -> None:
        self.whole = whole
        self.samples = [sample()]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self.ended.wait(POLL):
            self.samples.append(sample())

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.ended.set()
        self.thread.join()

    def missing(self, seen: Sample) -> set[str]:
        """What a sample lacks, in words."""
        lacking = {"routes": self.whole.routes - seen.routes, "rules": self.whole.rules - seen.rules}
        return {what for what, lines in lacking.items() if lines}

    def wait(self, seconds: float) -> None:
        """Wait until nothing has been missing for a while, at most so many seconds."""
        whole, deadline = time.monotonic(), time.monotonic() + seconds
        while time.monotonic() < deadline and time.monotonic() - whole < QUIET:
            time.sleep(POLL)
            last = self.samples[-1]
            if not last.address or self.missing(last):
                whole = time.monotonic()

    def result(self) -> tuple[set[str], float]:
        """What was missing at any time, and for how many seconds at a stretch while the address was there."""
        lost, longest, since = set(), 0.0, 0.0
        for seen in self.samples:
            missing = self.missing(seen)
            lost |= missing
            if since:
                longest = max(longest, seen.time - since)
            since = (since or seen.time) if missing and seen.address else 0.0
        return lost, longest


def flap(seconds: float) -> None:
    """Take the carrier of the node's interface away for a while, at the switch."""
    for state in ("down", "up"):
        run("ip", "-n", NAMES % "host", "link", "set", "nodes1", state)
        time.sleep(seconds if state == "down" else 0)


def befall(event: Event, whole: Sample, seconds: float) -> tuple[set[str], float]:
    """Have the event take place, with the timer only if that is to heal; return what was lost, and how long."""
    timer = "systemctl %s humanz-cni-heal.timer\n" % ("start" if event.healer == TIMER else "stop")
    with Watch(whole) as watch:
        if event.carrier:
            on_node(timer)
            flap(event.carrier)
        elif event.command == REBOOT:
            run("python3", "lab", "reboot", NODE)
        else:
            on_node(timer + event.command)
        watch.wait(seconds)
    return watch.result()


def measure(stage: Stage, event: Event, whole: Sample, interval: float) -> bool:
    """Have the event take place and print its line of the table; say whether it healed."""
    promised = LIMITS[event.healer] + event.busy + (interval if event.healer == TIMER else 0)
    lost, seconds = befall(event, whole, promised + PATIENCE)
    name = event.command or "carrier lost for %g s" % event.carrier
    row = (stage.service, name, event.healer, ", ".join(sorted(lost)) or "-", "%.2f s" % seconds, "%.1f s" % promised)
    good = seconds <= promised + PATIENCE and bool(lost) == (event.healer != KEPT)
    print(COLUMNS % row + ("  FAILED" if not good else "  late" if seconds > promised else ""), flush=True)
    return good


def restored(whole: Sample, seconds: float) -> None:
    """Wait until nothing is missing between two services."""
    with Watch(whole) as watch:
        watch.wait(seconds)
        last = watch.samples[-1]
    if not last.address or watch.missing(last):
        raise SystemExit("not healed: %s" % (watch.missing(last) or "no address"))


def main(interval: float, services: list[str]) -> int:
    """Go through all services, or those that are named, and return the exit code."""
    whole, good = sample(), True
    if not (whole.address and whole.routes and whole.rules):
        raise SystemExit("%s has no routes or rules: %s" % (NODE, whole))
    print(COLUMNS % ("SERVICE", "EVENT", "HEALED BY", "LOST", "TIME", "LIMIT"))
    for stage in STAGES:
        if services and stage.service not in services:
            continue
        on_node("systemctl start humanz-cni-heal.timer\n" + stage.prepare)
        restored(whole, interval + PATIENCE)
        for event in stage.events:
            good &= measure(stage, event, whole, interval)
        on_node("systemctl start humanz-cni-heal.timer\n" + stage.finish)
        restored(whole, interval + PATIENCE)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
