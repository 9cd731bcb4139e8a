# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests that need neither root nor a package of the system. ``tests/run`` and pre-commit call the same sessions.

    nox -R                                          style, types and unit
    nox -R -s unit -- -k ranges                     some of the unit tests
    nox -R -s one -- tests/unit/files/kernel/test_dad.py   one file or test of any directory

Each session has an environment of its own, with the option ``-R`` from one run to the next; with ``--no-venv`` it
takes the programs that are on PATH.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
COLLECTIONS = ROOT / ".cache" / "collections"
nox.options.sessions = ["style", "types", "unit"]


def install(session: nox.Session, *packages: str) -> None:
    """Install *packages* in the versions that tests/requirements.txt asks for."""
    if session.venv_backend != "none":
        session.install("--constraint", "tests/requirements.txt", *packages)


def find_collection(session: nox.Session) -> None:
    """Have Ansible and mypy find this checkout by its name, humanz.cni."""
    link = COLLECTIONS / "ansible_collections" / "humanz" / "cni"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT)
    session.env["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)


@nox.session
def style(session: nox.Session) -> None:
    """Lint, check the format, and who imports whom."""
    install(session, "import-linter", "ruff")
    find_collection(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    trees = COLLECTIONS, ROOT / "files", ROOT / "files" / "host_network"
    session.env["PYTHONPATH"] = os.pathsep.join(map(str, trees))
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of all Python."""
    install(session, "hypothesis", "jinja2", "mypy", "nox", "pytest", "sphinx")
    find_collection(session)
    session.run("mypy", *session.posargs)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    install(session, "ansible-core", "hypothesis", "netaddr", "pyroute2", "pytest", "pytest-xdist")
    find_collection(session)
    session.run("pytest", *arguments)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the unit tests; further arguments are pytest's."""
    run_pytest(session, "tests/unit", "--numprocesses=auto", "--dist=loadfile", *session.posargs)


@nox.session
def one(session: nox.Session) -> None:
    """Run the tests that the arguments name, and nothing else."""
    if not session.posargs:
        session.error("name a test: nox -R -s one -- tests/unit/test_links.py")
    run_pytest(session, *session.posargs)
