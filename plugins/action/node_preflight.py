# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives node_preflight its part of the plan, and the plan's problems that this node has to report."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._shared import texts
from ..plugin_utils._actions.node import NodeAction, as_texts
from ..plugin_utils._plan.problems import SEE

SHOWN = 20  # problems of nodes that take no part in the run


class ActionModule(NodeAction):
    """Documented in modules/node_preflight.py."""

    module = "humanz.cni.node_preflight"
    hidden = ("routes", "problems", "vxlan_peers")
    takes_problems = True

    def from_plan(self, part: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        names = ("pod_cidrs", "pod_ranges", "unreachable", "cluster_cidrs", "service_cidrs", "node_ips")
        options = {name: part[name] for name in names}
        if part["vxlan"]:
            options["mtu_overhead"] = part["vxlan"]["overhead"]
            options["vxlan_device"] = part["vxlan"]["device"]
            options["vxlan_peers"] = [peer["node_ip"] for peer in part["vxlan"]["peers"]]
        # Of CIDRs that several nodes have, which the plan reports, one each.
        routes = {route["dst"]: route for route in part["routes"] if route["dst"] not in part["pod_cidrs"]}
        node, reporting = task_vars["inventory_hostname"], task_vars["ansible_play_batch"]
        problems = problems_for(part["problems"], node, reporting)
        return dict(options, routes=as_texts(routes.values()), node=node, problems=problems)

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        try:
            return super()._call(args, task_vars)
        except AnsibleConnectionFailure as exc:
            if not args.get("problems"):
                raise
            # Nobody else reports them.
            unreachable = "%s: cannot be reached: %s" % (task_vars["inventory_hostname"], str(exc).splitlines()[0])
            problems = [*args["problems"], unreachable]
            if _defers(args):
                return {"changed": False, "problems": problems}
            return {"failed": True, "problems": problems, "msg": "the plan has %s" % texts.counted(problems)}


def _defers(args: dict[str, Any]) -> bool:
    return bool(boolean(args.get("defer_problems", False)))


def problems_for(problems: list[dict[str, Any]], node: str, reporting: list[str]) -> list[str]:
    """Return the lines that *node* reports: its own, the cluster's, and those of nodes that are not *reporting*.

    A node that has nothing to report must fail all the same, as a plan with problems is not carried out anywhere, and a
    node that reports may be kept from the role.
    """
    own = [problem for problem in problems if problem["node"] in (node, "cluster")]
    absent = [problem for problem in problems if problem["node"] != "cluster" and problem["node"] not in reporting]
    absent = [problem for problem in absent if problem["node"] != node]
    lines = ["{node}: {value}: {remedy}".format(**problem) for problem in own + absent[:SHOWN]]
    if len(absent) > SHOWN:
        lines.append("cluster: %d more problems of nodes outside this run" % (len(absent) - SHOWN))
    if problems and not lines:
        others = sorted({problem["node"] for problem in problems})
        lines.append(SEE + ", ".join(others[:SHOWN]))
    return lines
