# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every requirement of the specification has a test that is named after it, or a reason why it cannot have one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import specification

TESTS = Path(__file__).resolve().parents[2]
_NUMBER = re.compile(r"(?:\bS-|(?<![a-z])s_)(\d{3})(?!\d)")


@pytest.fixture(scope="module")
def named() -> set[int]:
    """The numbers of requirements in the ids of all tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
    places = [str(TESTS / "unit"), str(TESTS / "integration_netns")]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False, cwd=TESTS.parent)
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return {int(number) for one in ids for number in _NUMBER.findall(one)}


def test_every_requirement_is_tested_or_excused(named: set[int]) -> None:
    assert specification.ROWS.keys() - named == specification.NOT_TESTED.keys()


def test_no_test_is_named_after_a_requirement_that_there_is_not(named: set[int]) -> None:
    assert named <= specification.ROWS.keys()


def test_a_reason_is_a_sentence() -> None:
    assert all(len(reason.split()) > 5 for reason in specification.NOT_TESTED.values())
