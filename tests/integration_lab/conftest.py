# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of the tests' own, beside which the user's lab may be up."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from tests.support.lab.lab_under_test import LabUnderTest, circumstances


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure how the machine and the labs on it are, as the cause may be there."""
    report = yield
    if report.failed:
        report.sections.append(("the machine and its nodes", circumstances()))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest comes first, so that another worker does the others meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_operations.py")


@pytest.fixture(scope="session")
def image() -> None:
    """The node image, so that no test's time contains its build."""
    if os.geteuid() != 0:
        pytest.fail("these tests need root: they make network namespaces and containers")
    LabUnderTest("image").run("image")


@pytest.fixture(scope="session")
def lab(image: None) -> Iterator[LabUnderTest]:
    """A lab of three nodes that all tests share, or all that one worker does."""
    under_test = LabUnderTest("humanz-test" + os.environ.get("PYTEST_XDIST_WORKER", ""))
    try:
        under_test.run("down")  # what a run that was killed has left
        under_test.run("up")
        yield under_test
    finally:
        under_test.run("down")
