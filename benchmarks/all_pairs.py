# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty nodes in real namespaces, one run of site.yml, and a ping from every pod to every other one.

    python -m benchmarks.all_pairs [--nodes 50] [--forks 4]

Needs root. Everything happens on throw-away nodes. Exits with 1 if a pod does not answer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.support.netns.many_nodes import ManyNodes


def main() -> None:
    """Measure and print; exit with 1 if a pod does not answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=50, help="nodes of the cluster, up to 250 (default 50)")
    parser.add_argument("--forks", type=int, default=4, help="forks of ansible-playbook (default 4)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    with tempfile.TemporaryDirectory() as directory:
        nodes = ManyNodes(Path(directory), arguments.nodes)
        try:
            started = time.perf_counter()
            nodes.playbook("site", "--forks", str(arguments.forks))
            seconds = time.perf_counter() - started
            silent = nodes.silent()
        finally:
            nodes.close()
    pairs = arguments.nodes * (arguments.nodes - 1)
    print("%d nodes in %.0f s, %.2f s a node with %d forks" % (
        arguments.nodes, seconds, seconds / arguments.nodes, arguments.forks,
    ))  # fmt: skip
    print("%d of %d pairs of pods answer" % (pairs - len(silent), pairs))
    sys.exit(bool(silent))


if __name__ == "__main__":
    main()
