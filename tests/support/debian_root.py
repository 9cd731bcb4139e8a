# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory with programs of another Debian release than this machine's, unpacked: nothing of them is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.settings import CACHE
from tests.support.downloads import alone_in

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = os.environ.get("HUMANZ_LAB_MIRROR", "http://deb.debian.org/debian")
OPTIONS = (
    "--quiet",
    "--mode=root",
    "--variant=extract",
    f"--keyring={KEYRING}",
    "--aptopt=Acquire::Check-Valid-Until false",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
)


def make(name: str, suite: str, packages: tuple[str, ...], finish: Callable[[Path, Path], None]) -> Path:
    """Return the directory with the *packages* of *suite* and what they depend on.

    It is made once, and kept in the lab's cache under *name*. No package gets configured: ``finish(made, root)`` does
    in the directory *made* what its programs need to run from *root*, where it is moved to.
    Raises subprocess.CalledProcessError if the packages are not to be had from MIRROR.
    """
    command = ["mmdebstrap", *OPTIONS, "--include=" + ",".join(packages), suite]
    root = CACHE / name / hashlib.sha256(repr(command).encode()).hexdigest()[:12]
    with alone_in(CACHE / name):
        if not root.exists():
            half_made = CACHE / name / "half-made"
            shutil.rmtree(half_made, ignore_errors=True)
            subprocess.run([*command, str(half_made), MIRROR], check=True, stdout=sys.stderr)
            finish(half_made, root)
            half_made.rename(root)
    return root
