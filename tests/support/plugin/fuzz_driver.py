# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends malformed requests to the plugin in this process; none of them attaches anything. To be run on a node.

Arguments: how many requests, and a number that makes them others than another run's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from humanz_cni import main
from humanz_cni.primitives import files
from tests.support.plugin import fuzz

READ_ALL, WRITE_ALL = files.read_all, files.write_all


class Streams:
    """Standard input, output and error output of the plugin in this process."""

    def __init__(self, data: bytes) -> None:
        self.left = data
        self.printed = {1: b"", 2: b""}

    def read(self, descriptor: int, limit: int = files.LARGEST) -> bytes:
        if descriptor != 0:
            return READ_ALL(descriptor, limit)
        data, self.left = self.left, b""
        return data

    def write(self, descriptor: int, data: bytes) -> None:
        if descriptor in self.printed:
            self.printed[descriptor] += data
        else:
            WRITE_ALL(descriptor, data)


def answer(sent: fuzz.Sent) -> tuple[int, bytes, bytes]:
    """Return exit status, output and error output of the plugin, as if it were a process of its own."""
    streams = Streams(sent.data)
    files.read_all, files.write_all = streams.read, streams.write
    main._read_what_comes = lambda: streams.read(0)
    sys.excepthook = lambda *exception: streams.write(2, "".join(traceback.format_exception(*exception)).encode())
    opened = os.listdir("/proc/self/fd")
    try:
        code = main.run({name.encode(): value for name, value in sent.environment.items()}, time.monotonic())
    finally:
        files.read_all, files.write_all, sys.excepthook = READ_ALL, WRITE_ALL, sys.__excepthook__
    if len(os.listdir("/proc/self/fd")) > len(opened):
        gc.collect(1)
        for descriptor in set(os.listdir("/proc/self/fd")) - set(opened):
            with contextlib.suppress(OSError):  # that which listed them is closed already
                os.close(int(descriptor))
    return code, streams.printed[1], streams.printed[2]


def state() -> list[str]:
    """Return the names of links, and of all files where the plugin may write; directories and locks may come."""
    files = [os.path.join(where, name) for where, _below, names in os.walk("/run") for name in names if name != "lock"]
    return sorted(files) + [line.split(":")[0] for line in Path("/proc/net/dev").read_text().splitlines()[2:]]


def run(examples: int, number: int) -> None:
    """Send *examples* requests; raises AssertionError with the smallest one that is answered wrongly."""
    before = state()

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(fuzz.requests())
    def every_request_is_answered(sent: fuzz.Sent) -> None:
        code, output, error = answer(sent)
        assert not fuzz.problem(sent, code, output, error), (fuzz.problem(sent, code, output, error), output, error)
        assert state() == before

    every_request_is_answered()


run(int(sys.argv[1]), int(sys.argv[2]))
