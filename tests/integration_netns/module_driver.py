# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one module of this checkout as it runs on a node. Its name is the argument, its arguments are JSON on stdin."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path

from ansible.module_utils.testing import patch_module_args

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).resolve().parents[1] / "conftest.py"))
    module = importlib.import_module("ansible_collections.humanz.cni.plugins.modules." + sys.argv[1])
    with patch_module_args(json.load(sys.stdin)):
        module.main()
