# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that announce a hardware address, byte by byte."""

from __future__ import annotations

from humanz_cni import announce
from humanz_cni.address import Address

MAC = bytes.fromhex("0a0000000001")


def test_an_ipv4_address_is_announced_by_arp() -> None:
    assert announce.frame(MAC, Address.parse("10.9.0.5")).hex() == (
        "ffffffffffff" "0a0000000001" "0806"  # to all, from the pod, ARP
        "0001" "0800" "06" "04" "0001"  # a request
        "0a0000000001" "0a090005" "000000000000" "0a090005"
    )  # fmt: skip


def test_an_ipv6_address_is_announced_by_a_neighbour_advertisement() -> None:
    frame = announce.frame(MAC, Address.parse("fd00:9::5"))
    assert frame.hex() == (
        "333300000001" "0a0000000001" "86dd"  # to all nodes, from the pod, IPv6
        "60000000" "0020" "3a" "ff"  # 32 bytes of ICMPv6, hop limit 255
        "fd000009000000000000000000000005" "ff020000000000000000000000000001"
        "88" "00" + frame[56:58].hex() + "20000000"  # an advertisement that overrides what is known
        "fd000009000000000000000000000005" "0201" "0a0000000001"
    )  # fmt: skip
    # The sum of all that the checksum is about, itself included, is zero in ones' complement.
    covered = frame[22:54] + (32).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:]
    assert sum(int.from_bytes(covered[place : place + 2], "big") for place in range(0, len(covered), 2)) % 0xFFFF == 0
