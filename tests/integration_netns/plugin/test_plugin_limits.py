# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values at the edge of what the kernel and the reference take, and keys that are written otherwise."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested

ROUTES = 10_000
LIMIT = 16 << 20  # bytes that the plugin reads of anything
# The least that Python runs the plugin in, and a part of what it is to refuse; in KiB.
MEMORY = 256 << 10
CONF_LIST = "/etc/cni/net.d/10-net1.conflist"


def limited(command: str) -> list[str]:
    """Return the words that run a command which may take no more memory than MEMORY."""
    return ["sh", "-c", f'ulimit -v {MEMORY}; exec {command}"$@"', "sh"]


def refused(runtime: Runtime, conf: dict[str, Any], ifname: str = "eth0") -> dict[str, Any]:
    """Return the error of an ADD by *conf* that must fail and change nothing."""
    runtime.pod("pod1")
    before = runtime.state()
    error = runtime.fail("ADD", conf, "pod1", ifname)
    assert runtime.state() == before
    return error


@pytest.mark.parametrize(
    "mac",
    ["+2:00:00:00:00:01", " 2:00:00:00:00:01", "02:0_:00:00:00:01", "02:00:00:00:00:0\u0661", "02:  :00:00:00:01",
     "2:0:0:0:0:1", "00:00:00:00:00:00", "02:00:00:00:00:01:02:03"],
)  # fmt: skip
def test_only_six_pairs_of_hexadecimal_digits_are_a_hardware_address(runtime: Runtime, mac: str) -> None:
    error = refused(runtime, nested(runtimeConfig={"mac": mac}))
    assert error["code"] == 7
    assert error["msg"].startswith("runtimeConfig.mac: ")


@pytest.mark.parametrize("mtu", [1, 67])
def test_an_mtu_that_no_link_can_have_is_refused(runtime: Runtime, mtu: int) -> None:
    error = refused(runtime, nested(mtu=mtu))
    assert error["code"] == 7
    assert error["msg"] == f"mtu: {mtu} is invalid: it must be 0, for the kernel's default, or at least 68"


def test_an_mtu_that_ipv6_cannot_have_is_refused_for_ipv6(runtime: Runtime) -> None:
    error = refused(runtime, nested(("10.9.0.0/24", "fd00:9::/64"), mtu=1279))
    assert (error["code"], error["msg"]) == (7, "mtu: 1279 is invalid: IPv6 needs at least 1280")


@pytest.mark.parametrize(
    ("mtu", "subnets"), [(68, ("10.9.0.0/24",)), (1280, ("10.9.0.0/24", "fd00:9::/64")), (65535, ("10.9.0.0/24",))]
)
def test_the_least_and_the_greatest_mtu_are_given(runtime: Runtime, mtu: int, subnets: tuple[str, ...]) -> None:
    runtime.add(nested(subnets, mtu=mtu))
    assert runtime.links("pod1")["eth0"]["mtu"] == mtu
    assert len(runtime.addresses("eth0", "pod1")) == len(subnets)


@pytest.mark.parametrize("name", ["all", "default"])
def test_names_that_the_kernel_keeps_for_itself_are_refused(runtime: Runtime, name: str) -> None:
    error = refused(runtime, nested(), ifname=name)
    assert (error["code"], error["msg"]) == (4, "interface name is all or default")
    assert "CNI_IFNAME" in error["details"]

    error = runtime.fail("ADD", nested(bridge=name))
    assert (error["code"], error["msg"].partition(" ")[0]) == (7, "bridge:")


def test_ten_thousand_routes_are_set(runtime: Runtime) -> None:
    routes = [
        {"dst": f"172.{16 + number // 2500}.{number % 2500 // 10}.{number % 10 * 16}/28"} for number in range(ROUTES)
    ]
    assert len({route["dst"] for route in routes}) == ROUTES
    conf = nested()
    conf["ipam"]["routes"] = routes

    result = runtime.add(conf)

    assert len(result["routes"]) == ROUTES
    assert len(runtime.routes("pod1")) == ROUTES + 1
    runtime.delete(conf)


def test_when_every_route_is_refused_the_error_is_short_and_nothing_is_left(runtime: Runtime) -> None:
    conf = nested()
    unreachable = [{"dst": f"172.16.{number // 250}.{number % 250}/32", "gw": "203.0.113.1"} for number in range(3000)]
    conf["ipam"]["routes"] = unreachable

    runtime.add(nested(), "pod2")
    error = refused(runtime, conf)

    assert error["msg"].startswith("failed to configure eth0: Network is unreachable")
    assert len(error["details"]) < 1000


def test_keys_are_taken_in_any_case_as_the_reference_takes_them(runtime: Runtime) -> None:
    """Its decoder does: enableDad and macSpoofChk stand in many a configuration. The last of several counts."""
    ipam: dict[str, Any] = {"Type": "host-local", "RANGES": [[{"Subnet": "10.9.0.0/24", "rangestart": "10.9.0.50"}]]}
    ipam["Routes"] = [{"DST": "0.0.0.0/0"}]
    conf = {
        "CNIVersion": "1.0.0", "name": "net1", "type": "humanz-cni", "Bridge": "br1", "isgateway": True,
        "hairpinmode": False, "hairpinMode": None, "HairpinMode": True, "IPAM": ipam,
        "Args": {"CNI": {"MAC": "0a:00:00:00:00:01"}}, "DNS": {"Search": ["shop.example"]},
    }  # fmt: skip

    result = runtime.add(conf)

    assert result["cniVersion"] == "1.0.0"
    assert result["ips"][0]["address"] == "10.9.0.50/24"
    assert result["routes"] == [{"dst": "0.0.0.0/0"}]
    assert result["dns"] == {"search": ["shop.example"]}
    assert runtime.addresses("br1") == {"10.9.0.1/24"}
    assert runtime.links("pod1")["eth0"]["address"] == "0a:00:00:00:00:01"
    assert runtime.links()[result["interfaces"][1]["name"]]["linkinfo"]["info_slave_data"]["hairpin"] is True
    assert runtime.call("CHECK", {**conf, "PrevResult": result}) == Outcome(0, "", "")
    runtime.delete(conf)
    assert runtime.records() == {}


def test_null_is_as_good_as_absent_everywhere(runtime: Runtime) -> None:
    keys = (
        "runtimeConfig",
        "args",
        "dns",
        "prevResult",
        "mtu",
        "vlan",
        "vlanTrunk",
        "macspoofchk",
        "ipspoofchk",
        "capabilities",
    )
    conf = {**nested(), **dict.fromkeys(keys)}
    conf["ipam"] = {
        "type": "host-local", "routes": None, "resolvConf": None, "dataDir": None, "subnet": None,
        "ranges": [[{"subnet": "10.9.0.0/24", "gateway": None, "rangeStart": None, "rangeEnd": None}]],
    }  # fmt: skip
    null = {"ips": None, "mac": None, "ipRanges": None, "dns": None}

    assert runtime.add(conf)["ips"][0]["address"] == "10.9.0.2/24"
    runtime.add({**conf, "runtimeConfig": null, "args": {"cni": None}}, "pod2")
    runtime.add({**conf, "runtimeConfig": {"dns": {"servers": None}}, "args": {"cni": {"ips": None}}}, "pod3")
    for pod in ("pod1", "pod2", "pod3"):
        runtime.delete(conf, pod)


def test_a_configuration_beyond_the_limit_is_refused_and_takes_no_memory(runtime: Runtime) -> None:
    runtime.pod("pod1")
    largest = json.dumps(nested()).encode()
    assert runtime.call("ADD", largest + b" " * (LIMIT - len(largest))).status == 0
    for command in ("ADD", "DEL", "CHECK", "STATUS", "GC"):
        outcome = runtime.call(command, largest + b" " * (100 << 20), through=limited(""))
        assert outcome.status == 1, outcome
        error = outcome.document
        assert (error["code"], error["msg"]) == (
            6, f"error unmarshall network config: it has more than {LIMIT} bytes",
        )  # fmt: skip
    version = runtime.call("VERSION", b" " * (100 << 20), through=limited(""))
    assert version.document["cniVersion"] == "1.1.0"
    runtime.delete(nested())


@pytest.mark.parametrize("number", [b"9" * 5000, b"-" + b"9" * 5000], ids=["high", "low"])
def test_a_number_of_thousands_of_digits_is_one_that_is_too_large(runtime: Runtime, number: bytes) -> None:
    data = json.dumps(nested(mtu="NUMBER")).encode()

    error = runtime.fail("ADD", data.replace(b'"NUMBER"', number))

    assert error["code"] == 7
    assert error["msg"].startswith(f"mtu: {number[:150].decode()}")
    assert error["msg"].endswith("... is invalid: it must be a number from 0 to 65535")
    runtime.pod("pod1")
    unknown = data.replace(b'"mtu": "NUMBER"', b'"comment": ' + number)
    assert runtime.call("ADD", unknown).status == 0
    error = runtime.fail("ADD", unknown[:-1] + b", }")
    assert "property name" in error["msg"]


def test_a_bridge_that_has_as_many_ports_as_the_kernel_allows(runtime: Runtime) -> None:
    runtime.add(nested(), "pod1")
    lines = "".join(f"link add p{number} master br1 type veth peer name q{number}\n" for number in range(1022))
    runtime.node.run("ip", "-batch", "-", input=lines)
    runtime.pod("pod2")
    before = runtime.state()

    for conf in (nested(), nested(cniVersion="1.1.0")):
        error = runtime.fail("ADD", conf, "pod2")
        assert (error["code"], error["details"]) == (11, "bridge is br1")
        assert error["msg"] == ("failed to make veth pair: the bridge has as many ports as the kernel allows, 1023")
    assert runtime.state()["records"] == before["records"]
    assert runtime.call("STATUS", nested(cniVersion="1.1.0"), **NO_POD).status == 0  # the end of a pod makes room
    runtime.delete(nested(), "pod1")
    runtime.add(nested(), "pod2")


WITHOUT: dict[str, tuple[str, str]] = {
    "net_admin": ("net_admin", "failed to make veth pair: Operation not permitted: humanz-cni must run as root"),
    "sys_admin": ("sys_admin", "failed to enter the network namespace: humanz-cni must run as root"),
}


@pytest.mark.parametrize(("capability", "said"), WITHOUT.values(), ids=WITHOUT)
def test_a_capability_that_is_missing_is_named(runtime: Runtime, capability: str, said: str) -> None:
    runtime.add(nested(), "pod1")
    runtime.pod("pod2")
    without = ("setpriv", "--bounding-set", f"-{capability}", "--inh-caps", f"-{capability}")

    outcome = runtime.call("ADD", nested(), "pod2", through=without)

    assert outcome.document["msg"].startswith(said)
    assert f"CAP_{capability.upper()}" in outcome.document["msg"]
    assert outcome.error == ""


def test_too_many_open_files_are_named(runtime: Runtime) -> None:
    runtime.pod("pod1")

    outcome = runtime.call("ADD", {**nested(), "dns": {"domain": "x"}}, through=("prlimit", "--nofile=6:6"))

    assert "humanz-cni has as many open files as it may have: see LimitNOFILE" in outcome.document["msg"]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("key", ["prevResult", "args", "runtimeConfig", "unheard"])
def test_a_configuration_that_is_nested_deeply_is_an_error_and_no_crash(runtime: Runtime, key: str) -> None:
    text = json.dumps({**nested(), key: "DEEP"}).encode().replace(b'"DEEP"', DEEP)
    runtime.pod("pod1")
    error = runtime.fail("ADD", text)
    assert (error["code"], error["msg"]) == (6, "error unmarshall network config: nested too deeply")


@pytest.mark.parametrize("further", [{"name": "x" * 1_000_000 + "/"}, {"cniVersion": "9" * 1_000_000}])
def test_an_error_does_not_repeat_a_megabyte(runtime: Runtime, further: dict[str, str]) -> None:
    runtime.pod("pod1")
    outcome = runtime.call("ADD", {**nested(), **further})
    assert outcome.status == 1
    assert outcome.document["msg"]
    assert len(outcome.document["msg"]) + len(outcome.document.get("details", "")) < 9000


def test_a_result_of_ten_thousand_addresses_and_routes_is_checked_and_taken_away(runtime: Runtime) -> None:
    result = runtime.add(nested())
    many = {"ips": result["ips"] * 10_000, "routes": [{"dst": "0.0.0.0/0"}] * 10_000}
    error = runtime.fail("CHECK", nested(prevResult={**result, **many}))
    assert error["msg"] == "the pod has no route to 0.0.0.0/0"
    runtime.delete(nested(prevResult={**result, **many}))
    assert runtime.records() == {}


def test_the_largest_pod_name_that_a_runtime_can_pass_is_no_obstacle(runtime: Runtime) -> None:
    name = "\u00e9" * 60_000  # nearly the longest environment variable there can be
    runtime.add(nested(), ARGS=f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={name}")
    assert runtime.fail("ADD", nested())["msg"].endswith("duplicate allocation is not allowed")
    runtime.delete(nested())
    assert runtime.records() == {}


GIGABYTE = "truncate --size=1G"


@pytest.mark.parametrize("make", [GIGABYTE, "ln -sf /dev/zero", "mkfifo"])
def test_what_is_no_record_costs_neither_memory_nor_time(runtime: Runtime, make: str) -> None:
    """Of the pod itself, of an address, and of a pod that nobody knows."""
    host = runtime.add(nested())["interfaces"][1]["name"]
    places = [f"/run/humanz-cni/net1/{name}" for name in (host, "10.9.0.3", "veth0123456789a")]
    for place in places:
        runtime.node.run("sh", "-ec", f"rm -f {place}; {make} {place}")
    runtime.pod("pod2")
    conf = nested(cniVersion="1.1.0")

    said = runtime.call("ADD", conf, "pod1", through=limited(""))
    assert "duplicate allocation" in said.document["msg"]
    if make == GIGABYTE:
        assert said.error == f"humanz-cni: the record {places[0]} is damaged: it has more than 1048576 bytes\n"
    added = runtime.call("ADD", conf, "pod2", through=limited(""))
    assert added.document["ips"][0]["address"] == "10.9.0.4/24"
    check = {**conf, "prevResult": added.document}
    assert runtime.call("CHECK", check, "pod2", through=limited("")).status == 0
    assert runtime.call("STATUS", conf, through=limited(""), **NO_POD).status == 0
    assert runtime.call("DEL", conf, "pod1", through=limited("")).status == 0
    keep = {**conf, "cni.dev/valid-attachments": [{"containerID": "pod2", "ifname": "eth0"}]}
    assert runtime.call("GC", keep, through=limited(""), **NO_POD).status == 0
    names = [Path(path).name for path in runtime.records()]
    assert names == ["10.9.0.4", added.document["interfaces"][1]["name"]]


def test_a_lock_of_a_gigabyte_is_written_anew(runtime: Runtime) -> None:
    runtime.add(nested())
    lock = "/run/humanz-cni/net1/lock"
    runtime.node.run(*shlex.split(f"{GIGABYTE} {lock}"))
    assert runtime.call("STATUS", nested(cniVersion="1.1.0"), through=limited(""), **NO_POD).status == 0
    runtime.pod("pod2")
    assert runtime.call("ADD", nested(), "pod2", through=limited("")).document["ips"][0]["address"] == "10.9.0.3/24"
    assert runtime.node.run("cat", lock).stdout.startswith('{"boot": ')
    runtime.delete(nested(), "pod2")


@pytest.mark.parametrize("make", [GIGABYTE, "ln -sf /dev/zero", "mkfifo"])
def test_a_resolver_file_without_end_is_refused(runtime: Runtime, make: str) -> None:
    runtime.node.run("sh", "-ec", f"{make} /run/resolv.conf")
    conf = nested()
    conf["ipam"]["resolvConf"] = "/run/resolv.conf"
    runtime.pod("pod1")
    outcome = runtime.call("ADD", conf, through=limited(""))
    if make == "mkfifo":
        assert outcome.status == 0  # nobody writes into it
    else:
        assert outcome.document["code"] == 7
        assert outcome.document["msg"] == f"ipam.resolvConf: /run/resolv.conf: it has more than {LIMIT} bytes"
        assert runtime.records() == {}


@pytest.mark.parametrize("make", [GIGABYTE, "ln -sf /dev/zero"])
def test_a_configuration_file_without_end_is_named_and_takes_no_memory(runtime: Runtime, make: str) -> None:
    text = json.dumps({"name": "net1", "cniVersion": "1.0.0", "plugins": [nested()]})
    runtime.node.run("sh", "-ec", "mkdir -p /etc/cni/net.d; cat > " + CONF_LIST, input=text)
    runtime.add(nested())
    endless = "/etc/cni/net.d/00-endless.conf"
    runtime.node.run("sh", "-ec", f"{make} {endless}")
    ctl = str(runtime.executable.parent.parent / "sbin" / "humanz-cni-ctl")
    done = runtime.node.run(*limited(ctl + " "), "list", check=False)
    assert f"{endless}: it is not JSON: it has more than {LIMIT} bytes" in done.stderr
    assert "10.9.0.2" in done.stdout
    info = runtime.node.module("pod_network_info")
    if make == GIGABYTE:
        assert f"{endless} is not a CNI configuration: " in info["conf"]["error"]
        assert f"it has more than {LIMIT} bytes" in info["conf"]["error"]
    runtime.node.run("sh", "-ec", f"rm -f {endless}; {make} /etc/cni/net.d/10-humanz-cni-plugin.conflist")
    failed = runtime.node.module("cni_conf", {"pod_cidrs": ["10.9.0.0/24"]})
    assert f"it has more than {LIMIT} bytes" in failed["msg"]


def test_a_pipe_among_the_configurations_is_not_waited_for(runtime: Runtime) -> None:
    ours = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"
    runtime.node.run("sh", "-ec", f"mkdir -p /etc/cni/net.d; rm -f /etc/cni/net.d/*; mkfifo {ours}")
    ctl = str(runtime.executable.parent.parent / "sbin" / "humanz-cni-ctl")
    done = runtime.node.run(ctl, "list", check=False)
    assert f"{ours}: it is not JSON" in done.stderr
    assert f"{ours} is not ours" in runtime.node.module("cni_conf", {"pod_cidrs": ["10.9.0.0/24"]})["msg"]
