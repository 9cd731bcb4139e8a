# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cni_conf writes the file that runtimes load, in a way that they notice, and removes only ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.watcher import Watcher

LIST_NAME = "10-humanz-cni-plugin.conflist"
CONF_NAME = "10-humanz-cni-plugin.conf"

# The file of the blog series' repository, with the placeholder of its subnet filled in.
BLOG = """\
{
    "cniVersion": "0.3.1",
    "name": "humanz-cni",
    "type": "humanz-cni",
    "bridge": "humanz-cni0",
    "network": "100.100.0.0/16",
    "subnet": "100.100.0.0/24"
}"""

PLUGIN = """\
#!/bin/sh
test "$CNI_COMMAND" = VERSION && cat > /dev/null && echo '{"cniVersion": "1.0.0", "supportedVersions": [%s]}'
"""


class Conf:
    """The module with a directory of its own on *node*, whose address 200.0.0.10 is on an interface of MTU 1450."""

    def __init__(self, node: Node, directory: Path) -> None:
        self.node = node
        self.directory = directory / "net.d"
        self.directory.mkdir()
        self.bin = directory / "bin"
        self.bin.mkdir()
        node.ip("link add enp8s0 mtu 1450 type veth peer name peer0 mtu 1400")
        node.ip("addr add 200.0.0.10/24 dev enp8s0")

    def module(self, *, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        """Run the module for the blog's first node, with *args*."""
        given = {
            "pod_cidrs": ["100.100.0.0/24"],
            "cluster_cidr": "100.100.0.0/16",
            "node_ip": "200.0.0.10",
            "conf_dir": str(self.directory),
            "cni_bin_dir": str(self.bin),
        }
        return self.node.module("cni_conf", {**given, **args}, check=check, diff=diff)

    def plugin(self, name: str, *versions: str) -> None:
        """Put a plugin there that supports *versions*."""
        path = self.bin / name
        path.write_text(PLUGIN % ", ".join(f'"{version}"' for version in versions))
        path.chmod(0o755)

    def names(self) -> list[str]:
        """The names of all files in the directory."""
        return sorted(path.name for path in self.directory.iterdir())

    def read(self) -> dict[str, Any]:
        """The list that was written."""
        conf = json.loads((self.directory / LIST_NAME).read_text())
        assert isinstance(conf, dict)
        return conf


@pytest.fixture
def conf(node: Node, tmp_path: Path) -> Conf:
    return Conf(node, tmp_path)


def test_s_155_prediction_is_what_the_first_run_does(conf: Conf) -> None:
    predicted = conf.module(check=True, diff=True)
    assert conf.names() == []
    done = conf.module(diff=True)
    assert done["changed"]
    for key in ("changed", "diff", "file", "mtu", "chained", "not_chained"):
        assert done[key] == predicted[key]
    path = conf.directory / LIST_NAME
    assert done["file"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert conf.names() == [LIST_NAME]

    before = path.stat()
    assert not conf.module()["changed"]
    assert path.stat() == before


def test_s_154_s_164_list_has_the_keys_of_the_reference(conf: Conf) -> None:
    conf.module(
        data_dir="/var/lib/cni/networks",
        log_file="/var/log/humanz-cni.log",
        log_level="debug",
        spoof_check=True,
        port_isolation=True,
    )
    assert conf.read() == {
        "cniVersion": "1.0.0",
        "name": "humanz-cni",
        "plugins": [
            {
                "type": "humanz-cni",
                "bridge": "humanz-cni0",
                "isDefaultGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "disableIPv6": True,
                "mtu": 1450,
                "ipspoofchk": True,
                "portIsolation": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "100.100.0.0/24"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/var/lib/cni/networks",
                },
                "logFile": "/var/log/humanz-cni.log",
                "logLevel": "debug",
            }
        ],
    }


def test_blog_file_is_exact(conf: Conf) -> None:
    result = conf.module(format="conf")
    assert result["file"] == str(conf.directory / CONF_NAME)
    assert (conf.directory / CONF_NAME).read_text() == BLOG


def test_blog_file_with_ipv6(conf: Conf) -> None:
    assert conf.module(format="conf", pod_cidrs=["fd00:100::/64"], cluster_cidr="fd00:100::/48")["changed"]
    text = BLOG.replace("100.100.0.0/16", "fd00:100::/48").replace("100.100.0.0/24", "fd00:100::/64")
    assert (conf.directory / CONF_NAME).read_text() == text


def test_s_152_s_153_plugins_are_chained_where_they_can_run(conf: Conf) -> None:
    conf.plugin("portmap", "0.4.0", "1.0.0")
    conf.plugin("bandwidth", "0.3.1", "0.4.0")
    result = conf.module()
    assert result["chained"] == ["portmap"]
    assert result["not_chained"] == {"bandwidth": f"{conf.bin}/bandwidth does not support CNI 1.0.0"}
    assert conf.read()["plugins"][1:] == [{"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}]

    result = conf.module(cni_version="0.4.0")
    assert result["changed"]
    assert [plugin["type"] for plugin in conf.read()["plugins"]] == ["humanz-cni", "portmap", "bandwidth"]
    assert conf.read()["plugins"][2] == {"type": "bandwidth", "capabilities": {"bandwidth": True}}
    assert conf.module(cni_version="0.4.0", cni_versions=["1.0.0"])["chained"] == ["portmap"]
    assert conf.read()["cniVersions"] == ["1.0.0"]


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_every_version_that_the_plugin_supports_can_be_chosen(conf: Conf, version: str) -> None:
    conf.module(cni_version=version)
    assert conf.read()["cniVersion"] == version


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\ncat\n", "#!/nonexistent\n", "\0"])
def test_broken_plugin_is_not_chained(conf: Conf, content: str) -> None:
    conf.plugin("portmap")
    (conf.bin / "portmap").write_text(content)
    result = conf.module(chain=["portmap"])
    assert result["not_chained"] == {"portmap": f"{conf.bin}/portmap does not support CNI 1.0.0"}
    assert len(conf.read()["plugins"]) == 1


def test_mtu(conf: Conf) -> None:
    assert conf.module(mtu=9000)["mtu"] == 9000
    assert conf.read()["plugins"][0]["mtu"] == 9000
    assert conf.module(node_ip=None)["mtu"] == 0
    assert "mtu" not in conf.read()["plugins"][0]
    conf.node.ip("addr add 2001:db8::10/64 dev peer0 nodad")
    for node_ip in ("2001:db8::10", ["2001:db8:0::10", "200.0.0.10"], ["200.0.0.10", "2001:db8::10"]):
        assert conf.module(node_ip=node_ip, pod_cidrs=["100.100.0.0/24", "fd00::/64"])["mtu"] == 1400
    assert conf.read()["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "100.100.0.0/24"}], [{"subnet": "fd00::/64"}]]
    assert conf.read()["plugins"][0]["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


def test_runtimes_notice_every_change(conf: Conf) -> None:
    """containerd reloads on a write, a rename from and a removal; a mere move into the directory is no news to it."""
    watcher = Watcher(str(conf.directory))
    conf.module()
    created = watcher.events()
    conf.module(mtu=9000)
    changed = watcher.events()
    conf.module()
    conf.module(format="conf")
    switched = watcher.events()
    conf.module(state="absent")
    removed = watcher.events()
    watcher.close()

    for events in (created, changed):
        temporary = events[0][1]
        assert temporary.startswith(".")
        assert not temporary.endswith((".conf", ".conflist", ".json"))
        assert events == [
            ("CREATE", temporary),
            ("MODIFY", temporary),
            ("MOVED_FROM", temporary),
            ("MOVED_TO", LIST_NAME),
        ]
    assert switched[-2:] == [("MOVED_TO", CONF_NAME), ("DELETE", LIST_NAME)]
    assert removed == [("DELETE", CONF_NAME)]


def test_switch_of_format_and_back(conf: Conf) -> None:
    conf.module()
    assert conf.module(format="conf", check=True)["changed"]
    assert conf.names() == [LIST_NAME]
    conf.module(format="conf")
    assert conf.names() == [CONF_NAME]
    conf.module()
    assert conf.names() == [LIST_NAME]
    assert not conf.module()["changed"]


def test_absent_removes_only_ours(conf: Conf) -> None:
    foreign = '{"cniVersion": "1.0.0", "name": "x", "type": "bridge"}'
    (conf.directory / CONF_NAME).write_text(foreign)
    (conf.directory / "99-loopback.conf").write_text('{"type": "loopback"}')
    (conf.directory / LIST_NAME).write_text('{"name": "old", "plugins": [{"type": "humanz-cni"}]}')
    assert conf.module(state="absent", check=True)["changed"]
    assert LIST_NAME in conf.names()
    assert conf.module(state="absent")["changed"]
    assert conf.names() == [CONF_NAME, "99-loopback.conf"]
    assert (conf.directory / CONF_NAME).read_text() == foreign
    assert not conf.module(state="absent")["changed"]


@pytest.mark.parametrize("left", ["", "net.d/a", "10-other.conf"])
def test_absent_takes_the_directories_that_were_made_for_it_as_far_as_they_are_empty(conf: Conf, left: str) -> None:
    conf.node.run("mkdir", "/etc/theirs")
    deep = "/etc/theirs/cni/net.d"
    conf.module(conf_dir=deep)
    if left:
        conf.node.run("sh", "-c", f"mkdir -p {deep}/net.d; touch {deep}/{left}")
    assert conf.module(state="absent", conf_dir=deep)["changed"]
    found = conf.node.run("find", "/etc/theirs", "-type", "d").stdout.split()
    assert found == ["/etc/theirs", *(["/etc/theirs/cni", deep, f"{deep}/net.d"] if left else [])]
    conf.node.run("test", "!", "-e", "/etc/humanz-cni")
    # One that was there before stays.
    conf.node.run("mkdir", "-p", deep)
    conf.module(conf_dir=deep)
    conf.module(state="absent", conf_dir=deep)
    conf.node.run("test", "-d", deep)


def test_absent_without_a_directory(conf: Conf) -> None:
    conf.directory.rmdir()
    assert not conf.module(state="absent")["changed"]
    assert not conf.directory.exists()
    assert conf.module()["changed"]
    assert conf.directory.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "content",
    [
        '{"plugins": [{"type": "bridge"}, {"type": "humanz-cni"}]}',
        '{"plugins": []}',
        '{"plugins": [{"type": "humanz-cni"}',
        "[]",
        "",
    ],
)
def test_foreign_file_under_our_name_stays(conf: Conf, content: str) -> None:
    path = conf.directory / LIST_NAME
    path.write_text(content)
    result = conf.module()
    assert result["failed"]
    assert f"{path} is not ours" in result["msg"]
    assert path.read_text() == content


@pytest.mark.parametrize("name", ["05-cilium.conflist", "10-flannel.conflist", "00-multus.conf", "10-a.json"])
def test_earlier_foreign_configuration(conf: Conf, name: str) -> None:
    (conf.directory / name).write_text('{"type": "bridge"}')
    result = conf.module()
    assert result["failed"]
    assert result["foreign"] == [str(conf.directory / name)]
    assert "set foreign to keep" in result["msg"]
    assert conf.names() == [name]
    assert conf.module(foreign="keep")["changed"]
    assert sorted([name, LIST_NAME]) == conf.names()


def test_other_files_are_in_nobodys_way(conf: Conf) -> None:
    names = ["00-readme.txt", "05-x.conflist.bak", "87-podman-bridge.conflist"]
    for name in names:
        (conf.directory / name).write_text("{}")
    (conf.directory / "00-directory.conf").mkdir()
    assert conf.module()["changed"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"pod_cidrs": []}, "pod_cidrs: at least one network"),
        ({"pod_cidrs": ["100.100.0.1/24"]}, "pod_cidrs: 100.100.0.1/24 has host bits set"),
        ({"format": "conf", "cluster_cidr": None}, "cluster_cidr: the network of all nodes' pods is needed"),
        ({"node_ip": "200.0.0.11"}, "no interface of this node has the address 200.0.0.11"),
        ({"node_ip": "ubuntu-nested-1"}, "node_ip: ubuntu-nested-1 is not an IP address: it must be an address"),
        ({"pod_cidrs": ["fd00::%x/64"]}, "pod_cidrs: 'fd00::%x/64' is not a network in CIDR notation: it must be"),
        (
            {"format": "conf", "pod_cidrs": ["100.100.0.0/24", "fd00::/64"]},
            "pod_cidrs: 100.100.0.0/24, fd00::/64 are 2 networks, and the format conf has room for one",
        ),
        ({"node_ip": ["200.0.0.10", "2001:db8::9"]}, "no interface of this node has the address 2001:db8::9"),
        ({"mtu": 10}, "mtu: 10 must be 0, or 68 to 65535"),
        ({"mtu": 1279, "pod_cidrs": ["fd00::/64"]}, "mtu: 1279 must be 1280 bytes or more for IPv6, as in fd00::/64"),
        ({"conf_dir": "net.d"}, "conf_dir: net.d must be an absolute path without .., such as /etc/cni/net.d"),
        ({"cni_bin_dir": "false"}, "cni_bin_dir: false must be an absolute path without .., such as /opt/cni/bin"),
        ({"name": "my network"}, "name: 'my network'"),
        ({"bridge": "humanz-cni-bridge0"}, "bridge: 'humanz-cni-bridge0'"),
        ({"plan": "/tmp/plan"}, "plan is on the controller"),
    ],
)
def test_bad_input_changes_nothing(conf: Conf, args: dict[str, Any], message: str) -> None:
    result = conf.module(**args)
    assert result["failed"]
    assert message in result["msg"]
    assert conf.names() == []
