# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells everybody of a network namespace: also what comes and goes faster than anybody could look."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

PATIENCE = 60  # seconds, for a machine that is busy with something else


class Monitor:
    """A *command* that prints events in the namespace at the path *namespace*; hears all, as it listens from the start.

    Its *lines* so far have the times when they were read. A context manager, which ends the command.
    """

    def __init__(self, namespace: str, *command: str) -> None:
        self.lines: list[tuple[float, str]] = []
        enter = ["nsenter", f"--net={namespace}", "--"]
        self._process = subprocess.Popen([*enter, *command], stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until_it_listens()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((time.monotonic(), " ".join(line.split())))

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _listens(self._process.pid):
            assert time.monotonic() < deadline, f"{self._process.args!r} does not listen"
            time.sleep(0.002)

    def up_to(self, sign: str) -> list[str]:
        """Wait for a line with *sign* in it, and return those before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = [line for _time, line in self.lines]
            for number, line in enumerate(lines):
                if sign in line:
                    return lines[:number]
            assert time.monotonic() < deadline, f"{self._process.args!r} has not said {sign}, but {lines}"
            time.sleep(0.002)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, _type: type | None, _value: BaseException | None, _traceback: TracebackType | None) -> None:
        self._process.kill()
        self._reader.join()
        self._process.communicate()


def _listens(pid: int) -> bool:
    """Return whether the process has a netlink socket that has joined a group."""
    try:
        sockets = [line.split() for line in Path(f"/proc/{pid}/net/netlink").read_text(encoding="ascii").splitlines()]
        joined = {f"socket:[{row[9]}]" for row in sockets[1:] if int(row[3], 16)}
        return any(str(link.readlink()) in joined for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has just ended, or closed something
        return False
