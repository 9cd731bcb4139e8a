# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ipam.type`` names another plugin: the specification's delegation, with a plugin that is told what to say."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration_netns.plugin.test_plugin_traffic import serve, source_seen
from tests.support.plugin.network_list import NetworkList
from tests.support.plugin.runtime import Outcome, Runtime, nested

# Keeps what it was called with, and says what its files say.
DELEGATE = """#!/bin/sh
here=${0%/*}
env | sort > "$here/$CNI_COMMAND.env"
cat > "$here/$CNI_COMMAND.stdin"
echo "$CNI_COMMAND" >> "$here/calls"
cat "$here/$CNI_COMMAND.stderr" >&2 2>/dev/null
cat "$here/$CNI_COMMAND.stdout" 2>/dev/null
if [ -e "$here/$CNI_COMMAND.hang" ]; then echo $$ > "$here/pid"; exec sleep 30; fi
exit "$(cat "$here/$CNI_COMMAND.status" 2>/dev/null || echo 0)"
"""
RESULT: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "ips": [{"address": "10.9.0.5/24", "gateway": "10.9.0.1"}, {"address": "fd00:9::5/64"}],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "198.51.100.0/24", "gw": "10.9.0.7"}],
    "dns": {"nameservers": ["10.9.0.53"], "search": ["shop.example"]},
}
ERROR = {"cniVersion": "1.0.0", "code": 137, "msg": "the pool is on holiday", "details": "until Monday"}


class Delegate:
    """The plugin ``test-ipam`` in a directory of its own."""

    def __init__(self, directory: Path, plugin: Path) -> None:
        self._directory = directory
        executable = directory / "test-ipam"
        executable.write_text(DELEGATE)
        executable.chmod(0o755)
        self.path = f"/nowhere:{plugin}::{directory}"
        self.answers("ADD", RESULT)

    def answers(self, command: str, document: Any = None, status: int = 0, error: str = "") -> None:
        """Let it print *document*, and *error* on standard error, and end with *status*."""
        printed = document if isinstance(document, str) else json.dumps(document) if document else ""
        for name, text in (("stdout", printed), ("stderr", error), ("status", str(status))):
            (self._directory / f"{command}.{name}").write_text(text)

    def hang(self, command: str) -> None:
        """Let it not come to its end."""
        (self._directory / f"{command}.hang").touch()

    def wait_for_hanging(self) -> int:
        """Return the process that hangs."""
        path = self._directory / "pid"
        while not (path.exists() and path.read_text().endswith("\n")):
            time.sleep(0.01)
        return int(path.read_text())

    @property
    def calls(self) -> list[str]:
        """The commands that it was called with."""
        path = self._directory / "calls"
        return path.read_text().split() if path.exists() else []

    def received(self, command: str) -> tuple[Any, dict[str, str]]:
        """Return what standard input was, and the environment."""
        lines = (self._directory / f"{command}.env").read_text().splitlines()
        environment = dict(line.split("=", 1) for line in lines)
        return json.loads((self._directory / f"{command}.stdin").read_text()), environment


@pytest.fixture
def delegate(tmp_path: Path, runtime: Runtime) -> Delegate:
    """A plugin for addresses, in CNI_PATH."""
    return Delegate(tmp_path, runtime.executable.parent)


def conf(**further: Any) -> dict[str, Any]:
    """Return a configuration that wants its addresses from that plugin."""
    return {**nested(), "ipam": {"type": "test-ipam", "pool": "blue"}, **further}


def test_addresses_routes_and_dns_are_the_delegates(runtime: Runtime, delegate: Delegate) -> None:
    result = runtime.add(conf(isDefaultGateway=True), PATH=delegate.path)

    assert [(ip["address"], ip["gateway"], ip["interface"]) for ip in result["ips"]] == [
        ("10.9.0.5/24", "10.9.0.1", 2),
        ("fd00:9::5/64", "fd00:9::1", 2),  # the subnet's first address, as the bridge is a gateway
    ]
    assert result["routes"] == [*RESULT["routes"], {"dst": "::/0", "gw": "fd00:9::1"}]
    assert result["dns"] == RESULT["dns"]
    assert runtime.addresses("eth0", "pod1") == {"10.9.0.5/24", "fd00:9::5/64"}
    assert runtime.addresses("br1") == {"10.9.0.1/24", "fd00:9::1/64"}
    assert {(route["dst"], route.get("gateway")) for route in runtime.routes("pod1")} == {
        ("default", "10.9.0.1"), ("198.51.100.0/24", "10.9.0.7"), ("10.9.0.0/24", None),
    }  # fmt: skip
    assert runtime.records() == {}


def test_s_031_the_delegate_has_our_input_and_environment(runtime: Runtime, delegate: Delegate) -> None:
    asked = conf(unknown={"key": [1.50, None]}, ISGATEWAY=True)
    runtime.add(asked, PATH=delegate.path, ARGS="IgnoreUnknown=1;K8S_POD_NAME=cart-0")
    runtime.call("CHECK", {**asked, "prevResult": RESULT}, PATH=delegate.path)
    runtime.delete(asked, PATH=delegate.path)

    for command in ("ADD", "DEL"):
        received, environment = delegate.received(command)
        assert received == asked
        assert {key: value for key, value in environment.items() if key.startswith("CNI_")} == {
            "CNI_COMMAND": command, "CNI_CONTAINERID": "pod1", "CNI_NETNS": "/run/netns/pod1", "CNI_IFNAME": "eth0",
            "CNI_PATH": delegate.path,
        } | ({"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=cart-0"} if command == "ADD" else {})  # fmt: skip
    assert delegate.received("CHECK")[0] == {**asked, "prevResult": RESULT}


def test_s_095_its_status_counts_where_children_are_ignored(runtime: Runtime, delegate: Delegate) -> None:
    runtime.pod("pod1")
    ignoring = ("/usr/bin/env", "--ignore-signal=CHLD")

    assert runtime.call("ADD", conf(), PATH=delegate.path, through=ignoring).status == 0
    delegate.answers("DEL", ERROR, status=1)
    assert runtime.call("DEL", conf(), PATH=delegate.path, through=ignoring).document == ERROR


def test_s_040_what_the_delegate_says_on_standard_error_is_passed_on(runtime: Runtime, delegate: Delegate) -> None:
    delegate.answers("ADD", RESULT, error="the pool is nearly empty\n" * 5000)
    runtime.pod("pod1")

    outcome = runtime.call("ADD", conf(), PATH=delegate.path)

    assert (outcome.status, outcome.error) == (0, "the pool is nearly empty\n" * 5000)


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_s_095_a_delegates_error_is_passed_on_as_it_is(runtime: Runtime, delegate: Delegate, command: str) -> None:
    result = runtime.add(conf(), PATH=delegate.path) if command != "ADD" else None
    runtime.pod("pod2")
    delegate.answers(command, ERROR, status=1)

    asked = {**conf(), "prevResult": result} if result else conf()
    error = runtime.fail(command, asked, "pod2" if command == "ADD" else "pod1", PATH=delegate.path)

    assert error == ERROR


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (("", 3, ""), "netplugin failed with no error message: exit status 3"),
        (("", 3, "panic: oh\n"), 'netplugin failed: "panic: oh"'),
        (("so sorry", 1, ""), 'netplugin failed but error parsing its diagnostic message "so sorry"'),
        (('{"code": "x"}', 1, ""), 'netplugin failed but error parsing its diagnostic message "{\\"code\\": \\"x\\"}"'),
        (("so glad", 0, ""), "the result of test-ipam: it is not JSON"),
        (("[]", 0, ""), "the result of test-ipam: it is not a JSON object"),
        ({"ips": []}, "IPAM plugin returned missing IP config"),
        ({"ips": [{"address": "10.9.0.5"}]}, "the result of test-ipam: ips[0].address"),
        ({"ips": [7]}, "the result of test-ipam: ips[0]"),
        ({**RESULT, "dns": {"search": "x"}}, "the result of test-ipam: dns.search"),
        ({**RESULT, "routes": [{"dst": "x"}]}, "the result of test-ipam: routes[0].dst"),
    ],
)
def test_s_055_after_a_failed_add_the_delegate_is_called_with_del(
    runtime: Runtime, delegate: Delegate, answer: Any, message: str
) -> None:
    runtime.add(conf(), "pod1", PATH=delegate.path)
    runtime.pod("pod2")
    before = runtime.state()
    document, status, error = answer if isinstance(answer, tuple) else (answer, 0, "")
    delegate.answers("ADD", document, status, error)

    outcome = runtime.call("ADD", conf(), "pod2", PATH=delegate.path)

    assert outcome.status == 1
    assert outcome.document["msg"].startswith(message)
    assert outcome.error == error
    assert delegate.calls == ["ADD", "ADD", "DEL"]
    assert delegate.received("DEL")[1]["CNI_CONTAINERID"] == "pod2"
    assert runtime.state() == before


def test_s_055_a_later_failure_gives_the_addresses_back_as_well(runtime: Runtime, delegate: Delegate) -> None:
    runtime.node.ip("link add br1 type bridge")
    runtime.node.ip("addr add 10.77.0.1/24 dev br1")
    runtime.pod("pod1")
    delegate.answers("DEL", ERROR, status=1)

    outcome = runtime.call("ADD", conf(), PATH=delegate.path)

    assert "already has an IP address different from 10.9.0.1/24" in outcome.document["msg"]
    assert delegate.calls == ["ADD", "DEL"]
    assert "until Monday" in outcome.error or "holiday" in outcome.error
    assert set(runtime.links("pod1")) == {"lo"}


def checked(runtime: Runtime) -> tuple[set[str], ...]:
    """Return the ports that are checked, those with a hardware address of their own, and with an IPv4 address."""
    listed = [runtime.node.run("nft", "list", "set", "bridge", "humanz-cni", name) for name in ("ports", "mac", "ipv4")]
    return tuple(set(re.findall(r"\"(\w+)\"", one.stdout.partition("elements")[2])) for one in listed)


def test_s_025_a_terminated_add_ends_the_delegate_and_calls_its_del(runtime: Runtime, delegate: Delegate) -> None:
    runtime.add(conf(), "pod1", PATH=delegate.path)
    runtime.pod("pod2")
    before = runtime.state()
    known = runtime.links()
    delegate.hang("ADD")
    asked = conf(ipspoofchk=True)
    environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod2", "CNI_NETNS": "/run/netns/pod2"}
    environment.update(CNI_IFNAME="eth0", CNI_PATH=delegate.path)
    data = json.dumps(asked).encode()

    command = runtime.command(environment)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()
        hanging = delegate.wait_for_hanging()
        port = next(name for name in runtime.links() if name not in known)
        assert checked(runtime) == ({port}, {port}, set())
        process.terminate()
        assert process.stdout is not None
        error = json.loads(process.stdout.read())

    assert "terminated" in error["msg"]
    assert delegate.calls == ["ADD", "ADD", "DEL"]
    assert not Path(f"/proc/{hanging}").exists()
    assert checked(runtime) == (set(), set(), set())
    assert runtime.state() == before


@pytest.mark.parametrize("netns", ["", "/run/netns/gone", None])
def test_s_076_del_is_delegated_without_a_namespace(runtime: Runtime, delegate: Delegate, netns: str | None) -> None:
    runtime.add(conf(), PATH=delegate.path)

    runtime.delete(conf(), PATH=delegate.path, NETNS=netns)
    runtime.delete(conf(), PATH=delegate.path, NETNS=netns)

    assert delegate.calls == ["ADD", "DEL", "DEL"]
    assert set(runtime.links()) == {"lo", "br1"}


@pytest.mark.parametrize("kind", ["whereabouts", "../humanz-cni", "/bin/true", "nul\0", "half\ud800"])
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_a_plugin_that_is_not_in_the_path_is_named(runtime: Runtime, command: str, kind: str) -> None:
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail(command, {**conf(), "ipam": {"type": kind}, "prevResult": {"cniVersion": "1.0.0"}})

    assert error["code"] == 2
    assert runtime.state() == before


def test_a_plugin_that_cannot_be_executed_is_named(runtime: Runtime, delegate: Delegate, tmp_path: Path) -> None:
    (tmp_path / "test-ipam").write_text("no program")
    runtime.pod("pod1")

    outcome = runtime.call("ADD", conf(), PATH=delegate.path)

    assert outcome.document["msg"] == f"ipam.type: {tmp_path}/test-ipam cannot be executed: Exec format error"


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
@pytest.mark.parametrize("answered", ["0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_s_143_a_result_of_another_version_is_converted(
    runtime: Runtime, delegate: Delegate, version: str, answered: str
) -> None:
    versions = {"version": "4"} if answered < "1" else {}
    said: dict[str, Any] = {"ips": [{**versions, "address": "10.9.0.5/24"}]}
    delegate.answers("ADD", {"cniVersion": answered, **({"ip4": {"ip": "10.9.0.5/24"}} if answered < "0.3" else said)})

    result = runtime.add(conf(cniVersion=version), PATH=delegate.path)

    wanted = {"version": "4"} if version < "1" else {}
    assert result["ips"] == [{**wanted, "address": "10.9.0.5/24", "gateway": "10.9.0.1", "interface": 2}]


OLD: dict[str, Any] = {
    "ip4": {"ip": "10.9.0.5/24", "gateway": "10.9.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
    "ip6": {"ip": "fd00:9::5/64", "routes": [{"dst": "::/0", "gw": "fd00:9::1"}]},
    "dns": {"nameservers": ["10.9.0.53"]},
}


@pytest.mark.parametrize("stated", [{}, {"cniVersion": "0.1.0"}, {"cniVersion": "0.2.0"}], ids=str)
def test_s_131_plugins_of_old_configurations_understand_each_other(
    runtime: Runtime, delegate: Delegate, stated: dict[str, str]
) -> None:
    delegate.answers("ADD", {**stated, **OLD})
    asked = {**{key: value for key, value in conf().items() if key != "cniVersion"}, **stated}

    result = runtime.add(asked, PATH=delegate.path)

    ip6 = {**OLD["ip6"], "gateway": "fd00:9::1"}
    assert result == {"cniVersion": "0.1.0", **stated, **OLD, "ip6": ip6}
    assert {route["dst"] for route in runtime.routes("pod1")} == {"default", "10.9.0.0/24"}
    runtime.delete(asked, PATH=delegate.path)
    assert delegate.calls == ["ADD", "DEL"]


WRONG_OLD = {
    "no object": ({"ip4": ["10.9.0.5/24"]}, "ip4"),
    "no address": ({"ip4": {"ip": "10.9.0.5"}}, "ip4.ip"),
    "no gateway": ({"ip4": {"ip": "10.9.0.5/24", "gateway": "no"}}, "ip4.gateway"),
    "no network": ({"ip6": {"ip": "fd00:9::5/64", "routes": [{"gw": "fd00:9::1"}]}}, "ip6.routes[0].dst"),
}


@pytest.mark.parametrize(("said", "key"), WRONG_OLD.values(), ids=WRONG_OLD)
def test_s_131_what_is_wrong_in_an_old_result_is_named(
    runtime: Runtime, delegate: Delegate, said: dict[str, Any], key: str
) -> None:
    delegate.answers("ADD", {"cniVersion": "0.2.0", **said})
    runtime.pod("pod1")

    error = runtime.fail("ADD", conf(cniVersion="0.2.0"), PATH=delegate.path)

    assert error["msg"].startswith(f"the result of test-ipam: {key}: ")


def test_without_a_gateway_there_is_none(runtime: Runtime, delegate: Delegate) -> None:
    delegate.answers("ADD", {"cniVersion": "1.0.0", "ips": [{"address": "10.9.0.5/24"}]})

    result = runtime.add(conf(isGateway=False), PATH=delegate.path)

    assert "gateway" not in result["ips"][0]
    assert runtime.addresses("br1") == set()
    assert runtime.call("CHECK", {**conf(isGateway=False), "prevResult": result}, PATH=delegate.path).status == 0


@pytest.mark.parametrize("kind", ["host-local", "humanz-cni"])
def test_host_local_is_our_own_without_another_process(runtime: Runtime, delegate: Delegate, kind: str) -> None:
    (Path(delegate.path.rpartition(":")[2]) / "test-ipam").rename(Path(delegate.path.rpartition(":")[2]) / kind)
    asked = nested()
    asked["ipam"]["type"] = kind

    runtime.add(asked, PATH=delegate.path)

    assert delegate.calls == []
    assert runtime.records()


def damage_nothing(_runtime: Runtime) -> str:
    """Change nothing; CHECK then has nothing to say."""
    return ""


def damage_address(runtime: Runtime) -> str:
    """Take the pod's address away."""
    runtime.node.ip("-n pod1 addr del 10.9.0.5/24 dev eth0")
    return "interface eth0 does not have address 10.9.0.5/24"


def damage_bridge(runtime: Runtime) -> str:
    """Take the bridge's address away."""
    runtime.node.ip("addr del 10.9.0.1/24 dev br1")
    return "bridge br1 does not have address 10.9.0.1/24"


def damage_route(runtime: Runtime) -> str:
    """Take a route away."""
    runtime.node.ip("-n pod1 route del 198.51.100.0/24")
    return "the pod has no route to 198.51.100.0/24 via 10.9.0.7"


@pytest.mark.parametrize("damage", [damage_nothing, damage_address, damage_bridge, damage_route])
def test_s_091_check_looks_at_what_the_delegate_gave(runtime: Runtime, delegate: Delegate, damage: Any) -> None:
    asked = conf(isDefaultGateway=True, ipspoofchk=True)
    result = runtime.add(asked, PATH=delegate.path)
    message = damage(runtime)

    outcome = runtime.call("CHECK", {**asked, "prevResult": result}, PATH=delegate.path)

    if message:
        assert outcome.document["msg"] == message
    else:
        assert outcome == Outcome(0, "", "")


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_the_references_static_plugin_gives_the_addresses(runtime: Runtime, version: str) -> None:
    network = NetworkList(
        runtime,
        {
            "cniVersion": version, "name": "net1", "type": "humanz-cni", "bridge": "br1", "isDefaultGateway": True,
            "capabilities": {"ips": True},
            "ipam": {
                "type": "static", "routes": [{"dst": "198.51.100.0/24"}], "dns": {"domain": "shop.example"},
                "addresses": [{"address": "10.9.0.5/24", "gateway": "10.9.0.1"}],
            },
        },
    )  # fmt: skip

    first, second = network.add("pod1"), network.add("pod2", ips=["10.9.0.6/24"])

    assert first["ips"][0]["address"] == "10.9.0.5/24"
    assert first["dns"]["domain"] == "shop.example"
    assert second["ips"][0]["address"] == "10.9.0.6/24"
    reach_each_other(runtime, "10.9.0.5", "10.9.0.6")
    if version >= "0.4.0":
        network.check(first, "pod1")
    network.delete("pod1", result=first)
    network.delete("pod2", result=second, ips=["10.9.0.6/24"])
    assert set(runtime.links()) == {"lo", "br1"}


def test_the_references_host_local_gives_the_addresses_under_another_name(runtime: Runtime, tmp_path: Path) -> None:
    ipam = {"type": "reference-host-local", "dataDir": "/run/reference", "routes": [{"dst": "0.0.0.0/0"}]}
    ranges = [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]
    network = NetworkList(runtime, {**nested(), "ipMasq": True, "ipam": {**ipam, "ranges": ranges}})
    (tmp_path / "reference-host-local").symlink_to(network.directories[-1] / "host-local")
    network.directories.append(tmp_path)

    results = {pod: network.add(pod) for pod in ("pod1", "pod2")}

    assert [ip["address"] for ip in results["pod1"]["ips"]] == ["10.9.0.2/24", "fd00:9::2/64"]
    reach_each_other(runtime, "10.9.0.2", "10.9.0.3")
    reach_each_other(runtime, "fd00:9::2", "fd00:9::3")
    for pod, result in results.items():
        network.check(result, pod)
        network.delete(pod, result=result)
    kept = runtime.records("/run/reference/net1")
    assert {path.rpartition("/")[2] for path in kept} == {"last_reserved_ip.0", "last_reserved_ip.1"}


def reach_each_other(runtime: Runtime, first: str, second: str) -> None:
    """Connect from pod2, which has *second*, to pod1, which has *first*."""
    server = serve(runtime, "pod1", first)
    try:
        assert source_seen(runtime, "pod2", first) == second
    finally:
        server.kill()
        server.communicate()
