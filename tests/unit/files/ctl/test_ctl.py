# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command: what it makes of configurations, records and its own command line, without a kernel."""

from __future__ import annotations

import ast
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from humanz_cni.config import ipam_keys, ranges
from humanz_cni.ctl import arguments, networks, output, pools, reservations
from humanz_cni.ipam import allocate, stale
from humanz_cni.kernel.owner import Owner

BOOT = "this-boot"
OWNER = Owner("net1", "pod1", "eth0")
MODULES = sorted(Path(arguments.__file__).parent.glob("*.py"))


@pytest.fixture(autouse=True)
def _data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default data directory is the test's own."""
    monkeypatch.setattr(ipam_keys, "DATA_DIR", str(tmp_path / "run"))


def conf(name: str = "net1", subnet: object = "10.9.0.0/24", **further: Any) -> dict[str, Any]:
    """Return a configuration of the plugin."""
    return {"cniVersion": "1.0.0", "name": name, "type": "humanz-cni", "bridge": "br1",
            "ipam": {"type": "host-local", "subnet": subnet, **further}}  # fmt: skip


def find(tmp_path: Path, *data_dirs: str, **files: Any) -> tuple[list[networks.Network], list[str]]:
    """Return what is found with *files* (name with _ for the dot: contents) as the node's CNI configurations."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name.replace("_", ".")).write_text(text)
    return networks.find(str(tmp_path), list(data_dirs))


def made(name: str = "net1", owner: Owner = OWNER, **further: Any) -> networks.Network:
    """Return a network with one reservation, of 10.9.0.2."""
    network = networks.Network(ipam_keys.DATA_DIR, name)
    network.reservations.create()
    sets = ranges.load({"subnet": "10.9.0.0/24"}, "ipam.")
    network.pools = [networks.Pool("/etc/10.conf", 0, sets[0])]
    facts = {"netns": "/nowhere", "pod": "default/web-0", **further}
    allocate.reserve(network.reservations, owner, sets, [], BOOT, facts, restored=True)
    return network


def judged(network: networks.Network, *links: str, boot: str = BOOT) -> list[reservations.Reservation]:
    """Return the network's reservations, where the host has *links*."""
    kernel = stale.KernelView(boot)
    kernel._ports = [cast(Any, SimpleNamespace(name=name, kind="veth", alias="", mac=b"")) for name in links]
    host = SimpleNamespace(kernel=kernel)
    return reservations.of_network(network, cast("reservations.Host", host))


def grow_old(network: networks.Network, seconds: int = 3600) -> None:
    """Make the one record older."""
    path = network.reservations.path_of("10.9.0.2")
    record = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps({**record, "time": int(time.time()) - seconds}))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_reads_on_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_networks_of_configurations_and_of_directories_are_found(tmp_path: Path) -> None:
    made("from-disk")
    listed = {"cniVersion": "1.0.0", "name": "in-list", "plugins": [conf(subnet="10.8.0.0/30"), {"type": "portmap"}]}

    found, problems = find(tmp_path, a_conf=conf(), b_conflist=listed, c_json={"name": "x", "type": "bridge"})

    assert problems == []
    assert [(one.name, [allocate.number for allocate in one.pools]) for one in found] == [
        ("from-disk", []), ("in-list", [0]), ("net1", [0])
    ]  # fmt: skip
    assert found[1].pools[0].conf == str(tmp_path / "b.conflist")
    assert [one.has_records for one in found] == [None, True, True]


def test_a_network_is_looked_for_where_its_configuration_says_and_where_the_operator_says(tmp_path: Path) -> None:
    (tmp_path / "further" / "lost").mkdir(parents=True)
    (tmp_path / "further" / "lost" / "lock").touch()
    (tmp_path / "further" / "no-network").mkdir()

    found, problems = find(tmp_path, str(tmp_path / "further"), a_conf=conf(dataDir="/var/lib/x/"))

    assert problems == []
    assert [(one.name, one.data_dir) for one in found] == [("lost", str(tmp_path / "further")), ("net1", "/var/lib/x")]
    assert all(one.reservations.durable for one in found)


def test_a_network_without_own_addresses_has_no_pool(tmp_path: Path) -> None:
    layer2 = {key: value for key, value in conf().items() if key != "ipam"}

    ((found,), problems) = find(tmp_path, a_conf=layer2)

    assert (found.pools, found.has_records, problems) == ([], False, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("\udc80", "it is not JSON"),
        ('{"name": "x", "type": "humanz-cni", "mtu": %s}' % ("9" * 5000), "mtu: 9999"),
        ({"name": "x", "plugins": 7}, "plugins must be a list"),
        (conf(subnet="10.9.0.1/24"), "Network has host bits set"),
        (conf(subnet=7), "ipam.subnet: 7 is invalid"),
        (conf(name=""), "missing network name"),
        (conf(name="../x"), "invalid characters found in network name"),
    ],
)
def test_a_bad_file_is_named_and_stops_nothing(tmp_path: Path, text: Any, said: str) -> None:
    if text == "\udc80":
        (tmp_path / "bad.conf").write_bytes(b"\x80")
    else:
        find(tmp_path, bad_conf=text)

    found, (problem,) = find(tmp_path, good_conf=conf())

    assert problem.startswith(f"{tmp_path}/bad.conf: ")
    assert said in problem
    assert [one.name for one in found] == ["net1"]


def test_a_directory_without_anything_is_no_problem(tmp_path: Path) -> None:
    assert networks.find(str(tmp_path / "missing"), [str(tmp_path / "too")]) == ([], [])


def test_a_reservation_tells_all_that_its_record_says() -> None:
    network = made()

    (one,) = judged(network, OWNER.host_veth)

    document = one.document()
    assert time.time() - time.mktime(time.strptime(document.pop("created"), "%Y-%m-%dT%H:%M:%SZ")) + time.timezone < 60
    assert document.pop("ageSeconds") in (0, 1)
    assert document == {
        "network": "net1", "podNamespace": "default", "podName": "web-0", "containerID": "pod1", "ifname": "eth0",
        "addresses": ["10.9.0.2"], "netns": "/nowhere", "netnsAlive": False, "hostVeth": OWNER.host_veth,
        "hostVethAlive": True, "status": "live", "reason": None, "dataDir": ipam_keys.DATA_DIR,
    }  # fmt: skip


def test_neither_link_nor_namespace_is_a_leak_only_after_a_while() -> None:
    network = made()
    assert [one.status for one in judged(network)] == ["pending"]
    grow_old(network)
    assert [one.status for one in judged(network, OWNER.host_veth)] == ["live"]
    assert [(one.status, one.reason) for one in judged(network)] == [("leaked", "namespace and host veth are gone")]


def test_a_namespace_that_is_there_keeps_a_reservation() -> None:
    network = made(netns="/proc/self/ns/uts")  # of an older record
    grow_old(network)

    assert [(one.status, one.veth, one.namespace) for one in judged(network)] == [("live", False, True)]


def test_what_an_earlier_boot_has_left_is_a_leak_at_once() -> None:
    network = made()

    (one,) = judged(network, OWNER.host_veth, boot="the-next")

    assert (one.status, one.reason) == ("leaked", "of an earlier boot")


DAMAGED = [
    "",
    "[]",
    "x",
    json.dumps({"network": "net1", "containerID": "\ud800", "ifname": "eth0", "boot": BOOT, "time": 1000}),
    json.dumps({"network": "net1", "containerID": "pod1", "ifname": "eth0", "boot": BOOT, "time": "x"}),
    json.dumps({"boot": BOOT, "time": 1e300, "pod": 7, "netns": "/a\0b"}),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_listed_by_what_is_left_of_it(text: str) -> None:
    network = made()
    Path(network.reservations.path_of("10.9.0.2")).write_text(text)

    (one,) = judged(network, OWNER.host_veth)

    document = one.document()
    assert (document["status"], document["addresses"]) == ("unreadable", ["10.9.0.2"])
    assert (document["hostVeth"], document["hostVethAlive"]) == (OWNER.host_veth, True)
    assert output.reservations([document], wide=True)


def test_what_another_plugin_has_attached_is_told_by_its_link() -> None:
    network = made()
    record = {"network": "net1", "link": "vethother", "addresses": ["10.9.0.2"], "boot": BOOT, "netns": "", "time": 7}
    Path(network.reservations.path_of("10.9.0.2")).write_text(json.dumps(record))

    assert [(one.host_veth, one.status) for one in judged(network, "vethother")] == [("vethother", "live")]
    assert [(one.host_veth, one.status) for one in judged(network)] == [("vethother", "leaked")]


def test_a_copied_directory_shows_each_reservation_once(tmp_path: Path) -> None:
    network = made()
    path = network.reservations.path_of("10.9.0.2")
    text = Path(path).read_text()
    os.unlink(path)
    Path(path).write_text(text)

    (one,) = judged(network)

    assert sorted(one.names) == ["10.9.0.2", OWNER.host_veth]


def test_release_removes_what_it_is_told_and_nothing_that_has_changed_since() -> None:
    network = made()
    made(owner=Owner("net1", "pod2", "eth0"))
    first, second = judged(network)
    Path(network.reservations.path_of("10.9.0.3")).write_text("{}")

    assert reservations.release(network, [first, second]) == [first]

    assert sorted(network.reservations.names()) == sorted(["10.9.0.3", Owner("net1", "pod2", "eth0").host_veth])


def test_addresses_sort_as_numbers() -> None:
    network = made()
    for number in range(9):
        made(owner=Owner("net1", f"other{number}", "eth0"))

    assert [one.addresses[0] for one in judged(network)] == [f"10.9.0.{host}" for host in range(2, 12)]


def test_a_pool_counts_what_is_in_its_ranges() -> None:
    network = made()
    network.pools.append(networks.Pool("/etc/11.conf", 0, ranges.load({"subnet": "10.7.0.0/30"}, "")[0]))
    made(owner=Owner("net1", "pod2", "eth0"))
    for path in Path(network.reservations.path).glob("*.3"):
        path.rename(path.with_name("10.6.0.9"))

    documents = pools.documents(network, judged(network, boot="the-next"))

    common = {"network": "net1", "dataDir": ipam_keys.DATA_DIR}
    assert documents == [
        {**common, "conf": "/etc/10.conf", "set": 0, "ranges": ["10.9.0.1-10.9.0.254"], "used": 1, "total": 253,
         "leaked": 1},
        {**common, "conf": "/etc/11.conf", "set": 0, "ranges": ["10.7.0.1-10.7.0.2"], "used": 0, "total": 1,
         "leaked": 0},
        {**common, "conf": None, "set": None, "ranges": [], "used": 1, "total": None, "leaked": 1},
    ]  # fmt: skip
    assert [line.split()[-3:-1] for line in output.pools(documents).splitlines()[1:]] == [
        ["0%", "1"], ["0%", "0"], ["-", "1"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (86400, "1d")],
)
def test_an_age_is_shown_in_its_largest_unit(seconds: int, text: str) -> None:
    assert output.age(seconds) == text


def test_the_age_is_unknown_after_the_clock_was_set_back() -> None:
    network = made()
    grow_old(network, -399 * 86400)
    document = judged(network)[0].document()
    assert document["ageSeconds"] is None
    header, row = output.reservations([document], wide=False).splitlines()
    assert row[header.index("AGE")] == "-"
    assert row[header.index("AGE") + 1] == " "


def test_a_table_has_no_control_character_of_a_record_in_it() -> None:
    network = made(pod="default/\x1b[2J\n\ud800")

    table = output.reservations([one.document() for one in judged(network)], wide=False)

    assert table.count("\n") == 2
    assert "default/?[2J??" in table


def test_a_long_container_id_is_cut_off_unless_all_is_wanted() -> None:
    network = made(owner=Owner("net1", "0123456789abcdef", "eth0"))
    documents = [one.document() for one in judged(network)]

    assert " 0123456789abc " in output.reservations(documents, wide=False)
    assert " 0123456789abcdef " in output.reservations(documents, wide=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["lst"], "invalid choice: 'lst'"),
        (["list", "-o", "yaml"], "invalid choice: 'yaml'"),
        (["list", "--data-dir", "/nonexistent"], "--data-dir: '/nonexistent' is not a directory"),
        (["list", "--conf-dir", "/dev/null"], "--conf-dir: '/dev/null' is not a directory"),
        (["list", "--network"], "--network: expected one argument"),
        (["list", "--dry-run"], "unrecognized arguments: --dry-run"),
        (["pools", "--json", "-o", "table"], "not allowed with"),
    ],
)
def test_a_wrong_command_line_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["pools", "--help"], ["reclaim", "--help"]])
def test_help_fits_a_terminal(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        arguments.parse(words)
    assert ended.value.code == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
