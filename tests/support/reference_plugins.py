# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the CNI reference plugins, and containerd, of Debian's newest suite, without touching this machine's apt."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support import downloads
from tests.support.debian_root import KEYRING, MIRROR

PACKAGE = "containernetworking-plugins"
SOURCE = "deb [signed-by={keyring}] {mirror} sid main\n"


def cache_directory() -> Path:
    """Return where downloads are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "humanz-cni"


def fetch(cache: Path | None = None) -> Path:
    """Return the directory of the plugins' executables, downloaded if it is not in *cache* yet."""
    cache = cache or cache_directory()
    unpacked = cache / PACKAGE
    executables = unpacked / "usr" / "lib" / "cni"
    with downloads.alone_in(cache):
        if not (executables / "bridge").exists():
            print("fetching %s from Debian sid into %s" % (PACKAGE, cache), flush=True)
            archive = _download(cache / "apt")
            subprocess.run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
    return executables


def containerd(cache: Path | None = None) -> Path:
    """Return the path of the program containerd, downloaded if it is not in *cache* yet."""
    cache = cache or cache_directory()
    program = cache / "containerd" / "usr" / "bin" / "containerd"
    with downloads.alone_in(cache):
        if not program.exists():
            print("fetching containerd from Debian sid into %s" % cache, flush=True)
            archive = _download(cache / "apt", "containerd")
            subprocess.run(["dpkg", "-x", str(archive), str(cache / "containerd")], check=True)
    return program


def version(cache: Path | None = None) -> str:
    """Return the version of the package that :func:`fetch` downloaded."""
    archive = _archive((cache or cache_directory()) / "apt")
    return archive.name.split("_")[1]


def _download(apt: Path, package: str = PACKAGE) -> Path:
    """Download the *package* with lists, cache and configuration of its own below *apt*."""
    for directory in ("lists/partial", "archives/partial"):
        (apt / directory).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    sources = apt / "sources.list"
    sources.write_text(SOURCE.format(keyring=KEYRING, mirror=MIRROR), encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt_get = ["apt-get", "-q"] + ["-o%s=%s" % item for item in options.items()]
    subprocess.run([*apt_get, "update"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*apt_get, "download", package], check=True, cwd=apt / "archives")
    return _archive(apt, package)


def _archive(apt: Path, package: str = PACKAGE) -> Path:
    return max((apt / "archives").glob(package + "_*.deb"), key=lambda path: path.stat().st_mtime)
