#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a short-lived pod on a node, connect from it, and remove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_probe
short_description: Start a short-lived pod on a node and connect from it
version_added: 0.1.0
description:
  - Makes a network namespace, attaches it by C(ADD) through the CNI configuration that is in force on the node, as a
    container runtime does, and lets a TCP listener in it tell each caller the address that it was called from.
    A UDP listener on the same port answers in kind.
  - Connects to other such pods, and to anything else, from that pod and from the node itself.
  - Needs neither a container runtime nor Kubernetes on the node.
  - The pod removes itself after O(lifetime), with C(DEL), also if nobody comes back to stop it.
  - The module reports no change, as every probe pod leaves the node as it was before.
options:
  state:
    description:
      - V(started) makes the probe pod and returns its addresses.
      - V(probed) connects to O(targets) and returns what came of it.
      - V(stopped) removes the probe pod. It is no error if there is none.
    type: str
    choices: [started, probed, stopped]
    default: started
  name:
    description:
      - The name of the pod's network namespace and its container ID. Must start with V(humanz-probe-).
      - By default a name that all tasks of one run of C(ansible-playbook) share, and no other run has.
    type: str
  conf_dir:
    description: The directory of CNI configurations. The first file by name is in force.
    type: path
    default: /etc/cni/net.d
  cni_path:
    description: The directories in which CNI plugins are looked up.
    type: list
    elements: path
    default: [/opt/cni/bin]
  port:
    description:
      - The TCP and UDP port on which the pod listens, in its own network namespace, so that it disturbs no other one.
    type: int
    default: 7217
  lifetime:
    description:
      - The number of seconds after which the pod removes itself.
      - By default 120, and two more for each host of the play, or up to ten with fewer than five forks.
    type: int
  targets:
    description:
      - With O(state=probed), what to connect to.
      - Mutually exclusive with O(targets_file).
    type: list
    elements: dict
    suboptions:
      address:
        description: An IPv4 or IPv6 address.
        type: str
        required: true
      port:
        description: The TCP port. Without it, ICMP echo requests are sent.
        type: int
      sources:
        description: Where to connect from, the pod or the node itself.
        type: list
        elements: str
        choices: [pod, node]
        default: [pod]
      may_be_silent:
        description: Whether a connection counts as a success even if the listener does not say one line.
        type: bool
        default: false
      full_size:
        description:
          - Whether packets as large as the way's MTU must pass, too, in both directions and unfragmented. Once the
            connection succeeds, UDP datagrams of that size are sent to the same port, which a probe pod answers in
            kind. Needs O(targets[].port).
        type: bool
        default: false
  targets_file:
    description:
      - With O(state=probed), a file on the controller that M(humanz.cni.pod_reachability) wrote. This node's targets
        are taken from it, and what came of them is judged, so that only failures are returned.
    type: path
  timeout:
    description: The number of seconds within which each target must answer.
    type: float
    default: 5
attributes:
  check_mode:
    description: Does nothing in check mode, since a probe pod would have to be made.
    support: none
  diff_mode:
    description: Nothing differs afterwards.
    support: none
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: linux
requirements:
  - iproute2 on the node
seealso:
  - module: humanz.cni.pod_reachability
  - module: humanz.cni.pod_network_info
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Start a probe pod on every node
  humanz.cni.pod_probe:
    state: started

- name: Connect to another node's pod and to the gateway
  humanz.cni.pod_probe:
    state: probed
    targets:
      - address: 100.100.1.2
        port: 7217
        sources: [pod, node]
      - address: 192.168.122.1

- name: Stop the probe pod
  humanz.cni.pod_probe:
    state: stopped
"""

RETURN = r"""
pod:
  description: The probe pod.
  returned: O(state=started)
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    addresses:
      description: Its addresses, without prefix lengths.
      type: list
      elements: str
    port:
      description: The TCP port on which it tells each caller the caller's address.
      type: int
    network:
      description: The CNI network's name.
      type: str
    conf:
      description: The CNI configuration file that it was attached by.
      type: str
  sample: {"name": "humanz-probe-5f0c1d", "addresses": ["100.100.0.2"], "port": 7217, "network": "humanz-cni",
           "conf": "/etc/cni/net.d/10-humanz-cni-plugin.conflist"}
node_addresses:
  description: The node's own addresses of global scope.
  returned: O(state=started)
  type: list
  elements: str
  sample: ["192.168.122.11", "200.0.0.10", "100.100.0.1"]
gateways:
  description: The next hops of the node's default routes.
  returned: O(state=started)
  type: list
  elements: str
  sample: ["192.168.122.1"]
lacked:
  description:
    - What the node lacked for packets of pods before this one was attached. The plugin puts it right whenever it
      attaches a pod, so that no connection shows it any more.
    - This is read of forwarding, and of the bridge where pods with addresses of the same subnet were there.
  returned: O(state=started)
  type: list
  elements: dict
  contains:
    family:
      description: V(4) or V(6), the family of the packets.
      type: int
    text:
      description: What it was, to be read after the node's name.
      type: str
  sample:
    - {"family": 4, "text": "had its bridge humanz-cni0 down before its probe pod was attached"}
results:
  description: What came of each target, from each of its sources.
  returned: O(state=probed) with O(targets)
  type: list
  elements: dict
  contains:
    from:
      description: V(pod) or V(node).
      type: str
    address:
      description: The target's address.
      type: str
    port:
      description: The target's TCP port, or null for ICMP echo.
      type: int
    seen_as:
      description: The first line that the listener said, which for a probe pod is the address that it was called from.
      type: str
    local:
      description: The address that the connection was made from.
      type: str
    error:
      description: Why it was not reached, or null.
      type: str
    ms:
      description: Milliseconds until the answer or the error.
      type: int
    mtu:
      description: With O(targets[].full_size), the size in bytes of the largest packets that were tried.
      type: int
    lost_size:
      description: The size in bytes of packets that were lost although small ones passed, or null.
      type: int
  sample:
    - {"from": "pod", "address": "100.100.1.2", "port": 7217, "seen_as": "100.100.0.2", "local": "100.100.0.2",
       "error": null, "ms": 1, "mtu": 1500, "lost_size": null}
passed:
  description: The number of checks that passed.
  returned: O(state=probed) with O(targets_file)
  type: int
  sample: 6
failures:
  description: The checks that failed, each with its symptom as RV(ignore:what).
  returned: O(state=probed) with O(targets_file)
  type: list
  elements: dict
  sample:
    - {"kind": "pod", "from": "ubuntu-nested-1", "to": "ubuntu-nested-2", "address": "100.100.1.2", "port": 7217,
       "what": "no answer in 5 s", "local": "100.100.0.2", "seen_as": null}
reason:
  description: >-
    Why no pod could be started: V(conf_missing), V(conf_broken), V(plugin_missing), V(plugin_failed) or
    V(probe_failed).
  returned: failure of O(state=started)
  type: str
  sample: plugin_failed
plugin_error:
  description: What the CNI plugin said.
  returned: failure with RV(reason=plugin_failed)
  type: dict
  sample: {"plugin": "humanz-cni", "command": "ADD", "code": 11, "msg": "the pool is exhausted", "details": ""}
"""

import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cni import invoke
from ..module_utils._inspect import before_probe
from ..module_utils._probe import connect, full_size, probe_pod
from ..module_utils._shared import netns as _netns
from ..module_utils._shared import option_checks
from ..module_utils._shared.converge import ConvergeError

NAME = re.compile(re.escape(probe_pod.PREFIX) + r"[A-Za-z0-9-]{1,40}")
TARGET = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int"},
    "sources": {"type": "list", "elements": "str", "choices": ["pod", "node"], "default": ["pod"]},
    "may_be_silent": {"type": "bool", "default": False},
    "full_size": {"type": "bool", "default": False},
}
OPTIONS = {
    "state": {"type": "str", "choices": ["started", "probed", "stopped"], "default": "started"},
    "name": {"type": "str"},
    "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "cni_path": {"type": "list", "elements": "path", "default": ["/opt/cni/bin"]},
    "port": {"type": "int", "default": 7217},
    "lifetime": {"type": "int"},
    "targets": {"type": "list", "elements": "dict", "options": TARGET},
    "targets_file": {"type": "path"},
    "timeout": {"type": "float", "default": 5},
}


def started(module: AnsibleModule, name: str) -> dict[str, Any]:
    """Start the pod; return what the module returns."""
    params = module.params
    network = invoke.network_in_force(params["conf_dir"])
    before = before_probe.BeforeProbe(module.run_command, params["conf_dir"])
    pod = probe_pod.start(name, network, params["cni_path"], params["port"], params["lifetime"] or 120)
    return {
        "pod": {
            "name": name,
            "addresses": probe_pod.addresses(pod["result"] or {}),
            "port": params["port"],
            "network": network["name"],
            "conf": network["path"],
        },
        "node_addresses": node_addresses(module),
        "gateways": gateways(module),
        "lacked": before.lacked(pod["result"] or {}),
    }


def node_addresses(module: AnsibleModule) -> list[str]:
    """Return the node's addresses of global scope, without those of services, which kube-proxy's IPVS mode assigns."""
    links = _ip_json(module, ["addr", "show"])
    return [
        address["local"]
        for link in links
        if link.get("ifname") != "kube-ipvs0"
        for address in link.get("addr_info", [])
        if address.get("scope") == "global"
    ]


def gateways(module: AnsibleModule) -> list[str]:
    """Return the next hops of the default routes that are taken, at most one for each family."""
    found = []
    for family in ("-4", "-6"):
        routes = [route for route in _ip_json(module, [family, "route", "show", "default"]) if "gateway" in route]
        found += [route["gateway"] for route in sorted(routes, key=lambda route: route.get("metric", 0))[:1]]
    return found


def _ip_json(module: AnsibleModule, arguments: list[str]) -> Any:
    status, output, error = module.run_command(["ip", "-j"] + arguments, environ_update={"LC_ALL": "C"})
    if status != 0:
        raise ConvergeError("ip %s failed: %s" % (" ".join(arguments), error.strip()), reason="probe_failed")
    return json.loads(output) if output.strip() else []


def probed(module: AnsibleModule, name: str) -> dict[str, Any]:
    """Connect to all targets; return what the module returns."""
    option_checks.addresses("targets: address", [target["address"] for target in module.params["targets"]])
    record = probe_pod.records().get(name)
    if record is None or not probe_pod.is_running(record):
        raise ConvergeError("the probe pod %s is not there: it was not started, or its lifetime is over" % name)
    netns = {"pod": _netns.path_of(name), "node": None}
    tries = [
        (source, _attempt(target, netns[source]), target)
        for target in module.params["targets"]
        for source in target["sources"]
    ]
    connect.run([attempt for _source, attempt, _target in tries], module.params["timeout"])
    # Only where small packets pass, of which much less is to be said.
    full = {
        index: full_size.FullSize(attempt.address, target["port"], attempt.netns)
        for index, (_source, attempt, target) in enumerate(tries)
        if target["full_size"] and target["port"] and not attempt.error
    }
    connect.run(list(full.values()), module.params["timeout"])
    return {
        "results": [
            _outcome(source, attempt, full.get(index)) for index, (source, attempt, _target) in enumerate(tries)
        ]
    }


def _attempt(target: dict[str, Any], netns: str | None) -> connect.Attempt:
    return connect.Attempt(target["address"], target["port"], netns, not target["may_be_silent"])


def _outcome(source: str, attempt: connect.Attempt, full: full_size.FullSize | None) -> dict[str, Any]:
    outcome = {
        "from": source,
        "address": attempt.address,
        "port": attempt.port,
        "seen_as": attempt.source,
        "local": attempt.local,
        "error": attempt.error,
        "ms": attempt.ms,
    }
    if full:
        outcome.update(error=full.error, mtu=full.mtu, lost_size=full.lost_size)
    return outcome


def stopped(module: AnsibleModule, name: str) -> dict[str, Any]:
    """Take the pod away; return what the module returns."""
    probe_pod.stop(name)
    return {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=OPTIONS,
        mutually_exclusive=[("targets", "targets_file")],
        required_if=[("state", "probed", ("targets", "targets_file"), True)],
    )
    name = module.params["name"] or probe_pod.PREFIX + "default"
    if not NAME.fullmatch(name):
        module.fail_json(msg="name: %r must match %s" % (name, NAME.pattern))
    work = {"started": started, "probed": probed, "stopped": stopped}[module.params["state"]]
    try:
        result = work(module, name)
    except ConvergeError as exc:
        module.fail_json(msg=str(exc), **exc.facts)
    except OSError as exc:
        module.fail_json(msg="the probe pod %s cannot be %s: %s" % (name, module.params["state"], exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
