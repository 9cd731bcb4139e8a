# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records are nobody's, by what they say and by what the kernel shows."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from humanz_cni.ipam import stale, store
from humanz_cni.kernel import netlink, netns
from humanz_cni.kernel.owner import Owner

OWNER = Owner("net1", "pod1", "eth0")
BOOT = "this-boot"
NOW = 1_800_000_000
RECORD: dict[str, Any] = {
    **OWNER.document(), "addresses": ["10.9.0.2"], "boot": BOOT, "netns": "/nowhere", "time": 1000, "pod": "",
}  # fmt: skip


def own_identity() -> str:
    """Return the identity of the namespace that the tests are in."""
    descriptor = os.open(netns.HOST, os.O_RDONLY)
    try:
        return netns.identity(descriptor, netlink.Socket())
    finally:
        os.close(descriptor)


IDENTITY = own_identity()


@dataclass
class Link:
    """What reclaiming looks at of a link."""

    name: str
    alias: str = ""
    mac: bytes = b""
    kind: str = "veth"
    index: int = 1


class Kernel(stale.KernelView):
    """A view without a kernel."""

    def __init__(self, links: Sequence[Link] = (), held: set[str] | None = None) -> None:
        super().__init__(BOOT)
        self._ports = cast(Any, links)
        self._addresses = held


@pytest.mark.parametrize(
    ("further", "links", "expected"),
    [
        ({}, [], True),
        ({}, [Link(OWNER.host_veth)], False),
        ({}, [Link("veth1")], True),
        ({}, [Link("other", OWNER.alias)], False),
        ({}, [Link("other", "theirs", OWNER.host_mac)], False),
        ({}, [Link(OWNER.host_veth, "theirs")], True),
        ({}, [Link(OWNER.host_veth, Owner("net1", "pod2", "eth0").alias)], True),
        ({}, [Link(OWNER.host_veth, kind="dummy")], True),
        ({"netns": "/proc/self/ns/net"}, [], True),  # the node's own
        ({"netns": "/proc/self/ns/net", "namespace": IDENTITY}, [], False),
        ({"netns": "/proc/self/ns/net", "namespace": IDENTITY[:-1] + "x"}, [], True),  # made again, with the same inode
        ({"netns": "/proc/self/ns/net", "namespace": "4:7:"}, [], True),
        ({"netns": "/proc/self/ns/uts", "namespace": IDENTITY}, [], True),
        ({"netns": "/proc/self/ns/uts"}, [], False),  # an older record; it is not opened
        ({"netns": "/dev/null", "namespace": IDENTITY}, [], True),
        ({"netns": "/dev/null"}, [], True),
        ({"netns": "/proc"}, [], True),
        ({"netns": ""}, [], True),
        ({"time": NOW}, [], False),
        ({"time": NOW + 3600}, [], True),
        ({"boot": "earlier"}, [Link(OWNER.host_veth)], True),
        ({"link": "veth7"}, [Link("veth7")], False),
        ({"link": "veth7"}, [Link(OWNER.host_veth)], True),
        ({"link": "veth7", "index": 7}, [Link("renamed", index=7)], False),
        ({"link": "veth7", "index": 7}, [Link("veth7", index=8)], True),
    ],
)
def test_a_record(further: dict[str, Any], links: list[Link], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    assert stale.is_stale({**RECORD, **further}, Kernel(links)) is expected


@pytest.mark.parametrize("key", ["boot", "network", "containerID", "ifname", "time", "netns", "namespace", "link"])
@pytest.mark.parametrize("damage", ["missing", 7, None, [], {}])
def test_a_record_that_cannot_be_read(key: str, damage: Any) -> None:
    """A number is a time, and any name that is text names somebody."""
    record = {**RECORD, "netns": "/proc/self/ns/net", "namespace": IDENTITY, "link": "x", key: damage}
    if key != "link":
        del record["link"]
    if damage == "missing" or (key, damage) == ("namespace", None):
        record["netns"] = []
        del record[key]
    elif (key, damage) == ("time", 7):
        record["time"] = []
    with pytest.raises((KeyError, TypeError, ValueError)):
        stale.is_stale(record, Kernel())


def stale_names(reservations: store.Store, evidence: Kernel, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the records that are stale."""
    monkeypatch.setattr(stale, "KernelView", lambda _boot: evidence)
    return set(stale.find(reservations, BOOT))


@pytest.mark.parametrize(
    ("links", "held", "expected"),
    [
        ([], set(), {OWNER.host_veth, "10.9.0.2", "10.9.0.3"}),
        ([Link(OWNER.host_veth)], {"10.9.0.2"}, {"10.9.0.3"}),
        ([Link("renamed", OWNER.alias)], {"10.9.0.2"}, {"10.9.0.3"}),
        ([Link(OWNER.host_veth)], None, set()),  # the kernel cannot tell which addresses pods have
    ],
)
def test_unreadable_records_go_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: list[Link], held: set[str] | None, expected: set[str]
) -> None:
    reservations = store.Store(str(tmp_path), "net1")
    reservations.create()
    for name in (OWNER.host_veth, "10.9.0.2", "10.9.0.3"):
        Path(reservations.path, name).write_text("garbage")

    assert stale_names(reservations, Kernel(links, held), monkeypatch) == expected
