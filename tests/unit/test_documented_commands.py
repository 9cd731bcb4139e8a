# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a page tells a reader to type is run by a test: each command is in the table, with the test that runs it."""

from __future__ import annotations

import pytest

from tests.support import ROOT, documented_commands
from tests.support.documented_commands import NO_TEST

PAGES = documented_commands.pages()
TABLE = documented_commands.table()
RUNNERS = [(page, test) for page, tests in TABLE.items() for test in tests if test != NO_TEST]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_in_the_table_and_none_is_there_in_vain(page: str) -> None:
    listed = [command for commands in TABLE.get(page, {}).values() for command in commands]
    typed = [command.text for command in documented_commands.read(page)] + documented_commands.read_sentences(page)
    assert sorted(listed) == sorted(typed), "tests/documented_commands.yml names the test that runs each command"


def test_the_table_has_no_page_that_is_gone() -> None:
    assert set(TABLE) <= set(PAGES)


@pytest.mark.parametrize(("page", "test"), RUNNERS)
def test_the_test_reads_the_page(page: str, test: str) -> None:
    """What is in a page and not in the test's expectations is then seen by that test."""
    assert page.rpartition("/")[2] in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", TABLE)
def test_a_command_that_no_test_runs_has_its_reason(page: str) -> None:
    reasons = TABLE[page].get(NO_TEST) or {}
    assert isinstance(reasons, dict)
    assert all(len(str(reason).split()) > 3 for reason in reasons.values())
