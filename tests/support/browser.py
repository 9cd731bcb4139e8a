# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, Debian's headless Chromium, in a directory of its own and without a network."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.settings import CACHE
from tests.support.downloads import alone_in

# Ubuntu has Chromium as a snap only. Debian's, unpacked in a directory, runs on either and leaves no package behind.
BUILD = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=extract",
    "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
    "--include=chromium-headless-shell,fonts-dejavu-core",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "bookworm",
)
# The browser sees the temporary directory, in which its profile and the pages are, and no network at all.
START = """#!/bin/sh
exec unshare --mount --net -- sh -c '
    mount --make-rprivate /
    for directory in /proc /dev {temporary}; do
        mkdir -p {root}$directory
        mount --rbind $directory {root}$directory
    done
    exec chroot {root} /usr/lib/chromium/chromium-headless-shell "$@"' sh "$@"
"""


def executable(directory: Path) -> Path:
    """Return a program that starts the browser; *directory* is one for it.

    About 150 MB are downloaded, once: they are kept in the lab's cache.
    """
    root = _root()
    start = directory / "browser"
    start.write_text(START.format(root=root, temporary=tempfile.gettempdir()))
    start.chmod(0o755)
    return start


def _root() -> Path:
    browsers = CACHE / "browser"
    root = browsers / hashlib.sha256(repr(BUILD).encode()).hexdigest()[:12]
    with alone_in(browsers):
        if not root.exists():
            half_made = browsers / "half-made"
            shutil.rmtree(half_made, ignore_errors=True)
            subprocess.run([*BUILD, str(half_made)], check=True)
            # Nothing was configured, and so nobody has said where the libraries are.
            subprocess.run(["ldconfig", "-r", str(half_made)], check=True)
            half_made.rename(root)
    return root
