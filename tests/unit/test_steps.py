# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tests/run --help`` says what each step does."""

from __future__ import annotations

import re
import subprocess

from tests.support import ROOT

RUN = ROOT / "tests" / "run"


def test_the_help_has_a_line_for_each_step() -> None:
    shown = subprocess.run([RUN, "--help"], check=True, capture_output=True, text=True).stdout
    described = re.findall(r"^(\w+)  +\S", shown, re.MULTILINE)
    assert sorted(described) == sorted(re.findall(r"^step_(\w+)\(\)", RUN.read_text(encoding="utf-8"), re.MULTILINE))
