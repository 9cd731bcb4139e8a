#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the results of all nodes' probe pods together: documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_reachability
short_description: Bring the results of all nodes' probe pods together
version_added: 0.1.0
description:
  - Runs on the controller, once for all hosts, between tasks that run on every node.
  - The tables of a whole cluster are handed on in files on the controller, which vanish with the run. Kept in
    variables they would cost the square of the number of hosts.
  - The role P(humanz.cni.verify#role) shows the order of tasks.
options:
  stage:
    description:
      - V(settings) requires that hosts do not disagree about variables of P(humanz.cni.verify#role), and that O(files)
        are files. Run it before anything that its failure would leave behind.
      - V(targets) reads what M(humanz.cni.pod_probe) started, and writes who has to connect to whom.
      - V(failures) reads what it probed, and writes what failed and which nodes' tables can tell why.
      - V(table) reads what M(humanz.cni.pod_network_info) said about these, and returns the table.
    type: str
    choices: [settings, targets, failures, table]
    required: true
  results:
    description: The name under which every host registered the result of the task before. All stages but V(settings)
      need it.
    type: str
  file:
    description: The RV(file) of the stage before.
    type: path
  nodes:
    description:
      - With O(stage=targets), the nodes to verify. One that failed or could not be reached before counts as failed.
      - By default all hosts of the play.
    type: list
    elements: str
  outside:
    description:
      - With O(stage=targets), what every pod must reach outside the cluster. C(HOST) is tried by ICMP echo,
        C(HOST:PORT) and C([ADDRESS]:PORT) by TCP. If a TCP listener says an address as its first line, that is taken
        for the source address that it saw. Host names are looked up on the controller.
      - By default the gateway of each node's own default route, by ICMP echo.
    type: list
    elements: str
    default: []
  sample:
    description:
      - With O(stage=targets), the number of other nodes' pods that each node is tried against at most. The same ones
        are taken in every run, and each pod is tried equally often.
    type: int
    default: 50
  masquerade:
    description: With O(stage=targets), whether the outside must see an address of the node instead of the pod's own.
    type: bool
    default: true
  masquerade_ipv6:
    description: The same for IPv6. By default it is as O(masquerade).
    type: bool
  report:
    description: With O(stage=table), a file on the controller to write everything to, as JSON.
    type: path
  files:
    description:
      - With O(stage=settings), the files that later tasks are to write on the controller, by the name of the variable
        that says which. Empty and V(false) are none, also as text. V(true) is refused.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Nothing is ever changed on a node.
    support: full
  diff_mode:
    description: Nothing is ever changed on a node.
    support: N/A
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: posix
seealso:
  - module: humanz.cni.cluster_picture
  - module: humanz.cni.pod_probe
  - module: humanz.cni.pod_network_info
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Start a probe pod on every node
  humanz.cni.pod_probe:
    state: started
  register: started_pod

- name: Select the targets of every pod and node
  humanz.cni.pod_reachability:
    stage: targets
    results: started_pod
  register: targets
  run_once: true

- name: Connect
  humanz.cni.pod_probe:
    state: probed
    targets_file: "{{ targets.file }}"
  register: probed_pods
"""

RETURN = r"""
file:
  description: The file on the controller that the next tasks read; after O(stage=table), M(humanz.cni.cluster_picture).
  returned: success, of all stages but V(settings)
  type: str
  sample: /home/operator/.ansible/tmp/ansible-local-4711/targets-k2j3.json
files:
  description: The path of each of O(files), empty for none.
  returned: O(stage=settings)
  type: dict
  sample: {"verify_picture": "pod-network.html", "verify_report": ""}
failures:
  description: The number of checks that failed.
  returned: O(stage=failures)
  type: int
  sample: 0
checks:
  description: The number of checks that were made.
  returned: O(stage=table)
  type: int
  sample: 18
failed_checks:
  description: The number of checks that failed.
  returned: O(stage=table)
  type: int
  sample: 1
summary:
  description: One line about the failures.
  returned: O(stage=table)
  type: str
  sample: >-
    1 of 18 checks failed: ubuntu-nested-1 has no route to 100.100.1.2, a pod on ubuntu-nested-2: only its default route
    via 192.168.122.1 dev enp1s0 covers it
table:
  description: The table, line by line.
  returned: O(stage=table)
  type: list
  elements: str
  sample: ["                  checks  passed  failed", "pod to pod             6       6       0"]
"""

from ansible.module_utils.basic import AnsibleModule

OPTIONS = {
    "stage": {"type": "str", "choices": ["settings", "targets", "failures", "table"], "required": True},
    "results": {"type": "str"},
    "file": {"type": "path"},
    "nodes": {"type": "list", "elements": "str"},
    "outside": {"type": "list", "elements": "str", "default": []},
    "sample": {"type": "int", "default": 50},
    "masquerade": {"type": "bool", "default": True},
    "masquerade_ipv6": {"type": "bool"},
    "report": {"type": "path"},
    "files": {"type": "dict", "default": {}},
}
REQUIRED_IF = [
    ("stage", "targets", ("results",)),
    ("stage", "failures", ("results", "file")),
    ("stage", "table", ("results", "file")),
]


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, required_if=REQUIRED_IF, supports_check_mode=True)
    module.fail_json(msg="humanz.cni.pod_reachability runs on the controller: its action plugin was not found")


if __name__ == "__main__":
    main()
