# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, Debian's headless Chromium, in a directory of its own and without a network."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.support import debian_root

# Ubuntu has Chromium as a snap only.
SUITE = "bookworm"
PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
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
    root = debian_root.make("browser", SUITE, PACKAGES, _find_libraries)
    start = directory / "browser"
    start.write_text(START.format(root=root, temporary=tempfile.gettempdir()))
    start.chmod(0o755)
    return start


def _find_libraries(made: Path, _root: Path) -> None:
    """Note where the libraries are, which configuring their packages would have done."""
    subprocess.run(["ldconfig", "-r", str(made)], check=True)
