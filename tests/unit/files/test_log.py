# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a log line says, and that nothing in a request can break it."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from humanz_cni import log
from humanz_cni.protocol import request
from humanz_cni.protocol.errors import CNIError


def asked(conf: Any, **further: str) -> request.Request:
    """Return a request with the configuration *conf*."""
    made = request.from_environment({b"CNI_COMMAND": b"VERSION"})
    made.command, made.container_id, made.ifname, made.netns = "ADD", "pod1", "eth0", "/run/netns/pod1"
    made.conf = conf
    for name, value in further.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A socket in the journal's place."""
    path = str(tmp_path / "socket")
    monkeypatch.setattr(log, "JOURNAL", path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    server.setblocking(False)
    return server


def entry(journal: socket.socket) -> dict[str, str]:
    """Return the fields of the next datagram."""
    return dict(line.split("=", 1) for line in journal.recv(1 << 20).decode().splitlines())


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nPRIORITY=0", "a PRIORITY=0"), ("\x1b[2J", " [2J"), ("\ud800", " "), ("\u2028", " ")]
)
def test_no_value_makes_a_line_or_a_command_of_its_own(journal: socket.socket, name: str, shown: str) -> None:
    log.operation(asked({"name": name}), time.monotonic(), error=CNIError(7, "bad\nname"))

    fields = entry(journal)
    assert fields["CNI_NETWORK"] == shown
    assert fields["PRIORITY"] == "3"
    assert fields["MESSAGE"].endswith("error=7 bad name")


def test_no_conf_at_all_is_a_line_all_the_same(journal: socket.socket) -> None:
    log.operation(asked(None), time.monotonic(), error=CNIError(6, "no JSON"))

    assert entry(journal)["CNI_CODE"] == "6"


@pytest.mark.parametrize("conf", [{"name": 7}, {"name": []}, {"logLevel": {}, "logFile": {}}, {}], ids=str)
def test_any_conf_is_a_line(journal: socket.socket, conf: dict[str, Any]) -> None:
    log.operation(asked(conf), time.monotonic(), ["10.9.0.2/24"])

    assert entry(journal)["CNI_ADDRESSES"] == "10.9.0.2/24"


def test_a_value_that_json_does_not_have_costs_nothing_but_the_line(journal: socket.socket) -> None:
    deep: list[Any] = []
    for _level in range(100_000):
        deep = [deep]
    log.operation(asked({"name": "net1", "logLevel": "debug", "deep": deep}), time.monotonic())

    with pytest.raises(BlockingIOError):
        journal.recv(1)
