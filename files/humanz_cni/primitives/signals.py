# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM and SIGINT: an operation ends while it waits, or before it says its result.

It never ends between a change and the note of what undoes it, nor while it undoes changes.
"""

from __future__ import annotations

import _signal

_SIGNALS = (_signal.SIGTERM, _signal.SIGINT)


class Terminated(BaseException):
    """The process was asked to end."""


class _State:
    asked = False
    waiting = False


def watch() -> None:
    """Take note of the signals from now on."""
    for number in _SIGNALS:
        _signal.signal(number, _note)


def check() -> None:
    """Raise Terminated if there was a signal."""
    if _State.asked:
        raise Terminated


def ignore() -> None:
    """Bring to an end what begins now, whatever signal comes or came."""
    _State.asked = False
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_IGN)


class Waiting:
    """A context manager in which a signal raises Terminated at once. Nothing may be changed in it."""

    def __enter__(self) -> None:
        _State.waiting = True
        check()

    def __exit__(self, *_exception: object) -> None:
        _State.waiting = False


def _note(_number: int, _frame: object) -> None:
    _State.asked = True
    if _State.waiting:
        _State.waiting = False
        raise Terminated
