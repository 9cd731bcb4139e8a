# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports an artifact as Ansible Galaxy does, and fails for what Galaxy would refuse, and for what it would warn of."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

# What the importer prints last if it accepted the artifact; its exit code does not tell for every failure.
ACCEPTED = "Importer processing completed successfully"


def import_artifact(artifact: Path) -> list[str]:
    """Return the lines that the importer printed about *artifact*."""
    command = [sys.executable, "-m", "galaxy_importer.main", str(artifact)]
    # The importer writes its result into the working directory.
    with tempfile.TemporaryDirectory() as directory:
        run = subprocess.run(
            command, cwd=directory, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    return run.stdout.splitlines()


def main() -> int:
    lines = import_artifact(Path(sys.argv[1]).resolve())
    found = [line for line in lines if line.startswith(("WARNING", "ERROR", "CRITICAL"))]
    if ACCEPTED not in lines:
        found = found or lines
        found.append("not accepted by galaxy-importer")
    for line in found:
        print(line, file=sys.stderr)
    print("galaxy-importer: %d findings" % len(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
