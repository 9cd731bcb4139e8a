# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results, each by the shape that its version of the specification has."""

from __future__ import annotations

from typing import Any

import pytest

from humanz_cni.commands import result
from humanz_cni.config import netconf, ranges, routes
from humanz_cni.ipam import allocate
from humanz_cni.protocol import request, versions
from tests.support import result_shape

INTERFACES = (
    ("br1", b"\x0a\0\0\0\0\1", ""),
    ("veth0", b"\x0a\0\0\0\0\2", ""),
    ("eth0", b"\x0a\0\0\0\0\3", "/run/netns/x"),
)


def document(version: str) -> dict[str, Any]:
    """Return a dual-stack result with routes for a configuration of *version*."""
    asked = request.Request()
    asked.args = ""
    asked.conf = {"cniVersion": version, "name": "net1", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}
    sets = ranges.load({"ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]}, "ipam.")
    chosen = [allocate.Assignment(one[0].end, one[0]) for one in sets]
    given = routes.load(
        [{"dst": "0.0.0.0/0", "gw": "10.9.0.1", "mtu": 1400, "table": 100}, {"dst": "fd00::/8"}], "ipam.routes"
    )
    return result.document(netconf.load(asked), list(INTERFACES), chosen, given, {})


@pytest.mark.parametrize("version", [one for one in versions.SUPPORTED if one not in versions.WITHOUT_INTERFACES])
def test_shape(version: str) -> None:
    assert result_shape.problems(document(version), version) == []


def test_what_is_in_it() -> None:
    assert document("1.0.0") == {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "br1", "mac": "0a:00:00:00:00:01"},
            {"name": "veth0", "mac": "0a:00:00:00:00:02"},
            {"name": "eth0", "mac": "0a:00:00:00:00:03", "sandbox": "/run/netns/x"},
        ],
        "ips": [
            {"interface": 2, "address": "10.9.0.254/24", "gateway": "10.9.0.1"},
            {"interface": 2, "address": "fd00:9::ffff:ffff:ffff:ffff/64", "gateway": "fd00:9::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1"}, {"dst": "fd00::/8"}],
        "dns": {},
    }


def test_the_shape_checker_sees_what_is_wrong() -> None:
    right = document("1.0.0")
    for wrong in (
        {**right, "cniVersion": "0.3.1"},
        {**right, "extra": 1},
        {**right, "ips": [{**right["ips"][0], "version": "4"}]},
        {**right, "ips": [{**right["ips"][0], "interface": 9}]},
        {**right, "interfaces": [{"name": "x", "mac": "nonsense"}]},
        {**right, "routes": [{"dst": "0.0.0.0/0", "mtu": 1400}]},
    ):
        assert result_shape.problems(wrong, "1.0.0")
    assert result_shape.problems(right, "0.4.0")
