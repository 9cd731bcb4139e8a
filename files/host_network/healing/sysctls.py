# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back the kernel parameters that pods need, for heal.py, and loads the modules that provide them.

The file, which humanz.cni.node_kernel writes, is in the syntax of sysctl.d(5), in the order in which parameters are to
be set. Its comments ``# kept: KEY = VALUE`` name what is somebody else's: the kernel changes it along with the one that
is put back, and so it is set again then, and then only. The comment ``# modules: NAME`` names the modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .commands import Run

PROC_SYS = "/proc/sys/"
KEPT = "# kept: "
MODULES = "# modules: "
# What the kernel sets the same parameter of all interfaces along with.
LEADERS = {"net.ipv4.ip_forward": "net.ipv4.conf.", "net.ipv6.conf.all.forwarding": "net.ipv6.conf."}


def put_back(lines: list[str], run: Run) -> tuple[list[str], list[str]]:
    """Put back what somebody has changed; return what was put back, and what could not be, as texts.

    *run* is called with a command, and returns its status, output and error output. ValueError for a line that cannot
    be understood.
    """
    done: list[str] = []
    wrong: list[str] = []
    settings = [parse(line) for line in lines if line and not line.startswith("#")]
    kept = [parse(line[len(KEPT) :]) for line in lines if line.startswith(KEPT)]
    load([line for line in lines if line.startswith(MODULES)], settings, run, done, wrong)
    for key, value in settings:
        try:
            if not ensure(key, value, run, done):
                continue
            for other, former in kept:
                if other.startswith(LEADERS.get(key, " ")) and read(other) not in (None, former):
                    write(other, former)
        except Exception as exc:  # whatever is wrong with one of them, the others count
            wrong.append("cannot put back %s = %s: %s" % (key, value, getattr(exc, "strerror", None) or exc))
    return done, wrong


def load(named: list[str], settings: list[tuple[str, str]], run: Run, done: list[str], wrong: list[str]) -> None:
    """Load the modules of *named*, lines of the file, if parameters are missing that no interface brings along."""
    modules = [name for line in named for name in line[len(MODULES) :].split()]
    missing = [key for key, _value in settings if ".conf." not in key and read(key) is None]
    if not missing or not modules:
        return
    try:
        error = run(["modprobe", "-a", *modules])[2]
    except Exception as exc:  # such as that there is none: the other parameters count
        error = str(exc)
    still = [key for key in missing if read(key) is None]
    if len(still) < len(missing):
        done.append("loaded again: %s" % " ".join(modules))
    if still:
        reason = error.strip() or "the kernel lacks them all the same"
        wrong.append("cannot put back %s (modprobe -a %s: %s)" % (", ".join(still), " ".join(modules), reason))


def ensure(key: str, value: str, run: Run, done: list[str]) -> bool:
    """Give the parameter *key* its *value*, and return whether that changed it. One that is not there is left."""
    present = read(key)
    if present is None or suffices(key, present, value) or keeps_ipv6(key, value, run):
        return False
    write(key, value)
    done.append("put back %s = %s (it was %s)" % (key, value, present))
    return True


def parse(line: str) -> tuple[str, str]:
    """Return key and value of a line such as ``net.ipv6.conf.humanz-cni0.accept_ra = 0``."""
    key, equals, value = line.partition(" = ")
    if not equals:
        raise ValueError("cannot be understood: %s" % line)
    return key, value


def path_of(key: str) -> str:
    """Return the file of the parameter *key*, in which a slash stands for a dot within a name."""
    return PROC_SYS + key.translate(str.maketrans("./", "/."))


def read(key: str) -> str | None:
    """Return the value of *key*, with single spaces in it, or None if it does not exist."""
    try:
        with open(path_of(key), encoding="ascii") as stream:
            return " ".join(stream.read().split())
    except FileNotFoundError:
        return None


def write(key: str, value: str) -> None:
    """Give *key* its *value*."""
    with open(path_of(key), "w", encoding="ascii") as stream:
        stream.write(value)


def suffices(key: str, present: str, wanted: str) -> bool:
    """Return whether *key* may stay as it is. Room for more neighbours than are expected is no harm."""
    return present == wanted or (".gc_thresh" in key and int(present) >= int(wanted))


def keeps_ipv6(key: str, value: str, run: Run) -> bool:
    """Return whether *value* of *key* disables IPv6 on an interface to which somebody has given an address of it."""
    words = key.split(".")
    if words[-1] != "disable_ipv6" or value == "0":
        return False
    device = words[3].replace("/", ".")
    status, output, _error = run(["ip", "-6", "address", "show", "dev", device, "scope", "global", "permanent"])
    return bool(status or output)
