# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the plugin of this checkout as the module cni_plugin does, without Ansible. For tests and benchmarks."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from unittest import mock

from tests.support import ROOT

SOURCE = ROOT / "files" / "humanz_cni"


def install(directory: Path, interpreter: str = "/usr/bin/python3") -> Path:
    """Install it below *directory* for *interpreter* and return the executable's path."""
    from ansible_collections.humanz.cni.plugins.module_utils._cni import install as _cni_install
    from ansible_collections.humanz.cni.plugins.module_utils._cni import library as _cni_library
    from ansible_collections.humanz.cni.plugins.module_utils._shared import directories, library_dirs

    files = {path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in SOURCE.rglob("*.py")}
    python = _cni_library.Interpreter(interpreter, run)
    library = _cni_library.Library(files, python, str(directory / "lib"), run)
    plugin = _cni_install.Plugin(library, python, str(directory / "bin"), str(directory / "sbin"), run)
    # What this machine's own /etc/humanz-cni and /usr/local/lib/humanz-cni have is another installation's.
    records = mock.patch.object(directories, "OWN_DIRECTORY", str(directory / "etc"))
    default = mock.patch.object(library_dirs, "DEFAULT", str(directory / "lib"))
    with records, default:
        actual = plugin.read()
        desired = plugin.desired(actual)
        if actual != desired:
            plugin.apply(actual, desired)
    return Path(plugin.path)


def lay_out_otherwise(package: Path) -> None:
    """Give a room of *package*, a copy of the plugin's, another name: an upgrade may replace one of another layout."""
    (package / "network").rename(package / "wiring")
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"(from \.+)network\b", r"\1wiring", text).replace('("network", (', '("wiring", (')
        path.write_text(text, encoding="utf-8")


def run(
    command: list[str], data: str | None = None, environ_update: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run *command* as AnsibleModule.run_command does: return status, output and error output."""
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(command, input=data or "", env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
