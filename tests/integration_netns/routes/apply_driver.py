# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge a node's routes many times over in one process, by the code of node_routes, as there is no time to start it.

Standard input is a JSON list of lists of routes; each is converged in turn, and changes whatever differs.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

OPTIONS = {
    "protocol": 217,
    "table": 254,
    "state": "present",
    "bridge": "humanz-cni0",
    "force": False,
    "state_file": "/etc/humanz-cni/routes",
}

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "conftest.py"))
    utils = "ansible_collections.humanz.cni.plugins.module_utils."
    converge = importlib.import_module(utils + "_converge")
    routes = importlib.import_module(utils + "_routes")
    with patch_module_args({}):
        module = AnsibleModule(argument_spec={})
    replaced = 0
    for wanted in json.load(sys.stdin):
        module.params = dict(OPTIONS, routes=wanted)
        replaced += len(converge._converge(module, routes.Routes(module))["replaced"])
    print(replaced)
