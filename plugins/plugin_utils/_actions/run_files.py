# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of one verification hand to each other: files on the controller, one for all hosts.

Handing tables over in variables would copy and template them once for every host, and so cost the square of the
number of hosts. The files lie in the run's own temporary directory, which ansible-core removes.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from typing import Any

from ansible import constants


def write(prefix: str, content: dict[str, Any]) -> str:
    """Write *content* as JSON to a new file; return its path."""
    descriptor, path = tempfile.mkstemp(prefix="%s-" % prefix, suffix=".json", dir=constants.DEFAULT_LOCAL_TMP)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    return path


def read(path: str) -> dict[str, Any]:
    """Return what :func:`write` wrote."""
    with open(path, encoding="utf-8") as stream:
        content: dict[str, Any] = json.load(stream)
    return content


def run_id() -> str:
    """Return a short text that is the same in all tasks of this run, and another one in any other run."""
    return hashlib.sha256(os.path.basename(constants.DEFAULT_LOCAL_TMP).encode("utf-8")).hexdigest()[:10]
