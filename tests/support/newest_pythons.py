# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest Pythons, Debian unstable's, in a directory of their own with the C library that they need.

As a program: print the directory with the interpreters. About 40 MB are downloaded, once, into the lab's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.settings import CACHE
from tests.support.downloads import alone_in

SUITE = "sid"
MINORS = (14, 15)  # of Python 3
MIRROR = os.environ.get("HUMANZ_LAB_MIRROR", "http://deb.debian.org/debian")
BUILD = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=extract",
    "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
    "--aptopt=Acquire::Check-Valid-Until false",
    "--include=" + ",".join(f"python3.{minor}" for minor in MINORS),
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    SUITE,
)


def directory() -> Path:
    """Return the directory with ``python3.14`` and ``python3.15``."""
    pythons = CACHE / "pythons"
    root = pythons / hashlib.sha256(repr(BUILD).encode()).hexdigest()[:12]
    with alone_in(pythons):
        if not root.exists():
            half_made = pythons / "half-made"
            shutil.rmtree(half_made, ignore_errors=True)
            subprocess.run([*BUILD, str(half_made), MIRROR], check=True, stdout=sys.stderr)
            for minor in MINORS:
                _tie(half_made, root, f"usr/bin/python3.{minor}")
            half_made.rename(root)
    return root / "usr" / "bin"


def _tie(half_made: Path, root: Path, name: str) -> None:
    """Have the program *name* use the loader and the C library of *root*; this machine's are too old for it."""
    binary = half_made / name
    loader = subprocess.run(["patchelf", "--print-interpreter", binary], check=True, capture_output=True, text=True)
    (libc,) = half_made.glob("usr/lib/*/libc.so.6")
    libraries = root / libc.parent.relative_to(half_made)
    tie = ["--set-interpreter", f"{root}/usr{loader.stdout.strip()}", "--force-rpath", "--set-rpath", str(libraries)]
    subprocess.run(["patchelf", *tie, binary], check=True)


if __name__ == "__main__":
    try:
        print(directory())
    except (OSError, subprocess.CalledProcessError) as exc:
        packages = " and ".join(f"python3.{minor}" for minor in MINORS)
        sys.exit(f"error: {packages} of Debian {SUITE} are not to be had from {MIRROR}: {exc}")
