# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appends each result, whole, as one line of JSON to the file that the environment variable RECORD names."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """A callback plugin."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._record(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._record(result, failed=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._record(result)

    def _record(self, result: Any, **outcome: bool) -> None:
        """Write a task's result down, with the *outcome*, as Ansible takes that away from what callbacks get."""
        with open(os.environ["RECORD"], "a", encoding="utf-8") as stream:
            json.dump([result._host.name, {**result._result, **outcome}], stream, default=str)
            stream.write("\n")
