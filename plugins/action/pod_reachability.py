# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the results of all nodes' probes together, on the controller, once for all hosts."""

from __future__ import annotations

import json
import socket
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._shared import ip_addresses
from ..modules.pod_reachability import OPTIONS, REQUIRED_IF
from ..plugin_utils._actions import controller_files, host_results, inventory_values, run_files
from ..plugin_utils._plan import agreement
from ..plugin_utils._reachability import checks, reasons
from ..plugin_utils._reachability import table as reachability_table


class ActionModule(ActionBase):
    """Runs on the controller only; what it hands on lies in a file."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the stage's result."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(argument_spec=OPTIONS, required_if=REQUIRED_IF)
        if args["stage"] == "settings":
            self._require_agreement(task_vars)
            return {"changed": False, "files": _files(args["files"])}
        stage = {"targets": _targets, "failures": _failures, "table": _table}[args["stage"]]
        return dict(stage(args, host_results.Results(task_vars, args["results"])), changed=False)

    def _require_agreement(self, task_vars: dict[str, Any]) -> None:
        """Refuse what hosts disagree about and one of them, the first of the run, would decide for all."""
        group = task_vars.get("pod_network_group", "k8s_cluster")
        hosts = task_vars["groups"].get(group, task_vars["ansible_play_hosts_all"])
        defaults = inventory_values.role_defaults(self._loader, "pod_network", "verify")
        values = inventory_values.values_of(task_vars, hosts, agreement.VERIFY_VARIABLES)
        problems = agreement.differences(values, defaults, agreement.VERIFY_VARIABLES)
        if problems:
            lines = "\n".join(map(str, problems))
            raise AnsibleActionFail("nothing was verified, as the hosts disagree about how to:\n%s" % lines)


def _targets(args: dict[str, Any], results: host_results.Results) -> dict[str, Any]:
    """Write the cluster of probe pods to a file."""
    hosts = results.hosts if args["nodes"] is None else args["nodes"]
    nodes = {host: node(results.of(host)) for host in hosts}
    families = checks.families_of(nodes)
    cluster = {
        "nodes": nodes,
        "families": families,
        "outside": [target for text in args["outside"] for target in checks.parse_outside(text, _resolve, families)],
        "sample": args["sample"],
        "masquerade": _masqueraded(args),
    }
    return {"file": run_files.write("targets", cluster)}


def _files(values: dict[str, Any]) -> dict[str, str]:
    """Return the path of each file that is to be written later, "" for none. Raises AnsibleActionFail for no path."""
    try:
        return {name: controller_files.wanted(name, value) for name, value in values.items()}
    except ValueError as exc:
        raise AnsibleActionFail("nothing was verified, as one problem must be solved first: %s" % exc) from exc


def _masqueraded(args: dict[str, Any]) -> list[int]:
    """Return the families in which pods are masqueraded."""
    ipv6 = args["masquerade"] if args["masquerade_ipv6"] is None else args["masquerade_ipv6"]
    return [family for family, true in ((4, args["masquerade"]), (6, ipv6)) if true]


def _resolve(name: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


def node(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a cluster has of a node, see ``_reachability/checks.py``, from what its probe returned."""
    pod = result.get("pod")
    if not pod:
        return {"error": host_results.why_not(result)}
    addresses = {"pod": pod["addresses"], "own": result["node_addresses"], "gateways": result["gateways"]}
    wrong = [one for several in addresses.values() for one in several if not ip_addresses.is_address(one)]
    if wrong:
        return {"error": "it says that %s is an address" % ip_addresses.shown(wrong[0])}
    return {**addresses, "port": pod["port"], "lacked": result["lacked"]}


def _failures(args: dict[str, Any], results: host_results.Results) -> dict[str, Any]:
    """Write all nodes' failures, and what their tables are to be asked, to a file."""
    cluster = run_files.read(args["file"])
    failures = []
    for node, found in cluster["nodes"].items():
        failures += _judged(cluster, node, found, results.of(node))["failures"]
    paths = checks.paths_to_examine(failures)
    content = {"cluster": cluster, "failures": failures, "paths": paths}
    return {"file": run_files.write("failures", content), "failures": len(failures)}


def _judged(cluster: dict[str, Any], node: str, found: dict[str, Any], probed: dict[str, Any]) -> dict[str, Any]:
    if "error" in found:
        return checks.not_tried(cluster, node, checks.no_probe(cluster, node))
    if "failures" not in probed:
        reason = "%s could not connect to anything: %s" % (node, host_results.why_not(probed))
        return checks.not_tried(cluster, node, reason)
    return probed


def _table(args: dict[str, Any], results: host_results.Results) -> dict[str, Any]:
    """Return the table, and write the report if one is wanted."""
    content = run_files.read(args["file"])
    cluster, failures = content["cluster"], content["failures"]
    examined = {node: _by_path(results.of(node)) for node in content["paths"]}
    for failure in failures:
        key = (failure.get("local"), failure["address"])
        evidence = {node: paths[key] for node, paths in examined.items() if key in paths}
        failure["reasons"] = reasons.explain(cluster, failure, evidence)
    counts = reachability_table.counts(cluster, failures)
    total = sum(count["checks"] for count in counts.values())
    table = {
        "checks": total,
        "failed_checks": len(failures),
        "summary": reachability_table.summary(failures, total),
        "table": reachability_table.render(cluster, failures),
    }
    if args["report"]:
        _write_report(args["report"], dict(table, nodes=list(cluster["nodes"]), counts=counts, failures=failures))
    return dict(table, file=run_files.write("table", {"cluster": cluster, "failures": failures}))


def _by_path(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(path["source"], path["destination"]): path for path in result.get("paths", [])}


def _write_report(path: str, report: dict[str, Any]) -> None:
    try:
        controller_files.write(path, json.dumps(report, indent=2) + "\n")
    except OSError as exc:
        raise AnsibleActionFail("report: %s cannot be written: %s" % (path, exc)) from exc
