# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge a node's routes many times over in one process, by the code of node_routes, as there is no time to start it.

Standard input is a JSON list of lists of routes; each is converged in turn, and changes whatever differs. For each, a
line of JSON says how many were ``added`` and ``replaced``, and how many seconds it took to ``apply`` them and in all.
"""

from __future__ import annotations

import json
import sys
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

OPTIONS = {
    "protocol": 217,
    "table": 254,
    "state": "present",
    "bridge": "humanz-cni0",
    "force": False,
    "unreachable": [],
    "state_file": "/etc/humanz-cni/routes",
}

if __name__ == "__main__":
    from ansible_collections.humanz.cni.plugins.module_utils._routing import static_routes
    from ansible_collections.humanz.cni.plugins.module_utils._shared import converge

    class TimedRoutes(static_routes.Routes):
        seconds = 0.0

        def apply(self, actual: static_routes.State, desired: static_routes.State) -> None:
            started = time.perf_counter()
            super().apply(actual, desired)
            self.seconds = time.perf_counter() - started

    with patch_module_args({}):
        module = AnsibleModule(argument_spec={})
    for wanted in json.load(sys.stdin):
        module.params = dict(OPTIONS, routes=wanted)
        resource, started = TimedRoutes(module), time.perf_counter()
        result = converge._converge(module, resource)
        counts = {name: len(result[name]) for name in ("added", "replaced")}
        print(json.dumps({**counts, "apply": resource.seconds, "all": time.perf_counter() - started}))
