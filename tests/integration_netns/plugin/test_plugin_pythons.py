# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin runs on every CPython that a node may have and this machine has, with no package installed.

The head of the run names them, and the versions that are missing.
"""

from __future__ import annotations

import json
import marshal
import shutil
import types
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.action.cni_plugin import pack
from ansible_collections.humanz.cni.plugins.module_utils._cni import install
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError
from humanz_cni import start
from tests.support import installed_plugin, result_shape
from tests.support.netns.node import Node
from tests.support.plugin.installation import COMMAND, EXECUTABLE, LIBRARY, present
from tests.support.plugin.runtime import Outcome, Runtime, nested
from tests.support.pythons import identify, interpreters


@pytest.mark.parametrize("interpreter", interpreters())
def test_every_command(node: Node, tmp_path: Path, interpreter: str) -> None:
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))
    log = {"logFile": "/run/humanz_cni.log", "logLevel": "debug"}
    conf = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True, cniVersion="1.1.0", **log)
    done = Outcome(0, "", "")

    result = runtime.add(conf)

    assert result_shape.problems(result, "1.1.0") == []
    assert runtime.call("CHECK", {**conf, "prevResult": result}) == done
    assert runtime.fail("ADD", conf)["code"] == 999
    assert runtime.call("STATUS", conf) == done
    runtime.node.run("rm", "-r", "/run/humanz-cni")
    assert runtime.add(conf, "pod2")["ips"][0]["address"] == "10.9.0.3/24"
    runtime.delete(conf)
    assert runtime.call("GC", {**conf, "cni.dev/valid-attachments": []}) == done
    assert runtime.records() == {}
    assert node.run("grep", "-c", "", "/run/humanz_cni.log").stdout == "14\n"


@pytest.mark.parametrize("interpreter", interpreters())
def test_errors_are_json_on_each(node: Node, tmp_path: Path, interpreter: str) -> None:
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))

    for conf in (b"garbage", b'{"a": }', b'{"a": 1,}', b'"\\ud800"', b'{"name": "x\\ud800"}', b"[" * 100000):
        assert runtime.fail("ADD", conf)["code"] in (6, 7)
    assert runtime.fail("ADD", nested(bridge="\ud800"))["code"] == 7


@pytest.mark.parametrize("interpreter", interpreters())
def test_the_operators_command_runs_on_each(node: Node, tmp_path: Path, interpreter: str) -> None:
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))
    runtime.add(nested())
    command = str(tmp_path / "sbin" / "humanz-cni-ctl")
    installed = sorted(tmp_path.rglob("*"))

    assert json.loads(node.run(command, "list", "--json").stdout)["reservations"][0]["status"] == "live"
    assert node.run(command, "pools").stdout.startswith("NETWORK")
    assert node.run(command, "reclaim").stdout.endswith("0 released\n")
    assert sorted(tmp_path.rglob("*")) == installed


def test_an_interpreter_that_was_upgraded_runs_the_sources(node: Node, tmp_path: Path) -> None:
    """A distribution's upgrade replaces /usr/bin/python3 by one that cannot read the installed bytecode."""
    executable = installed_plugin.install(tmp_path)
    (bytecode,) = tmp_path.glob("lib/*/cpython-*")
    bytecode.unlink()

    assert Runtime(node, executable).add(nested())["ips"]


@pytest.mark.parametrize("kept", [0, 100, 20000, -1])
def test_bytecode_that_was_cut_off_is_not_run(node: Node, tmp_path: Path, kept: int) -> None:
    executable = installed_plugin.install(tmp_path)
    (bytecode,) = tmp_path.glob("lib/*/cpython-*")
    bytecode.write_bytes(bytecode.read_bytes()[:kept])

    assert Runtime(node, executable).add(nested())["ips"]


@pytest.mark.parametrize("interpreter", interpreters())
def test_a_link_that_leads_to_another_version_runs_the_sources(node: Node, tmp_path: Path, interpreter: str) -> None:
    """A distribution's upgrade may put another version in its place, which may lack what our startup takes."""
    executable = installed_plugin.install(tmp_path)
    for startup in tmp_path.glob("lib/*/humanz_cni/startup/encodings.py"):
        startup.write_text(startup.read_text(encoding="utf-8").replace("from _codecs import", "from _codecs import x,"))
    for link in tmp_path.glob("lib/*/python3"):
        link.unlink()
        link.symlink_to(interpreter)

    runtime = Runtime(node, executable)

    assert runtime.add(nested())["ips"]
    assert runtime.fail("ADD", b"garbage")["code"] == 6
    runtime.delete(nested())


# A Python whose C module _json is another one, as that of a later release may be; it does as it is told by its options.
OTHER_JSON = """#!/usr/bin/python3 -I
import importlib.machinery, sys, types
sys.modules["_json"] = types.ModuleType("_json")
sys.modules["_json"].__spec__ = importlib.machinery.ModuleSpec("_json", None, origin="/nonexistent")
sys.argv = sys.argv[sys.argv.index("-c"):] if "-c" in sys.argv else sys.argv[2:]
text = sys.argv.pop(1) if sys.argv[0] == "-c" else open(sys.argv[0]).read()
__file__ = sys.argv[0]
exec(compile(text, sys.argv[0], "exec"))
"""
# One that is not found by the link to it: a script gets its own path.
OTHER_START = """#!/bin/sh
exec /usr/bin/python3 "$@"
"""
UNKNOWN = {
    "its start is another one": (OTHER_START, "bytecode", "the interpreter does not run it while it starts"),
    "its _json is another one": (OTHER_JSON, "sources", "make_scanner"),
}


@pytest.mark.parametrize(("text", "start", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_interpreter_that_lacks_what_python_does_not_promise_runs_it_more_slowly(
    node: Node, tmp_path: Path, text: str, start: str, reason: str
) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text(text, encoding="ascii")
    interpreter.chmod(0o755)

    first, second = (present(node, interpreter=str(interpreter)) for _time in range(2))

    assert (first["start"], second["start"], second["changed"]) == (start, start, False)
    for result in (first, second):
        (warning,) = map(str, result["warnings"])
        assert f"interpreter: with {interpreter}, Python 3." in warning
        assert reason in warning
        assert "Traceback" not in warning
    runtime = Runtime(node, Path(EXECUTABLE))
    result = runtime.add(nested(("10.9.0.0/24", "fd00:9::/64")))
    assert result_shape.problems(result, "1.0.0") == []
    assert runtime.fail("ADD", b'{"a": NaN}')["code"] == 6
    assert len(json.loads(node.run(COMMAND, "list", "--json").stdout)["reservations"]) == 1
    runtime.delete(nested(("10.9.0.0/24", "fd00:9::/64")))


def test_an_installation_becomes_faster_with_its_interpreter(node: Node, tmp_path: Path) -> None:
    """And slower again, file by file in the same place."""
    interpreter = tmp_path / "python3"
    starts = []
    for text in (OTHER_JSON, OTHER_START, OTHER_JSON):
        interpreter.write_text(text, encoding="ascii")
        interpreter.chmod(0o755)
        node.run("sh", "-c", f"echo '#' >> {EXECUTABLE}; rm -f {LIBRARY}/*/manifest.json")
        starts.append(present(node, interpreter=str(interpreter))["start"])
        assert Runtime(node, Path(EXECUTABLE)).call("VERSION", {}).status == 0

    assert starts == ["sources", "bytecode", "sources"]
    assert node.run("sh", "-c", f"ls -d {LIBRARY}/*/cpython-*", check=False).stdout == ""


def test_an_interpreter_that_cannot_run_it_at_all_is_refused_in_one_line(node: Node, tmp_path: Path) -> None:
    interpreter = tmp_path / "python3"
    broken = OTHER_JSON.replace("exec(", "if 'recover' in __file__: raise KeyError('no such luck')\nexec(")
    interpreter.write_text(broken, encoding="ascii")
    interpreter.chmod(0o755)

    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE), "interpreter": str(interpreter)})

    assert result["failed"]
    assert "does not answer VERSION" in result["msg"]
    assert "KeyError: 'no such luck'" in result["msg"]
    assert "Traceback" not in result["msg"]


def test_a_package_that_is_gone_is_reported_as_json(node: Node, tmp_path: Path) -> None:
    executable = installed_plugin.install(tmp_path)
    for path in (*tmp_path.glob("lib/*/humanz_cni/main.py"), *tmp_path.glob("lib/*/cpython-*")):
        path.unlink()

    outcome = Runtime(node, executable).call("ADD", nested())

    assert outcome.status == 1
    assert outcome.document["code"] == 999
    assert "run humanz.cni.cni_plugin" in outcome.document["msg"]


@pytest.mark.parametrize("interpreter", interpreters())
def test_a_launcher_that_is_broken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """From Python 3.11 on the plugin answers before its launcher is read."""
    monkeypatch.setattr(install, "_LAUNCHER", install._LAUNCHER.replace("import marshal", "import !"))

    with pytest.raises(ConvergeError, match="does not answer VERSION: .*SyntaxError"):
        installed_plugin.install(tmp_path, interpreter)
    assert list((tmp_path / "bin").iterdir()) == []


def test_a_package_that_runs_as_bytecode_alone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(installed_plugin.SOURCE, tmp_path / "source")
    (tmp_path / "source" / "recover.py").write_text("raise SystemExit('no main')\n", encoding="ascii")
    monkeypatch.setattr(installed_plugin, "SOURCE", tmp_path / "source")

    with pytest.raises(ConvergeError, match="recover.py does not answer VERSION: .*no main"):
        installed_plugin.install(tmp_path)
    assert list((tmp_path / "bin").iterdir()) == []


def test_bytecode_that_was_replaced_is_not_taken_for_the_old(tmp_path: Path) -> None:
    """A rare path opens the file once more; what is repaired meanwhile may have other offsets."""
    made = tmp_path / "bytecode"
    made.write_bytes(marshal.dumps(compile("", "rare", "exec")))
    size = made.stat().st_size
    rare = types.ModuleType("humanz_cni.rare")
    bundle = start.Bundle(str(made), size, {"humanz_cni.rare": (0, size)})
    bundle.exec_module(rare)

    made.write_bytes(made.read_bytes() + b"more")

    with pytest.raises(ImportError, match="bytecode was replaced"):
        bundle.exec_module(rare)


def imported(runtime: Runtime, command: str, wrapper: Path) -> set[str]:
    """Carry out *command* and return the names of the modules that Python's import system loaded for it."""
    first, second = runtime.executable.read_text(encoding="ascii").splitlines()[0][2:].split()
    wrapper.write_text(f"#!/bin/sh\nexec {first} {second} -X importtime {runtime.executable}\n", encoding="ascii")
    wrapper.chmod(0o755)
    outcome = Runtime(runtime.node, wrapper).call(command, nested())
    assert outcome.status == 0, outcome
    lines = [line for line in outcome.error.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("interpreter", interpreters())
def test_from_3_11_on_the_interpreter_makes_no_streams(node: Node, tmp_path: Path, interpreter: str) -> None:
    """The plugin runs in their place; before 3.11, the launcher runs its bytecode with the streams made."""
    early = int(identify(interpreter)[0].partition(".")[2]) >= 11
    runtime = Runtime(node, installed_plugin.install(tmp_path, interpreter))
    runtime.pod("pod1")
    runtime.add(nested(), container="pod2")

    for command in ("ADD", "DEL"):
        modules = imported(runtime, command, tmp_path / "wrapper")
        assert ("encodings.aliases" in modules) is not early
        assert not early or "io" not in modules
    assert list(tmp_path.glob("lib/*/cpython-*"))


def test_add_and_del_import_c_modules_only(runtime: Runtime, tmp_path: Path) -> None:
    """An import too many is an ADD too slow; what errors and rare paths need is imported there.

    The plugin's own modules are executed by ``start`` and so never imported, unless its list lacks one.
    """
    at_start = {"encodings", "encodings.aliases", "encodings.utf_8", "codecs", "_codecs", "io", "_io", "abc", "_abc"}
    at_start |= {"_thread", "_weakref", "_warnings", "_imp", "_frozen_importlib_external", "winreg", "zipimport"}
    c_modules = {
        "posix",
        "time",
        "marshal",
        "gc",
        "_signal",
        "_json",
        "_socket",
        "_struct",
        "_sha1",
        "fcntl",
        "_ctypes",
    }
    runtime.pod("pod1")
    runtime.add(nested(), container="pod2")

    for command in ("ADD", "DEL"):
        assert imported(runtime, command, tmp_path / "wrapper") <= at_start | c_modules | {"imported package"}
