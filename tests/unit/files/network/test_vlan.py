# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VLANs of a bridge's ports: the messages to the kernel, whose part is played here."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest

from humanz_cni.config import vlan_keys
from humanz_cni.kernel import links, netlink
from humanz_cni.network import vlan
from humanz_cni.protocol.errors import CNIError

PVID_UNTAGGED, TAGGED = 6, 0


def wanted(bridge: str = "br1", **conf: Any) -> vlan_keys.Vlans:
    """Return the VLANs that *conf* wants."""
    loaded = vlan_keys.load(conf, bridge)
    assert loaded is not None
    return loaded


class Kernel(netlink.Socket):
    """Takes the place of a netlink socket; port 12 is in VLANs 1 and 5, and *refused* is the errno of any change."""

    def __init__(self, refused: int = 0) -> None:
        self.requests: list[tuple[int, int, bytes]] = []
        self._refused = refused

    def request(self, *messages: tuple[int, int, bytes], after: Iterable[tuple[int, int, bytes]] = ()) -> None:
        """Note the *messages*."""
        if self._refused:
            raise netlink.NetlinkError(self._refused, "Operation not supported")
        self.requests += [*messages, *after]

    def get(self, _message: tuple[int, int, bytes], *_before: tuple[int, int, bytes]) -> bytes:
        """Return the link that is asked for, whichever it is."""
        return links.LINK.pack(0, 1, 12, 0, 0) + netlink.text(links.IFLA_IFNAME, "vethx")

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the ports of all bridges, as RTM_GETLINK of the family of bridges does."""
        assert (kind, body[0], body[16:]) == (18, 7, struct.pack("=HHI", 8, 29, 2))
        return [
            links.LINK.pack(7, 1, 11, 0, 0) + spec((7, 0)),
            links.LINK.pack(7, 1, 12, 0, 0) + netlink.text(links.IFLA_IFNAME, "vethx") + spec((1, 6), (5, 0)),
        ]


def spec(*vlans: tuple[int, int]) -> bytes:
    """Return IFLA_AF_SPEC of (VLAN, flags), as linux/if_bridge.h lays it out."""
    entries = b"".join(struct.pack("=HHHH", 8, 2, flags, one) for one, flags in vlans)
    return struct.pack("=HH", 4 + len(entries), 26 | 0x8000) + entries


def request(kind: int, *vlans: tuple[int, int]) -> tuple[int, int, bytes]:
    """Return the request of type *kind* for *vlans* of port 12."""
    return kind, 0, struct.pack("=BxHiII", 7, 0, 12, 0, 0) + spec(*vlans)


def test_a_port_leaves_the_vlans_that_the_bridge_gave_it_and_joins_its_own() -> None:
    kernel = Kernel()
    vlan.confine(kernel, "vethx", wanted(vlan=100, vlanTrunk=[{"id": 7}]))
    assert kernel.requests == [request(17, (1, 6), (5, 0)), request(19, (100, PVID_UNTAGGED), (7, TAGGED))]


def test_a_port_that_has_vanished_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_message: tuple[int, int, bytes], *_before: tuple[int, int, bytes]) -> bytes:
        raise netlink.NetlinkError(links.ENODEV, "No such device")

    kernel = Kernel()
    monkeypatch.setattr(kernel, "get", get)
    with pytest.raises(CNIError, match=r"^interface vethx has vanished during ADD$") as caught:
        vlan.confine(kernel, "vethx", wanted(vlan=100))
    assert (caught.value.code, kernel.requests) == (11, [])


def test_the_default_vlan_is_kept_where_that_is_wanted() -> None:
    kernel = Kernel()
    vlan.confine(kernel, "vethx", wanted(vlan=100, preserveDefaultVlan=True))
    assert kernel.requests == [request(19, (100, PVID_UNTAGGED))]


def test_an_empty_trunk_leaves_a_port_as_it_is() -> None:
    kernel = Kernel()
    vlan.confine(kernel, "vethx", wanted(vlanTrunk=[]))
    assert kernel.requests == []


def test_a_whole_trunk_fits_in_one_message() -> None:
    kernel = Kernel()
    vlan.confine(kernel, "vethx", wanted(vlanTrunk=[{"minID": 1, "maxID": 4094}]))
    assert len(kernel.requests[-1][2]) == 16 + 4 + 4094 * 8


@pytest.mark.parametrize(
    ("conf", "named"), [({"vlan": 100}, "vlan: 100"), ({"vlanTrunk": [{"id": 7}]}, "vlanTrunk: [7]")]
)
def test_a_kernel_that_cannot_is_named(conf: dict[str, Any], named: str) -> None:
    for attempt in (vlan.confine, vlan.ensure_filtering):
        with pytest.raises(CNIError) as caught:
            attempt(Kernel(refused=95), "br1", wanted(**conf))
        assert caught.value.code == 2
        assert caught.value.message == f"{named} is not supported: this kernel has no VLAN filtering for bridges"
