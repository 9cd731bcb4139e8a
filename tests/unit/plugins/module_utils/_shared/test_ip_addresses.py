# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks from outside are read in exactly their notation, and refused values are shown safely."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action import pod_reachability
from ansible_collections.humanz.cni.plugins.module_utils._routing import static_routes
from ansible_collections.humanz.cni.plugins.module_utils._shared import ip_addresses, option_checks
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError

CODE = "{{ lookup('pipe', 'id') }}"
ZONES = ("fe80::1%eth0", "2001:db8::1%", "2001:db8::1%" + CODE, "fe80::1%1\nroute flush table main")
NO_ADDRESSES = [
    *ZONES,
    "",
    "1",
    "1.2.3",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "1.2.3.4/32",
    "0x1.2.3.4",
    "\u0661.2.3.4",
    7,
    b"1234",
]
NO_NETWORKS = [
    "fd00::%x/64",
    "fd00::/64%x",
    "10.0.0.0/255.0.0.0",
    "10.0.0.0/0.255.255.255",
    "10.0.0.0/ 8",
    "10/8",
    7,
    "",
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_not_exactly_an_address_is_refused(text: Any) -> None:
    assert not ip_addresses.is_address(text)
    with pytest.raises(ValueError, match=r"is not an IP address$|does not appear to be"):
        ip_addresses.address(text)


@pytest.mark.parametrize("text", NO_NETWORKS)
def test_what_is_not_exactly_a_network_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a network in CIDR notation$|does not appear to be"):
        ip_addresses.network(text)


def test_notations_of_one_address_are_one() -> None:
    assert str(ip_addresses.address("FD00:0::01")) == "fd00::1"
    assert str(ip_addresses.network("FD00:0::/64")) == "fd00::/64"
    assert str(ip_addresses.network("10.0.0.1")) == "10.0.0.1/32"


@pytest.mark.parametrize("zone", ZONES)
def test_modules_refuse_a_zone(zone: str) -> None:
    with pytest.raises(ConvergeError, match=r"node_ip: .* it must be an address such as 200\.0\.0\.10"):
        option_checks.addresses("node_ip", [zone])
    with pytest.raises(ConvergeError, match=r"pod_cidrs: .* it must be a network such as 100\.100\.0\.0/24"):
        option_checks.networks("pod_cidrs", [zone + "/128"])
    _routes_of, (problem,) = static_routes.parse_routes([{"dst": "fd00::/64", "via": zone}], 217, 254)
    assert "is not an IP address" in problem


@pytest.mark.parametrize("text", ["200.0.0.10", "fd00::/64", "ubuntu-nested-1", "a, b", "None"])
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert ip_addresses.shown(text) == text


@pytest.mark.parametrize(
    "text", [CODE, "{% set a = 1 %}", "{# a #}", "\x1b[2J", "\x9b2J", "\u202e", "a\nb", "<b>", "x" * 99]
)
def test_what_could_be_obeyed_is_shown_in_plain_letters(text: str) -> None:
    said = ip_addresses.shown(text)
    assert said.isascii()
    assert said.isprintable()
    assert not set("{}") & set(said)
    assert len(said) < 320


@pytest.mark.parametrize("place", ["addresses", "node_addresses", "gateways"])
def test_a_node_whose_probe_names_no_addresses_is_a_line_of_the_table(place: str) -> None:
    result: dict[str, Any] = {"pod": {"addresses": ["100.0.1.2"], "port": 7217}, "node_addresses": [], "gateways": []}
    result["lacked"] = []
    good = {"pod": ["100.0.1.2"], "port": 7217, "own": [], "gateways": [], "lacked": []}
    assert pod_reachability.node(result) == good
    (result["pod"] if place == "addresses" else result)[place] = ["fe80::1%" + CODE]
    said = r"""it says that "fe80::1%\x7b\x7b lookup('pipe', 'id') \x7d\x7d" is an address"""
    assert pod_reachability.node(result) == {"error": said}
