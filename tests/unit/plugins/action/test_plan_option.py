# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option plan, a path on the controller, is the same for every module whose action plugin reads it."""

from __future__ import annotations

import importlib

import pytest
import yaml

from ansible_collections.humanz.cni.plugins.doc_fragments._plan import ModuleDocFragment

MODULES = (
    "cni_conf",
    "node_kernel",
    "node_preflight",
    "node_routes",
    "node_vxlan",
    "pod_bridge",
    "pod_firewall",
    "pod_network_info",
)


class SeenError(Exception):
    """Ends a module when it has said what options it takes."""


@pytest.mark.parametrize("name", MODULES)
def test_it_is_documented_once_and_taken_as_documented(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(**arguments: object) -> None:
        raise SeenError(arguments["argument_spec"])

    module = importlib.import_module(f"ansible_collections.humanz.cni.plugins.modules.{name}")
    monkeypatch.setattr(module, "AnsibleModule", seen)
    with pytest.raises(SeenError) as taken:
        module.main()
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["plan"]
    assert taken.value.args[0]["plan"] == {"type": documented["type"]} == {"type": "str"}
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert "plan" not in documentation["options"]
    assert "humanz.cni._plan" in documentation["extends_documentation_fragment"]
