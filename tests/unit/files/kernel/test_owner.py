# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and hardware addresses that follow from the owner and the address alone."""

from __future__ import annotations

import pytest

from humanz_cni.kernel.owner import Owner, mac_of
from humanz_cni.primitives.address import Address


def test_names_of_ten_thousand_attachments_differ_and_fit() -> None:
    owners = [Owner("net1", "%064x" % number, "eth0") for number in range(10000)]

    assert len({owner.host_veth for owner in owners}) == len(owners)
    assert all(len(owner.host_veth) == 15 and owner.host_veth.startswith("veth") for owner in owners)
    assert all(owner.host_mac[0] & 3 == 2 and len(owner.host_mac) == 6 for owner in owners)


def test_the_three_parts_of_the_key_are_kept_apart() -> None:
    assert Owner("a", "bc", "d").host_veth != Owner("ab", "c", "d").host_veth
    assert Owner("a", "b", "cd").alias != Owner("a", "bc", "d").alias


def test_an_alias_is_read_back() -> None:
    owner = Owner.from_alias("humanz-cni net1 pod1 eth0")

    assert owner is not None
    assert (owner.network, owner.container_id, owner.ifname) == ("net1", "pod1", "eth0")
    assert owner.host_veth == Owner("net1", "pod1", "eth0").host_veth


@pytest.mark.parametrize("alias", ["", "humanz-cni", "other net1 pod1 eth0", "humanz-cni a b", "humanz-cni a b c d"])
def test_an_alias_of_somebody_else(alias: str) -> None:
    assert Owner.from_alias(alias) is None


def test_a_hardware_address_is_the_ip_addresss_last_bytes() -> None:
    assert mac_of(Address.parse("100.100.1.5")).hex(":") == "0a:58:64:64:01:05"
    macs = {mac_of(Address.parse(text)) for text in ("fd00:9::5", "fd00:9::1:0:5", "fd00:8::5", "10.9.0.5")}
    assert len(macs) == 4
    assert all(mac[0] & 3 == 2 for mac in macs)  # locally administered, of one station
