# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the plugin's tests: the installed executable, and a runtime that calls it on a node of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import installed_plugin
from tests.support.netns.node import Node
from tests.support.plugin.runtime import Runtime


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin of this checkout, installed for the system's Python or the one that ``HUMANZ_PYTHON`` names."""
    interpreter = os.environ.get("HUMANZ_PYTHON", "/usr/bin/python3")
    return installed_plugin.install(tmp_path_factory.mktemp("plugin"), interpreter)


@pytest.fixture
def runtime(node: Node, executable: Path) -> Runtime:
    """A container runtime on a node of its own."""
    return Runtime(node, executable)
