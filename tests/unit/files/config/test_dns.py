# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dns part of a result: whose it is, what is refused, and what a resolv.conf says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from humanz_cni.config import dns, netconf
from humanz_cni.protocol import request
from humanz_cni.protocol.errors import CNIError


def result(offered: Any = None, **conf: Any) -> dict[str, Any]:
    """Return the dns object for the configuration *conf*; *offered* is a delegate's."""
    asked = request.Request()
    asked.conf = {"cniVersion": "1.0.0", "name": "net1", **conf}
    asked.args = ""
    found = dns.result(netconf.load(asked), offered)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def ipam(tmp_path: Path) -> dict[str, str]:
    """An ipam configuration with a resolv.conf."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\n")
    return {"type": "host-local", "subnet": "10.9.0.0/24", "resolvConf": str(path)}


OFFERED = {"nameservers": ["10.9.0.53"], "domain": "shop.example"}


def test_the_configurations_dns_takes_the_place_of_the_addresses_dns(ipam: dict[str, str]) -> None:
    assert result(ipam=ipam) == {"nameservers": ["192.0.2.53"]}
    assert result(ipam=ipam, dns={"domain": "x.example"}) == {"domain": "x.example"}
    assert result(OFFERED) == OFFERED
    assert result(OFFERED, dns={"search": ["x.example"]}) == {"search": ["x.example"]}


def test_an_empty_list_is_set_and_an_empty_domain_is_not(ipam: dict[str, str]) -> None:
    assert result(ipam=ipam, dns={"nameservers": []}) == {"nameservers": []}
    assert result(ipam=ipam, dns={"domain": "", "options": None}) == {"nameservers": ["192.0.2.53"]}


def test_what_the_runtime_names_comes_first_key_by_key() -> None:
    asked = {"dns": {"servers": ["10.96.0.10"], "searches": ["svc.cluster.local"], "options": ["ndots:5"]}}
    everything = {"nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"], "options": ["ndots:5"]}

    assert result(runtimeConfig=asked) == everything
    assert result(OFFERED, runtimeConfig=asked) == {**everything, "domain": "shop.example"}
    assert result(OFFERED, runtimeConfig={"dns": {"servers": []}}) == OFFERED
    servers = {"dns": {"servers": ["10.96.0.10"]}}
    found = result(runtimeConfig=servers, dns={"nameservers": ["10.0.0.1"], "domain": "d"})
    assert found == {"nameservers": ["10.96.0.10"], "domain": "d"}


def test_only_keys_of_a_dns_object_are_in_the_result() -> None:
    assert result(dns={"domain": "d", "servers": ["1"], "port": 53}) == {"domain": "d"}


@pytest.mark.parametrize(
    ("key", "conf"),
    [
        ("dns.nameservers", {"dns": {"nameservers": "10.0.0.1"}}),
        ("dns.search", {"dns": {"search": ["a", 7]}}),
        ("dns.options", {"dns": {"options": {"ndots": 5}}}),
        ("dns.domain", {"dns": {"domain": ["d"]}}),
        ("runtimeConfig.dns.servers", {"runtimeConfig": {"dns": {"servers": [None]}}}),
        ("runtimeConfig.dns.searches", {"runtimeConfig": {"dns": {"searches": "a"}}}),
        ("runtimeConfig.dns", {"runtimeConfig": {"dns": []}}),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_by_its_key(key: str, conf: dict[str, Any]) -> None:
    with pytest.raises(CNIError, match=f"^{key}: ") as caught:
        result(**conf)
    assert caught.value.code == 7


def test_a_resolv_conf_is_read_as_glibc_reads_it() -> None:
    text = (
        "# nameserver 10.0.0.9\n; nameserver 10.0.0.8\n\n"
        "nameserver 10.0.0.1 # the first\nnameserver\t10.0.0.2 10.0.0.3\nnameserver fe80::1%eth0 ;x\n"
        "nameserver 10.0.0.4#glued\nnameserver\nnameserver dns.example\n"
        "domain shop.example # ours\nsearch a.example b.example\nsearch c.example\noptions ndots:2 rotate\nsortlist 1\n"
    )
    assert dns.parse(text) == {
        "nameservers": ["10.0.0.1", "10.0.0.2", "fe80::1%eth0"],
        "domain": "shop.example",
        "search": ["a.example", "b.example", "c.example"],
        "options": ["ndots:2", "rotate"],
    }


def test_a_resolv_conf_that_is_not_there_is_named(ipam: dict[str, str]) -> None:
    with pytest.raises(CNIError, match=r"^ipam\.resolvConf: /nowhere: No such file or directory$") as caught:
        result(ipam={**ipam, "resolvConf": "/nowhere"})
    assert caught.value.code == 7
