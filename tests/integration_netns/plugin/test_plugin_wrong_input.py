# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input: the specification's code, a message that names what is wrong, and nothing changed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.plugin.runtime import BLOG, Runtime, nested


@pytest.fixture(autouse=True)
def _pod(runtime: Runtime) -> None:
    runtime.pod("pod1")


def fail(runtime: Runtime, conf: Any, **env: str | None) -> dict[str, Any]:
    """Carry out an ADD that must fail and leave everything as it was."""
    before = runtime.state()
    error = runtime.fail("ADD", conf, **env)
    assert runtime.state() == before
    return error


# variable -> the row that says what it must be
ROWS = {"CONTAINERID": "S-005", "IFNAME": "S-006", "NETNS": "S-007", "PATH": "S-009", "ARGS": "S-160"}
BAD_VARIABLES: list[tuple[str, str | None, str]] = [
    ("CONTAINERID", "a/b", "containerID"),
    ("CONTAINERID", "a\n", "containerID"),
    ("CONTAINERID", "-a", "containerID"),
    ("CONTAINERID", ".a", "containerID"),
    ("CONTAINERID", "..", "containerID"),
    ("CONTAINERID", "a\x1b[2J", "containerID"),
    ("CONTAINERID", "ä", "containerID"),
    ("CONTAINERID", None, "required env variables [CNI_CONTAINERID] missing"),
    ("CONTAINERID", "", "required env variables [CNI_CONTAINERID] missing"),
    ("IFNAME", "a/b", "interface name"),
    ("IFNAME", "a:b", "interface name"),
    ("IFNAME", "a b", "interface name"),
    ("IFNAME", "a\u00a0b", "interface name"),
    ("IFNAME", "a\x1b[2J", "interface name"),
    ("IFNAME", "a\u202eb", "interface name"),
    ("IFNAME", "..", "interface name"),
    ("IFNAME", "sixteencharacter", "interface name"),
    ("IFNAME", None, "required env variables [CNI_IFNAME] missing"),
    ("NETNS", None, "required env variables [CNI_NETNS] missing"),
    ("PATH", None, "required env variables [CNI_PATH] missing"),
    ("NETNS", "/dev/null", "/dev/null"),
    ("NETNS", "/run", "/run"),
    ("ARGS", "IP", 'invalid pair "IP"'),
    ("ARGS", "IP=1.2.3.4=5", "invalid pair"),
    ("ARGS", "FOO=bar;IP=10.9.0.9", 'unknown args ["FOO=bar"]'),
    ("ARGS", "IgnoreUnknown=perhaps", "IgnoreUnknown"),
]


@pytest.mark.parametrize(
    ("variable", "value", "text"), BAD_VARIABLES, ids=[f"{ROWS[one[0]]} {one[0]} {one[1]!r}" for one in BAD_VARIABLES]
)
def test_s_037_environment(runtime: Runtime, variable: str, value: str | None, text: str) -> None:
    error = fail(runtime, nested(), **{variable: value})

    assert error["code"] == 4
    assert text in error["msg"]
    assert error["msg"].count(variable) or variable in error.get("details", "")


def test_s_010_all_missing_variables_at_once(runtime: Runtime) -> None:
    error = fail(runtime, nested(), CONTAINERID=None, NETNS=None, IFNAME=None, PATH=None)

    assert error["msg"] == "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"


def test_s_011_an_invalid_variable_comes_before_missing_ones(runtime: Runtime) -> None:
    assert fail(runtime, nested(), CONTAINERID="a/b", IFNAME=None)["msg"] == "invalid characters in containerID"


def test_s_036_a_namespace_that_does_not_exist(runtime: Runtime) -> None:
    error = fail(runtime, nested(), NETNS="/run/netns/gone")

    assert error["code"] == 3
    assert "/run/netns/gone" in error["msg"]


@pytest.mark.parametrize("override", ["TRUE", "true", "True", "1"])
def test_s_012_the_plugins_own_namespace(runtime: Runtime, override: str) -> None:
    own = "/proc/self/ns/net"
    for refused in (None, "", "0", "yes"):
        assert fail(runtime, nested(), NETNS=own, NETNS_OVERRIDE=refused)["code"] == 8
    assert runtime.call("ADD", nested(), NETNS=own, NETNS_OVERRIDE=override).status == 0


REQUIRED = [("ADD", "CONTAINERID"), ("CHECK", "CONTAINERID"), ("DEL", "CONTAINERID"), ("ADD", "IFNAME"),
            ("CHECK", "IFNAME"), ("DEL", "IFNAME"), ("ADD", "NETNS"), ("CHECK", "NETNS")]  # fmt: skip


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize(("command", "name"), REQUIRED, ids=[f"{ROWS[name]} {command}" for command, name in REQUIRED])
def test_required(runtime: Runtime, command: str, name: str, value: str | None) -> None:
    error = runtime.fail(command, nested(), **{name: value})

    assert (error["code"], error["msg"]) == (4, f"required env variables [CNI_{name}] missing")


def test_s_004_s_032_an_unknown_command(runtime: Runtime) -> None:
    error = runtime.fail("FOO", nested())

    assert (error["code"], error["msg"]) == (4, "unknown CNI_COMMAND: FOO")


def test_s_003_no_command_at_all_gets_an_introduction(runtime: Runtime) -> None:
    outcome = runtime.call("", nested(), COMMAND=None)

    assert (outcome.status, outcome.output) == (0, "")
    assert "CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n" in outcome.error


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b'"text"', b'{"name": ', b"\xff\xfe", b"{} {}", b"[" * 5000])
def test_s_014_standard_input_that_is_no_json_object(runtime: Runtime, data: bytes) -> None:
    error = fail(runtime, data)

    assert error["code"] == 6
    assert "error unmarshall network config" in error["msg"]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
def test_s_014_numbers_that_json_does_not_have(runtime: Runtime, value: bytes) -> None:
    assert fail(runtime, b'{"name": "net1", "cniVersion": "1.0.0", "mtu": %s}' % value)["code"] == 6


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        (None, 7, "missing network name"),
        ("", 7, "missing network name"),
        ("a/b", 7, "invalid characters found in network name"),
        ("../x", 7, "invalid characters found in network name"),
        ("net1\n", 7, "invalid characters found in network name"),
        ("net1\0", 7, "invalid characters found in network name"),
        ("..", 7, "invalid characters found in network name"),
        (".elsewhere", 7, "invalid characters found in network name"),
        ("n\u00e4t", 7, "invalid characters found in network name"),
        ("n" * 300, 7, "too long together"),
        (7, 6, "name"),
    ],
)
def test_s_015_network_name(runtime: Runtime, name: Any, code: int, text: str) -> None:
    error = fail(runtime, nested(name=name, cniVersion="0.4.0"))

    assert error["code"] == code
    assert error["cniVersion"] == "0.4.0"
    assert text in error["msg"]


@pytest.mark.parametrize(
    ("version", "code"),
    [("9.9.9", 1), ("0.2", 1), ("0.0.9", 1), ("x.y", 1), ("1.0.0.0", 1), ("1", 1), (1.0, 6), ("1.0.0\n", 1)],
)
def test_s_018_version(runtime: Runtime, version: Any, code: int) -> None:
    error = fail(runtime, nested(cniVersion=version))

    assert error["code"] == code
    if code == 1:
        assert error["msg"] == "incompatible CNI versions"
        wanted = 'config is "%s", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]'
        assert error["details"] == wanted % version


BAD_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"bridge": "a bridge"}, "bridge"),
    ({"bridge": "sixteencharacter"}, "bridge"),
    ({"bridge": 1}, "bridge"),
    ({"bridge": "br/1"}, "bridge"),
    ({"isGateway": "true"}, "isGateway"),
    ({"hairpinMode": 1}, "hairpinMode"),
    ({"mtu": -1}, "mtu"),
    ({"mtu": "1500"}, "mtu"),
    ({"mtu": 1500.5}, "mtu"),
    ({"mtu": True}, "mtu"),
    ({"hairpinMode": True, "promiscMode": True}, "hairpin mode and promiscuous mode at the same time"),
    ({"disableContainerInterface": True}, "cannot use IPAM when DisableContainerInterface flag is set"),
    ({"runtimeConfig": []}, "runtimeConfig"),
    ({"runtimeConfig": {"mac": "zz:00:00:00:00:00"}}, "runtimeConfig.mac"),
    ({"runtimeConfig": {"mac": "01:00:00:00:00:00"}}, "runtimeConfig.mac"),
    ({"runtimeConfig": {"mac": 7}}, "runtimeConfig.mac"),
    ({"runtimeConfig": {"ips": ["10.9.0.300"]}}, "runtimeConfig.ips"),
    ({"runtimeConfig": {"ips": [7]}}, "runtimeConfig.ips"),
    ({"args": {"cni": {"ips": ["x"]}}}, "args.cni.ips"),
    ({"args": {"cni": 1}}, "args.cni"),
    ({"dns": []}, "dns"),
    ({"ipam": []}, "ipam"),
    ({"ipam": {"type": 7}}, "ipam.type"),
    ({"ipam": {"type": "host-local"}}, "no IP ranges specified"),
    ({"ipam": {"type": "host-local", "ranges": {}}}, "ipam.ranges"),
    ({"ipam": {"type": "host-local", "ranges": [[]]}}, "invalid range set 0: empty range set"),
    ({"ipam": {"type": "host-local", "ranges": [{}]}}, "invalid range set 0"),
    ({"ipam": {"type": "host-local", "ranges": [[7]]}}, "invalid range set 0"),
    ({"ipam": {"type": "host-local", "ranges": [[{}]]}}, "subnet"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0"}}, "ipam.subnet"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/+8"}}, "ipam.subnet"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/33"}}, "ipam.subnet"),
    ({"ipam": {"type": "host-local", "subnet": "010.9.0.0/24"}}, "ipam.subnet"),
    ({"ipam": {"type": "host-local", "subnet": 7}}, "ipam.subnet"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/31"}}, "Network 10.9.0.0/31 too small to allocate from"),
    ({"ipam": {"type": "host-local", "subnet": "fd00::/127"}}, "too small to allocate from"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.1/24"}}, "the network address is 10.9.0.0"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.8.0.1"}}, "RangeStart 10.8.0.1 not in"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeEnd": "10.8.0.1"}}, "RangeEnd 10.8.0.1 not in"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeEnd": "fd00::1"}}, "RangeEnd fd00::1 not in"),
    (
        {"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.9", "rangeEnd": "10.9.0.5"}},
        "RangeStart 10.9.0.9 not in network 10.9.0.0/24: it is after RangeEnd 10.9.0.5",
    ),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "gateway": "x"}}, "ipam.gateway"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": {}}}, "ipam.routes"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [7]}}, "ipam.routes[0]"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "x"}]}}, "ipam.routes[0].dst"),
    (
        {"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "routes": [{"dst": "0.0.0.0/0", "gw": "fd00::1"}]}},
        "ipam.routes[0].gw",
    ),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "dataDir": "relative"}}, "ipam.dataDir"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "dataDir": "/a\0b"}}, "ipam.dataDir"),
    ({"ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "resolvConf": "/nonexistent"}}, "ipam.resolvConf"),
]


@pytest.mark.parametrize(("further", "text"), BAD_KEYS, ids=[json.dumps(one)[:60] for one, _text in BAD_KEYS])
def test_configuration(runtime: Runtime, further: dict[str, Any], text: str) -> None:
    error = fail(runtime, nested(**further))

    assert error["code"] == 7
    assert text in error["msg"]


@pytest.mark.parametrize(
    ("further", "text"),
    [
        ({"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/24"}, {"subnet": "fd00::/64"}]]}}, "mixed"),
        (
            {"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/24"}, {"subnet": "10.9.0.0/25"}]]}},
            "subnets 10.9.0.1-10.9.0.254 and 10.9.0.1-10.9.0.126 overlap",
        ),
        (
            {"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "10.0.0.0/8"}]]}},
            "range set 0 overlaps with 1",
        ),
    ],
    ids=["families", "in a set", "of two sets"],
)
def test_ranges_that_contradict_each_other(runtime: Runtime, further: dict[str, Any], text: str) -> None:
    assert text in fail(runtime, nested(**further))["msg"]


def test_s_035_a_key_that_is_not_supported_is_not_passed_over(runtime: Runtime) -> None:
    error = fail(runtime, nested(vlan=100))

    assert error["code"] == 2
    assert "vlan" in error["msg"]
    assert "100" in error["msg"]


def test_s_096_s_115_s_150_s_151_keys_that_nobody_knows_are_passed_over(runtime: Runtime) -> None:
    assert runtime.call("ADD", nested(capabilities={"mac": True}, disableCheck=True, unheard="of")).status == 0


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("10.9.0.1", "requested ip 10.9.0.1 is subnet's gateway"),
        ("10.8.0.5", "failed to allocate all requested IPs: 10.8.0.5"),
        ("10.9.0.255", "failed to allocate all requested IPs: 10.9.0.255"),
    ],
)
def test_an_address_that_cannot_be_had(runtime: Runtime, address: str, text: str) -> None:
    assert text in fail(runtime, nested(), ARGS=f"IP={address}")["msg"]


def test_an_address_that_is_taken(runtime: Runtime) -> None:
    """Whose it is, is said."""
    pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;IP="
    runtime.add(nested(), "pod1", ARGS=pod + "10.9.0.9")
    runtime.add(nested(), "pod3", "net1", ARGS="IP=10.9.0.10")
    runtime.pod("pod2")
    whose = {
        "10.9.0.9": "container pod1, interface eth0, pod shop/cart-0, has it",
        "10.9.0.10": "container pod3, interface net1 has it",
    }
    for address, holder in whose.items():
        error = fail(runtime, nested(), CONTAINERID="pod2", NETNS="/run/netns/pod2", ARGS=f"IP={address}")

        assert error["code"] == 11
        assert error["msg"].endswith(f"{address} is not available in range set 10.9.0.1-10.9.0.254: {holder}")


def test_names_that_are_too_long_together(runtime: Runtime) -> None:
    error = fail(runtime, nested(name="n" * 120), CONTAINERID="c" * 130)

    assert "too long" in error["msg"]


def test_s_022_s_120_version_needs_nothing_at_all(runtime: Runtime) -> None:
    command = runtime.command({"CNI_COMMAND": "VERSION"})
    for stdin in ("", '{"cniVersion": "0.4.0"}', "garbage", '{"cniVersion": 7}', "[]"):
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
        document = json.loads(done.stdout)
        assert document["supportedVersions"] == ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
        assert document["cniVersion"] == ("0.4.0" if "0.4.0" in stdin else "1.1.0")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_spoil_no_file(runtime: Runtime, closed: str) -> None:
    conf = json.dumps(BLOG).replace('"', '\\"')
    shell = f'echo "{conf}" | {" ".join(runtime.command(_environment(runtime)))} {closed}'
    subprocess.run(["sh", "-c", shell], capture_output=True, check=False)

    for text in runtime.records().values():
        assert json.loads(text)["containerID"] == "pod1"


def _environment(runtime: Runtime) -> dict[str, str]:
    return {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/run/netns/pod1", "CNI_PATH": str(runtime.executable.parent),
    }  # fmt: skip


def test_s_022_version_does_not_wait_for_the_end_of_standard_input(runtime: Runtime) -> None:
    command = runtime.command({"CNI_COMMAND": "VERSION"})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as plugin:
        assert plugin.stdin is not None
        plugin.stdin.write(b'{"cniVersion": "0.4.0"}')
        plugin.stdin.flush()
        assert plugin.wait(timeout=10) == 0
        assert plugin.stdout is not None
        assert json.loads(plugin.stdout.read())["cniVersion"] == "0.4.0"
