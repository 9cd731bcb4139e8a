# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interpreter says when it cannot compile the plugin is told in one line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._cni.library import Interpreter, Library
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError
from tests.support import installed_plugin
from tests.support.installed_plugin import SOURCE

TRACE = """Traceback (most recent call last):
  File "<string>", line 50, in <module>
OSError: [Errno 28] No space left on device
"""


class Full:
    """AnsibleModule.run_command, of which the *last*-th call that compiles anything fails."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self, command: list[str], **options: Any) -> tuple[int, str, str]:
        self.left -= any("compile(" in word for word in command)
        return installed_plugin.run(command, **options) if self.left else (1, "", TRACE)


def test_a_disk_that_is_full_while_the_plugin_is_compiled_is_named_without_a_traceback(tmp_path: Path) -> None:
    files = {path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in SOURCE.rglob("*.py")}
    interpreter = Interpreter(sys.executable, installed_plugin.run)
    said = "%s cannot compile the plugin in %s: No space left on device" % (sys.executable, tempfile.gettempdir())
    # Before Python 3.11 there is nothing to compile for the interpreter's own start.
    for last in (1, 2) if sys.version_info >= (3, 11) else (1,):
        with pytest.raises(ConvergeError) as failed:
            Library(files, interpreter, str(tmp_path), Full(last)).install()
        assert str(failed.value) == said
        assert list(tmp_path.iterdir()) == []
