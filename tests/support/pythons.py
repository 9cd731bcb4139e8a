# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreters that the plugin is run by: those on this machine, of the versions that a node may have.

``HUMANZ_PYTHONS`` lists interpreters, with colons between them; by default those of MINORS on the search path.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

MINORS = range(8, 16)  # of Python 3
LISTED = [path for path in os.environ.get("HUMANZ_PYTHONS", "").split(":") if path]


def interpreters() -> list[str]:
    """Return the interpreters to test, each by its absolute path."""
    return LISTED or sorted(set(found().values()))


def header() -> list[str]:
    """Return lines that say which versions the plugin is run by, and which ones it is not."""
    missing = [version for version in (f"3.{minor}" for minor in MINORS) if version not in found()]
    lines = ["Pythons that run the plugin: " + ", ".join(found())]
    return lines + (["not proven, as they are not on this machine: " + ", ".join(missing)] if missing else [])


@functools.lru_cache(maxsize=None)
def found() -> dict[str, str]:
    """Return the absolute paths of the interpreters by version, such as ``3.11``."""
    if LISTED:
        return {identify(listed)[0]: listed for listed in LISTED}
    path = os.environ["PATH"] + ":/usr/bin"
    candidates = (shutil.which(f"python3.{minor}", path=path) for minor in MINORS)
    return dict(identity for candidate in candidates if candidate and (identity := identify(candidate))[0])


def identify(candidate: str) -> tuple[str, str]:
    """Return version and path of the interpreter that *candidate*, which may be a version manager's script, stands for.

    Both are empty if it stands for none.
    """
    command = [candidate, "-IS", "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"]
    version, _blank, path = subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition(" ")
    return version, path.strip()
