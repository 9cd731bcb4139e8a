# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories on a node that have, or had, the plugin's library, the programs that heal, and pyroute2's archive.

::

    /etc/humanz-cni/library-directories    those beside DEFAULT, a line each, for as long as they are there

The inventory may name another directory from one run to the next, or none at a removal. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os

from . import directories, files

DEFAULT = "/usr/local/lib/humanz-cni"


def _record() -> str:
    return os.path.join(directories.OWN_DIRECTORY, "library-directories")


def recorded() -> list[str]:
    """Return the directories beside DEFAULT."""
    try:
        return (files.read_text(_record()) or "").splitlines()
    except (OSError, UnicodeDecodeError):  # nobody's: whatever reads it does without
        return []


def others(directory: str) -> list[str]:
    """Return all that there may be beside *directory*, which is in use."""
    return [one for one in dict.fromkeys([DEFAULT, *recorded()]) if one != directory]


def remember(directory: str) -> None:
    """Remember that *directory* is in use from now on."""
    known = recorded()
    if directory != DEFAULT and directory not in known:
        files.write_text(_record(), "".join("%s\n" % one for one in [*known, directory]))


def remove_if_empty(directory: str) -> None:
    """Remove *directory* if nothing is left in it, and forget it then."""
    if os.path.isdir(directory) and not os.listdir(directory):
        os.rmdir(directory)
    known = recorded()
    rest = [one for one in known if os.path.isdir(one)]
    if not rest and os.path.lexists(_record()):
        files.remove(_record())
        if not os.listdir(directories.OWN_DIRECTORY):
            os.rmdir(directories.OWN_DIRECTORY)
    elif rest != known:
        files.write_text(_record(), "".join("%s\n" % one for one in rest))
