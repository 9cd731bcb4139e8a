# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the pod network of a whole cluster, on the controller; documented in modules/cluster_plan.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._shared import texts
from ..modules.cluster_plan import OPTIONS
from ..plugin_utils._actions import inventory_values, plan_file
from ..plugin_utils._plan import agreement
from ..plugin_utils._plan.cluster import make_plan
from ..plugin_utils._plan.networks import HAS_NETADDR
from ..plugin_utils._plan.variables import CLUSTER_VARIABLES, NODE_VARIABLES

VARIABLES = NODE_VARIABLES + agreement.KUBERNETES_VARIABLES + agreement.CLUSTER_VARIABLES


class ActionModule(ActionBase):
    """Runs without a connection, also in check mode: it changes nothing but a temporary file of the controller."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if not HAS_NETADDR:
            raise AnsibleActionFail(
                "the Python library netaddr is missing on the controller: python3 -m pip install netaddr"
            )
        _validation, arguments = self.validate_argument_spec(OPTIONS)
        cluster = {name: arguments[name.replace("pod_network_", "", 1)] for name in CLUSTER_VARIABLES}
        nodes = self._nodes(arguments["group"], task_vars)
        plan, problems = make_plan(cluster, nodes, _vxlan(arguments), arguments["ipv6_prefix_length"])
        problems += agreement.disagreements(plan, nodes)
        problems += agreement.differences(nodes, inventory_values.role_defaults(self._loader, "pod_network"))
        result["warnings"] = agreement.absences(nodes, task_vars["groups"])
        lines = [str(problem) for problem in problems]
        result.update(changed=False, nodes=len(plan["nodes"]), problems=lines)
        if lines and not arguments["defer_problems"]:
            result.update(failed=True, msg="the cluster cannot be planned, as it has %s" % texts.counted(lines))
            return result
        plan["problems"] = [problem._asdict() for problem in problems]
        result["plan"] = plan_file.write(plan)
        return result

    def _nodes(self, group: str, task_vars: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the planner's variables of each host of *group*, by name; only those are templated."""
        if group not in task_vars["groups"]:
            raise AnsibleActionFail(
                "the inventory has no group %r: set pod_network_group for all hosts of the inventory to the one that "
                "holds the cluster's nodes" % group
            )
        return inventory_values.values_of(task_vars, task_vars["groups"][group], VARIABLES)


def _vxlan(arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the planner takes of the nodes' VXLAN interface, or None if there is to be none."""
    if arguments["cross_subnet"] != "vxlan":
        return None
    return {"device": arguments["vxlan_device"], "vni": arguments["vxlan_id"], "port": arguments["vxlan_port"]}
