# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VLAN keys: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from humanz_cni.config import vlan_keys
from humanz_cni.protocol.errors import CNIError

PVID_UNTAGGED, TAGGED = 6, 0


def members(bridge: str = "br1", **conf: Any) -> list[tuple[int, int]]:
    """Return the members of the port that *conf* wants."""
    loaded = vlan_keys.load(conf, bridge)
    assert loaded is not None
    return loaded.members


@pytest.mark.parametrize("conf", [{}, {"vlan": 0}, {"vlan": None, "vlanTrunk": None}, {"preserveDefaultVlan": True}])
def test_without_a_vlan_there_is_nothing_to_do(conf: dict[str, Any]) -> None:
    assert vlan_keys.load(conf, "br1") is None


def test_the_keys_mean_what_they_mean_to_the_reference() -> None:
    assert members(vlan=100) == [(100, PVID_UNTAGGED)]
    assert members(vlan=4094, vlanTrunk=[{"id": 7}]) == [(4094, PVID_UNTAGGED), (7, TAGGED)]
    assert members(vlanTrunk=[{"id": 9}, {"minID": 3, "maxID": 5}, {"id": 4}]) == [
        (1, PVID_UNTAGGED), (3, TAGGED), (4, TAGGED), (5, TAGGED), (9, TAGGED),
    ]  # fmt: skip
    assert members(vlanTrunk=[{"id": 9, "minID": 3, "maxID": 3}], vlan=3) == [(3, PVID_UNTAGGED), (9, TAGGED)]
    assert members(vlanTrunk=[]) == []


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"vlan": -1}, "invalid VLAN ID -1 (must be between 0 and 4094)"),
        ({"vlan": 4095}, "invalid VLAN ID 4095 (must be between 0 and 4094)"),
        ({"vlan": "100"}, "vlan: "),
        ({"vlan": True}, "vlan: "),
        ({"vlan": []}, "vlan: "),
        ({"vlanTrunk": {"id": 1}}, "vlanTrunk: "),
        ({"vlanTrunk": [7]}, "vlanTrunk[0]: "),
        ({"vlanTrunk": [{"minID": 5, "maxID": 4}]}, "minID is greater than maxID in trunk parameter"),
        ({"vlanTrunk": [{"minID": 5}]}, "minID and maxID should be configured simultaneously, maxID is missing"),
        ({"vlanTrunk": [{"maxID": 5}]}, "minID and maxID should be configured simultaneously, minID is missing"),
        ({"vlanTrunk": [{"minID": 0, "maxID": 4}]}, "incorrect trunk minID parameter"),
        ({"vlanTrunk": [{"minID": 1, "maxID": 4095}]}, "incorrect trunk maxID parameter"),
        ({"vlanTrunk": [{"id": 4095}]}, "incorrect trunk id parameter"),
        ({"vlanTrunk": [{"id": "7"}]}, "incorrect trunk id parameter"),
        ({"vlan": 1, "preserveDefaultVlan": "no"}, "preserveDefaultVlan: "),
        ({"vlan": 1000, "bridge": "abcdefghijk"}, "bridge: "),
    ],
)
def test_a_wrong_value_is_refused_in_the_references_words(conf: dict[str, Any], message: str) -> None:
    with pytest.raises(CNIError) as caught:
        members(**conf)
    assert caught.value.message.startswith(message)
    assert caught.value.code == 7
