# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command on a node: what it shows of real attachments, and that it releases leaks and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.plugin.runtime import NSENTER, Runtime, nested

GUIDE = ROOT / "docs" / "operator-command.md"
POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0"
# A record that is kept longer than this cannot be of an ADD that is under way.
OLD = 'sed -i -E \'s/"time": [0-9]+/"time": 1000/\' '


class Operator:
    """Somebody at the shell of the runtime's node."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.command = str(runtime.executable.parent.parent / "sbin" / "humanz-cni-ctl")

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command, which must end with *status*, and not by accident."""
        done = self.runtime.node.run(self.command, *words, check=False)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        assert status != 0 or done.stderr == ""
        return done

    def json(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Run the command with --json and return its document."""
        document = json.loads(self.run(*words, "--json", status=status).stdout)
        assert isinstance(document, dict)
        return document

    def statuses(self, *words: str) -> dict[str, str]:
        """Return the status of each reservation, by its addresses."""
        listed = self.json(*(words or ("list",)))["reservations"]
        return {",".join(one["addresses"]): one["status"] for one in listed}

    def configure(self, conf: dict[str, Any], name: str = "10-net.conf") -> None:
        """Make *conf* one of the node's CNI configurations."""
        script = f"mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/{name}"
        self.runtime.node.run("sh", "-c", script, input=json.dumps(conf))

    def vanish(self, *pods: str) -> None:
        """Let the pods' namespaces vanish without a DEL, and wait until the kernel has taken their links away."""
        count = len(self.runtime.links()) - len(pods)
        for pod in pods:
            self.runtime.node.run("ip", "netns", "delete", pod)
        wait = (
            f"for i in $(seq 1200); do [ $(ls /sys/class/net | wc -w) -le {count} ] && exit 0; sleep 0.05; done; exit 1"
        )
        self.runtime.node.run("sh", "-c", wait)

    def grow_old(self) -> None:
        """Make all records look old; a record that was rewritten so has a file for each of its names."""
        self.runtime.node.run("sh", "-c", OLD + "/run/humanz-cni/*/10.* /run/humanz-cni/*/veth*")


@pytest.fixture
def operator(runtime: Runtime) -> Operator:
    """An operator on a node without CNI configurations."""
    return Operator(runtime)


def small(name: str = "net1") -> dict[str, Any]:
    """Return a configuration with five addresses for pods."""
    return nested(("10.9.0.0/29",), name=name, bridge=f"br-{name}")


def test_a_node_without_anything_has_an_empty_table(operator: Operator) -> None:
    assert operator.run("list").stdout.split()[:3] == ["NETWORK", "POD", "CONTAINER"]
    assert operator.json("list") == {"reservations": [], "problems": []}
    assert operator.json("pools") == {"pools": [], "problems": []}
    assert operator.run("reclaim").stdout.splitlines()[-1] == "0 released"


def test_who_has_which_address_in_two_networks(operator: Operator, runtime: Runtime) -> None:
    both = nested(("10.8.0.0/24", "fd00:8::/64"), name="net2", bridge="br2")
    result = runtime.add(small(), "pod1", ARGS=POD)
    runtime.add(both, "pod1", "net1")

    first, second = operator.json("list")["reservations"]

    assert first["ageSeconds"] < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["created"])
    del first["ageSeconds"], first["created"]
    assert first == {
        "network": "net1", "podNamespace": "default", "podName": "web-0", "containerID": "pod1", "ifname": "eth0",
        "addresses": ["10.9.0.2"], "netns": "/run/netns/pod1", "netnsAlive": True,
        "hostVeth": result["interfaces"][1]["name"], "hostVethAlive": True, "status": "live", "reason": None,
        "dataDir": "/run/humanz-cni",
    }  # fmt: skip
    assert (second["network"], second["ifname"], second["podName"]) == ("net2", "net1", None)
    assert second["addresses"] == ["10.8.0.2", "fd00:8::2"]
    lines = [line.split() for line in operator.run("list").stdout.splitlines()]
    assert lines[1][:5] == ["net1", "default/web-0", "pod1", "eth0", "10.9.0.2"]
    assert lines[1][6:] == ["alive", "alive", "live"]
    assert lines[2][:5] == ["net2", "-", "pod1", "net1", "10.8.0.2,fd00:8::2"]
    assert [one["network"] for one in operator.json("list", "--network", "net2")["reservations"]] == ["net2"]
    assert "/run/netns/pod1" in operator.run("list", "-o", "wide").stdout


def test_use_of_each_range_set_of_each_configuration(operator: Operator, runtime: Runtime) -> None:
    listed = nested(("10.8.0.0/30", "fd00:8::/64"), bridge="br2")
    operator.configure(small())
    operator.configure({"cniVersion": "1.0.0", "name": "net2", "plugins": [listed]}, "20-list.conflist")
    runtime.add(small(), "pod1")
    runtime.add({**listed, "name": "net2"}, "pod2")

    pools = operator.json("pools")["pools"]

    keys = ("network", "conf", "set", "ranges", "used", "total", "leaked")
    assert [[one[key] for key in keys] for one in pools] == [
        ["net1", "/etc/cni/net.d/10-net.conf", 0, ["10.9.0.1-10.9.0.6"], 1, 5, 0],
        ["net2", "/etc/cni/net.d/20-list.conflist", 0, ["10.8.0.1-10.8.0.2"], 1, 1, 0],
        ["net2", "/etc/cni/net.d/20-list.conflist", 1, ["fd00:8::1-fd00:8::ffff:ffff:ffff:ffff"], 1, 2**63 - 1, 0],
    ]
    assert [line.split()[5] for line in operator.run("pools").stdout.splitlines()] == ["USE%", "20%", "100%", "0%"]


def test_a_pool_that_leaks_have_filled_serves_pods_again(operator: Operator, runtime: Runtime) -> None:
    operator.configure(small())
    for number in range(5):
        runtime.add(small(), f"pod{number}")
    operator.vanish("pod1", "pod2", "pod3")
    runtime.pod("pod9")
    assert set(operator.statuses().values()) == {"live", "pending"}
    assert runtime.fail("ADD", small(), "pod9")["code"] == 11
    operator.grow_old()
    (pool,) = operator.json("pools")["pools"]
    assert (pool["used"], pool["total"], pool["leaked"]) == (5, 5, 3)
    leaked = {f"10.9.0.{host}": "leaked" for host in (3, 4, 5)}
    assert operator.statuses("list", "--leaks") == leaked

    before = runtime.state()
    assert operator.statuses("reclaim", "--dry-run") == leaked
    assert operator.run("reclaim", "-n").stdout.splitlines()[-1] == "3 would be released"
    assert runtime.state() == before

    assert operator.run("reclaim").stdout.splitlines()[-1] == "3 released"
    assert operator.statuses() == {"10.9.0.2": "live", "10.9.0.6": "live"}
    assert operator.json("reclaim")["reservations"] == []
    assert runtime.add(small(), "pod9")["ips"][0]["address"] == "10.9.0.3/29"


def killed_add(runtime: Runtime, conf: dict[str, Any], pod: str) -> None:
    """Kill ADD when it turns to the kernel: with the pod's address reserved, and its link not yet made."""
    runtime.pod(pod)
    variables = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": pod, "CNI_IFNAME": "eth0",
                 "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": "/x"}  # fmt: skip
    command = runtime.command(variables)
    at = command.index("--") + 1
    kill = ["strace", "-f", "-o", "/dev/null", "-e", "inject=sendto:signal=SIGKILL:when=1"]
    subprocess.run([*command[:at], *kill, *command[at:]], input=json.dumps(conf).encode(), check=False)
    assert any(f'"{pod}"' in text for text in runtime.records().values())
    assert set(runtime.links(pod)) == {"lo"}


def test_what_a_killed_add_has_left_is_a_leak_once_its_pod_is_gone(operator: Operator, runtime: Runtime) -> None:
    runtime.add(small(), "pod0")  # the network's first pod looks for others before it reserves
    killed_add(runtime, small(), "pod1")
    operator.grow_old()
    _first, one = operator.json("list")["reservations"]
    assert (one["status"], one["netnsAlive"], one["hostVethAlive"]) == ("live", True, False)
    assert operator.json("reclaim")["reservations"] == []

    runtime.node.run("ip", "netns", "delete", "pod1")
    assert operator.statuses("reclaim") == {"10.9.0.3": "leaked"}
    assert operator.statuses() == {"10.9.0.2": "live"}


def test_records_of_an_earlier_boot_are_leaks(operator: Operator, runtime: Runtime) -> None:
    runtime.add(small())
    runtime.node.run("sh", "-c", 'sed -i -E \'s/"boot": "[^"]*"/"boot": "earlier"/\' /run/humanz-cni/net1/*')

    (one,) = operator.json("list")["reservations"]

    assert (one["status"], one["reason"]) == ("leaked", "of an earlier boot")


def test_a_pod_whose_namespace_has_lost_its_name_keeps_its_address(operator: Operator, runtime: Runtime) -> None:
    runtime.add(small())
    operator.grow_old()
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--", "ip", "netns", "exec", "pod1"]
    inside = subprocess.Popen([*enter, "sh", "-c", "echo up; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert inside.stdout is not None
    assert inside.stdout.readline() == b"up\n"
    runtime.node.run("ip", "netns", "delete", "pod1")

    (one,) = operator.json("list")["reservations"]
    released = operator.json("reclaim", "--unreadable")["reservations"]
    inside.communicate()

    assert (one["status"], one["netnsAlive"], one["hostVethAlive"]) == ("live", False, True)
    assert released == []


def test_damaged_records_are_listed_and_stay_unless_wanted_away_and_never_from_a_living_pod(
    operator: Operator, runtime: Runtime
) -> None:
    runtime.add(small(), "pod1")
    runtime.add(small(), "pod2")
    operator.vanish("pod2")
    damage = "for host in 2 3 5; do echo garbage > /run/humanz-cni/net1/10.9.0.$host; done"
    runtime.node.run("sh", "-c", damage)
    damaged = {f"10.9.0.{host}": "unreadable" for host in (2, 3, 5)}
    assert operator.statuses("list", "--leaks") == damaged

    assert operator.json("reclaim")["reservations"] == []
    assert operator.statuses("reclaim", "--unreadable", "--dry-run") == {
        "10.9.0.3": "unreadable", "10.9.0.5": "unreadable",
    }  # fmt: skip
    assert operator.statuses() == damaged
    operator.run("reclaim", "--unreadable")

    assert operator.statuses() == {"10.9.0.2": "unreadable"}
    runtime.delete(small(), "pod1")
    assert operator.statuses() == {}


def test_a_pod_without_a_record_is_shown_with_the_address_that_it_has(operator: Operator, runtime: Runtime) -> None:
    operator.configure(small())
    runtime.add(small(), "pod1")
    runtime.add(small(), "pod2")
    runtime.node.run("sh", "-c", "rm $(grep -l pod1 /run/humanz-cni/net1/*)")

    assert operator.statuses() == {"10.9.0.3": "live", "10.9.0.2": "unrecorded"}
    unrecorded = operator.json("list")["reservations"][1]
    assert (unrecorded["containerID"], unrecorded["hostVethAlive"]) == ("pod1", True)


def test_an_interface_without_addresses_lacks_no_record(operator: Operator, runtime: Runtime) -> None:
    layer2 = {key: value for key, value in small().items() if key not in ("ipam", "isGateway")}
    operator.configure(layer2)
    runtime.add(layer2)

    assert operator.json("list")["reservations"] == []


def test_reclaiming_among_pods_that_come_and_go_harms_none_of_them(operator: Operator, runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/24",))
    lost = [f"lost{number}" for number in range(10)]
    for pod in lost:
        runtime.add(conf, pod)
    operator.vanish(*lost)
    operator.grow_old()
    pods = [f"pod{number}" for number in range(24)]
    for pod in pods:
        runtime.pod(pod)

    def come(pod: str) -> str:
        for _round in range(3):
            runtime.add(conf, pod)
            runtime.delete(conf, pod)
        return str(runtime.add(conf, pod)["ips"][0]["address"].partition("/")[0])

    def reclaim(_number: int) -> int:
        return len(operator.json("reclaim", "--unreadable")["reservations"])

    with ThreadPoolExecutor(8) as executor:
        coming = executor.map(come, pods)
        reclaimed = list(executor.map(reclaim, range(12)))
        given = list(coming)

    assert sum(reclaimed) == len(lost)
    assert len(set(given)) == len(pods)
    assert operator.statuses() == dict.fromkeys(given, "live")


def test_a_locked_network_is_named_and_the_others_are_cleaned_up(operator: Operator, runtime: Runtime) -> None:
    runtime.add(small("net1"), "pod1")
    runtime.add(small("net2"), "pod2")
    operator.vanish("pod1", "pod2")
    operator.grow_old()
    hold = ["flock", "/run/humanz-cni/net1/lock", "sh", "-c", "echo held; cat"]
    enter = [NSENTER, f"--target={runtime.node.pid}", "--mount", "--net", "--"]
    holder = subprocess.Popen([*enter, *hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        done = operator.run("reclaim", status=1)
    finally:
        holder.communicate()

    assert "/run/humanz-cni/net1/lock is locked by another process" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:-1]] == ["net2"]
    assert [one["network"] for one in operator.json("list")["reservations"]] == ["net1"]


def test_what_cannot_be_read_is_named_and_stops_nothing(operator: Operator, runtime: Runtime) -> None:
    operator.configure(small())
    operator.configure({**small(), "ipam": {"type": "host-local", "subnet": "10.9.0.0/33"}}, "20-bad.conf")
    runtime.add(small())

    document = operator.json("pools", status=1)
    done = operator.run("list", status=1)

    assert [one["network"] for one in document["pools"]] == ["net1"]
    assert len(document["problems"]) == 1
    assert document["problems"][0].startswith("/etc/cni/net.d/20-bad.conf: ")
    assert "10.9.0.0/33" in document["problems"][0]
    assert done.stderr == f"humanz-cni-ctl: {document['problems'][0]}\n"
    assert "10.9.0.2" in done.stdout


def test_a_data_directory_on_disk_is_found_by_its_configuration_by_a_former_one_or_by_option(
    operator: Operator, runtime: Runtime
) -> None:
    conf = small()
    conf["ipam"]["dataDir"] = "/var/lib/pods"
    runtime.add(conf)
    assert operator.statuses() == {"10.9.0.2": "live"}
    runtime.node.run("rm", "-r", "/run/humanz-cni/.elsewhere")
    assert operator.statuses() == {}
    assert operator.statuses("list", "--data-dir", "/var/lib/pods") == {"10.9.0.2": "live"}

    operator.configure(conf)
    assert operator.statuses() == {"10.9.0.2": "live"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--network", "nowhere"], "--network: nowhere is not one of net1"),
        (["reclaim", "--network", "nowhere"], "--network: nowhere is not one of net1"),
        (["list", "--conf-dir", "/nowhere"], "--conf-dir: '/nowhere' is not a directory"),
        (["remove"], "invalid choice: 'remove'"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_is_named_and_does_nothing(
    operator: Operator, runtime: Runtime, words: list[str], said: str
) -> None:
    runtime.add(small())
    operator.vanish("pod1")
    operator.grow_old()
    before = runtime.records()

    done = operator.run(*words, status=2)

    assert said in done.stderr
    assert done.stdout == ""
    assert runtime.records() == before


def test_another_user_is_told_that_it_takes_root(operator: Operator, runtime: Runtime) -> None:
    installed = Path(operator.command).parent.parent
    copy = f"cp -r {installed} /run/copy; chmod -R a+rX /run/copy; sed -i s,{installed},/run/copy, /run/copy/sbin/*"
    runtime.node.run("sh", "-c", copy)
    other = ["setpriv", "--reuid=65534", "--clear-groups", "/run/copy/sbin/humanz-cni-ctl"]

    done = runtime.node.run(*other, "list", check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("humanz-cni-ctl: it must be run as root")
    assert runtime.node.run(*other, "--help").stdout.startswith("usage: humanz-cni-ctl")


def test_a_reader_that_goes_away_is_no_error(operator: Operator, runtime: Runtime) -> None:
    runtime.add(small())

    done = runtime.node.run("bash", "-c", "$0 list | true; echo ${PIPESTATUS[0]}", operator.command)

    assert done.stderr == ""
    assert done.stdout in ("0\n", "141\n")


def guide_commands() -> list[str]:
    """Return each command line of the guide."""
    return re.findall(r"^# (humanz-cni-ctl .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_command_of_the_guide_works_on_a_node_such_as_it_describes(operator: Operator, runtime: Runtime) -> None:
    assert len(guide_commands()) > 5
    operator.configure(nested(("100.100.0.0/24",), name="humanz-cni", bridge="humanz-cni0"))
    runtime.node.run("mkdir", "-p", "/var/lib/humanz-cni", "/etc/kubernetes/cni/net.d")
    for line in guide_commands():
        directory = Path(operator.command).parent
        done = runtime.node.run("sh", "-c", f"PATH={directory}:$PATH; {line}", check=False)
        assert (done.returncode, done.stderr) == (0, ""), line


def test_the_guide_has_all_keys_columns_and_statuses(operator: Operator, runtime: Runtime) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    operator.configure(small())
    runtime.add(small())
    reclaimed = operator.json("reclaim")
    listed = operator.json("list")
    pools = operator.json("pools")

    shown = {*reclaimed, *listed, *pools, *listed["reservations"][0], *pools["pools"][0]}
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    statuses = {"live", "pending", "leaked", "unreadable", "unrecorded"}
    assert documented == shown | statuses


def test_standard_output_on_a_full_disk_is_named(runtime: Runtime) -> None:
    command = Operator(runtime).command
    done = runtime.node.run("sh", "-c", f"{command} list > /dev/full", check=False)
    assert done.returncode == 1
    assert done.stderr == "humanz-cni-ctl: standard output: No space left on device\n"
