# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records are nobody's, by what they say and by what the kernel shows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from humanz_cni import collect, reclaim, store
from humanz_cni.errors import CNIError
from humanz_cni.owner import Owner

OWNER = Owner("net1", "pod1", "eth0")
BOOT = "this-boot"
NOW = 1_800_000_000
RECORD: dict[str, Any] = {
    **OWNER.document(), "addresses": ["10.9.0.2"], "boot": BOOT, "netns": "/nowhere", "time": 1000, "pod": "",
}  # fmt: skip
VALID = "cni.dev/valid-attachments"


@pytest.mark.parametrize(
    ("further", "links", "stale"),
    [
        ({}, set(), True),
        ({}, {OWNER.host_veth}, False),
        ({}, {"veth1"}, True),
        ({"netns": "/proc/self/ns/net"}, set(), False),
        ({"netns": "/dev/null"}, set(), True),
        ({"netns": "/proc"}, set(), True),
        ({"netns": ""}, set(), True),
        ({"time": NOW}, set(), False),
        ({"time": NOW + 3600}, set(), True),
        ({"boot": "earlier"}, {OWNER.host_veth}, True),
        ({"link": "veth7"}, {"veth7"}, False),
        ({"link": "veth7"}, {OWNER.host_veth}, True),
    ],
)
def test_a_record(further: dict[str, Any], links: set[str], stale: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    assert reclaim.is_stale({**RECORD, **further}, BOOT, links) is stale


@pytest.mark.parametrize("key", ["boot", "network", "containerID", "ifname", "time", "netns"])
@pytest.mark.parametrize("damage", ["missing", 7, None, [], {}])
def test_a_record_that_cannot_be_read(key: str, damage: Any) -> None:
    """A number is a time, and any name that is text names somebody."""
    record = {**RECORD, key: damage}
    if damage == "missing":
        del record[key]
    elif (key, damage) == ("time", 7):
        record["time"] = []
    with pytest.raises((KeyError, TypeError, ValueError)):
        reclaim.is_stale(record, BOOT, set())


class Kernel(reclaim.Evidence):
    """Evidence without a kernel."""

    def __init__(self, links: set[str], held: set[str] | None) -> None:
        super().__init__(BOOT)
        self._links = links
        self._held = held


def stale_names(reservations: store.Store, evidence: Kernel, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the records that are stale."""
    monkeypatch.setattr(reclaim, "Evidence", lambda _boot: evidence)
    return set(reclaim.stale(reservations, BOOT))


@pytest.mark.parametrize(
    ("links", "held", "stale"),
    [
        (set(), set(), {OWNER.host_veth, "10.9.0.2", "10.9.0.3"}),
        ({OWNER.host_veth}, {"10.9.0.2"}, {"10.9.0.3"}),
        ({OWNER.host_veth}, None, set()),  # the kernel cannot tell which addresses pods have
    ],
)
def test_unreadable_records_go_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: set[str], held: set[str] | None, stale: set[str]
) -> None:
    reservations = store.Store(str(tmp_path), "net1")
    reservations.create()
    for name in (OWNER.host_veth, "10.9.0.2", "10.9.0.3"):
        Path(reservations.path, name).write_text("garbage")

    assert stale_names(reservations, Kernel(links, held), monkeypatch) == stale


@pytest.mark.parametrize(
    "conf",
    [{}, {VALID: None}, {VALID: {}}, {VALID: "x"}, {VALID: [7]}, {VALID: [{}]}, {VALID: [{"containerID": "a"}]}],
    ids=str,
)
def test_a_list_of_valid_attachments_that_is_none_is_refused(conf: dict[str, Any]) -> None:
    with pytest.raises(CNIError) as raised:
        collect.valid(conf, "net1")
    assert raised.value.code == 7


def test_a_list_of_valid_attachments() -> None:
    (one,) = collect.valid({VALID: [{"containerID": "pod1", "ifname": "eth0", "more": 1}]}, "net1")
    assert one.host_veth == OWNER.host_veth
    assert collect.valid({"cni.dev/attachments": []}, "net1") == []
