# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_kernel sets the kernel of a network namespace, and puts it back exactly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.netns.node import LOCK, NOBODY, Node, wire_up

SYSCTL_FILE = "/etc/sysctl.d/99-humanz-cni.conf"
MODULES_FILE = "/etc/modules-load.d/humanz-cni.conf"
BEFORE_FILE = "/etc/humanz-cni/sysctl.before.json"
KEYS = ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")

Module = Callable[..., dict[str, Any]]


def dump(node: Node) -> str:
    """Everything that the module could change."""
    settings = node.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf", "net.ipv6.conf", "net.bridge", check=False)
    places = ["/etc/sysctl.d", "/etc/modules-load.d", "/etc/humanz-cni"]
    return settings.stdout + node.run("find", *places, "-ls", check=False).stdout


def values(node: Node) -> list[str]:
    return node.run("sysctl", "-n", *KEYS).stdout.split()


@pytest.fixture(autouse=True)
def _untouched(node: Node) -> None:
    """A node that does not forward, with two devices, and settings that forwarding would change."""
    node.ip("link add eth0 type veth peer name eth1")
    settings = ("net.ipv4.ip_forward=0", "net.ipv4.conf.all.accept_redirects=0", "net.ipv4.conf.eth1.forwarding=1")
    node.run("sysctl", "-qw", *settings, "net.bridge.bridge-nf-call-iptables=0")
    for path in (SYSCTL_FILE, MODULES_FILE, BEFORE_FILE):
        node.run("rm", "-f", path)
    # Where the overlay first gets a directory of its own, its listing changes.
    node.run("touch", "/etc/sysctl.d", "/etc/modules-load.d")


def test_prediction_is_what_the_first_run_does(node: Node, run_module: Module) -> None:
    before = dump(node)
    predicted = run_module("node_kernel", check=True, diff=True)
    assert dump(node) == before

    done = run_module("node_kernel", diff=True)
    assert done["changed"] is True
    assert {key: done[key] for key in ("changed", "diff", "sysctls")} == {
        key: predicted[key] for key in ("changed", "diff", "sysctls")
    }
    assert values(node) == ["1", "1", "1"]
    assert node.run("cat", SYSCTL_FILE).stdout.splitlines()[1:] == [f"{key} = 1" for key in sorted(KEYS)]
    assert node.run("cat", MODULES_FILE).stdout.splitlines()[1:] == ["br_netfilter"]
    assert run_module("node_kernel")["changed"] is False


def test_absent_puts_back_everything(node: Node, run_module: Module) -> None:
    before = node.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf", "net.ipv6.conf", "net.bridge").stdout
    files = node.run("find", "/etc/sysctl.d", "/etc/modules-load.d").stdout
    run_module("node_kernel")
    run_module("node_kernel")
    result = run_module("node_kernel", {"state": "absent"})
    assert result["changed"] is True
    assert node.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf", "net.ipv6.conf", "net.bridge").stdout == before
    assert node.run("find", "/etc/sysctl.d", "/etc/modules-load.d").stdout == files
    assert node.run("test", "-e", "/etc/humanz-cni", check=False).returncode
    assert run_module("node_kernel", {"state": "absent"})["changed"] is False


def test_absent_on_an_untouched_node_changes_nothing(node: Node, run_module: Module) -> None:
    before = dump(node)
    assert run_module("node_kernel", {"state": "absent"})["changed"] is False
    assert dump(node) == before


def test_absent_keeps_what_was_there_before_us(node: Node, run_module: Module) -> None:
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    run_module("node_kernel")
    run_module("node_kernel", {"state": "absent"})
    assert values(node)[0] == "1"


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param(["sysctl", "-qw", "net.ipv4.ip_forward=0"], id="value"),
        pytest.param(["sed", "-i", "s/= 1/= 0/", SYSCTL_FILE], id="file"),
        pytest.param(["rm", MODULES_FILE], id="modules file"),
    ],
)
def test_drift_is_repaired(node: Node, run_module: Module, drift: list[str]) -> None:
    run_module("node_kernel")
    remembered = node.run("cat", BEFORE_FILE).stdout
    node.run(*drift)
    assert run_module("node_kernel", check=True)["changed"] is True
    assert run_module("node_kernel")["changed"] is True
    assert values(node) == ["1", "1", "1"]
    assert node.run("cat", BEFORE_FILE).stdout == remembered
    assert run_module("node_kernel")["changed"] is False


def test_key_that_is_wanted_no_more_is_put_back(node: Node, run_module: Module) -> None:
    run_module("node_kernel", {"sysctls": {"net.ipv4.ip_forward": 1, "net.ipv4.tcp_rmem": "4096 65536  131072"}})
    assert node.run("sysctl", "-n", "net.ipv4.tcp_rmem").stdout.split() == ["4096", "65536", "131072"]
    result = run_module("node_kernel", {"sysctls": {"net.ipv4.tcp_rmem": "4096 65536 131072"}}, diff=True)
    assert result["changed"] is True
    assert values(node)[0] == "0"
    assert node.run("sysctl", "-n", "net.ipv4.conf.all.accept_redirects").stdout == "0\n"
    assert list(json.loads(node.run("cat", BEFORE_FILE).stdout)) == ["net.ipv4.tcp_rmem"]
    assert run_module("node_kernel", {"sysctls": {"net.ipv4.tcp_rmem": "4096 65536 131072"}})["changed"] is False


SYSTEMD_SYSCTL = "/usr/lib/systemd/systemd-sysctl"
FORWARD = "net.ipv4.ip_forward"
OFF = "net.ipv4.conf.all.forwarding = 0"
OTHERS = {
    "the other name of the switch": ({"99-zz.conf": OFF}, True),
    "slashes": ({"99-zz.conf": "net/ipv4/ip_forward=0"}, True),
    "a pattern": ({"99-zz.conf": "-net.ipv4.conf.*.forwarding = 0"}, True),
    "read before ours": ({"60-early.conf": OFF}, False),
    # What has the same value as ours counts at its own place.
    "between two of one value": ({"10-k8s.conf": f"{FORWARD} = 1", "60-rhel.conf": OFF}, True),
    "ahead of our value": ({"99-zz.conf": f"{OFF}\nnet.ipv4.ip_forward = 1"}, True),
    "corrected in itself": ({"99-zz.conf": f"{OFF}\n{OFF.replace('0', '1')}"}, None),
    "a pattern and its exception": ({"99-zz.conf": f"{OFF.replace('all', 'a*')}\n-net.ipv4.conf.all.forwarding"}, None),
    "hidden by a file of its name": ({"99-zz.conf": "", "/run/sysctl.d/99-zz.conf": "net.ipv4.ip_forward=0"}, None),
}


@pytest.mark.parametrize(("files", "wins"), OTHERS.values(), ids=list(OTHERS))
def test_what_other_files_do_is_said_as_systemd_does_it(
    node: Node, run_module: Module, files: dict[str, str], wins: bool | None
) -> None:
    node.run("sh", "-c", "mkdir -p /run/sysctl.d; rm -f /etc/sysctl.d/*")
    for name, text in files.items():
        path = name if name.startswith("/") else f"/etc/sysctl.d/{name}"
        node.run("tee", path, input=f"# caf\u00e9\n{text}\n")
    result = run_module("node_kernel")
    found = [setting["key"] for setting in result["overridden_by"]]
    said = [text for text in map(str, result.get("warnings", [])) if "forward" in text]
    assert (bool(found), bool(said)) == (wins is True, wins is not None), result
    if said:
        (path, _text), *_more = [item for item in files.items() if item[1] != f"{FORWARD} = 1"]
        assert f"/etc/sysctl.d/{path} line 2 sets net.ipv4." in said[0]
        assert "to 0, but pods need net.ipv4.ip_forward = 1: remove or change that line; " in said[0]
    # As at boot.
    node.run("sysctl", "-qw", f"{FORWARD}=0")
    node.run(SYSTEMD_SYSCTL, "--prefix=/net/ipv4", check=False)
    assert values(node)[0] == ("0" if wins else "1")


def test_later_files_are_named_with_line_and_value(node: Node, run_module: Module) -> None:
    node.run("rm", "-f", "/etc/sysctl.d/99-sysctl.conf")
    node.run("tee", "/etc/sysctl.d/99-zz.conf", input="net.ipv4.tcp_syncookies=0\n")
    node.run("tee", "/etc/sysctl.conf", input="# net.ipv4.ip_forward=1\n-net.bridge.bridge-nf-call-iptables = 0\n")
    found = {"file": "/etc/sysctl.conf", "line": 2, "key": "net.bridge.bridge-nf-call-iptables", "value": "0"}
    result = run_module("node_kernel")
    assert result["overridden_by"] == [found]
    assert len(result["warnings"]) == 1
    assert "warnings" not in run_module("node_kernel", {"warn": False})


def test_an_interface_by_which_pods_packets_come_in_forwards_and_others_stay(
    node: Node, run_module: Module, make_node: Callable[[], Node]
) -> None:
    """Where the kernel forwards already, and somebody has turned it off for interfaces."""
    wire_up(node, make_node())
    devices = ("enp8s0", "enp1s0", "eth0", "eth1")
    keys = [f"net.ipv4.conf.{name}.forwarding" for name in devices]
    node.run("sysctl", "-qw", f"{FORWARD}=1", *(f"{key}=0" for key in keys))

    def forwarding() -> list[str]:
        return node.run("sysctl", "-n", *keys).stdout.split()

    args = {"next_hops": ["200.0.0.20", "203.0.113.9", "fd00:200::20"], "devices": ["humanz-vxlan0"]}
    predicted = run_module("node_kernel", args, check=True, diff=True)
    assert run_module("node_kernel", args, diff=True)["diff"] == predicted["diff"]
    assert forwarding() == ["1", "1", "0", "0"], "203.0.113.9 is reached by the default route"
    assert run_module("node_kernel", args)["changed"] is False
    args["next_hops"] = ["200.0.0.20"]
    run_module("node_kernel", args)
    assert forwarding() == ["1", "0", "0", "0"]
    run_module("node_kernel", {**args, "masquerade": True})
    assert forwarding() == ["1", "1", "0", "0"]
    run_module("node_kernel", {**args, "masquerade": True, "uplink": "eth1"})
    assert forwarding() == ["1", "0", "0", "1"]
    node.run("sysctl", "-qw", f"{FORWARD}=0")
    run_module("node_kernel", args)
    assert forwarding() == ["1", "0", "0", "0"], "what somebody has turned off is known from before"
    run_module("node_kernel", {"state": "absent"})
    assert (values(node)[0], forwarding()) == ("1", ["0", "0", "0", "0"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"sysctls": {"net.ipv4.ip_forwrad": 1}}, "has no net.ipv4.ip_forwrad"),
        ({"sysctls": {"net.//.x": 1}}, "'net.//.x' is not a sysctl"),
        ({"sysctls": {"net.ipv4.ip_forward": True}}, "net.ipv4.ip_forward is True"),
        ({"sysctls": {"net.ipv4.ip_forward": ""}}, "net.ipv4.ip_forward is ''"),
        ({"modules": ["../x"]}, "'../x' is not the name of a kernel module"),
        ({"sysctl_file": "/etc/hostname"}, "/etc/hostname was not written by this collection"),
        ({"before_file": "/etc/hostname"}, "/etc/hostname"),
    ],
)
def test_bad_input_changes_nothing(node: Node, run_module: Module, args: dict[str, object], message: str) -> None:
    before = dump(node)
    result = run_module("node_kernel", args)
    assert result["failed"] is True
    assert message in str(result["msg"])
    assert dump(node) == before


def test_module_that_the_kernel_has_not(run_module: Module) -> None:
    result = run_module("node_kernel", {"modules": ["no_such_module"]})
    assert result["failed"] is True
    assert "no_such_module" in str(result["msg"])


def test_read_only_proc_is_an_error_that_names_the_key(node: Node, run_module: Module) -> None:
    node.run("mount", "-o", "bind,ro", "/proc/sys", "/proc/sys")
    result = run_module("node_kernel")
    assert result["failed"] is True
    assert "net.bridge.bridge-nf-call-iptables cannot be set to 1: Read-only file system" in str(result["msg"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"net.ipv4.ip_forward": [1]}', '{"net.ipv4.ip_forward": 1}', '{"../x": "1"}']
)
def test_a_damaged_record_of_the_time_before_is_named_with_the_way_out(
    node: Node, run_module: Module, text: str
) -> None:
    node.run("mkdir", "-p", "/etc/humanz-cni")
    node.run("tee", BEFORE_FILE, input=text)
    for state in ("present", "absent"):
        before = dump(node)
        result = run_module("node_kernel", {"state": state})
        assert result["failed"] is True
        assert str(result["msg"]).startswith(BEFORE_FILE)
        assert "or remove it if they need not be put back" in str(result["msg"])
        assert dump(node) == before


def test_what_a_killed_run_left_half_written_goes_with_the_next_one(node: Node, run_module: Module) -> None:
    files = node.run("find", "/etc/sysctl.d", "/etc/modules-load.d").stdout
    for path in (SYSCTL_FILE, MODULES_FILE, BEFORE_FILE):
        directory, _slash, name = path.rpartition("/")
        node.run("mkdir", "-p", directory)
        node.run("touch", f"{directory}/.{name}.abcdefgh.tmp")
    run_module("node_kernel")
    assert ".tmp" not in node.run("find", "/etc/sysctl.d", "/etc/modules-load.d", "/etc/humanz-cni").stdout
    run_module("node_kernel", {"state": "absent"})
    assert node.run("find", "/etc/sysctl.d", "/etc/modules-load.d").stdout == files
    assert node.run("test", "-e", "/etc/humanz-cni", check=False).returncode


def test_a_second_run_waits_for_the_first(node: Node, run_module: Module) -> None:
    with node.run_at_work() as first, ThreadPoolExecutor() as pool:
        second = pool.submit(run_module, "node_kernel")
        time.sleep(1)
        assert not second.done()
        first.communicate("end\n")
        assert second.result()["changed"] is True
    assert node.run("test", "-e", os.path.dirname(LOCK), check=False).returncode == 1


def test_a_user_keeps_no_run_waiting(node: Node, run_module: Module) -> None:
    with node.holder("/run", *NOBODY):
        assert run_module("node_kernel")["changed"] is True
    with node.run_at_work():
        for path in (LOCK, os.path.dirname(LOCK)):
            denied = node.run(*NOBODY, "flock", "--nonblock", path, "true", check=False)
            assert "Permission denied" in denied.stderr


@pytest.mark.parametrize("plant", ["mkdir -m 777 {}", "mkdir -m 700 {0}; chown 65534 {0}", "ln -s /run/other {}"])
def test_a_lock_that_is_somebody_elses_is_none(node: Node, run_module: Module, plant: str) -> None:
    node.run("sh", "-ec", "mkdir -m 700 /run/other; " + plant.format(os.path.dirname(LOCK)))
    failed = run_module("node_kernel")
    assert failed["msg"] == f"{os.path.dirname(LOCK)} must be a directory of root alone: remove it"
    assert node.run("ls", "/run/other").stdout == ""


THRESHOLDS = {3: 1024, 2: 512, 1: 128}  # as kernels have them
# Other namespaces than the machine's own have none of these parameters: files stand for them.
TABLES = "mount -t tmpfs none /proc/sys/net/{family}/neigh; mkdir /proc/sys/net/{family}/neigh/default"


def thresholds(node: Node, family: str = "ipv4") -> list[int]:
    paths = [f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}" for number in THRESHOLDS]
    return [int(node.run("cat", path).stdout) for path in paths]


def test_a_thousand_nodes_find_room_among_the_neighbours(node: Node, run_module: Module) -> None:
    for family in ("ipv4", "ipv6"):
        node.run("sh", "-ec", TABLES.format(family=family))
        for number, value in THRESHOLDS.items():
            node.run("tee", f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}", input=f"{value}\n")
    run_module("node_kernel", {"neighbours": 256})
    assert "gc_thresh" not in node.run("cat", SYSCTL_FILE).stdout

    assert run_module("node_kernel", {"neighbours": 999})["changed"] is True
    assert thresholds(node) == [4096, 2048, 512]
    assert thresholds(node, "ipv6") == list(THRESHOLDS.values())
    assert "net.ipv4.neigh.default.gc_thresh3 = 4096\n" in node.run("cat", SYSCTL_FILE).stdout
    assert run_module("node_kernel", {"neighbours": 999})["changed"] is False
    run_module("node_kernel", {"neighbours": 300, "pod_cidrs": ["100.100.0.0/24", "fd00:100::/120"]})
    assert thresholds(node) == [4096, 2048, 512]
    assert thresholds(node, "ipv6") == [2048, 1024, 256]
    run_module("node_kernel", {"neighbours": 9})
    assert thresholds(node) == thresholds(node, "ipv6") == list(THRESHOLDS.values())


def test_addresses_that_anybody_can_send_to_find_room_among_the_neighbours(node: Node, run_module: Module) -> None:
    node.run("sh", "-ec", TABLES.format(family="ipv4"))
    for number, value in THRESHOLDS.items():
        node.run("tee", f"/proc/sys/net/ipv4/neigh/default/gc_thresh{number}", input=f"{value}\n")
    run_module("node_kernel", {"pod_cidrs": ["100.100.0.0/20"]})
    assert thresholds(node) == [8192, 4096, 1024]
    run_module("node_kernel", {"pod_cidrs": ["100.64.0.0/10"], "neighbours": 999})
    assert thresholds(node) == [131072, 65536, 16384]


def test_room_that_an_administrator_made_stays(node: Node, run_module: Module) -> None:
    node.run("sh", "-ec", TABLES.format(family="ipv4"))
    for number in THRESHOLDS:
        node.run("tee", f"/proc/sys/net/ipv4/neigh/default/gc_thresh{number}", input="8192\n")
    run_module("node_kernel", {"neighbours": 999})
    assert "gc_thresh" not in node.run("cat", SYSCTL_FILE).stdout
    assert thresholds(node) == [8192] * 3


def test_room_that_an_administrator_made_since_stays_too(node: Node, run_module: Module) -> None:
    node.run("sh", "-ec", TABLES.format(family="ipv4"))
    for number, value in THRESHOLDS.items():
        node.run("tee", f"/proc/sys/net/ipv4/neigh/default/gc_thresh{number}", input=f"{value}\n")
    run_module("node_kernel", {"neighbours": 999})
    for number in THRESHOLDS:
        node.run("tee", f"/proc/sys/net/ipv4/neigh/default/gc_thresh{number}", input="32768\n")
    run_module("node_kernel", {"neighbours": 999})
    assert thresholds(node) == [32768] * 3
    assert "net.ipv4.neigh.default.gc_thresh3 = 32768\n" in node.run("cat", SYSCTL_FILE).stdout
    assert run_module("node_kernel", {"neighbours": 999})["changed"] is False
