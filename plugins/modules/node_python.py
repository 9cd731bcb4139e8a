#!/usr/bin/python
# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install pyroute2 where a node has none."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_python
short_description: Install pyroute2 where a node has none
version_added: 0.1.0
description:
  - Ensures that the Python that runs Ansible's modules on the node can import pyroute2.
  - Where it can already, for example with the distribution's package C(python3-pyroute2), nothing is done.
  - Elsewhere the controller's own pyroute2, which is pure Python, is put into
    O(library_dir) as C(pyroute2.zip), about half a megabyte. The node needs no internet access, and nothing
    that others import changes.
  - Without this module the other modules bring the same copy for each single call.
options:
  state:
    description:
      - V(present) puts the copy there if it is needed.
      - V(absent) removes it. A pyroute2 of the node's own stays.
    type: str
    choices: [present, absent]
    default: present
  library_dir:
    description:
      - The directory that the copy is put into. From another one that was used before it is removed.
    type: path
    default: /usr/local/lib/humanz-cni
extends_documentation_fragment:
  - humanz.cni._attributes
  - humanz.cni._pyroute2
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
- name: Install pyroute2
  humanz.cni.node_python:

- name: Remove pyroute2
  humanz.cni.node_python:
    state: absent
"""

RETURN = r"""
own:
  description: Whether the node has a pyroute2 of its own.
  returned: success
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._node.pyroute2_archive import Archive
from ..module_utils._shared.converge import converge


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "library_dir": {"type": "path", "default": "/usr/local/lib/humanz-cni"},
            "pyroute2_archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    converge(module, lambda module: Archive(module, module.params["pyroute2_archive"]))


if __name__ == "__main__":
    main()
