# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module reads of the texts that stand for routes."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.validation import check_type_dict, check_type_list

from ansible_collections.humanz.cni.plugins.action import node_kernel
from ansible_collections.humanz.cni.plugins.plugin_utils._actions.node import as_texts

ROUTES = [
    {"dst": "100.100.1.0/24", "via": "200.0.0.20"},
    {"dst": "fd00:100:100:1::/64", "via": "fd00:200::20", "dev": "humanz-vxlan0"},
]


@pytest.mark.parametrize("route", ROUTES)
def test_a_module_reads_the_dict_again(route: dict[str, str]) -> None:
    (text,) = as_texts([route])
    assert isinstance(text, str)
    assert check_type_dict(text) == route


@pytest.mark.parametrize(("routes", "next_hops"), [([], []), (ROUTES[1:], []), (ROUTES, ["200.0.0.20"])])
def test_a_node_whose_peers_are_all_behind_a_router_and_one_without_peers(
    routes: list[dict[str, str]], next_hops: list[str]
) -> None:
    part = {"pod_ranges": ["100.100.0.0/24"], "routes": routes, "vxlan": None}
    action = object.__new__(node_kernel.ActionModule)
    assert check_type_list(action.from_plan(part, {})["next_hops"]) == next_hops
