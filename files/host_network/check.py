# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has heal.py put back what is missing, regularly and after events, without saying the same thing again and again.

What was put back is printed. What cannot be put back is humanz-cni-heal.service's to report: that unit is started when
this changes, and stays failed until all is well. The program also lays the links that humanz-cni-heal.path watches, and
starts that unit again where systemd could not watch.

systemd watches again once the program has ended. As changes come in numbers, what changes just before is put back by
humanz-cni-heal.service, which systemd starts after that: whenever anything has changed since the last check.

Runs on Python 3.8 or later, with the standard library, beside the folder healing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time

# An isolated interpreter does not look beside the program's file, and what it compiled would stay behind.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from healing import lock  # noqa: E402 - found by the line above
from healing.commands import output_of, run  # noqa: E402 - likewise
from healing.repair import ROUTES, heal  # noqa: E402 - likewise
from healing.routes import parse_route  # noqa: E402 - likewise

STATE = "/run/humanz-cni-heal"
# What was reported last: a problem in each line.
PROBLEMS = STATE + "/problems"
# What lasts is reported again after so many seconds.
REMIND = 24 * 60 * 60
REPORT = ["systemctl", "start", "--no-block", "humanz-cni-heal.service"]
# What has this program started.
STARTERS = ("humanz-cni-heal.path", "humanz-cni-heal.timer")
# Whether the last check has put anything back, and when the watched paths were written.
SEEN = STATE + "/seen"
# Where network managers write down what became of an interface, in a file by the name of its index.
MANAGERS = {"systemd-networkd": "/run/systemd/netif/links", "NetworkManager": "/run/NetworkManager/devices"}
# Written to when ifupdown, firewalld and ufw have changed something; humanz-cni-heal.path names them too.
EVENTS = ("/run/network/ifstate", "/run/firewalld", "/run/ufw.lock")
SECONDS = 5  # for what is going on to come to an end
# A module at work for so many seconds hangs; before, the next check will find it gone.
TOO_LONG = 5 * 60
PAUSE = 0.1  # seconds


def settle() -> tuple[list[str], bool]:
    """Repair until nothing changes any more; return the problems that are left, and whether any was put back.

    Raises NoLockError.
    """
    problems, failed, repaired, deadline = None, [], False, time.monotonic() + SECONDS
    while problems is None or time.monotonic() < deadline:
        before = stamps()
        with lock.held(SECONDS):
            outcome = heal()
            failed = start_again() if problems is None else failed
        for line in outcome.done:
            print(line, flush=True)
        problems = sorted(set(outcome.wrong + outcome.later + outcome.closed))
        watch(whole=not problems)
        problems += failed
        repaired = repaired or bool(outcome.done)
        if not outcome.done:
            if stamps() == before:
                break
        else:
            # What removed it may not be through yet.
            time.sleep(PAUSE)
    return problems, repaired


def start_again() -> list[str]:
    """Start what starts this program and has failed, as without inotify instances; return what that is, as texts.

    systemd does not watch before this program has ended: whether it can then, the next check sees.
    """
    states = run(["systemctl", "is-failed", *STARTERS])[1].split()
    failed = [unit for unit, state in zip(STARTERS, states) if state == "failed"]
    for unit in failed:
        run(["systemctl", "restart", unit])
    return ["%s had failed and is started again: see `systemctl status %s`" % (unit, unit) for unit in failed]


def is_news(repaired: bool) -> bool:
    """Return whether a watched path was written since the last check, or this one *repaired* something as the first."""
    seen, now = "", "%s\n%r" % (repaired, stamps())
    with contextlib.suppress(FileNotFoundError), open(SEEN, encoding="utf-8") as stream:
        seen = stream.read()
    if now == seen:
        return False
    with open(SEEN, "w", encoding="utf-8") as stream:
        stream.write(now)
    return repaired or now.partition("\n")[2] != seen.partition("\n")[2]


def stamps() -> dict[str, int | None]:
    """Return when each of the watched paths was last written, in nanoseconds, or None for what is not there."""
    times: dict[str, int | None] = {}
    for path in [*EVENTS, *("%s/%s" % (STATE, name) for name in MANAGERS)]:
        try:
            times[path] = os.stat(path).st_mtime_ns
        except OSError:
            times[path] = None
    return times


def watch(whole: bool) -> None:
    """Lay the links that the path unit watches, to what the network managers write.

    Once all routes are there and lead through one interface, that is only what is written of this interface: every
    pod's wire is written about too.
    """
    names = interfaces() if whole else []
    index = socket.if_nametoindex(names[0]) if len(names) == 1 else None
    for manager, directory in MANAGERS.items():
        path = "%s/%s" % (directory, index)
        lay("%s/%s" % (STATE, manager), path if os.path.exists(path) else directory)


def interfaces() -> list[str]:
    """Return the names of the interfaces that our routes lead through, sorted."""
    found = set()
    with contextlib.suppress(FileNotFoundError), open(ROUTES, encoding="utf-8") as stream:
        routes = [parse_route(line) for line in stream.read().splitlines() if line and not line.startswith("#")]
        for family, table, protocol in {(route.family, route.table, route.protocol) for route in routes}:
            words = output_of(["ip", family, "route", "show", "table", table, "proto", protocol]).split()
            found |= {after for word, after in zip(words, words[1:]) if word == "dev" and after != "lo"}  # unreachable
    return sorted(found)


def lay(link: str, target: str) -> None:
    """Make *link* a symbolic link to *target*."""
    with contextlib.suppress(OSError):
        if os.readlink(link) == target:
            return
    os.makedirs(STATE, mode=0o755, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link + ".new")
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)


def report(problems: list[str]) -> bool:
    """Say what is over, and have the rest reported if it is not what was reported last, or too long ago.

    Return whether it is.
    """
    try:
        with open(PROBLEMS, encoding="utf-8") as stream:
            known, age = stream.read().splitlines(), time.time() - os.stat(PROBLEMS).st_mtime
    except FileNotFoundError:
        known, age = [], 0
    if problems == known and (not problems or abs(age) < REMIND):  # the clock may have been set back
        return False
    for line in known:
        if line not in problems:
            print("over: %s" % line, flush=True)
    for line in problems:
        if line not in known and line.startswith(STARTERS):  # the other unit does not look at them
            print(line, flush=True)
    subprocess.run(REPORT, check=True)
    os.makedirs(STATE, mode=0o755, exist_ok=True)
    with open(PROBLEMS, "w", encoding="utf-8") as stream:
        stream.writelines(line + "\n" for line in problems)
    return True


def main() -> None:
    """Run the program."""
    os.umask(0o022)
    try:
        problems, repaired = settle()
    except lock.NoLockError as exc:
        if isinstance(exc, lock.LockedError) and lock.age() < TOO_LONG:
            print(exc, flush=True)
            return
        report([str(exc)])
        return
    is_reported = report(problems)
    if is_news(repaired) and not is_reported and not problems:
        subprocess.run(REPORT, check=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as exc:  # such as a full /run
        sys.exit("%s: %s" % (exc.filename or STATE, exc.strerror))
