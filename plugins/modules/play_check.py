#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin play_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: play_check
short_description: Require that each task runs on all hosts before the next, and that no host has failed
version_added: 0.1.0
description:
  - Fails unless the play's strategy runs each task on all hosts before it begins the next, as C(linear) does and
    C(free) does not. What looks at all nodes before the first is changed needs that.
  - Fails if Ansible was told not to fail for undefined variables (C(error_on_undefined_vars)), as text that was meant
    to be a variable's value would get into files and rules.
  - With O(hosts) and O(results), fails unless all of these hosts have what they registered, and none has failed. A host
    that could not be reached does not count.
  - Fails with what they registered as C(problems) without having failed, each of them once, as
    M(humanz.cni.node_preflight) does with O(humanz.cni.node_preflight#module:defer_problems).
  - With O(group) as well, fails if nodes would silently drop large packets of other nodes' pods, which is told by
    RV(humanz.cni.node_preflight#module:mtus).
  - Runs on the controller only. No node is connected to, so use it with C(run_once).
options:
  hosts:
    description:
      - The hosts that took part when this module was called before, as it returned them.
      - A host of them that fails meanwhile, in whatever task, has failed here too.
    type: list
    elements: str
  results:
    description:
      - The name of a variable that all of O(hosts) were to register since. A host without it has failed before.
      - A host that is still in the play, and in no rescue section, may lack it, as C(when) keeps it from a role that is
        included.
      - Without it, any of O(hosts) that has left the play has failed.
    type: str
  group:
    description:
      - The inventory group of the cluster's nodes, whose MTUs are compared. All of its hosts that have registered
        O(results) in this run count, also those of earlier batches and plays.
    type: str
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, and so has no differences to show.
    support: none
  platform:
    description: What the controller runs.
    support: full
    platforms: posix
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Require a strategy that runs each task on all hosts before the next
  humanz.cni.play_check:
  register: play
  run_once: true

- name: Check each node
  humanz.cni.node_preflight:
    plan: "{{ cluster.plan }}"
    defer_problems: true
  register: preflight

- name: Stop if any node reported a problem
  humanz.cni.play_check:
    hosts: "{{ play.hosts }}"
    results: preflight
    group: k8s_cluster
  run_once: true
"""

RETURN = r"""
hosts:
  description: The hosts of the play's batch that have neither failed nor been unreachable.
  returned: success
  type: list
  elements: str
  sample: [ubuntu-nested-1, ubuntu-nested-2]
"""

from ansible.module_utils.basic import AnsibleModule

OPTIONS = {"hosts": {"type": "list", "elements": "str"}, "results": {"type": "str"}, "group": {"type": "str"}}


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    module.fail_json(msg="humanz.cni.play_check runs on the controller: its action plugin was not found")


if __name__ == "__main__":
    main()
