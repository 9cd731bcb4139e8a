# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks of the plugin, against Python's own ipaddress."""

from __future__ import annotations

import ipaddress

import pytest

from humanz_cni.primitives.address import Address, Network

ADDRESSES = ["0.0.0.0", "10.9.0.1", "255.255.255.255", "::", "::1", "fd00:9::2", "2001:db8:0:1:1:1:1:1", "fe80::1"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_text_and_number_are_those_of_ipaddress(text: str) -> None:
    address, known = Address.parse(text), ipaddress.ip_address(text)

    assert str(address) == str(known)
    assert (address.value, address.packed, address.bits) == (int(known), known.packed, known.max_prefixlen)


def test_ipv4_within_ipv6_is_ipv4() -> None:
    assert str(Address.parse("::ffff:10.9.0.1")) == "10.9.0.1"
    assert Address.parse("::ffff:10.9.0.1") == Address.parse("10.9.0.1")


@pytest.mark.parametrize(
    "text",
    ["", " ", "10.9.0", "10.9.0.1 ", "10.9.0.256", "010.9.0.1", "0x0a.9.0.1", "10.9.0.1/24", "fe80::1%eth0", ":::",
     "1::2::3", "10.9.0.1\n", "10.9.0.1\0", "\uff11\uff10.9.0.1"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["10.9.0.0/24", "10.9.0.77/24", "0.0.0.0/0", "10.9.0.1/32", "fd00:9::5/64", "::/0"])
def test_networks_are_those_of_ipaddress(text: str) -> None:
    network, known = Network.parse(text), ipaddress.ip_interface(text).network

    assert str(network) == text
    assert str(network.first) == str(known.network_address)
    assert str(network.last) == str(known.broadcast_address)


@pytest.mark.parametrize(
    "text", ["10.9.0.0", "10.9.0.0/", "10.9.0.0/33", "fd00::/129", "10.9.0.0/-1", "10.9.0.0/+8", "10.9.0.0/8 ", "/8",
             "10.9.0.0/255.255.0.0", "10.9.0.0/8/8", "10.9.0.0/\u0662\u0664", "10.9.0.0/0000000000000000024"],
)  # fmt: skip
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Network.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("10.0.0.0/8", "10.9.0.0/24", True),
        ("10.9.0.0/24", "10.9.1.0/24", False),
        ("10.9.0.0/24", "10.9.0.0/24", True),
        ("0.0.0.0/0", "::/0", False),
    ],
)
def test_overlap(one: str, other: str, overlap: bool) -> None:
    assert Network.parse(one).overlaps(Network.parse(other)) is overlap
    assert Network.parse(other).overlaps(Network.parse(one)) is overlap


def test_membership_heeds_family_and_both_ends() -> None:
    network = Network.parse("10.9.0.0/30")

    inside = [
        text
        for text in ("10.8.255.255", "10.9.0.0", "10.9.0.3", "10.9.0.4", "::10.9.0.1")
        if Address.parse(text) in network
    ]
    assert inside == ["10.9.0.0", "10.9.0.3"]
