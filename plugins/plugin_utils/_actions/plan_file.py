# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on its way from ``cluster_plan`` to the other modules: a file on the controller that vanishes with the run.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail

from ...module_utils._shared.files import write_text


def write(plan: dict[str, Any]) -> str:
    """Write *plan* to a file whose name follows from what is in it; return its path."""
    text = json.dumps(plan)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, "humanz-cni-plan-%s.json" % digest)
    write_text(path, text, 0o600)
    return path


def read(path: str) -> dict[str, Any]:
    """Return what :func:`write` wrote to the file *path*. Raises AnsibleActionFail."""
    try:
        with open(path, encoding="utf-8") as stream:
            plan: dict[str, Any] = json.load(stream)
    except (OSError, ValueError) as exc:
        raise AnsibleActionFail(
            "plan: %s cannot be read (%s): it takes the plan that humanz.cni.cluster_plan returned in this run"
            % (path, exc)
        ) from exc
    return plan
