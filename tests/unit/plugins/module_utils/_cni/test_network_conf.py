# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration's text, and whose a file is."""

from __future__ import annotations

import json

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._cni import network_conf


def test_list_is_stable_and_readable() -> None:
    plugin = network_conf.plugin_conf("humanz-cni0", ["100.100.0.0/24"], True, 1500)
    text = network_conf.conflist_text("humanz-cni", "1.0.0", [], plugin, ["bandwidth", "portmap"])
    assert text.startswith('{\n  "cniVersion": "1.0.0",\n  "name": "humanz-cni",\n  "plugins": [\n    {\n      "type"')
    assert text.endswith("}\n")
    assert [entry["type"] for entry in json.loads(text)["plugins"]] == ["humanz-cni", "bandwidth", "portmap"]
    assert "cniVersions" not in text


def test_every_family_has_a_range_and_a_default_route() -> None:
    ipam = network_conf.plugin_conf("b", ["fd00:1::/64", "100.100.0.0/24"], False)["ipam"]
    assert ipam == {
        "type": "host-local",
        "ranges": [[{"subnet": "fd00:1::/64"}], [{"subnet": "100.100.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
    }


@pytest.mark.parametrize(
    ("cidrs", "ipv6_link_local", "disabled"),
    [
        (["100.100.0.0/24"], False, True),
        (["100.100.0.0/24"], True, None),
        (["100.100.0.0/24", "fd00:1::/64"], False, None),
        (["fd00:1::/64"], False, None),
    ],
)
def test_ipv6_is_off_where_pods_have_none_unless_it_is_to_be_kept(
    cidrs: list[str], ipv6_link_local: bool, disabled: bool | None
) -> None:
    conf = network_conf.plugin_conf("b", cidrs, False, ipv6_link_local=ipv6_link_local)
    assert conf.get("disableIPv6") is disabled
    blog = json.loads(network_conf.conf_text("n", "b", "100.100.0.0/16", cidrs[0], ipv6_link_local))
    assert blog.get("disableIPv6") is (False if ipv6_link_local else None)


def test_blog_order_and_indentation() -> None:
    text = network_conf.conf_text("n", "b", "100.100.0.0/16", "100.100.0.0/24")
    assert list(json.loads(text)) == ["cniVersion", "name", "type", "bridge", "network", "subnet"]
    assert text.splitlines()[1] == '    "cniVersion": "0.3.1",'


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('{"type": "humanz-cni"}', True),
        ('{"plugins": [{"type": "humanz-cni"}, {"type": "portmap"}]}', True),
        ('{"type": "humanz-cni", "plugins": [{"type": "bridge"}]}', False),
        ('{"plugins": {"type": "humanz-cni"}}', False),
        ('{"type": "bridge", "bridge": "humanz-cni0"}', False),
        ('{"plugins": [null]}', False),
        ("null", False),
        ("humanz-cni", False),
        ("", False),
    ],
)
def test_is_ours(text: str, ours: bool) -> None:
    assert network_conf.is_ours(text) is ours
