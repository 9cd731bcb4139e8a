# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin runs on every CPython that a node may have, with no package installed.

``HUMANZ_PYTHONS`` lists interpreters, with colons between them; by default those of 3.8 to 3.13 on the search path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import installed_plugin
import pytest
import result_shape
from node import Node
from runtime import Outcome, Runtime, nested


def interpreters() -> list[str]:
    """Return the interpreters to test, each by its absolute path."""
    listed = os.environ.get("HUMANZ_PYTHONS", "")
    if listed:
        return listed.split(":")
    path = os.environ["PATH"] + ":/usr/bin"
    found = (shutil.which(f"python3.{minor}", path=path) for minor in range(8, 14))
    return sorted({real for candidate in found if candidate and (real := executable_of(candidate))})


def executable_of(candidate: str) -> str:
    """Return the path of the interpreter that *candidate*, which may be a version manager's script, stands for."""
    command = [candidate, "-IS", "-c", "import sys; print(sys.executable)"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.parametrize("interpreter", interpreters())
def test_add_check_and_del(node: Node, tmp_path: Path, interpreter: str) -> None:
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))
    conf = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)

    result = runtime.add(conf)

    assert result_shape.problems(result, "1.0.0") == []
    assert runtime.call("CHECK", {**conf, "prevResult": result}) == Outcome(0, "", "")
    assert runtime.fail("ADD", conf)["code"] == 999
    runtime.delete(conf)
    assert runtime.records() == {}


@pytest.mark.parametrize("interpreter", interpreters())
def test_errors_are_json_on_each(node: Node, tmp_path: Path, interpreter: str) -> None:
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))

    for conf in (b"garbage", b'{"a": }', b'{"a": 1,}', b'"\\ud800"', b'{"name": "x\\ud800"}', b"[" * 100000):
        assert runtime.fail("ADD", conf)["code"] in (6, 7)
    assert runtime.fail("ADD", nested(bridge="\ud800"))["code"] == 7


def test_an_interpreter_that_was_upgraded_runs_the_sources(node: Node, tmp_path: Path) -> None:
    """A distribution's upgrade replaces /usr/bin/python3 by one that cannot read the installed bytecode."""
    executable = installed_plugin.install(tmp_path)
    (bytecode,) = tmp_path.glob("lib/*/cpython-*")
    bytecode.unlink()

    assert Runtime(node, executable).add(nested())["ips"]


def test_a_library_that_is_gone_is_reported_as_json(node: Node, tmp_path: Path) -> None:
    executable = installed_plugin.install(tmp_path)
    shutil.rmtree(tmp_path / "lib")

    outcome = Runtime(node, executable).call("ADD", nested())

    assert outcome.status == 1
    assert outcome.document["code"] == 999
    assert "run humanz.cni.cni_plugin" in outcome.document["msg"]


def test_nothing_of_the_interpreters_library_beyond_c_modules_is_loaded(executable: Path) -> None:
    """An import too many is an ADD too slow; what errors and rare paths need is imported there."""
    first, second = executable.read_text(encoding="ascii").splitlines()[0][2:].split()
    done = subprocess.run(
        [first, second, "-X", "importtime", str(executable)],
        env={"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "x", "CNI_NETNS": "/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/x"},
        input='{"cniVersion": "1.0.0", "name": "n", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}',
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert '"code": 3' in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    heavy = {
        "json",
        "socket",
        "ctypes",
        "re",
        "ipaddress",
        "subprocess",
        "typing",
        "dataclasses",
        "enum",
        "os",
        "struct",
    }
    assert loaded & heavy == set()
    assert "humanz_cni.check" not in loaded
    assert "humanz_cni.attach" in loaded
