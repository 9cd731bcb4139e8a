# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of a directory is in force, and how a runtime calls plugins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._cni import invoke
from ansible_collections.humanz.cni.plugins.module_utils._cni.invoke import CniError, Runtime

if TYPE_CHECKING:
    from ansible_collections.humanz.cni.plugins.module_utils._cni.invoke import Network

# Writes what it was called with to a file beside it, and answers as the file answer-COMMAND says.
PLUGIN = """#!/bin/sh
here=${0%/*}
me=${0##*/}
echo "$CNI_COMMAND $me $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $CNI_PATH" >> "$here/calls"
cat > "$here/$me-$CNI_COMMAND-stdin"
[ -e "$here/$me-$CNI_COMMAND" ] || exit 0
. "$here/$me-$CNI_COMMAND"
"""


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """A directory with the plugins first and second, which succeed and print nothing but a result of ADD."""
    for name in ("first", "second"):
        (tmp_path / name).write_text(PLUGIN)
        (tmp_path / name).chmod(0o755)
        answer = json.dumps({"cniVersion": "1.0.0", "ips": [{"address": f"192.0.2.{len(name)}/24"}]})
        (tmp_path / f"{name}-ADD").write_text(f"echo '{answer}'")
    return tmp_path


def runtime(bin_dir: Path, *types: str) -> Runtime:
    plugins = [{"type": kind, "key": kind} for kind in types]
    network: Network = {"path": "/etc/cni/net.d/net.conflist", "name": "net", "cniVersion": "1.0.0", "plugins": plugins}
    return Runtime(network, [str(bin_dir)], "container", "/run/netns/container")


def given(bin_dir: Path, call: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bin_dir / f"{call}-stdin").read_text())
    return read


def write(directory: Path, name: str, content: Any) -> str:
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_the_first_file_by_name_is_in_force(tmp_path: Path) -> None:
    write(tmp_path, "20-later.conflist", {"name": "later", "plugins": [{"type": "x"}]})
    write(tmp_path, "05-note.txt", "no configuration")
    write(tmp_path, "10-first.conf", {"cniVersion": "0.3.1", "name": "first", "type": "bridge"})
    (tmp_path / "00-directory.conf").mkdir()
    network = invoke.network_in_force(str(tmp_path))
    assert (network["name"], network["cniVersion"]) == ("first", "0.3.1")
    assert network["plugins"] == [{"cniVersion": "0.3.1", "name": "first", "type": "bridge"}]


@pytest.mark.parametrize("suffix", ["conf", "conflist", "json"])
def test_each_suffix_may_hold_a_list(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, "10-net." + suffix, {"name": "net", "plugins": [{"type": "a"}, {"type": "b"}]})
    network = invoke.network_in_force(str(tmp_path))
    assert [plugin["type"] for plugin in network["plugins"]] == ["a", "b"]
    assert network["cniVersion"] == "0.1.0"


def test_a_broken_first_file_is_an_error_although_the_next_is_good(tmp_path: Path) -> None:
    broken = write(tmp_path, "10-net.conf", '{"name": "net", ')
    write(tmp_path, "20-net.conf", {"name": "net", "type": "bridge"})
    with pytest.raises(CniError, match="is not a CNI configuration: Expecting") as caught:
        invoke.network_in_force(str(tmp_path))
    assert str(caught.value).startswith(broken)
    assert caught.value.facts["reason"] == "conf_broken"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "it is not a JSON object"),
        ({"type": "bridge"}, "the key name is missing"),
        ({"name": "net", "plugins": []}, "the key plugins must be a list of at least one plugin"),
        ({"name": "net", "plugins": {"type": "bridge"}}, "the key plugins must be a list of at least one plugin"),
        ({"name": "net"}, "a plugin has no type"),
        ({"name": "net", "plugins": [{"type": "a"}, {"type": ""}]}, "a plugin has no type"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(CniError, match=problem):
        invoke.read_network(write(tmp_path, "10-net.conflist", content))


def test_no_file_and_no_directory_are_the_same(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CniError, match="holds no file named") as caught:
            invoke.network_in_force(str(directory))
        assert caught.value.facts["reason"] == "conf_missing"


def test_add_goes_forward_and_hands_the_result_on(bin_dir: Path) -> None:
    result = runtime(bin_dir, "first", "second").attach()
    calls = (bin_dir / "calls").read_text().splitlines()
    assert calls == [
        f"ADD {name} container /run/netns/container eth0 IgnoreUnknown=1 {bin_dir}" for name in ("first", "second")
    ]
    assert given(bin_dir, "first-ADD") == {"type": "first", "key": "first", "name": "net", "cniVersion": "1.0.0"}
    assert given(bin_dir, "second-ADD")["prevResult"]["ips"] == [{"address": "192.0.2.5/24"}]
    assert result["ips"] == [{"address": "192.0.2.6/24"}]


def test_del_goes_backward_with_the_last_result(bin_dir: Path) -> None:
    runtime(bin_dir, "first", "second").detach({"ips": []})
    assert [line.split()[1] for line in (bin_dir / "calls").read_text().splitlines()] == ["second", "first"]
    assert given(bin_dir, "first-DEL")["prevResult"] == {"ips": []}


def test_del_goes_on_after_a_failure(bin_dir: Path) -> None:
    (bin_dir / "second-DEL").write_text('echo \'{"code": 11, "msg": "later"}\'; exit 1')
    with pytest.raises(CniError, match="DEL of the CNI plugin second failed with code 11: later"):
        runtime(bin_dir, "first", "second").detach()
    assert (bin_dir / "first-DEL-stdin").exists()


def test_a_plugins_error_of_a_megabyte_is_cut(bin_dir: Path) -> None:
    huge = "head -c 1000000 /dev/zero | tr '\\0' x"
    (bin_dir / "first-DEL").write_text(f'printf \'{{"code": 7, "msg": "\'; {huge}; printf \'"}}\'; exit 1')
    with pytest.raises(CniError) as raised:
        runtime(bin_dir, "first").detach()
    assert 4000 < len(str(raised.value)) < 9000
    assert 4000 < len(raised.value.facts["plugin_error"]["msg"]) < 9000


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('echo \'{"code": 7, "msg": "no", "details": "why"}\'; exit 1', "failed with code 7: no (why)"),
        ("echo oops; exit 0", "printed no JSON but 'oops'"),
        ("echo broken >&2; exit 3", "ended with status 3: broken"),
        ("exit 0", "printed no result"),
    ],
)
def test_what_a_plugin_says_is_in_the_error(bin_dir: Path, answer: str, text: str) -> None:
    (bin_dir / "first-ADD").write_text(answer)
    with pytest.raises(CniError) as caught:
        runtime(bin_dir, "first", "second").attach()
    assert str(caught.value).endswith(text)
    assert caught.value.facts["plugin_error"]["command"] == "ADD"
    assert not (bin_dir / "second-ADD-stdin").exists()


def test_a_plugin_that_hangs_is_given_up(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoke, "PLUGIN_TIMEOUT", 0.2)
    (bin_dir / "first-ADD").write_text("exec sleep 5")
    with pytest.raises(CniError, match="gave no answer in"):
        runtime(bin_dir, "first").attach()


@pytest.mark.parametrize("name", ["missing", "../first", "data"])
def test_what_is_no_plugin(bin_dir: Path, name: str) -> None:
    (bin_dir / "data").write_text("not executable")
    with pytest.raises(CniError, match="is not an executable in") as caught:
        runtime(bin_dir, name).require_plugins()
    assert caught.value.facts["reason"] == "plugin_missing"
