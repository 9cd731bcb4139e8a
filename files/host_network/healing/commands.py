# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands that read and change the kernel's state."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Result = tuple[int, str, str]  # a command's status, output and error output
    Run = Callable[..., Result]  # called with a command, a list, and with a text as its input or none


class Refused(Exception):
    """A command failed; the text says which, and why."""


def run(command: list[str], data: str | None = None) -> Result:
    """Run *command*, a list, with the text *data* as its input; return its status, output and error output."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, text=True, errors="replace", check=False)
    except OSError as exc:
        raise Refused("%s: %s" % (command[0], exc.strerror)) from exc
    return done.returncode, done.stdout, done.stderr


def output_of(command: list[str]) -> str:
    """Return what *command* prints; Refused if it fails."""
    status, output, error = run(command)
    if status:
        raise Refused("%s: %s" % (" ".join(command), error.strip()))
    return output


def refusals(result: Result) -> dict[int, str]:
    """Return ``{number of the line: reason}`` of what ``ip -force -batch -`` says in *result*."""
    status, _output, error = result
    refused, reason = {}, "no reason given"
    for line in error.splitlines():
        if line.startswith("Command failed -:"):
            refused[int(line.rpartition(":")[2])] = reason
        else:
            reason = line
    if status and not refused:
        raise Refused("ip -batch: %s" % (error.strip() or "exit code %d" % status))
    return refused
