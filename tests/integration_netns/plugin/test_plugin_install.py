# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cni_plugin on a node: install, repair, upgrade, prove, remove."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action.cni_plugin import pack
from tests.support import IN_CHECKOUT, installed_plugin
from tests.support.netns.module_server import DRIVER
from tests.support.netns.node import Node
from tests.support.plugin.installation import COMMAND, EXECUTABLE, LIBRARY, absent, present, tree
from tests.support.plugin.runtime import BLOG, NO_POD, NSENTER, Outcome, Runtime, nested


def test_s_001_it_is_installed_once_and_answers(node: Node) -> None:
    first = present(node)
    installed = tree(node)
    second = present(node)

    assert first["changed"] is True
    assert second["changed"] is False
    assert tree(node) == installed
    assert first["path"] == EXECUTABLE
    assert first["library"] == f"{LIBRARY}/{first['digest']}"
    assert {key: first[key] for key in ("version", "digest", "interpreter")} == {
        key: second[key] for key in ("version", "digest", "interpreter")
    }
    assert Runtime(node, Path(EXECUTABLE)).add(BLOG)["ips"]


def test_files_are_roots_and_nobody_else_may_write_them(node: Node) -> None:
    present(node)

    lines = [line.split() for line in tree(node).splitlines() if " root " in line]
    modes = {mode for mode, _user, path in lines if "humanz" in path and not path.endswith("/python3")}
    assert modes == {"-rwxr-xr-x", "-rw-r--r--", "drwxr-xr-x"}


def test_check_mode_predicts_and_changes_nothing(node: Node) -> None:
    before = tree(node)
    predicted = present(node, check=True, diff=True)
    assert tree(node) == before

    real = present(node, diff=True)

    assert predicted["changed"] is real["changed"] is True
    assert predicted["diff"] == real["diff"]
    assert "mode 0755" in real["diff"]["after"]
    assert present(node, check=True)["changed"] is False


DAMAGE = {
    "launcher missing": f"rm {EXECUTABLE}",
    "launcher changed": f"echo '#' >> {EXECUTABLE}",
    "launcher not executable": f"chmod 0644 {EXECUTABLE}",
    "launcher of another plugin": f"cp /bin/true {EXECUTABLE}",
    "library missing": f"rm -r {LIBRARY}/*",
    "source missing": f"rm {LIBRARY}/*/humanz_cni/commands/add.py",
    "source changed": f"echo '#' >> $(echo {LIBRARY}/*/humanz_cni/commands/add.py)",
    "bytecode missing": f"rm {LIBRARY}/*/cpython-*",
    "bytecode changed": f"truncate -s 100 {LIBRARY}/*/cpython-*",
    "command missing": f"rm {COMMAND}",
    "command changed": f"echo '#' >> {COMMAND}",
    "command not executable": f"chmod 0644 {COMMAND}",
    "command's source changed": f"echo '#' >> $(echo {LIBRARY}/*/humanz_cni/ctl/main.py)",
    "link to the interpreter missing": f"rm {LIBRARY}/*/python3",
    "link to another interpreter": f"ln -sf /bin/sh $(echo {LIBRARY}/*/python3)",
    "path of the interpreter's start changed": f"echo /tmp > $(echo {LIBRARY}/*/python3._pth)",
    "bytecode of the interpreter's start changed": f"truncate -s 10 {LIBRARY}/*/humanz_cni/startup/__pycache__/*",
    "manifest missing": f"rm {LIBRARY}/*/manifest.json",
    "manifest changed": f"echo garbage > $(echo {LIBRARY}/*/manifest.json)",
}


@pytest.fixture(scope="module")
def installed() -> Iterator[tuple[Node, str]]:
    """One node for all damages, and what is on it when the plugin is installed."""
    node = Node()
    present(node)
    yield node, tree(node)
    node.close()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_repaired(installed: tuple[Node, str], damage: str) -> None:
    node, whole = installed
    node.run("sh", "-c", DAMAGE[damage])

    assert present(node)["changed"] is True
    assert tree(node) == whole


def test_an_upgrade_keeps_the_version_before_and_no_older_one(node: Node) -> None:
    digests = []
    for number in range(3):
        source = json.dumps({**_sources(), "extra.py": f"# version {number}\n"})
        result = node.module("cni_plugin", {"source": _packed(source)})
        digests.append(result["digest"])

    assert len(set(digests)) == 3
    assert sorted(node.run("ls", LIBRARY).stdout.split()) == sorted(digests[1:])
    assert digests[2] in node.run("cat", EXECUTABLE).stdout


def test_an_upgrade_takes_on_what_a_plugin_of_another_layout_has_attached(node: Node, tmp_path: Path) -> None:
    other = Path(shutil.copytree(installed_plugin.SOURCE, tmp_path / "humanz_cni"))
    installed_plugin.lay_out_otherwise(other)
    before = node.module("cni_plugin", {"source": pack(other)})
    assert _places(node, "wiring") == [f"{before['library']}/humanz_cni/wiring"]
    runtime = Runtime(node, Path(EXECUTABLE))
    conf = nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion="1.1.0", ipMasq=True, ipspoofchk=True)
    results = {pod: runtime.add(conf, pod) for pod in ("pod1", "pod2", "pod3")}

    present(node)

    assert runtime.call("CHECK", {**conf, "prevResult": results["pod1"]}) == Outcome(0, "", "")
    valid = [{"containerID": pod, "ifname": "eth0"} for pod in ("pod1", "pod2")]
    assert runtime.call("GC", {**conf, "cni.dev/valid-attachments": valid}, **NO_POD) == Outcome(0, "", "")
    assert {json.loads(text)["containerID"] for text in runtime.records().values()} == {"pod1", "pod2"}
    runtime.delete(conf, "pod2")
    assert runtime.call("CHECK", {**conf, "prevResult": results["pod1"]}) == Outcome(0, "", "")
    runtime.delete(conf)
    assert runtime.records() == {}
    assert "element" not in node.run("nft", "list", "ruleset").stdout
    node.module("cni_plugin", {"source": _packed(json.dumps({**_sources(), "extra.py": "# the next version\n"}))})
    assert _places(node, "wiring") == []


def _places(node: Node, name: str) -> list[str]:
    return node.run("find", LIBRARY, "-name", name).stdout.split()


def test_an_upgrade_keeps_a_version_that_still_runs(node: Node) -> None:
    def install(number: int) -> str:
        source = json.dumps({**_sources(), "extra.py": f"# version {number}\n"})
        return str(node.module("cni_plugin", {"source": _packed(source)})["library"])

    oldest = install(0)
    enter = ["nsenter", f"--target={node.pid}", "--mount", "--net", "--"]
    sleeper = ["-ISc", "import time; print(flush=True); time.sleep(60)", f"{oldest}/humanz_cni"]
    with subprocess.Popen([*enter, "/usr/bin/python3", *sleeper], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        others = [install(1), install(2)]
        assert sorted(_libraries(node)) == sorted([oldest, *others])
        running.kill()
    last = install(3)
    assert sorted(_libraries(node)) == sorted([others[1], last])


def _libraries(node: Node) -> list[str]:
    return [f"{LIBRARY}/{name}" for name in node.run("ls", LIBRARY).stdout.split()]


def test_what_an_interrupted_run_left_is_removed(node: Node) -> None:
    present(node)
    whole = tree(node)
    leftovers = f"mkdir {LIBRARY}/.0123456789abcdef.x.tmp; touch /opt/cni/bin/.humanz-cni.x.tmp; rm {EXECUTABLE}"
    node.run("sh", "-c", leftovers)

    present(node)

    assert tree(node) == whole


def test_other_things_in_these_directories_stay(node: Node) -> None:
    node.run("sh", "-c", f"mkdir -p /opt/cni/bin {LIBRARY}; touch /opt/cni/bin/loopback {LIBRARY}/pyroute2.zip")

    present(node)
    assert absent(node)["changed"] is True

    assert node.run("ls", "/opt/cni/bin", LIBRARY).stdout.split() == [
        "/opt/cni/bin:", "loopback", LIBRARY + ":", "pyroute2.zip",
    ]  # fmt: skip


def test_a_bad_source_never_replaces_a_good_plugin(node: Node) -> None:
    present(node)
    for text in ("syntax error", "import nonexistent\n", "def main():\n    print('not json')\n"):
        source = json.dumps({**_sources(), "main.py": text})
        result = node.module("cni_plugin", {"source": _packed(source)})
        assert result["failed"] is True
        assert EXECUTABLE in tree(node)
        assert Runtime(node, Path(EXECUTABLE)).call("VERSION", {}).status == 0


@pytest.mark.parametrize(
    ("interpreter", "text"),
    [
        ("/nonexistent", "does not exist"),
        ("/bin/true", "cannot run the plugin"),
        ("relative", "absolute path"),
        ('/run/x"; import os; "', "absolute path of letters"),
        ("/run/" + "x" * 130, "too long"),
        ("/run/python3.7", "is Python 3.7.9, but 3.8 or newer is needed"),
        ("/run/minimal", "No module named '_json'"),
    ],
)
def test_an_interpreter_that_will_not_do(node: Node, interpreter: str, text: str) -> None:
    node.run("sh", "-c", "printf '#!/bin/sh\\necho 3.7.9 cpython-37\\n' > /run/python3.7; chmod +x /run/python3.7")
    minimal = "#!/bin/sh\necho 3.11.2 cpython-311\necho \"No module named '_json'\" >&2\nexit 1\n"
    node.run("sh", "-c", "cat > /run/minimal; chmod +x /run/minimal", input=minimal)
    before = tree(node)

    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE), "interpreter": interpreter})

    assert result["failed"] is True
    assert text in result["msg"]
    assert tree(node) == before


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("rename", 1),
        ("rename", 2),
        ("rename", 3),
        ("fsync", 1),
        ("fsync", 20),
        ("fsync", -1),
        ("fchmod", 1),
        ("mkdir", 1),
        ("mkdir", 2),
    ],
)
def test_s_026_killed_at_any_moment_the_old_plugin_or_the_new_one_answers(node: Node, call: str, number: int) -> None:
    old = present(node)["digest"]
    modules = len(_sources()) + 1
    directories = 2 + len({Path(name).parent for name in _sources() if "/" in name})
    # Each module, what the interpreter starts by, bytecode of both, manifest, the directories, and that of all
    # libraries; then the launcher
    count = number if number > 0 else modules + 4 + directories + 1 + 2
    source = {"source": _packed(json.dumps({**_sources(), "extra.py": "# the next version\n"}))}
    enter = [NSENTER, f"--target={node.pid}", "--mount", "--net", "--", "strace", "-f", "-o", "/dev/null"]
    inject = ["-e", f"inject={call}:signal=SIGKILL:when={count}"]
    done = subprocess.run(
        [*enter, *inject, *IN_CHECKOUT, sys.executable, *DRIVER, "cni_plugin"],
        input=json.dumps(source).encode(), capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    environment = {"CNI_COMMAND": "VERSION", "PATH": "/usr/bin:/bin"}
    assert "1.0.0" in node.run(EXECUTABLE, env=environment, input="{}").stdout
    assert node.run(COMMAND, "--version").stdout.startswith("humanz-cni-ctl ")
    new = node.module("cni_plugin", source)
    assert new["path"] == EXECUTABLE
    assert new["digest"] != old
    assert node.run(new["command"], "--version").stdout == f"humanz-cni-ctl {new['version']}\n"
    assert ".tmp" not in tree(node)


def test_the_command_has_a_directory_of_its_own(node: Node) -> None:
    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE), "sbin_dir": "/opt/cni/bin/"})

    assert result["failed"] is True
    assert result["msg"].startswith("sbin_dir: /opt/cni/bin/ is cni_bin_dir")
    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE), "cni_bin_dir": "cni"})
    assert result["msg"] == "cni_bin_dir: cni must be an absolute path without .., such as /opt/cni/bin"


def test_the_command_that_is_somebody_elses_is_not_removed(node: Node) -> None:
    present(node)
    node.run("sh", "-c", f"echo '#!/bin/sh' > {COMMAND}")

    assert absent(node)["changed"] is True

    assert node.run("cat", COMMAND).stdout == "#!/bin/sh\n"


def test_the_command_names_a_library_that_is_gone(node: Node) -> None:
    present(node)
    node.run("sh", "-c", f"rm -r {LIBRARY}/*")

    done = node.run(COMMAND, "list", check=False)

    assert done.returncode == 1
    assert "is damaged: run humanz.cni.cni_plugin" in done.stderr
    assert "Traceback" not in done.stderr


def _sources() -> dict[str, str]:
    root = installed_plugin.SOURCE
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.py")}


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize("directory", ["/opt/cni/bin", LIBRARY])
def test_a_directory_that_cannot_be_written_is_named_and_nothing_is_lost(node: Node, directory: str) -> None:
    node.run("mkdir", "-p", directory)
    node.run("mount", "-t", "tmpfs", "-o", "ro", "none", directory)
    result = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE)})
    assert result["failed"]
    assert result["msg"].startswith(directory)
    assert result["msg"].endswith("Read-only file system: everything is as it was before this task")

    node.run("umount", directory)
    assert present(node)["changed"]


def test_the_library_and_the_command_move_with_their_variables(node: Node) -> None:
    before = tree(node)
    moved: dict[str, Any] = {"library_dir": "/var/lib/humanz", "sbin_dir": "/opt/sbin"}
    first = present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    runtime.add(BLOG)
    # As a call looks that is on its way.
    call = node.start(
        sys.executable, "-c", "import sys; sys.stdin.read()", f"{first['library']}/python3", stdin=subprocess.PIPE
    )
    while first["library"] not in Path(f"/proc/{call.pid}/cmdline").read_text():
        pass  # nsenter is about to become it
    second = present(node, **moved)
    assert second["library"] == f"/var/lib/humanz/{second['digest']}"
    assert node.run("ls", f"{first['library']}/humanz_cni").stdout
    call.communicate()
    assert present(node, **moved)["changed"] is True
    assert present(node, **moved)["changed"] is False
    assert node.run("sh", "-c", f"ls -d {LIBRARY} {COMMAND}; true").stdout == ""
    assert node.run("/opt/sbin/humanz-cni-ctl", "list").stdout.count("100.100.1.2")
    runtime.delete(BLOG)
    assert runtime.add(BLOG)["ips"]

    # An inventory that has lost the variables.
    assert absent(node, force=True)["changed"] is True
    left = "ls -d /var/lib/humanz /opt/sbin /etc/humanz-cni; true"
    assert node.run("sh", "-c", left).stdout == ""
    assert tree(node) == before
