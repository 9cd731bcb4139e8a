# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of programs, as a process and as systemd says them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._runtimes import processes

SHOWN = (
    "ExecStart={ path=/usr/bin/containerd ; argv[]=/usr/bin/containerd --config /etc/a.toml ; ignore_errors=no ;"
    " start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n"
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("containerd", None),
        ("containerd --config /a", "/a"),
        ("containerd --config=/a", "/a"),
        ("containerd -c /a", "/a"),
        ("containerd -l debug -c=/a", "/a"),
        ("containerd -config /a", "/a"),
        ("containerd --config", ""),
        ("containerd config dump", None),
    ],
)
def test_the_value_of_an_option(words: str, expected: str | None) -> None:
    assert processes.option(words.split(), "config", "c") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((0, SHOWN, ""), ["/usr/bin/containerd", "--config", "/etc/a.toml"]),
        ((0, "ExecStart=\n", ""), []),
        ((1, "", "System has not been booted with systemd"), []),
    ],
)
def test_the_command_line_of_a_unit(answer: tuple[int, str, str], expected: list[str]) -> None:
    assert processes.of_unit(lambda _command, **_options: answer, "containerd.service") == expected


def test_a_process_is_found_by_its_name() -> None:
    name = os.path.basename(Path("/proc/self/cmdline").read_text(encoding="utf-8").split("\0")[0])
    assert os.getpid() in [process.pid for process in processes.named(name)]
    assert processes.named("no-such-program") == []
