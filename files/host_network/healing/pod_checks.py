# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spoof checks of pods, which the CNI plugin has made: its command puts them back.

That takes more than a tenth of a second, so it is called only if anything is not as it was when nothing was missing.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .commands import Run

PORTS = "/sys/class/net/*/brport/learning"
COMMAND = "/usr/local/sbin/humanz-cni-ctl"
LIST = ["nft", "list", "table", "bridge", "humanz-cni"]
STATE = "/run/humanz-cni-heal"
WHOLE = STATE + "/checks"  # a digest of the ports and rules when nothing was missing


def put_back(run: Run) -> tuple[list[str], list[str]]:
    """Put back what is missing; return what was put back, and what could not be, as texts. Raises OSError."""
    ports = sorted(port for port in map(os.path.dirname, map(os.path.dirname, glob.glob(PORTS))) if is_checked(port))
    if not ports:
        return [], []
    found = digest(ports, run)
    if found and found == known():
        return [], []
    if not os.path.exists(COMMAND):
        return [], ["the spoof checks of pods are not looked at: %s is missing: run humanz.cni.site" % COMMAND]
    status, output, error = run([COMMAND, "restore-checks"])
    if found and not (status or output):
        remember(found)
    return output.splitlines(), error.splitlines() or ["%s: exit code %d" % (COMMAND, status)] * bool(status)


def is_checked(port: str) -> bool:
    """Return whether *port*, a directory of sysfs, is a bridge's port that the plugin checks: it does not learn."""
    try:
        with open(port + "/brport/learning", encoding="ascii") as stream:
            if stream.read().strip() != "0":
                return False
        with open(port + "/ifalias", encoding="utf-8", errors="replace") as stream:
            return stream.read().startswith("humanz-cni ")
    except OSError:  # the pod has ended just now
        return False


def digest(ports: list[str], run: Run) -> str:
    """Return a digest of *ports* and of the rules as nft lists them; an empty text if it cannot."""
    if not shutil.which("nft"):  # the plugin does without
        return ""
    status, output, _error = run(LIST)
    return "" if status else hashlib.sha256("\n".join([*ports, output]).encode()).hexdigest()


def known() -> str:
    """Return the digest that was remembered last."""
    try:
        with open(WHOLE, encoding="ascii") as stream:
            return stream.read()
    except (OSError, ValueError):
        return ""


def remember(found: str) -> None:
    """Write the digest *found* down; without, the command is called the next time too."""
    with contextlib.suppress(OSError):
        os.makedirs(STATE, mode=0o755, exist_ok=True)
        with open(WHOLE, "w", encoding="ascii") as stream:
            stream.write(found)
