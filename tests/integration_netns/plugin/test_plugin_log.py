# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line per operation, in the journal or in a file; whatever becomes of it, operations do not notice."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.plugin.journal import SOCKET, Journal
from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested

CONF = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion="1.1.0")
KUBERNETES = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0"
VALID = "cni.dev/valid-attachments"


def attach_and_detach(runtime: Runtime, conf: dict[str, Any]) -> None:
    """Carry out an ADD and a DEL that must succeed."""
    runtime.add(conf, ARGS=KUBERNETES)
    runtime.delete(conf, ARGS=KUBERNETES)


def test_the_journal_gets_a_line_and_its_fields_for_each_operation(runtime: Runtime) -> None:
    with Journal(runtime.node) as journal:
        result = runtime.add(CONF, ARGS=KUBERNETES)
        runtime.call("CHECK", {**CONF, "prevResult": result}, ARGS=KUBERNETES)
        runtime.delete(CONF, ARGS=KUBERNETES)
        runtime.add(CONF, "pod2")
        runtime.call("GC", {**CONF, VALID: []}, **NO_POD)
        entries = journal.entries()

    assert [entry["CNI_COMMAND"] for entry in entries] == ["ADD", "CHECK", "DEL", "ADD", "GC"]
    added = entries[0]
    taken = added.pop("CNI_DURATION_USEC")
    assert 0 < int(taken) < 60_000_000
    message = added.pop("MESSAGE")
    milliseconds = r"\d+\.\d"
    assert re.fullmatch(
        "ADD network=net1 container=pod1 ifname=eth0 pod=shop/cart-0 "
        f"ms={milliseconds} ok 10\\.9\\.0\\.2/24,fd00:9::2/64",
        message,
    )
    assert added == {
        "SYSLOG_IDENTIFIER": "humanz-cni", "PRIORITY": "6", "CNI_COMMAND": "ADD", "CNI_NETWORK": "net1",
        "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/pod1", "CNI_POD": "shop/cart-0",
        "CNI_ADDRESSES": "10.9.0.2/24,fd00:9::2/64", "CNI_CODE": "0",
    }  # fmt: skip
    assert entries[2]["CNI_ADDRESSES"] == "10.9.0.2,fd00:9::2"
    assert sorted(entries[4]["CNI_ADDRESSES"].split(",")) == ["10.9.0.3", "fd00:9::3"]
    assert "CNI_CONTAINERID" not in entries[4]


FAILURES: dict[str, tuple[str, Any, dict[str, str | None], str, str]] = {
    "namespace": ("ADD", CONF, {"NETNS": "/run/netns/gone"}, "3", "error=3 failed to open netns"),
    "configuration": ("ADD", {**CONF, "mtu": "high"}, {}, "7", 'error=7 mtu: "high"'),
    "name": ("DEL", {**CONF, "name": "a/b"}, {}, "7", "network=a/b"),
    "no JSON": ("ADD", b"no json", {}, "6", "error=6 error unmarshall network config"),
    "lines and colours": ("ADD", {**CONF, "name": "a\n\x1b[31mb"}, {}, "7", "network=a  [31mb"),
    "half a character": ("ADD", {**CONF, "name": "a\ud800b"}, {}, "7", "network=a b"),
    "STATUS": ("STATUS", {**CONF, "mtu": -1}, dict.fromkeys(NO_POD), "7", "error=7 mtu: -1"),
}


@pytest.mark.parametrize(("command", "conf", "environment", "code", "said"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_an_error_in_the_journal(
    runtime: Runtime, command: str, conf: Any, environment: dict[str, str | None], code: str, said: str
) -> None:
    with Journal(runtime.node) as journal:
        runtime.fail(command, conf, **environment)
        (entry,) = journal.entries()

    assert (entry["PRIORITY"], entry["CNI_CODE"], entry["CNI_COMMAND"]) == ("3", code, command)
    assert said in entry["MESSAGE"]


def test_what_may_succeed_later_is_a_warning_with_the_pools_figures(runtime: Runtime) -> None:
    small = nested(("10.9.0.0/30",))
    runtime.add(small, "pod1")
    runtime.pod("pod2")
    with Journal(runtime.node) as journal:
        runtime.fail("ADD", small, "pod2")
        (entry,) = journal.entries()

    assert (entry["PRIORITY"], entry["CNI_CODE"]) == ("4", "11")
    assert entry["MESSAGE"].endswith("10.9.0.1-10.9.0.2 (1 of 1 addresses are used)")


def test_at_debug_level_the_request_is_there_as_it_was_parsed(runtime: Runtime) -> None:
    conf = {**CONF, "logLevel": "debug", "unheard": ["of"]}
    with Journal(runtime.node) as journal:
        runtime.add(conf, ARGS=KUBERNETES)
        outcome, asked = journal.entries()

    assert outcome["MESSAGE"].startswith("ADD network=net1 ")
    assert asked["PRIORITY"] == "7"
    start = "ADD request "
    assert asked["MESSAGE"].startswith(start)
    parsed = json.loads(asked["MESSAGE"][len(start) :])
    assert parsed["conf"] == conf
    assert (parsed["args"], parsed["netns"], parsed["ifname"]) == (KUBERNETES, "/run/netns/pod1", "eth0")


@pytest.mark.parametrize(("level", "count"), [(None, 0), ("info", 0), ("debug", 2), ("off", 0)])
def test_a_status_that_is_well_is_worth_a_line_at_debug_level_only(
    runtime: Runtime, level: str | None, count: int
) -> None:
    with Journal(runtime.node) as journal:
        assert runtime.call("STATUS", {**CONF, "logLevel": level}, **NO_POD) == Outcome(0, "", "")
        assert len(journal.entries()) == count


def test_it_can_be_turned_off(runtime: Runtime) -> None:
    conf = {**CONF, "logLevel": "off", "logFile": "/run/humanz_cni.log"}
    with Journal(runtime.node) as journal:
        attach_and_detach(runtime, conf)
        runtime.fail("ADD", conf, NETNS="/run/netns/gone")
        assert journal.entries() == []
    assert runtime.node.run("test", "-e", "/run/humanz_cni.log", check=False).returncode == 1


def test_a_file_takes_the_journals_place(runtime: Runtime) -> None:
    conf = {**CONF, "logLevel": "debug", "logFile": "/run/humanz_cni.log"}
    with Journal(runtime.node) as journal:
        runtime.add(conf, ARGS=KUBERNETES)
        assert journal.entries() == []

    outcome, asked = runtime.node.run("cat", "/run/humanz_cni.log").stdout.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ADD network=net1 .* ok 10\.9\.0\.2/24,", outcome)
    assert json.loads(asked.partition(" ADD request ")[2])["conf"] == conf


@pytest.mark.parametrize("file", ["relative.log", 7, None, ["/run/x"], ""])
@pytest.mark.parametrize("level", ["loud", 7, None])
def test_keys_that_are_wrong_leave_it_to_the_journal(runtime: Runtime, file: Any, level: Any) -> None:
    with Journal(runtime.node) as journal:
        attach_and_detach(runtime, {**CONF, "logFile": file, "logLevel": level})
        assert len(journal.entries()) == 2


PLACES = {
    "no directory": "true",
    "no socket": "mkdir -p /run/systemd/journal",
    "a file": f"mkdir -p /run/systemd/journal; touch {SOCKET}",
    "a directory": f"mkdir -p {SOCKET}",
    "a link to nothing": f"mkdir -p /run/systemd/journal; ln -s nowhere {SOCKET}",
    "a pipe": f"mkdir -p /run/systemd/journal; mkfifo {SOCKET}",
}


@pytest.mark.parametrize("command", PLACES.values(), ids=PLACES)
def test_a_journal_that_is_not_there_fails_nothing(runtime: Runtime, command: str) -> None:
    runtime.node.run("sh", "-c", command)

    attach_and_detach(runtime, {**CONF, "logLevel": "debug"})


def test_a_journal_that_is_gone_fails_nothing(runtime: Runtime) -> None:
    with Journal(runtime.node) as journal:
        journal.entries()

    attach_and_detach(runtime, CONF)


def test_a_journal_that_takes_nothing_is_not_waited_for(runtime: Runtime) -> None:
    with Journal(runtime.node, full=True) as journal:
        attach_and_detach(runtime, CONF)  # or it waits for ever
        assert {entry["MESSAGE"] for entry in journal.entries()} == {"noise"}


def test_a_request_larger_than_a_datagram_fails_nothing(runtime: Runtime) -> None:
    with Journal(runtime.node) as journal:
        attach_and_detach(runtime, {**CONF, "logLevel": "debug", "unheard": "x" * 1_000_000})
        entries = journal.entries()

    assert [entry["CNI_COMMAND"] for entry in entries] == ["ADD", "ADD", "DEL", "DEL"]
    assert len(entries[1]["MESSAGE"]) == 65536


def test_names_of_the_largest_size_are_cut_and_not_lost(runtime: Runtime) -> None:
    with Journal(runtime.node) as journal:
        arguments = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=" + "\u20ac" * 40_000
        runtime.add(CONF, ARGS=arguments)
        (entry,) = journal.entries()

    assert len(entry["CNI_POD"].encode()) > 16_000
    assert 65_000 < len(entry["MESSAGE"].encode()) <= 65_536


@pytest.mark.parametrize("place", ["/nonexistent/log", "/dev/full", "/run", "/run/pipe", "/run/link", "/run/hard"])
def test_a_file_that_cannot_be_written_fails_nothing(runtime: Runtime, place: str) -> None:
    runtime.node.run("sh", "-c", "cd /run; mkfifo pipe; touch theirs; ln -s theirs link; ln theirs hard")

    attach_and_detach(runtime, {**CONF, "logFile": place})

    assert runtime.node.run("cat", "/run/theirs").stdout == ""
