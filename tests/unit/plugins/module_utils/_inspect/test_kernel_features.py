# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that makes no network namespace; what else a kernel may lack is tried on real ones."""

from __future__ import annotations

import subprocess
import sys

from tests.support import ROOT

# The limit is that of the user namespace, and so no other process gets to feel it.
PROGRAM = """
import tests.support
from ansible_collections.humanz.cni.plugins.module_utils._inspect import kernel_features
with open("/proc/sys/user/max_net_namespaces", "w") as stream:
    stream.write("0")
print(kernel_features.problems({}, lambda command: (0, "", ""), lambda name: None))
"""


def test_a_node_that_makes_no_more_network_namespaces_is_named() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert "raise user.max_net_namespaces" in done.stdout, done.stderr
