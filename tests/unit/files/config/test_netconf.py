# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: defaults of the reference, meaning of the blog's, priorities of what runtimes ask for."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from humanz_cni.config import ipam_keys, netconf
from humanz_cni.protocol import request
from humanz_cni.protocol.errors import CNIError

IPAM = {"type": "host-local", "subnet": "10.9.0.0/24"}


def load(cni_args: str = "", **conf: Any) -> netconf.NetConf:
    """Return the checked configuration of *conf*, with CNI_ARGS *cni_args*."""
    asked = request.Request()
    asked.conf = {"cniVersion": "1.0.0", "name": "net1", **conf}
    asked.args = cni_args
    return netconf.load(asked)


def test_defaults_are_those_of_the_bridge_plugin() -> None:
    conf = load(ipam=IPAM)

    assert conf.bridge == "cni0"
    assert conf.mtu == 0
    flags = (
        conf.is_gateway,
        conf.is_default_gateway,
        conf.force_address,
        conf.hairpin,
        conf.promiscuous,
        conf.isolated,
    )
    assert flags == (False,) * 6
    assert (conf.dad, conf.leave_down, conf.mac, conf.dns) == (False, False, None, {})


def test_a_flat_subnet_means_gateway_default_route_and_hairpin_unless_it_says_otherwise() -> None:
    conf = load(subnet="100.100.1.0/24")
    assert (conf.is_gateway, conf.is_default_gateway, conf.hairpin) == (True, True, True)
    assert conf.ipam is not None

    conf = load(subnet="100.100.1.0/24", isGateway=False, isDefaultGateway=False, hairpinMode=False)
    assert (conf.is_gateway, conf.is_default_gateway, conf.hairpin) == (False, False, False)


@pytest.mark.parametrize(
    ("conf", "disabled"),
    [
        ({"ipam": IPAM}, False),
        ({"ipam": IPAM, "disableIPv6": True}, True),
        ({"subnet": "100.100.1.0/24"}, True),
        ({"subnet": "100.100.1.0/24", "disableIPv6": False}, False),
        ({"subnet": "fd00:1::/64"}, False),
    ],
)
def test_ipv6_is_disabled_where_the_key_says_so_and_with_a_flat_ipv4_subnet(
    conf: dict[str, Any], disabled: bool
) -> None:
    assert load(**conf).disable_ipv6 is disabled


def test_disabled_ipv6_contradicts_an_ipv6_range() -> None:
    ranges = [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]
    with pytest.raises(CNIError, match="disableIPv6: true is invalid: ipam has an IPv6 range: remove one of the two"):
        load(disableIPv6=True, ipam={"type": "host-local", "ranges": ranges})


def test_with_ipam_a_flat_subnet_is_a_key_that_nobody_knows() -> None:
    conf = load(subnet="100.100.1.0/24", ipam=IPAM)

    assert conf.is_gateway is False
    assert conf.ipam is not None
    assert str(conf.ipam.sets[0][0].subnet) == "10.9.0.0/24"


def test_a_default_gateway_is_a_gateway() -> None:
    assert load(isDefaultGateway=True, ipam=IPAM).is_gateway is True


def test_null_is_as_good_as_absent() -> None:
    keys = ("bridge", "isGateway", "mtu", "hairpinMode", "dns", "runtimeConfig", "args")
    assert load("", ipam=IPAM, **dict.fromkeys(keys)).bridge == "cni0"


def test_only_a_configured_data_directory_is_made_durable() -> None:
    ipam = load(ipam=IPAM).ipam
    assert ipam is not None
    assert (ipam.data_dir, ipam.durable) == ("/run/humanz-cni", False)
    ipam = load(ipam={**IPAM, "dataDir": "/var/lib/x"}).ipam
    assert ipam is not None
    assert (ipam.data_dir, ipam.durable) == ("/var/lib/x", True)


@pytest.mark.parametrize(("runtime", "cni", "args"), list(itertools.product([True, False], repeat=3)))
def test_the_runtimes_wishes_have_the_conventions_priority(runtime: bool, cni: bool, args: bool) -> None:
    conf: dict[str, Any] = {"ipam": IPAM}
    if runtime:
        conf["runtimeConfig"] = {"ips": ["10.9.0.11/24"], "mac": "0a:00:00:00:00:11"}
    if cni:
        conf["args"] = {"cni": {"ips": ["10.9.0.12"], "mac": "0a:00:00:00:00:12"}}
    loaded = load("IP=10.9.0.13;MAC=0a:00:00:00:00:13" if args else "", **conf)

    wanted = "11" if runtime else "12" if cni else "13" if args else ""
    assert loaded.ipam is not None
    assert [str(address) for address in loaded.ipam.requested] == (["10.9.0." + wanted] if wanted else [])
    assert loaded.mac == (bytes.fromhex("0a00000000" + wanted) if wanted else None)


@pytest.mark.parametrize(("kind", "delegated"), [("host-local", False), ("humanz-cni", False), ("whereabouts", True)])
def test_addresses_come_from_another_plugin_if_ipam_names_one(kind: str, delegated: bool) -> None:
    conf = load(ipam={**IPAM, "type": kind})

    assert conf.delegated is delegated
    assert (conf.ipam is None) is delegated


def test_a_delegates_data_directory_is_not_ours() -> None:
    conf = {"ipam": {"type": "whereabouts", "dataDir": "/var/lib/whereabouts"}}
    assert ipam_keys.data_dir(conf) == ("/run/humanz-cni", False)


@pytest.mark.parametrize(
    "conf", [{}, {"ipam": 7}, {"ipam": {"dataDir": 7}}, {"dataDir": []}, {"ipam": {"dataDir": "x"}}]
)
def test_the_data_directory_for_del_is_found_in_any_configuration(conf: dict[str, Any]) -> None:
    assert ipam_keys.data_dir(conf) == ("/run/humanz-cni", False)


@pytest.mark.parametrize("name", ["br/0", "br%d", "br 0"])
def test_a_bridge_has_the_name_of_an_interface(name: str) -> None:
    said = f'bridge: "{name}" is invalid: an interface name has no / : % or whitespace'
    with pytest.raises(CNIError, match=f"^{re.escape(said)}$"):
        load(bridge=name)


def test_messages_are_short_even_if_the_configuration_is_not() -> None:
    with pytest.raises(CNIError) as caught:
        load(bridge="x" * 100000)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("key", ["dataDir", "resolvConf"])
@pytest.mark.parametrize("path", ["relative", "/nul\0", "/half\ud800"])
def test_a_path_that_no_file_can_have_is_refused_by_its_key(key: str, path: str) -> None:
    with pytest.raises(CNIError, match=f"ipam.{key}: .* absolute path") as raised:
        load(ipam={**IPAM, key: path})
    assert raised.value.code == 7


@pytest.mark.parametrize("depth", [1, 100_000])
def test_a_value_that_cannot_be_shown_is_refused_all_the_same(depth: int) -> None:
    value: Any = float("inf")
    for _number in range(depth):
        value = [value]
    with pytest.raises(CNIError, match="mtu: its value is invalid"):
        load(mtu=value, ipam=IPAM)
