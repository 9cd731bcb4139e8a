# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down which task changed what on which host, so that a run in check mode can be held against the real one."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: recorded_changes
type: aggregate
short_description: Record every change of a run
description:
  - Writes C(PLAYBOOK-check.json) or C(PLAYBOOK-real.json) into the directory that the environment variable
    E(RECORDED_CHANGES) names. A file that is there already is kept, so that the first run of a kind counts.
requirements:
  - enabled in the configuration
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorded_changes"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.playbook = ""
        self.changes: list[tuple[str, str, Any]] = []

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_runner_on_ok(self, result: Any) -> None:
        outcome = result._result
        if outcome.get("changed"):
            self.changes.append((result._host.get_name(), result._task.get_name(), outcome.get("diff")))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        directory = os.environ.get("RECORDED_CHANGES")
        if not directory:
            return
        kind = "check" if context.CLIARGS["check"] else "real"
        path = os.path.join(directory, "%s-%s.json" % (self.playbook, kind))
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as stream:
                json.dump(sorted(self.changes, key=lambda change: change[:2]), stream, indent=1)
