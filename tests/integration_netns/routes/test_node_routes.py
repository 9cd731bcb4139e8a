# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_routes on a node: what it makes, changes, removes, predicts, refuses and undoes."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.netns.route_monitor import route_events

STATE_FILE = "/etc/humanz-cni/routes"
NAMES_FILE = "/etc/iproute2/rt_protos.d/humanz-cni.conf"
PEERS = [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}, {"dst": "100.100.2.0/24", "via": "200.0.0.30"}]


def many(count: int) -> list[dict[str, str]]:
    return [{"dst": "100.100.%d.0/24" % number, "via": "200.0.0.%d" % (number + 20)} for number in range(1, count + 1)]


def ours(node: Node, family: str = "-4") -> list[str]:
    return [" ".join(line.split()) for line in node.ip(family, "-N route show proto 217").splitlines()]


def routes(node: Node, routes: list[dict[str, str]], **options: Any) -> dict[str, Any]:
    keywords = {name: options.pop(name) for name in ("check", "diff") if name in options}
    return node.module("node_routes", {"routes": routes, **options}, **keywords)


def everything(node: Node) -> str:
    files = node.run("sh", "-c", f"ls -la {STATE_FILE} {NAMES_FILE}; cat {STATE_FILE} {NAMES_FILE}", check=False).stdout
    return node.ip("route show table all") + node.ip("-6 route show table all") + files


def test_the_node_gets_the_routes_of_part_three(nested: Node) -> None:
    result = routes(nested, PEERS)
    assert result["changed"]
    assert result["added"] == ["100.100.1.0/24 via 200.0.0.20", "100.100.2.0/24 via 200.0.0.30"]
    assert (result["replaced"], result["removed"], result["routes"]) == ([], [], 2)
    assert "100.100.1.0/24 via 200.0.0.20 dev enp8s0 proto humanz-cni" in nested.ip("route")


def test_the_rest_of_a_pod_cidr_is_made_unreachable_and_follows_the_list(nested: Node) -> None:
    before = everything(nested)
    rest = ["fd00:100::/64", "100.100.0.0/24"]
    predicted = routes(nested, PEERS, unreachable=rest, check=True, diff=True)
    assert everything(nested) == before
    result = routes(nested, PEERS, unreachable=rest, diff=True)
    assert result["diff"] == predicted["diff"]
    named = [line.partition(" metric")[0] for line in result["added"] if "unreachable" in line]
    assert named == [f"unreachable {one}" for one in rest[::-1]]
    assert "unreachable fd00:100::/64 dev lo proto humanz-cni" in nested.ip("-6 route")
    assert "unreachable 100.100.0.0/24 proto humanz-cni" in nested.ip("route")
    assert routes(nested, PEERS, unreachable=rest)["changed"] is False
    assert routes(nested, PEERS, unreachable=rest[1:])["removed"] == ["unreachable fd00:100::/64 metric 1024"]
    nested.module("node_routes", {"state": "absent"})
    assert everything(nested) == before
    wrong = routes(nested, PEERS, unreachable=["fd00:100::1/64"])
    assert wrong["msg"].startswith("unreachable: fd00:100::1/64 has host bits set")


def test_a_second_run_changes_nothing(nested: Node) -> None:
    routes(nested, PEERS)
    before = everything(nested)
    result = routes(nested, PEERS)
    assert not result["changed"]
    assert everything(nested) == before


def test_a_second_run_over_1000_routes_writes_nothing(nested: Node) -> None:
    table = [{"dst": f"100.{64 + n // 250}.{n % 250}.0/24", "via": f"200.0.0.{20 + n % 200}"} for n in range(1000)]
    stamps = f"stat --format '%n %i %z' {STATE_FILE} {NAMES_FILE}"
    with route_events(nested) as first:
        assert len(routes(nested, table)["added"]) == 1000
    before = nested.run("sh", "-c", stamps).stdout
    with route_events(nested) as second:
        assert not routes(nested, table)["changed"]
    assert (len(first), second) == (1000, [])
    assert nested.run("sh", "-c", stamps).stdout == before


def test_check_mode_predicts_and_writes_nothing(nested: Node) -> None:
    before = everything(nested)
    predicted = routes(nested, PEERS, check=True, diff=True)
    assert everything(nested) == before
    real = routes(nested, PEERS, diff=True)
    for result in (predicted, real):
        result.pop("invocation")
    assert predicted == real


def test_the_diff_shows_routes_in_their_own_syntax(nested: Node) -> None:
    routes(nested, PEERS)
    diff = routes(nested, [PEERS[0], {"dst": "100.100.3.0/24", "via": "200.0.0.40"}], diff=True)["diff"]
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    assert [line for line in before if line not in after] == ["100.100.2.0/24 via 200.0.0.30"]
    assert [line for line in after if line not in before] == ["100.100.3.0/24 via 200.0.0.40"]


def test_a_next_hop_is_replaced_and_only_what_is_gone_is_removed(nested: Node) -> None:
    routes(nested, PEERS)
    result = routes(nested, [{"dst": "100.100.1.0/24", "via": "200.0.0.21"}])
    assert result["replaced"] == ["100.100.1.0/24 via 200.0.0.21"]
    assert result["removed"] == ["100.100.2.0/24 via 200.0.0.30"]
    assert ours(nested) == ["100.100.1.0/24 via 200.0.0.21 dev enp8s0"]


@pytest.mark.parametrize(
    "damage",
    [
        "route del 100.100.1.0/24",
        "route flush proto 217",
        "route replace 100.100.1.0/24 via 200.0.0.77 proto 217",
        "route append 100.100.1.0/24 via 200.0.0.77 proto 217 metric 9",
        "route replace blackhole 100.100.1.0/24 proto 217",
        "route add 100.100.9.0/24 via 200.0.0.77 proto 217",
        "route add 100.100.9.0/24 proto 217 nexthop via 200.0.0.20 nexthop via 200.0.0.30",
        "-6 route add fd01::/64 via fd00:200::20 proto 217",
    ],
)
def test_damage_is_seen_and_repaired(nested: Node, damage: str) -> None:
    routes(nested, PEERS)
    expected = everything(nested)
    nested.ip(damage)
    assert routes(nested, PEERS)["changed"]
    assert everything(nested) == expected


@pytest.mark.parametrize("path", [STATE_FILE, NAMES_FILE])
def test_a_lost_file_is_written_again(nested: Node, path: str) -> None:
    routes(nested, PEERS)
    before = nested.run("cat", path).stdout
    nested.run("rm", path)
    assert routes(nested, PEERS)["changed"]
    assert nested.run("cat", path).stdout == before


def test_the_state_file_brings_the_routes_back_and_overwrites_nobody(nested: Node) -> None:
    routes(nested, PEERS)
    expected = ours(nested)
    nested.ip("route flush proto 217")
    nested.run("ip", "-force", "-batch", STATE_FILE)
    assert ours(nested) == expected
    nested.ip("route flush proto 217")
    nested.ip("route add blackhole 100.100.1.0/24")
    nested.run("ip", "-force", "-batch", STATE_FILE, check=False)
    assert ours(nested) == expected[1:]
    assert "blackhole 100.100.1.0/24" in nested.ip("route")


def test_both_families_in_one_list(nested: Node) -> None:
    both = [*PEERS, {"dst": "FD00:100:0:1::/64", "via": "fd00:200:0::20"}]
    assert routes(nested, both)["changed"]
    assert ours(nested, "-6") == ["fd00:100:0:1::/64 via fd00:200::20 dev enp8s0 metric 1024 pref medium"]
    assert not routes(nested, both)["changed"]
    routes(nested, PEERS)
    assert ours(nested, "-6") == []


def test_another_table_and_protocol(nested: Node) -> None:
    routes(nested, PEERS, table=300, protocol=218)
    assert "100.100.1.0/24 via 200.0.0.20 dev enp8s0" in nested.ip("route show table 300 proto 218")
    assert ours(nested) == []


def test_another_protocol_number_is_taken_on_by_the_routes_that_are_there(nested: Node) -> None:
    nested.ip("route add 10.9.0.0/16 via 200.0.0.77 proto 217")  # nobody's that is in the file
    routes(nested, PEERS, force=True)
    nested.ip("route add 10.9.0.0/16 via 200.0.0.77 proto 217")
    with route_events(nested) as events:
        assert routes(nested, PEERS, check=True, protocol=218)["changed"]
        done = routes(nested, PEERS, protocol=218)
    assert (done["added"], len(done["replaced"]), done["removed"]) == ([], len(PEERS), [])
    assert not any(event.startswith("Deleted") for event in events)
    assert len(nested.ip("route show proto 218").splitlines()) == len(PEERS)
    assert nested.ip("route show proto 217").split()[:1] == ["10.9.0.0/16"]
    assert not routes(nested, PEERS, protocol=218)["changed"]
    assert routes(nested, PEERS[:1], protocol=217)["removed"]
    assert len(nested.ip("route show proto 218").splitlines()) == 0


def test_absent_leaves_no_trace(nested: Node) -> None:
    before = everything(nested)
    routes(nested, many(20))
    predicted = nested.module("node_routes", {"state": "absent"}, check=True)
    result = nested.module("node_routes", {"state": "absent"})
    assert len(result["removed"]) == 20
    assert predicted["removed"] == result["removed"]
    assert everything(nested) == before
    assert nested.run("ls", "/etc/humanz-cni", check=False).returncode
    assert not nested.module("node_routes", {"state": "absent"})["changed"]


# What is refused


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (("100.100.5.0/24", "8.8.8.8"), "next hop 8.8.8.8: is behind the router 192.168.122.1 on enp1s0"),
        (("100.100.5.0/24", "200.0.0.10"), "next hop 200.0.0.10: is an address of this node"),
        (("100.100.5.0/24", "200.0.0.255"), "next hop 200.0.0.255: is a broadcast address on enp8s0"),
        (("fd01::/64", "fd77::1"), "next hop fd77::1: is unreachable (Network is unreachable)"),
        (("100.100.5.1/24", "200.0.0.20"), "route 100.100.5.1/24 via 200.0.0.20: 100.100.5.1/24 has host bits set"),
        (("100.100.5.0/24", "fd00:200::20"), "the prefix is IPv4, its next hop IPv6"),
        (("100.100.5.0/24", "n2"), "route 100.100.5.0/24 via n2: n2 is not an IP address"),
        (("fd01::/64", "fe80::1%enp8s0"), "via fe80::1%enp8s0: 'fe80::1%enp8s0' is not an IP address"),
        (("100.100.1.0/24", "200.0.0.33"), "route 100.100.1.0/24: has two next hops, 200.0.0.20 and 200.0.0.33"),
        (("fd01::/64", "fd00:200::20%\nnetns exec x touch /run/x"), "is not an IP address"),
        (("fd01::%\nnetns exec x touch /run/x/64", "fd00:200::20"), "is not a network in CIDR notation"),
        (("fd01::/64", "fe80::1", "enp8s0\nnetns"), "dev: 'enp8s0\\nnetns' must be an interface name"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_a_wrong_route_is_refused_before_any_change(
    nested: Node, route: tuple[str, ...], expected: str, check: bool
) -> None:
    before = everything(nested)
    result = routes(nested, [*PEERS, dict(zip(("dst", "via", "dev"), route))], check=check)
    assert result["failed"]
    assert expected in result["problems"][0]
    assert everything(nested) == before


def test_all_that_is_wrong_is_said_at_once(nested: Node) -> None:
    nested.ip("route add blackhole 100.100.1.0/24")
    wrong = [("100.100.5.0/24", "8.8.8.8"), ("100.100.6.0/24", "200.0.0.10")]
    result = routes(nested, PEERS + [{"dst": dst, "via": via} for dst, via in wrong])
    assert len(result["problems"]) == 3
    assert result["msg"] == "no route was changed, for 3 problems"


@pytest.mark.parametrize("protocol", [2, 3, 4, 12, 16, 186, 256, 0])
def test_a_protocol_number_of_others_is_refused(nested: Node, protocol: int) -> None:
    before = everything(nested)
    for state in ("present", "absent"):
        result = nested.module("node_routes", {"routes": PEERS, "protocol": protocol, "state": state})
        assert "choose a number from" in result["msg"]
    assert everything(nested) == before


@pytest.mark.parametrize(
    ("had", "gets", "options", "refusal"),
    [
        (1, [], {}, None),
        (2, [], {}, "set allow_empty"),
        (2, [], {"allow_empty": True}, None),
        (20, [], {"allow_empty": True}, None),
        (3, many(1), {}, None),
        (10, many(5), {}, None),
        (10, many(4), {}, "6 of the node's 10 of IPv4 would go, more than 5"),
        (10, many(4), {"max_prune": 60}, None),
        (10, many(4), {"force": True}, None),
        (10, [], {"force": True}, None),
    ],
)
def test_how_many_routes_may_go_at_once(
    nested: Node, had: int, gets: list[dict[str, str]], options: dict[str, Any], refusal: str | None
) -> None:
    routes(nested, many(had))
    result = routes(nested, gets, **options)
    if refusal:
        assert refusal in result["problems"][0]
        assert len(ours(nested)) == had
    else:
        assert result["routes"] == len(gets)
        assert len(ours(nested)) == len(gets)


def ipv6(count: int) -> list[dict[str, str]]:
    return [{"dst": "fd00:100:0:%d::/64" % number, "via": "fd00:200::%d" % (number + 20)} for number in range(count)]


@pytest.mark.parametrize(
    ("gets", "options", "refusal"),
    [
        (many(10), {}, "the list has no IPv6 route, but the node has 10: set allow_empty"),
        (ipv6(10), {}, "the list has no IPv4 route, but the node has 10: set allow_empty"),
        (many(10) + ipv6(4), {}, "6 of the node's 10 of IPv6 would go, more than 5"),
        (many(10) + ipv6(5), {}, None),
        (many(10), {"allow_empty": True}, None),
        (
            many(10),
            {"unreachable": ["fd00:100:0:a::/64"]},
            "the list has no IPv6 route, but the node has 10: set allow_empty",
        ),
    ],
)
def test_how_many_routes_of_a_family_may_go_at_once(
    nested: Node, gets: list[dict[str, str]], options: dict[str, Any], refusal: str | None
) -> None:
    routes(nested, many(10) + ipv6(10))
    before = everything(nested)
    result = routes(nested, gets, **options)
    if refusal:
        assert refusal in result["problems"][0]
        assert everything(nested) == before
    else:
        assert len(ours(nested)) + len(ours(nested, "-6")) == len(gets)


@pytest.mark.parametrize(
    "damage",
    [
        "-6 route del fd00:100:0:1::/64",
        "-6 route flush proto 217",
        "-6 route replace fd00:100:0:1::/64 via fd00:200::77 proto 217",
        "-6 route append fd00:100:0:1::/64 via fd00:200::77 proto 217",
        "-6 route add fd00:100:0:1::/64 via fd00:200::77 proto 217 metric 9",
        "-6 route replace blackhole fd00:100:0:1::/64 proto 217",
        "-6 route add fd00:100:0:9::/64 proto 217 nexthop via fd00:200::20 nexthop via fd00:200::30",
    ],
)
def test_damage_to_ipv6_routes_is_seen_and_repaired(nested: Node, damage: str) -> None:
    routes(nested, ipv6(3))
    expected = everything(nested)
    nested.ip(damage)
    assert everything(nested) != expected
    assert routes(nested, ipv6(3), check=True)["changed"]
    assert routes(nested, ipv6(3))["changed"]
    assert everything(nested) == expected
    assert not routes(nested, ipv6(3))["changed"]


def test_a_protocol_number_in_use_without_a_state_file_is_somebody_elses(nested: Node) -> None:
    nested.ip("route add 10.9.0.0/16 via 200.0.0.77 proto 217")
    assert "protocol 217: has 1 routes such as" in routes(nested, PEERS)["problems"][0]
    assert "10.9.0.0/16 via 200.0.0.77 dev enp8s0" in ours(nested)
    assert routes(nested, PEERS, force=True)["removed"] == ["10.9.0.0/16 via 200.0.0.77"]


def test_a_state_file_of_somebody_else_is_kept(nested: Node) -> None:
    nested.run("sh", "-c", f"mkdir -p /etc/humanz-cni; echo mine > {STATE_FILE}")
    before = everything(nested)
    assert STATE_FILE in routes(nested, PEERS)["msg"]
    assert everything(nested) == before


def test_what_was_done_is_undone_when_the_kernel_refuses_the_rest(nested: Node) -> None:
    """Somebody takes one of the prefixes between the module's look and its change."""
    routes(nested, [PEERS[0], {"dst": "100.100.9.0/24", "via": "200.0.0.90"}])
    before = everything(nested)
    script = f"""#!/bin/sh
[ "$1" = -batch ] && {shutil.which("ip")} route add blackhole 100.100.2.0/24
exec {shutil.which("ip")} "$@"
"""
    nested.run("sh", "-c", "cat > /usr/local/bin/ip; chmod 755 /usr/local/bin/ip", input=script)
    result = nested.module(
        "node_routes",
        {"routes": [{"dst": "100.100.1.0/24", "via": "200.0.0.21"}, PEERS[1]]},
        path="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    assert "`route add 100.100.2.0/24 via 200.0.0.30 proto 217 table 254`" in result["msg"]
    assert "File exists: everything is as it was before this task" in result["msg"]
    nested.run("rm", "/usr/local/bin/ip")
    nested.ip("route del blackhole 100.100.2.0/24")
    assert everything(nested) == before
