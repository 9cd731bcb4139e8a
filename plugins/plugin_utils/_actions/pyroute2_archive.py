# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's own pyroute2 as one file, for nodes that have none. It is pure Python and runs from a zip archive.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can say: equal content gives equal archives
OLDEST = "0.7"  # before, it was spread over several distributions
REMEDY = "install the distribution's package python3-pyroute2 on the node"


class NoArchiveError(Exception):
    """The controller's pyroute2 cannot serve the node; the text says why and what would help."""


def archive_for(python_version: str, directory: str) -> str:
    """Return the path of the archive for a node's Python of *python_version*, such as ``3.11.2``.

    It is made once below *directory* and found there by later calls. Raises NoArchiveError.
    """
    # Comes with ansible-core; at the top it would be imported on every run, and archives are rarely needed.
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    try:
        distribution = metadata.distribution("pyroute2")
    except metadata.PackageNotFoundError as exc:
        raise NoArchiveError(
            "pyroute2 is neither on the node nor on the controller: %s, or on the controller run "
            "python3 -m pip install pyroute2" % REMEDY
        ) from exc
    if Version(distribution.version) < Version(OLDEST):
        raise NoArchiveError(
            "pyroute2 is not on the node, and the controller's is %s: %s, or pyroute2 %s or later on the controller"
            % (distribution.version, REMEDY, OLDEST)
        )
    headers: Any = distribution.metadata  # a message, as of the package email
    needed = headers.get("Requires-Python")
    if needed and not SpecifierSet(needed).contains(python_version, prereleases=True):
        raise NoArchiveError(
            "pyroute2 is not on the node, and the controller's pyroute2 %s needs Python %s while the node's is %s: "
            "%s, or an older pyroute2 on the controller" % (distribution.version, needed, python_version, REMEDY)
        )
    path = os.path.join(directory, "humanz-cni-pyroute2-%s.zip" % distribution.version)
    if not os.path.exists(path):
        _write(path)
    return path


def _write(path: str) -> None:
    """Write the archive beside *path* and rename it: workers for many nodes may do so at the same time."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({**_metadata(), **_modules()}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    os.replace(temporary, path)


def _modules() -> dict[str, bytes]:
    """Return the library's modules, as ``{name in the archive: bytes}``."""
    spec: Any = importlib.util.find_spec("pyroute2")  # it is there, as its metadata are
    package = Path(spec.submodule_search_locations[0])
    return {str(path.relative_to(package.parent)): path.read_bytes() for path in package.rglob("*.py")}


def _metadata() -> dict[str, bytes]:
    """Return its metadata, as ``{name in the archive: bytes}``: releases up to 0.7.2 look up their entry points."""
    distribution = metadata.distribution("pyroute2")
    directory = "pyroute2-%s.dist-info/" % distribution.version
    texts = {
        directory + "METADATA": distribution.read_text("METADATA") or distribution.read_text("PKG-INFO"),
        directory + "entry_points.txt": distribution.read_text("entry_points.txt"),
    }
    return {name: text.encode("utf-8") for name, text in texts.items() if text}
