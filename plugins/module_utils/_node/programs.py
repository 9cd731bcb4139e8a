# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that put routes and rules back, on a node: always one version of all their files.

::

    <directory>/healing-<digest>/*.py           a version, built beside its place and renamed into it, whole
    <directory>/healing-<digest>/healing/*.py   what its programs import
    <directory>/heal.py                         a link to the program of the version in use, replaced by rename

A program imports the files below the directory of the one that it is run by, so that whatever an interrupted run has
left is one version or the other. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping

from .._shared import directories, marked_files
from .._shared.files import naming, read_text, sync_directory

VERSION = "healing-"
LINK = "-> "  # begins what is read of a link
_FILE = re.compile(r"(heal\w*|check)\.py\Z")  # in the directory itself


def wanted(texts: Mapping[str, str], links: tuple[str, ...]) -> dict[str, str]:
    """Return ``{relative path: text}`` of the version that *texts*, by path in it, are, and of the *links* to it."""
    hashed = hashlib.sha256()
    for name in sorted(texts):
        hashed.update(("%s\0%s\0" % (name, texts[name])).encode("utf-8"))
    version = VERSION + hashed.hexdigest()[:16]
    found = {"%s/%s" % (version, name): text for name, text in texts.items()}
    found.update((name, "%s%s/%s" % (LINK, version, name)) for name in links)
    return found


def read(directory: str) -> dict[str, str]:
    """Return ``{relative path: text}`` of all that is ours. Raises ConvergeError for somebody else's program."""
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*"))):
        name = os.path.basename(path)
        if os.path.islink(path) and os.readlink(path).startswith(VERSION):
            found[name] = LINK + os.readlink(path)
        elif name.startswith(VERSION) and os.path.isdir(path):
            found.update(("%s/%s" % (name, one), _text(os.path.join(path, one))) for one in _files_below(path))
        elif _FILE.match(name):
            text = marked_files.read(path)
            found.update({} if text is None else {name: text})
    return found


def put(directory: str, actual: Mapping[str, str], desired: Mapping[str, str]) -> None:
    """Put the version of *desired* into its place, and then the links to it."""
    directories.make_for(os.path.join(directory, VERSION))
    for version in sorted({path.split("/")[0] for path in desired if "/" in path}):
        texts = {path.partition("/")[2]: desired[path] for path in desired if path.startswith(version + "/")}
        if any(actual.get("%s/%s" % (version, name)) != text for name, text in texts.items()):
            _install(directory, version, texts)
    for name, text in desired.items():
        if "/" not in name and actual.get(name) != text:
            _replace(os.path.join(directory, name), text)


def clear(directory: str, actual: Mapping[str, str], desired: Mapping[str, str]) -> None:
    """Remove what of *actual* is not *desired*, links first, and what an interrupted run has left half made."""
    kept = {path.split("/")[0] for path in desired}
    for path in sorted(set(actual) - set(desired), key=lambda path: "/" in path):
        version, _slash, name = path.partition("/")
        if version in kept or not name:
            os.unlink(os.path.join(directory, path))
        else:
            shutil.rmtree(os.path.join(directory, version), ignore_errors=True)
    for path in glob.glob(os.path.join(glob.escape(directory), ".%s*.tmp" % VERSION)):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    if os.path.isdir(directory):
        sync_directory(directory)
    if not desired:
        directories.remove_for(os.path.join(directory, VERSION))


def _files_below(directory: str) -> list[str]:
    """Return the paths, in *directory*, of all that is below it and is no directory."""
    found = [os.path.join(parent, name) for parent, _names, files in os.walk(directory) for name in files]
    return sorted(os.path.relpath(path, directory) for path in found)


def _text(path: str) -> str:
    """Return the text of a file of a version; what cannot be read is none of any version."""
    try:
        return read_text(path) or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _install(directory: str, version: str, texts: Mapping[str, str]) -> None:
    building = tempfile.mkdtemp(prefix=".%s." % version, suffix=".tmp", dir=directory)
    path = os.path.join(directory, version)
    try:
        with naming(path):
            for name, text in texts.items():
                os.makedirs(os.path.dirname(os.path.join(building, name)), exist_ok=True)
                _write(os.path.join(building, name), text)
            _finish_directories(building)
        if os.path.isdir(path):  # damaged
            for name in texts:
                os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
                os.replace(os.path.join(building, name), os.path.join(path, name))
            _finish_directories(path)
        else:
            os.rename(building, path)
        sync_directory(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _finish_directories(path: str) -> None:
    """Give the directory *path*, and those below it, their permissions, and write them to the disk."""
    for parent, _names, _files in os.walk(path, topdown=False):
        os.chmod(parent, 0o755)
        sync_directory(parent)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


def _replace(path: str, text: str) -> None:
    """Have *path* be the link that *text* says, or the file that it is the text of, by a rename."""
    if not text.startswith(LINK):
        marked_files.write(path, text)
        return
    temporary = "%s/.%slink.tmp" % (os.path.dirname(path), VERSION)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(text[len(LINK) :], temporary)
    os.replace(temporary, path)
    sync_directory(os.path.dirname(path))
