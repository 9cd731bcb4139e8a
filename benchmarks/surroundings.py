# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark of the plugin runs in: namespaces of its own, with the plugin and the reference's at hand."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import installed_plugin, reference_plugins

_IN_NAMESPACES = "HUMANZ_CNI_BENCHMARK"


@dataclass
class Surroundings:
    """How many times to measure, the executable *plugin*, and the *reference* plugins' directory."""

    count: int
    plugin: Path
    reference: Path

    @property
    def path(self) -> str:
        """CNI_PATH with both."""
        return "%s:%s" % (self.plugin.parent, self.reference)


@contextlib.contextmanager
def entered(description: str, count: int, counted: str) -> Iterator[Surroundings]:
    """Take the options from the command line, fetch and install what is measured, and enter namespaces.

    :param description: the program's, for ``--help``.
    :param count: the default of ``--count``; *counted*: what it counts.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, help="%s (default %d)" % (counted, count))
    parser.add_argument("--plugin", type=Path, help="an installed humanz-cni; by default this checkout is installed")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    reference = reference_plugins.fetch()
    _enter_namespaces()
    with tempfile.TemporaryDirectory(prefix="humanz-cni-benchmark-") as temporary:
        plugin = arguments.plugin or installed_plugin.install(Path(temporary))
        print("reference: containernetworking-plugins %s" % reference_plugins.version())
        yield Surroundings(arguments.count, plugin, reference)


def _enter_namespaces() -> None:
    """Run this program again in a network and mount namespace of its own, unless that is where it is."""
    if os.environ.get(_IN_NAMESPACES):
        for command in (
            "mount -t sysfs none /sys", "mount -t tmpfs none /run", "mkdir /run/netns", "ip link set lo up",
        ):  # fmt: skip
            subprocess.run(command.split(), check=True)
        return
    os.environ[_IN_NAMESPACES] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.orig_argv[1:]])
