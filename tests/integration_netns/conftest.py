# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests in real namespaces. They need root, and fail without it.

The head of the run says which Pythons the plugin is run by.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.support import pythons
from tests.support.netns.node import Node, wire_up


def pytest_report_header() -> list[str]:
    """Name what is proven, and what is not."""
    return pythons.header()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the plugin's tests last: with many short files at the end, all workers come to it at the same time."""
    items.sort(key=lambda item: item.path.parent.name == "plugin")


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.fail("the tests in tests/integration_netns need root: they make network namespaces", pytrace=False)


@pytest.fixture
def make_node() -> Iterator[Callable[[], Node]]:
    """Return a function that makes a node; each of them ends with the test."""
    nodes: list[Node] = []

    def make() -> Node:
        nodes.append(Node())
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()


@pytest.fixture
def node(make_node: Callable[[], Node]) -> Node:
    """One node, with nothing but ``lo``, which is up."""
    return make_node()


@pytest.fixture
def nested(make_node: Callable[[], Node]) -> Node:
    """A node of the topology ubuntu-nested, see ``node.wire_up``."""
    return wire_up(make_node(), make_node())


@pytest.fixture
def run_module(node: Node) -> Callable[..., dict[str, object]]:
    """Run a module on ``node``: ``run_module(name, args, check=False, diff=False, python=…)`` returns its result."""
    return node.module
