# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that names another dataDir from one operation to the next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.plugin.runtime import Outcome, Runtime, nested

NOTES = "/run/humanz-cni/.elsewhere"
DIRECTORIES = [None, "/var/lib/a", "/var/lib/b/"]


def at(data_dir: str | None, **further: Any) -> dict[str, Any]:
    """Return a configuration whose records are in *data_dir*, None for the default one."""
    conf = nested(**further)
    conf["ipam"]["dataDir"] = data_dir
    return conf


def records(runtime: Runtime) -> list[str]:
    """Return the paths of all records, wherever they are."""
    return [path for where in ("/run/humanz-cni", "/var/lib/a", "/var/lib/b") for path in runtime.records(where)]


@pytest.mark.parametrize("after", DIRECTORIES)
@pytest.mark.parametrize("before", DIRECTORIES)
def test_del_finds_the_record_where_add_left_it(runtime: Runtime, before: str | None, after: str | None) -> None:
    runtime.add(at(before))
    assert len(records(runtime)) == 2

    runtime.delete(at(after))

    assert records(runtime) == []


def test_both_records_go_of_a_pod_that_the_new_directory_has_been_told_of(runtime: Runtime) -> None:
    runtime.add(at("/var/lib/a"), "pod1")
    runtime.add(at("/var/lib/b"), "pod2")
    assert len(records(runtime)) == 6

    runtime.delete(at("/var/lib/b"), "pod1")

    assert {json.loads(text)["containerID"] for text in runtime.records("/var/lib/b").values()} == {"pod2"}
    assert runtime.records("/var/lib/a") == {}


def test_an_ipam_type_of_somebody_else_now(runtime: Runtime) -> None:
    runtime.add(at("/var/lib/a"))
    outcome = runtime.call("DEL", {**nested(), "ipam": {"type": "nowhere"}})

    assert (outcome.status, outcome.document["code"]) == (1, 2)
    assert records(runtime) == []


def test_other_attachments_records_stay(runtime: Runtime) -> None:
    runtime.add(at("/var/lib/a"), "pod1")
    runtime.add(at("/var/lib/a"), "pod1", "eth1")
    runtime.add(at("/var/lib/a", name="net2", bridge="br2"), "pod1", "eth2")

    runtime.delete(at(None), "pod1")

    assert sorted(json.loads(text)["ifname"] for text in runtime.records("/var/lib/a").values()) == [
        "eth1", "eth1", "eth2", "eth2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [f"rm -r {NOTES}", f"rm -r {NOTES}; touch {NOTES}", f"touch {NOTES}/x", f"ln -s loop {NOTES}/loop",
     f"ln -sfn /dev/null {NOTES}/null", "rm -r /var/lib/a; ln -s a /var/lib/a"],
)  # fmt: skip
def test_damaged_notes_fail_nothing(runtime: Runtime, damage: str) -> None:
    runtime.add(at("/var/lib/a"), "pod1")
    runtime.node.run("sh", "-c", damage)

    runtime.delete(at("/var/lib/b"), "pod1")
    assert runtime.call("ADD", at("/var/lib/b"), "pod1").status == 0
    runtime.delete(at("/var/lib/b"), "pod1")

    assert runtime.records("/var/lib/b") == {}


def test_a_place_for_notes_that_is_read_only_fails_nothing(runtime: Runtime) -> None:
    runtime.node.run("mkdir", "/run/humanz-cni")
    runtime.node.run("mount", "--bind", "-o", "ro", "/run/humanz-cni", "/run/humanz-cni")
    runtime.pod("pod1")

    assert runtime.call("ADD", at("/var/lib/a")).status == 0
    assert runtime.call("DEL", at("/var/lib/a")) == Outcome(0, "", "")
