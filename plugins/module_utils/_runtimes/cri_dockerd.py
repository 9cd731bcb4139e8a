# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node's cri-dockerd looks for CNI plugins and configurations, by its command line.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import processes
from .containerd import BIN_DIR, CONF_DIR

if TYPE_CHECKING:
    from .containerd import Wanted


def problems(wanted: Wanted) -> list[str] | None:
    """Return why this node's cri-dockerd would not find our plugin or configuration, a text each; None without one."""
    running = processes.named("cri-dockerd")
    if not running:
        return None
    words = running[0].words
    looked_in = {
        "conf_dir": [processes.option(words, "cni-conf-dir") or CONF_DIR],
        "bin_dir": (processes.option(words, "cni-bin-dir") or BIN_DIR).split(","),
    }
    return [
        "pod_network_cni_%s %s: cri-dockerd looks in %s: must be %s, or have its unit start it with --cni-%s=%s"
        % (option, path, ", ".join(found), "one of these" if found[1:] else "that", option.replace("_", "-"), path)
        for option, path in (("conf_dir", wanted.conf_dir), ("bin_dir", wanted.cni_bin_dir))
        for found in [looked_in[option]]
        if os.path.realpath(path) not in map(os.path.realpath, found)
    ]
