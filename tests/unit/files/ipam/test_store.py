# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations on disk: what each step leaves, and how the pool uses them."""

from __future__ import annotations

import json
import posix
from pathlib import Path
from typing import Any

import pytest

from humanz_cni.config import ipam_keys, ranges
from humanz_cni.ipam import allocate, store
from humanz_cni.kernel.owner import Owner
from humanz_cni.primitives.address import Address
from humanz_cni.protocol.errors import CNIError

OWNER = Owner("net1", "pod1", "eth0")
BOOT = "this-boot"


@pytest.fixture
def reservations(tmp_path: Path) -> store.Store:
    made = store.Store(str(tmp_path / "deep" / "data"), "net1")
    made.create()
    return made


def reserve(
    reservations: store.Store, owner: Owner = OWNER, subnet: str = "10.9.0.0/24", boot: str = BOOT, **conf: Any
) -> str:
    """Reserve one address and return it."""
    sets = ranges.load({"subnet": subnet, **conf}, "ipam.")
    (one,) = allocate.reserve(reservations, owner, sets, [], boot, {"netns": "/run/netns/x"}, restored=True)
    return str(one.address)


def test_a_record_names_its_owner_and_is_found_by_address_and_by_owner(reservations: store.Store) -> None:
    assert reserve(reservations) == "10.9.0.2"

    record = json.loads((Path(reservations.path) / "10.9.0.2").read_text())
    assert record == reservations.record(OWNER) == reservations.record_of_address(Address.parse("10.9.0.2"))
    assert record.pop("time") > 1_600_000_000
    assert record == {
        "network": "net1", "containerID": "pod1", "ifname": "eth0", "addresses": ["10.9.0.2"], "boot": BOOT,
        "netns": "/run/netns/x",
    }  # fmt: skip
    assert {path.name for path in Path(reservations.path).iterdir()} == {"10.9.0.2", OWNER.host_veth, "lock"}
    assert {path.stat().st_mode & 0o777 for path in Path(reservations.path).iterdir()} == {0o600}


def test_releasing_gives_all_addresses_back_and_may_be_repeated(reservations: store.Store) -> None:
    sets = ranges.load({"ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]}, "ipam.")
    allocate.reserve(reservations, OWNER, sets, [], BOOT, {}, restored=True)

    with reservations.locked():
        assert reservations.remove(OWNER) == ["10.9.0.2", "fd00:9::2"]
        assert reservations.remove(OWNER) == []
    assert [path.name for path in Path(reservations.path).iterdir()] == ["lock"]


def test_an_address_that_went_to_somebody_else_is_not_released(reservations: store.Store) -> None:
    reserve(reservations)
    other = Owner("net1", "pod2", "eth0")
    (Path(reservations.path) / "10.9.0.2").unlink()
    reserve(reservations, other, rangeStart="10.9.0.2", rangeEnd="10.9.0.2")

    with reservations.locked():
        reservations.remove(OWNER)
    assert reservations.record(other)
    assert reservations.is_taken(Address.parse("10.9.0.2"))


def test_a_record_that_cannot_be_read_is_released_all_the_same(reservations: store.Store) -> None:
    reserve(reservations)
    reserve(reservations, Owner("net1", "pod2", "eth0"))
    (Path(reservations.path) / OWNER.host_veth).write_text("garbage")  # the address is a link to the same file

    with reservations.locked():
        assert reservations.remove(OWNER) == ["10.9.0.2"]
    assert reservations.addresses() == {"10.9.0.3"}


def test_another_boot_starts_with_an_empty_pool(reservations: store.Store) -> None:
    first = reserve(reservations)
    assert reserve(reservations, boot="next-boot") != first

    assert reservations.addresses() == {"10.9.0.3"}


@pytest.mark.parametrize("state", ["", "{", "[]", '{"boot": "this-boot"}', '{"boot": "this-boot", "last": {"0": "x"}}'])
def test_a_damaged_lock_file_only_loses_the_place(reservations: store.Store, state: str) -> None:
    reserve(reservations)
    (Path(reservations.path) / "lock").write_text(state)

    assert reserve(reservations, Owner("net1", "pod2", "eth0")) == "10.9.0.3"
    assert json.loads((Path(reservations.path) / "lock").read_text()) == {"boot": BOOT, "last": {"0": "10.9.0.3"}}


def test_a_shorter_state_leaves_no_rest_of_the_longer_one(reservations: store.Store) -> None:
    reserve(reservations, subnet="100.100.100.0/24", boot="a-boot-with-a-very-long-name")
    reserve(reservations, Owner("net1", "pod2", "eth0"), subnet="10.9.0.0/24", boot="b")

    assert json.loads((Path(reservations.path) / "lock").read_text())["boot"] == "b"


def test_the_lock_has_a_limit(reservations: store.Store) -> None:
    reserve(reservations)
    with reservations.locked():
        with pytest.raises(CNIError, match="is locked by another process") as caught, reservations.locked(seconds=0.05):
            raise AssertionError("both hold the lock")
        assert caught.value.code == 11
    with reservations.locked(seconds=0.05):
        pass


def test_many_taken_addresses_in_a_row_are_passed(reservations: store.Store) -> None:
    reserve(reservations)
    for value in range(3, 2000):
        (Path(reservations.path) / str(Address(32, (10 << 24) + (9 << 16) + value))).touch()

    assert reserve(reservations, Owner("net1", "pod2", "eth0"), subnet="10.9.0.0/16") == "10.9.7.208"


def test_a_full_pool_beyond_the_lookups_is_reported_with_its_figures(reservations: store.Store) -> None:
    reserve(reservations)
    for value in range(3, 1023):
        (Path(reservations.path) / str(Address(32, (10 << 24) + (9 << 16) + value))).touch()

    with pytest.raises(allocate.Exhausted) as caught:
        reserve(reservations, Owner("net1", "pod2", "eth0"), subnet="10.9.0.0/22")
    assert caught.value.details == "1021 of 1021 addresses are used"


def test_a_durable_store_writes_through_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(posix, "fsync", synced.append)
    for durable, count in ((False, 0), (True, 2)):
        made = store.Store(str(tmp_path / str(durable)), "net1", durable)
        made.create()
        reserve(made)
        assert len(synced) == count


def test_an_address_is_given_back_when_the_lock_file_cannot_be_written(
    reservations: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.State, "remember", full)
    with pytest.raises(OSError, match="No space left"):
        reserve(reservations)
    assert reservations.names() == []


@pytest.mark.parametrize("addresses", [5, [5], [5, None], ["a\0b"], ["\ud800"], ["10.9.0.2/../x"], ["10.9.0.2", "x"]])
def test_a_damaged_record_is_released_with_the_address_that_it_is(reservations: store.Store, addresses: Any) -> None:
    reserve(reservations)
    record = Path(reservations.path, "10.9.0.2")
    record.write_text(json.dumps({"addresses": addresses}))
    with pytest.raises(CNIError, match="duplicate allocation is not allowed"):
        reserve(reservations)
    with reservations.locked():
        assert reservations.remove(OWNER)
    assert reservations.names() == []


def test_records_are_found_without_the_lock_file(reservations: store.Store) -> None:
    reserve(reservations)
    Path(reservations.path, "lock").unlink()
    assert reservations.exists()


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"ipam": {"type": "host-local", "dataDir": "/a"}, "dataDir": "/b"}, ("/a", True)),
        ({"ipam": {"type": "host-local"}, "dataDir": "/b"}, (ipam_keys.DATA_DIR, False)),
        ({"ipam": {"dataDir": "/a"}, "subnet": "10.9.0.0/24"}, (ipam_keys.DATA_DIR, False)),
        ({"dataDir": "/b", "subnet": "10.9.0.0/24"}, ("/b", True)),
        ({"dataDir": "/x/\ud800"}, (ipam_keys.DATA_DIR, False)),
        ({"dataDir": "x\0"}, (ipam_keys.DATA_DIR, False)),
    ],
)
def test_del_looks_where_add_reserved(conf: dict[str, Any], expected: tuple[str, bool]) -> None:
    assert ipam_keys.data_dir(conf) == expected
