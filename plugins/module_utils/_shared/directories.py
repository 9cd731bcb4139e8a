# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that an installation makes on its way: remembered, so that a removal removes them and no others.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from .files import make_directories, read_text, remove, sync_directory, write_text

OWN_DIRECTORY = "/etc/humanz-cni"
RECORD = OWN_DIRECTORY + "/directories"


def make_for(path: str) -> None:
    """Make the directories that lead to the file *path*, and remember in RECORD which were missing."""
    directory = os.path.dirname(path)
    if directory != OWN_DIRECTORY:
        make([directory], RECORD)


def remove_for(path: str) -> None:
    """Remove the directories that were made for the file *path*, which is gone, and are empty.

    One that is not empty is somebody else's from now on. The collection's own directory goes with the last file in it.
    """
    own = remembered(RECORD)
    left = [one for one in own if os.path.join(path, "").startswith(one + "/")]
    for one in sorted(left, reverse=True):
        _remove_if_empty(one)
    if left:
        rest = [one for one in own if one not in left]
        write_text(RECORD, "".join("%s\n" % one for one in rest)) if rest else remove(RECORD)
    _remove_if_empty(OWN_DIRECTORY)


def make(paths: Collection[str], record: str) -> None:
    """Make the directories *paths* with what leads to them, and remember in the file *record* which were missing.

    They are remembered first: one that is remembered and not there does no harm, the opposite would stay for ever.
    """
    add([one for path in paths for one in _missing(path)], record)
    for path in paths:
        make_directories(path)


def add(paths: Iterable[str], record: str) -> None:
    """Remember the directories *paths* in the file *record*, too."""
    known = remembered(record)
    if not set(paths).issubset(known):
        write_text(record, "".join("%s\n" % path for path in sorted({*known, *paths})))


def remembered(record: str) -> list[str]:
    """Return the directories that the file *record* has, parents first."""
    return (read_text(record) or "").splitlines()


def removable(record: str, going: Iterable[str]) -> list[str]:
    """Return the directories of the file *record* that are empty once the paths *going* are gone, children first."""
    going = set(going)
    found = []
    for path in sorted(remembered(record), reverse=True):
        if os.path.isdir(path) and all(os.path.join(path, name) in going for name in os.listdir(path)):
            going.add(path)
            found.append(path)
    return found


def _missing(path: str) -> Iterator[str]:
    while not os.path.isdir(path):
        yield path
        path = os.path.dirname(path)


def _remove_if_empty(directory: str) -> None:
    if os.path.isdir(directory) and not os.listdir(directory):
        os.rmdir(directory)
        sync_directory(os.path.dirname(directory))
