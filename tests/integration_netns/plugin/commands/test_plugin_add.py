# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ADD that succeeds: what the pod, the bridge and the result look like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import result_shape
from tests.support.plugin.runtime import BLOG, Runtime, nested

VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def test_s_053_s_058_the_blogs_own_conf_means_gateway_default_route_and_hairpin(runtime: Runtime) -> None:
    result = runtime.add(BLOG)

    assert result_shape.problems(result, "0.3.1") == []
    assert result["ips"] == [
        {"version": "4", "interface": 2, "address": "100.100.1.2/24", "gateway": "100.100.1.1"},
    ]
    assert result["routes"] == [{"dst": "0.0.0.0/0", "gw": "100.100.1.1"}]
    assert runtime.addresses("eth0", "pod1") == {"100.100.1.2/24"}
    assert runtime.addresses("humanz-cni0") == {"100.100.1.1/24"}
    assert {route["dst"]: route.get("gateway") for route in runtime.routes("pod1")} == {
        "default": "100.100.1.1",
        "100.100.1.0/24": None,
    }
    port = runtime.links()[result["interfaces"][1]["name"]]
    assert port["master"] == "humanz-cni0"
    assert port["linkinfo"]["info_slave_data"]["hairpin"] is True


def test_s_050_s_134_the_result_names_bridge_host_end_and_pod_end_as_they_are(runtime: Runtime) -> None:
    result = runtime.add(BLOG)

    bridge, host, pod = result["interfaces"]
    assert bridge == {"name": "humanz-cni0", "mac": runtime.links()["humanz-cni0"]["address"]}
    assert host == {"name": host["name"], "mac": runtime.links()[host["name"]]["address"]}
    assert pod == {
        "name": "eth0",
        "mac": runtime.links("pod1")["eth0"]["address"],
        "sandbox": "/run/netns/pod1",
    }


def test_the_host_end_says_whose_it_is(runtime: Runtime) -> None:
    result = runtime.add(BLOG, "c0ffee")

    name = result["interfaces"][1]["name"]
    assert runtime.links()[name]["ifalias"] == "humanz-cni humanz-cni c0ffee eth0"
    assert runtime.links()["humanz-cni0"]["ifalias"] == "humanz-cni"


def test_each_end_has_the_one_queue_that_it_uses(runtime: Runtime) -> None:
    host = runtime.add(BLOG)["interfaces"][1]["name"]

    for end in (runtime.links()[host], runtime.links("pod1")["eth0"]):
        assert (end["num_tx_queues"], end["num_rx_queues"]) == (1, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_s_121_s_130_s_132_s_133_s_135_s_141_each_version_has_its_own_shape_of_result(
    runtime: Runtime, version: str
) -> None:
    result = runtime.add(nested(("10.9.0.0/24", "fd00:9::/64"), cniVersion=version, isDefaultGateway=True))

    assert result_shape.problems(result, version) == []
    assert [("version" in ip) for ip in result["ips"]] == [version < "1"] * 2
    for ip in result["ips"]:
        of_ip = result["interfaces"][ip["interface"]]
        assert (of_ip["name"], of_ip["sandbox"]) == ("eth0", "/run/netns/pod1")


@pytest.mark.parametrize("version", [None, "", "0.1.0", "0.2.0"])
def test_s_017_s_121_s_131_before_0_3_0_a_result_has_one_address_of_each_family(
    runtime: Runtime, version: str | None
) -> None:
    """And what is more is the pod's all the same. Without cniVersion it is 0.1.0, as with the reference."""
    conf = nested(("10.9.0.0/24", "fd00:9::/64", "10.10.0.0/24"), isDefaultGateway=True, dns={"domain": "x.example"})
    conf["ipam"]["routes"] = [{"dst": "172.20.0.0/16", "gw": "10.9.0.77", "mtu": 1400}]
    del conf["cniVersion"]
    conf.update({} if version is None else {"cniVersion": version})

    result = runtime.add(conf)

    given = [{"dst": "172.20.0.0/16", "gw": "10.9.0.77"}, {"dst": "0.0.0.0/0", "gw": "10.9.0.1"}]
    assert result == {
        "cniVersion": version or "0.1.0",
        "ip4": {"ip": "10.9.0.2/24", "gateway": "10.9.0.1", "routes": given},
        "ip6": {"ip": "fd00:9::2/64", "gateway": "fd00:9::1", "routes": [{"dst": "::/0", "gw": "fd00:9::1"}]},
        "dns": {"domain": "x.example"},
    }
    assert runtime.addresses("eth0", "pod1") == {"10.9.0.2/24", "fd00:9::2/64", "10.10.0.2/24"}
    runtime.delete({**conf, "prevResult": result})
    assert runtime.records() == {}


@pytest.mark.parametrize("version", [None, "0.2.0"])
def test_s_131_before_0_3_0_there_is_no_result_without_addresses(runtime: Runtime, version: str | None) -> None:
    conf = nested(cniVersion=version, ipam={})
    runtime.pod("pod1")
    before = runtime.state()

    error = runtime.fail("ADD", conf)

    assert (error["code"], error["msg"]) == (7, "cannot convert: no valid IP addresses")
    assert runtime.state() == before
    runtime.delete(conf)


def test_the_references_defaults_give_no_gateway_no_default_route_and_no_hairpin(runtime: Runtime) -> None:
    conf = nested()
    del conf["isGateway"], conf["bridge"]

    result = runtime.add(conf)

    assert result["interfaces"][0]["name"] == "cni0"
    assert runtime.addresses("cni0") == set()
    assert "routes" not in result
    port = runtime.links()[result["interfaces"][1]["name"]]
    assert port["linkinfo"]["info_slave_data"]["hairpin"] is False


def test_s_136_dual_stack_needs_no_wait_and_has_no_tentative_address(runtime: Runtime) -> None:
    result = runtime.add(nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True))

    assert [ip["address"] for ip in result["ips"]] == ["10.9.0.2/24", "fd00:9::2/64"]
    assert [ip["gateway"] for ip in result["ips"]] == ["10.9.0.1", "fd00:9::1"]
    assert runtime.addresses("eth0", "pod1") == {"10.9.0.2/24", "fd00:9::2/64"}
    assert runtime.addresses("br1") == {"10.9.0.1/24", "fd00:9::1/64"}
    assert "tentative" not in runtime.node.run("ip", "-n", "pod1", "addr", "show", "scope", "global").stdout
    defaults = [route for route in runtime.routes("pod1", "-6") if route["dst"] == "default"]
    assert [route["gateway"] for route in defaults] == ["fd00:9::1"]


def test_s_059_s_137_routes_of_the_conf_are_set_and_reported(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["routes"] = [{"dst": "0.0.0.0/0"}, {"dst": "172.20.0.0/16", "gw": "10.9.0.77"}]

    result = runtime.add(conf)

    assert result["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "172.20.0.0/16", "gw": "10.9.0.77"}]
    gateways = {route["dst"]: route.get("gateway") for route in runtime.routes("pod1")}
    assert gateways["default"] == "10.9.0.1"
    assert gateways["172.20.0.0/16"] == "10.9.0.77"


def test_s_137_default_routes_of_is_default_gateway_are_reported(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True)
    conf["ipam"]["routes"] = [{"dst": "172.20.0.0/16"}, {"dst": "::/0", "gw": "fd00:9::77"}]

    assert runtime.add(conf)["routes"] == [
        {"dst": "172.20.0.0/16"}, {"dst": "::/0", "gw": "fd00:9::77"}, {"dst": "0.0.0.0/0", "gw": "10.9.0.1"},
    ]  # fmt: skip
    (route,) = [route for route in runtime.routes("pod1", "-6") if route["dst"] == "default"]
    assert route["gateway"] == "fd00:9::77"


def test_a_route_that_the_conf_has_twice_is_named(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"]["routes"] = [{"dst": "172.20.0.0/16"}, {"dst": "172.20.0.0/16", "gw": "10.9.0.1"}]
    runtime.pod("pod1")

    error = runtime.fail("ADD", conf)

    assert error["msg"] == "failed to configure eth0: it is there already, or the configuration has it twice"
    assert error["details"] == "addresses 10.9.0.2/24, routes 172.20.0.0/16, 172.20.0.0/16"


@pytest.mark.parametrize(("dst", "gateway"), [("0.0.0.0/0", "fd00:9::1"), ("::/0", "10.9.0.1")])
def test_s_059_a_gateway_of_the_other_family_is_refused(runtime: Runtime, dst: str, gateway: str) -> None:
    conf = nested(("10.9.0.0/24", "fd00:9::/64"))
    conf["ipam"]["routes"] = [{"dst": dst, "gw": gateway}]
    runtime.pod("pod1")

    error = runtime.fail("ADD", conf)

    assert error["code"] == 7
    assert error["msg"].startswith(f'ipam.routes[0].gw: "{gateway}" is invalid: ')


def test_hardware_addresses_are_pinned_and_follow_from_the_ip_address(runtime: Runtime) -> None:
    runtime.add(BLOG, "pod1")
    before = runtime.links()["humanz-cni0"]["address"]
    runtime.add(BLOG, "pod2")

    assert runtime.links()["humanz-cni0"]["address"] == before == "0a:58:64:64:01:01"
    assert runtime.links("pod2")["eth0"]["address"] == "0a:58:64:64:01:03"
    for name in [*runtime.links(), "eth0"]:
        if name != "lo":
            where = ["ip", "netns", "exec", "pod1"] if name == "eth0" else []
            shell = "mount -t sysfs sysfs /sys; cat /sys/class/net/%s/addr_assign_type" % name
            assert runtime.node.run(*where, "unshare", "-m", "sh", "-c", shell).stdout.strip() == "3", name


def test_mtu_is_that_of_the_conf_on_both_ends_and_the_bridge(runtime: Runtime) -> None:
    result = runtime.add(nested(mtu=1400))

    assert runtime.links("pod1")["eth0"]["mtu"] == 1400
    assert {runtime.links()[one["name"]]["mtu"] for one in result["interfaces"][:2]} == {1400}


def test_s_052_the_same_container_may_have_a_second_interface(runtime: Runtime) -> None:
    first = runtime.add(BLOG, "pod1", "eth0")
    second = runtime.add(BLOG, "pod1", "net1")

    assert first["ips"][0]["address"] != second["ips"][0]["address"]
    assert {"eth0", "net1"} <= runtime.links("pod1").keys()
    runtime.delete(BLOG, "pod1", "net1")
    assert "eth0" in runtime.links("pod1")
    assert "net1" not in runtime.links("pod1")


def test_kernel_parameters_of_the_pod_and_the_bridge(runtime: Runtime) -> None:
    runtime.node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
    runtime.add(nested(("10.9.0.0/24", "fd00:9::/64")))

    def parameter(name: str, *where: str) -> str:
        return runtime.node.run(*where, "sysctl", "-n", name).stdout.strip()

    inside = ("ip", "netns", "exec", "pod1")
    assert parameter("net.ipv4.conf.eth0.arp_notify", *inside) == "1"
    assert parameter("net.ipv6.conf.eth0.accept_dad", *inside) == "0"
    assert parameter("net.ipv6.conf.br1.accept_ra") == "0"
    assert parameter("net.ipv4.ip_forward") == "1"
    assert parameter("net.ipv6.conf.all.forwarding") == "1"


def test_the_bridge_forwards_also_where_new_interfaces_do_not(runtime: Runtime) -> None:
    key = "net.ipv4.conf.br1.forwarding"
    runtime.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.default.forwarding=0")
    runtime.add(nested())
    assert runtime.node.run("sysctl", "-n", key).stdout == "1\n"
    runtime.node.run("sysctl", "-qw", f"{key}=0")
    runtime.add(nested(), "pod2")
    assert runtime.node.run("sysctl", "-n", key).stdout == "1\n"


@pytest.mark.parametrize(
    ("further", "args", "wanted"),
    [
        (
            {"runtimeConfig": {"mac": "0a:00:00:00:00:01"}, "args": {"cni": {"mac": "0a:00:00:00:00:02"}}},
            "MAC=0a:00:00:00:00:03",
            "0a:00:00:00:00:01",
        ),  # fmt: skip
        ({"args": {"cni": {"mac": "0a:00:00:00:00:02"}}}, "MAC=0a:00:00:00:00:03", "0a:00:00:00:00:02"),
        ({}, "MAC=0a:00:00:00:00:03", "0a:00:00:00:00:03"),
    ],
    ids=["runtimeConfig", "args", "CNI_ARGS"],
)
def test_s_158_s_159_s_161_hardware_address_asked_for(
    runtime: Runtime, further: dict[str, Any], args: str, wanted: str
) -> None:
    result = runtime.add(nested(**further), ARGS=args)

    assert result["interfaces"][2]["mac"] == wanted
    assert runtime.links("pod1")["eth0"]["address"] == wanted


@pytest.mark.parametrize(
    ("further", "args", "wanted"),
    [
        ({"runtimeConfig": {"ips": ["10.9.0.50/24"]}, "args": {"cni": {"ips": ["10.9.0.51"]}}}, "", "10.9.0.50/24"),
        ({"args": {"cni": {"ips": ["10.9.0.51"]}}}, "IP=10.9.0.52", "10.9.0.51/24"),
        ({}, "IP=10.9.0.52;MAC=0a:00:00:00:00:03;IgnoreUnknown=1;FOO=bar", "10.9.0.52/24"),
    ],
    ids=["runtimeConfig", "args", "CNI_ARGS"],
)
def test_s_158_s_159_s_160_s_161_address_asked_for(
    runtime: Runtime, further: dict[str, Any], args: str, wanted: str
) -> None:
    assert runtime.add(nested(**further), ARGS=args)["ips"][0]["address"] == wanted


def test_s_158_ranges_of_the_runtime_come_first(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/24",), runtimeConfig={"ipRanges": [[{"subnet": "10.8.0.0/24", "rangeStart": "10.8.0.9"}]]})

    assert [ip["address"] for ip in runtime.add(conf)["ips"]] == ["10.8.0.9/24", "10.9.0.2/24"]


def test_legacy_keys_of_host_local(runtime: Runtime) -> None:
    conf = nested()
    conf["ipam"] = {
        "type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.20", "rangeEnd": "10.9.0.21",
        "gateway": "10.9.0.254", "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/var/lib/cni/networks",
    }  # fmt: skip

    result = runtime.add(conf)

    assert result["ips"][0]["address"] == "10.9.0.20/24"
    assert result["ips"][0]["gateway"] == "10.9.0.254"
    assert runtime.addresses("br1") == {"10.9.0.254/24"}
    assert any(path.endswith("net1/10.9.0.20") for path in runtime.records("/var/lib/cni/networks"))
    assert runtime.records() == {}


def test_s_138_dns_of_the_conf_wins_over_resolv_conf(runtime: Runtime) -> None:
    runtime.node.run("sh", "-c", "printf 'nameserver 10.0.0.53\\nsearch a.example b.example\\n' > /run/resolv.conf")
    conf = nested()
    conf["ipam"]["resolvConf"] = "/run/resolv.conf"

    assert runtime.add(conf, "pod1")["dns"] == {"nameservers": ["10.0.0.53"], "search": ["a.example", "b.example"]}
    assert runtime.add({**conf, "dns": {"nameservers": ["1.1.1.1"]}}, "pod2")["dns"] == {"nameservers": ["1.1.1.1"]}


def test_s_142_without_ipam_the_pod_has_a_link_and_no_address(runtime: Runtime) -> None:
    conf = nested(isGateway=False)
    del conf["ipam"]

    result = runtime.add(conf)

    assert "ips" not in result
    assert "UP" in runtime.links("pod1")["eth0"]["flags"]  # operstate may take the kernel a moment longer
    assert runtime.addresses("eth0", "pod1") == set()
    runtime.delete(conf)


def test_disabled_container_interface_stays_down(runtime: Runtime) -> None:
    conf = nested(isGateway=False, disableContainerInterface=True)
    del conf["ipam"]

    runtime.add(conf)

    assert "UP" not in runtime.links("pod1")["eth0"]["flags"]


def test_port_isolation_and_promiscuous_mode(runtime: Runtime) -> None:
    result = runtime.add(nested(portIsolation=True, promiscMode=True))

    port = runtime.links()[result["interfaces"][1]["name"]]
    assert port["linkinfo"]["info_slave_data"]["isolated"] is True
    assert "PROMISC" in runtime.links()["br1"]["flags"]


def test_a_path_that_is_not_ascii_is_the_same_in_every_locale(runtime: Runtime) -> None:
    for number, locale in enumerate(("C", "POSIX", "C.UTF-8", "nonsense")):
        pod = f"pöd{number}"
        runtime.pod(pod)
        environment = {
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": f"pod{number}", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
            "CNI_NETNS": f"/run/netns/{pod}", "LC_ALL": locale,
        }  # fmt: skip
        added = runtime.node.run(*runtime.command(environment)[5:], input=json.dumps(nested()))
        assert json.loads(added.stdout)["interfaces"][2]["sandbox"] == f"/run/netns/{pod}"


def test_s_054_a_prev_result_is_no_obstacle(runtime: Runtime) -> None:
    previous = {"cniVersion": "1.0.0", "interfaces": [{"name": "dummy0", "mac": "0a:00:00:00:00:09"}]}

    assert result_shape.problems(runtime.add(nested(prevResult=previous)), "1.0.0") == []


def test_a_line_in_the_log_file_says_what_happened_to_whom(runtime: Runtime) -> None:
    conf = nested(logFile="/var/log/humanz_cni_test.log")
    conf["logFile"] = "/run/humanz_cni.log"
    runtime.add(conf, ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0")
    runtime.fail("ADD", conf, NETNS="/run/netns/missing", CONTAINERID="other")
    runtime.delete(conf)

    lines = runtime.node.run("cat", "/run/humanz_cni.log").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["ADD", "ADD", "DEL"]
    assert "pod=shop/cart-0" in lines[0]
    assert "10.9.0.2/24" in lines[0]
    assert "error=3" in lines[1]
    assert "network=net1 container=pod1 ifname=eth0" in lines[2]


@pytest.mark.parametrize("path", ["/nonexistent/dir/log", "/dev/full", "/run", "relative.log", 7])
def test_a_log_that_cannot_be_written_fails_nothing(runtime: Runtime, path: Any) -> None:
    runtime.add(nested(logFile=path))
    runtime.delete(nested(logFile=path))
