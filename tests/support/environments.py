# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pythons of this machine, and environments of their own for other versions of libraries, kept between runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT, downloads

CACHE = ROOT / ".cache" / "matrix"
SUPPORTED = range(8, 14)  # minor versions, on nodes
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location")


def _found() -> dict[int, str]:
    candidates = {minor: shutil.which(f"python3.{minor}") for minor in SUPPORTED}
    # A version manager's script is there also for a version that cannot be used.
    return {
        minor: path
        for minor, path in candidates.items()
        if path and subprocess.run([path, "-c", "import venv"], capture_output=True, check=False).returncode == 0
    }


# minor version -> path, of those that are there
PYTHONS = _found()


def first_of(*minors: int) -> int:
    """Return the first of the *minors* that is there."""
    found = next((minor for minor in minors if minor in PYTHONS), None)
    assert found is not None, f"this takes one of the Pythons {', '.join(f'3.{minor}' for minor in minors)}"
    return found


def environment(name: str, python: str, *requirements: str) -> Path:
    """Return the Python of the virtual environment *name*, made by *python*, which has the *requirements*."""
    directory = CACHE / name
    with downloads.alone_in(directory):
        if _is_new(directory, [python, *requirements]):
            subprocess.run([python, "-m", "venv", "--clear", directory], check=True)
            subprocess.run([directory / "bin" / "python", *PIP, *requirements], check=True)
            _remember(directory, [python, *requirements])
    return directory / "bin" / "python"


def library(requirement: str) -> Path:
    """Return a directory with nothing but what *requirement* asks for, to be ahead on the tests' own PYTHONPATH."""
    directory = CACHE / requirement
    with downloads.alone_in(directory):
        if _is_new(directory, [sys.executable]):
            subprocess.run([sys.executable, *PIP, "--upgrade", "--target", directory, requirement], check=True)
            _remember(directory, [sys.executable])
    return directory


def _is_new(directory: Path, made_of: list[str]) -> bool:
    stamp = directory / "made-of"
    return not stamp.exists() or stamp.read_text() != "\n".join(made_of)


def _remember(directory: Path, made_of: list[str]) -> None:
    (directory / "made-of").write_text("\n".join(made_of))
