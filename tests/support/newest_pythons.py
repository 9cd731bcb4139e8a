# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest Pythons, Debian unstable's, in a directory of their own with the C library that they need.

As a program: print the directory with the interpreters. About 40 MB are downloaded, once, into the lab's cache.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import debian_root

SUITE = "sid"
NAMES = ("python3.14", "python3.15")


def directory() -> Path:
    """Return the directory with the interpreters NAMES."""
    return debian_root.make("pythons", SUITE, NAMES, _tie_all) / "usr" / "bin"


def _tie_all(made: Path, root: Path) -> None:
    for name in NAMES:
        _tie(made, root, f"usr/bin/{name}")


def _tie(made: Path, root: Path, name: str) -> None:
    """Have the program *name* use the loader and the C library of *root*; this machine's are too old for it."""
    binary = made / name
    loader = subprocess.run(["patchelf", "--print-interpreter", binary], check=True, capture_output=True, text=True)
    (libc,) = made.glob("usr/lib/*/libc.so.6")
    libraries = root / libc.parent.relative_to(made)
    tie = ["--set-interpreter", f"{root}/usr{loader.stdout.strip()}", "--force-rpath", "--set-rpath", str(libraries)]
    subprocess.run(["patchelf", *tie, binary], check=True)


if __name__ == "__main__":
    try:
        print(directory())
    except (OSError, subprocess.CalledProcessError) as exc:
        packages = " and ".join(NAMES)
        sys.exit(f"error: {packages} of Debian {SUITE} are not to be had from {debian_root.MIRROR}: {exc}")
