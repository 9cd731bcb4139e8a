# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin in real runs of ansible-inventory and ansible-playbook, and its page in docs/."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubernetes_api_server import TOKEN, ApiServer, Certificates, node, serving

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "inventory-from-the-cluster.md"
BIN = Path(sys.executable).parent
PLUGIN = {"plugin": "humanz.cni.kubernetes_nodes"}
CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
NODES = [
    node("ubuntu-nested-1", ["100.100.0.0/24"], ["200.0.0.10"], CONTROL_PLANE),
    node("ubuntu-nested-2", ["100.100.1.0/24"], ["200.0.0.20"], {"topology.kubernetes.io/zone": "a"}),
    node("ubuntu-nested-3", ["100.100.2.0/24"], ["200.0.0.30"], {"topology.kubernetes.io/zone": "b"}),
]
NETWORKS = {"cluster_cidr": "100.100.0.0/16", "service_cidr": "10.96.0.0/12", "node_cidrs": ["200.0.0.0/24"]}


def says(text: str, *expected: str) -> bool:
    """Return whether *text* has each of *expected*; older releases of ansible-core break their lines anywhere."""
    unbroken = re.sub(r"\s", "", text.replace("\\n", ""))
    return all(re.sub(r"\s", "", part) in unbroken for part in expected)


class Controller:
    """A directory with inventory sources, and Ansible's commands in it; *server* is where its kubeconfig leads to."""

    def __init__(self, directory: Path, server: ApiServer) -> None:
        self.directory = directory
        self.server = server
        (directory / "collections/ansible_collections/humanz").mkdir(parents=True)
        (directory / "collections/ansible_collections/humanz/cni").symlink_to(ROOT)
        self.write("kubeconfig", server.kubeconfig())

    def write(self, name: str, content: Any) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def source(self, **options: Any) -> None:
        self.write("inventory/kubernetes_nodes.yml", {**PLUGIN, **options})

    def run(self, *command: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run *command*, which must exit with *code*."""
        ansible = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        own = {
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "PATH": "%s:%s:%s" % (self.directory, BIN, os.environ["PATH"]),
        }
        done = subprocess.run(
            command,
            check=False,
            cwd=self.directory,
            env={**ansible, **own, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def inventory(self, *options: str, **environment: str) -> dict[str, Any]:
        done = self.run("ansible-inventory", "-i", "inventory", "--list", *options, code=0, **environment)
        listed: dict[str, Any] = json.loads(done.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))
        return listed

    def plan(self, *options: str, code: int = 0, **hosts: dict[str, Any]) -> str:
        """Plan the cluster with *hosts* of a source that is read later; return all that is said."""
        self.write("inventory/later.json", {"k8s_cluster": {"hosts": hosts}})
        task = {"humanz.cni.cluster_plan": NETWORKS, "run_once": True}
        self.write("plan.yml", [{"hosts": "k8s_cluster", "gather_facts": False, "tasks": [task]}])
        done = self.run("ansible-playbook", "-i", "inventory", "plan.yml", *options, code=code)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with serving(Certificates(tmp_path_factory.mktemp("tls") / "certificates")) as server:
        yield server


@pytest.fixture
def controller(server: ApiServer, tmp_path: Path) -> Controller:
    server.nodes, server.requests, server.allowed = list(NODES), [], True
    return Controller(tmp_path, server)


def test_hosts_variables_and_groups_from_the_api(controller: Controller) -> None:
    largest = {"annotations": {"note": "{{ x }}" * 37_449}}  # all of a Node have 256 KiB at most
    controller.server.nodes = [{**one, "metadata": {**one["metadata"], **largest}} for one in NODES]
    controller.source(
        keyed_groups=[{"prefix": "zone", "key": "kubernetes_labels['topology.kubernetes.io/zone']"}],
        groups={"no_zone": "'topology.kubernetes.io/zone' not in kubernetes_labels"},
        compose={"ansible_host": "inventory_hostname ~ '.example.com'", "none": "nothing"},
    )
    found = controller.inventory()
    assert found["k8s_cluster"]["hosts"] == ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3"]
    assert found["k8s_control_plane"]["hosts"] == found["no_zone"]["hosts"] == ["ubuntu-nested-1"]
    assert found["zone_a"]["hosts"] == ["ubuntu-nested-2"]
    assert found["_meta"]["hostvars"]["ubuntu-nested-2"] == {
        "ansible_host": "ubuntu-nested-2.example.com",
        "kubernetes_internal_ips": ["200.0.0.20"],
        "kubernetes_labels": {"topology.kubernetes.io/zone": "a"},
        "kubernetes_nodes_group": "k8s_cluster",
        "kubernetes_pod_cidrs": ["100.100.1.0/24"],
        "pod_network_node_ip": "200.0.0.20",
        "pod_network_pod_cidr": "100.100.1.0/24",
    }


def test_options_change_groups_addresses_and_the_kubeconfig(controller: Controller) -> None:
    controller.write("clusters/other", controller.server.kubeconfig(token=TOKEN))
    controller.source(
        kubeconfig="../clusters/other",
        context="admin@lab",
        group="prod",
        control_plane_group="",
        node_ip_from_internal_ip=False,
        ansible_host_from_internal_ip=True,
    )
    found = controller.inventory(KUBECONFIG="/nowhere")
    assert "k8s_cluster" not in found
    assert "k8s_control_plane" not in found
    assert found["prod"]["hosts"] == [item["metadata"]["name"] for item in NODES]
    variables = found["_meta"]["hostvars"]["ubuntu-nested-1"]
    assert variables["ansible_host"] == "200.0.0.10"
    assert not {"pod_network_node_ip", "kubernetes_internal_ips"} & set(variables)


def test_a_later_source_keeps_its_own_address_and_a_new_node_needs_none(controller: Controller) -> None:
    controller.source(ansible_host_from_internal_ip=True)
    controller.write(
        "inventory/later.json", {"all": {"hosts": {"ubuntu-nested-1": {"ansible_host": "192.168.122.11"}}}}
    )
    controller.server.nodes.append(node("ubuntu-nested-4", ["100.100.3.0/24"], ["200.0.0.40"]))
    hosts = controller.inventory()["_meta"]["hostvars"]
    assert [hosts["ubuntu-nested-%d" % number]["ansible_host"] for number in (1, 4)] == ["192.168.122.11", "200.0.0.40"]
    assert hosts["ubuntu-nested-1"]["pod_network_pod_cidr"] == "100.100.0.0/24"


def test_a_cache_is_asked_before_the_server_until_it_is_flushed(controller: Controller) -> None:
    controller.source(cache=True, cache_plugin="ansible.builtin.jsonfile", cache_connection="cached")
    first = controller.inventory()
    controller.server.nodes.append(node("ubuntu-nested-4", ["100.100.3.0/24"], ["200.0.0.40"]))
    assert controller.inventory() == first
    assert len(controller.server.requests) == 1
    listed = ("ansible-playbook", "-i", "inventory", "--list-hosts", "humanz.cni.site")
    assert "ubuntu-nested-4" in controller.run(*listed, "--flush-cache").stdout


def test_nodes_without_pod_cidr_and_internal_ip_are_named(controller: Controller) -> None:
    controller.write("nodes.json", {"kind": "List", "items": [node("n%d" % number, [], []) for number in range(30)]})
    controller.source(nodes_file="../nodes.json")
    said = controller.run("ansible-inventory", "-i", "inventory", "--graph").stderr
    assert says(said, "no podCIDR: n0, n1, ", ", n19 and 10 more. kube-controller-manager", "--allocate-node-cidrs")
    assert says(said, "no InternalIP: n0, ")
    assert says(controller.plan(code=2), "n4: pod_network_pod_cidr is not set")
    assert controller.server.requests == []


CODE = "{{ lookup('pipe', 'touch $RAN') }}"
ZONE = node("zone", ["100.100.3.0/24"], ["2001:db8::1%" + CODE])
FURTHER = [  # what the API itself refuses, and a saved file may hold
    node("address", ["100.100.4.0/24"], ["fe80::1%" + CODE, CODE]),
    node("cidr", ["fd00::%" + CODE + "/64", CODE], ["200.0.0.50"]),
    node("label", ["100.100.5.0/24"], ["200.0.0.60"], {"key": CODE, CODE: "value"}),
    node(CODE, ["100.100.6.0/24"], ["200.0.0.70"]),
]


@pytest.mark.parametrize(
    ("hostile", "saved"),
    [
        pytest.param([ZONE], False, id="zone-by-the-API"),
        pytest.param([ZONE], True, id="zone-in-a-file"),
        pytest.param([ZONE, *FURTHER], True, id="anything-in-a-file"),
    ],
)
def test_nothing_that_a_node_says_of_itself_runs_on_the_controller(
    controller: Controller, hostile: list[dict[str, Any]], saved: bool
) -> None:
    controller.server.nodes += hostile
    controller.write("nodes.json", {"kind": "NodeList", "items": controller.server.nodes})
    controller.source(
        ansible_host_from_internal_ip=True,
        compose={"said": "kubernetes_labels ~ kubernetes_internal_ips"},
        keyed_groups=[{"key": "kubernetes_labels", "prefix": "label"}, {"key": "kubernetes_internal_ips"}],
        **({"nodes_file": "../nodes.json"} if saved else {}),
    )
    again = [
        {"ansible.builtin.debug": {"var": "hostvars"}},
        {"ansible.builtin.set_fact": {"said": "{{ hostvars | string }} {{ groups | string }}"}},
        {"humanz.cni.cluster_plan": {**NETWORKS, "defer_problems": True}, "register": "plan"},
        {"ansible.builtin.set_fact": {"problems": "{{ plan.problems | join(' ') }}"}},
        {"ansible.builtin.debug": {"msg": "{{ said ~ problems }}"}},
        {"ansible.builtin.assert": {"that": "not plan.problems", "fail_msg": "{{ problems }} {{ said }}"}},
    ]
    controller.write("again.yml", [{"hosts": "k8s_cluster", "gather_facts": False, "tasks": again}])
    networks = json.dumps({"pod_network_" + name: value for name, value in NETWORKS.items()})
    ran = controller.directory / "ran"
    controller.run("ansible-inventory", "-i", "inventory", "--graph", "--vars", RAN=str(ran))
    play = ("ansible-playbook", "-i", "inventory", "--limit=ubuntu-nested-1", "--connection=local")
    controller.run(*play, "again.yml", code=2, RAN=str(ran))
    own = {"ansible_become": False, "ansible_python_interpreter": sys.executable}
    site = ("humanz.cni.site", "--check", "--extra-vars=" + networks, "--extra-vars=" + json.dumps(own))
    said = controller.run(*play, *site, code=2, RAN=str(ran)).stdout
    assert not ran.exists()
    assert says(said, "zone: InternalIP", r"2001:db8::1%\\x7b\\x7b lookup(", ": must be an IP address of that machine")


def test_no_value_is_trusted_as_a_template(controller: Controller) -> None:
    controller.source(ansible_host_from_internal_ip=True, compose={"composed": "'x-' ~ kubernetes_internal_ips[0]"})
    done = controller.run("ansible-inventory", "-i", "inventory", "--list")
    found = json.loads(done.stdout)["_meta"]["hostvars"]["ubuntu-nested-2"]

    def marked(text: str) -> dict[str, str]:
        return {"__ansible_unsafe": text}

    assert found == {
        "ansible_host": marked("200.0.0.20"),
        "composed": marked("x-200.0.0.20"),
        "kubernetes_internal_ips": [marked("200.0.0.20")],
        "kubernetes_labels": {"topology.kubernetes.io/zone": marked("a")},
        "kubernetes_nodes_group": marked("k8s_cluster"),
        "kubernetes_pod_cidrs": [marked("100.100.1.0/24")],
        "pod_network_node_ip": marked("200.0.0.20"),
        "pod_network_pod_cidr": marked("100.100.1.0/24"),
    }


def test_a_broken_node_is_its_own_problem_which_stops_a_run_for_others_too(controller: Controller) -> None:
    controller.server.nodes.append(node("broken", ["100.100.3.0/24"], ["not-an-ip"]))
    controller.source()
    found = controller.inventory()
    assert found["k8s_cluster"]["hosts"] == ["ubuntu-nested-1", "ubuntu-nested-2", "ubuntu-nested-3", "broken"]
    assert found["_meta"]["hostvars"]["ubuntu-nested-1"]["pod_network_node_ip"] == "200.0.0.10"
    assert found["_meta"]["hostvars"]["broken"]["pod_network_pod_cidr"] == "100.100.3.0/24"
    problem = "broken: InternalIP not-an-ip: must be an IP address of that machine, without a zone, such as 200.0.0.10"
    own = {"pod_network_node_ip": "200.0.0.40"}
    said = controller.plan("--limit=ubuntu-nested-1", code=2, broken=own)
    assert says(said, "ignored in what the cluster says, and a problem of the plan: " + problem)
    assert says(said, "the cluster cannot be planned, as it has ", problem)
    controller.source(node_ip_from_internal_ip=False)
    others = {"ubuntu-nested-%d" % number: {"pod_network_node_ip": "200.0.0.%d0" % number} for number in (1, 2, 3)}
    assert "not-an-ip" not in controller.plan(code=0, broken=own, **others)


def test_a_node_can_take_no_group_and_no_host_over(controller: Controller) -> None:
    """Variables of a host that is named like a group would be the group's, and a group named like a host its alias."""
    control_plane = {"node-role.kubernetes.io/control-plane": ""}
    controller.server.nodes += [
        *(node(name, ["100.100.4.0/24"], ["200.0.0.66"], control_plane) for name in ("all", "localhost", "zone-a")),
        node("thief", ["100.100.5.0/24"], ["200.0.0.10"]),
        *(
            node("label-%d" % number, ["100.100.%d.0/24" % number], ["200.0.0.%d" % number], {"team": value})
            for number, value in enumerate(("all", "k8s_control_plane", "ubuntu-nested-1", "mine"), 71)
        ),
    ]
    controller.write("inventory/a.json", {"zone-a": {"hosts": {"ubuntu-nested-2": {}}}})
    team = {"key": "kubernetes_labels.team", "separator": "", "parent_group": "teams"}
    controller.source(ansible_host_from_internal_ip=True, keyed_groups=[team])
    found = controller.inventory()
    hosts = found["_meta"]["hostvars"]
    assert not {"all", "localhost", "zone-a"} & set(hosts)
    assert not any("ansible_host" in hosts[name] for name in ("ubuntu-nested-1", "thief"))
    assert [hosts["ubuntu-nested-%d" % number]["ansible_host"] for number in (2, 3)] == ["200.0.0.20", "200.0.0.30"]
    assert found["k8s_control_plane"] == {"hosts": ["ubuntu-nested-1"]}
    assert (found["teams"], found["mine"]) == ({"children": ["mine"]}, {"hosts": ["label-74"]})
    said = controller.plan("--limit=ubuntu-nested-2", code=2)
    assert says(said, "cluster: node all: is the name of a group or of the controller itself")
    assert says(said, "cluster: node localhost: is", "cluster: node zone-a: is")
    assert says(said, "ubuntu-nested-1: InternalIP 200.0.0.10: is that of thief too: every node must have its own")
    assert says(said, "label-73: keyed_groups: ubuntu-nested-1: is the name of a host or of a group that a label must")


def test_what_is_wrong_with_a_source_is_said(controller: Controller) -> None:
    user = {"exec": {"command": "aws"}}
    controller.write("exec", {**controller.server.kubeconfig(), "users": [{"name": "admin", "user": user}]})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kubeconfg": "x"}, "no such option: kubeconfg: see 'ansible-doc -t inventory humanz.cni.kubernetes_nodes'"),
        ({"nodes_file": "a", "context": "b"}, "nodes_file is read in place of the API: remove it, or kubeconfig and"),
        (
            {"nodes_file": "gone.json"},
            "/gone.json cannot be read: No such file or directory: must be written by 'kubectl",
        ),
        ({"kubeconfig": "../exec"}, "user admin in "),
        ({"kubeconfig": "../exec"}, "exec is not supported: save the nodes with 'kubectl get nodes --output=json"),
        ({"kubeconfig": "gone"}, "/gone does not exist: set the option kubeconfig, or save"),
        ({"context": "gone"}, "has no context gone: must be one of: admin@lab"),
        ({"group": ""}, "group is empty: must be the group that gets all nodes, such as k8s_cluster"),
        ({"compose": {"x": "nothing"}, "strict": True}, "Could not set x for host ubuntu-nested-1"),
        ({"timeout": "soon"}, "timeout"),
    ]
    for number, (options, _expected) in enumerate(wrong):
        controller.write("inventory/%d.kubernetes_nodes.yml" % number, {**PLUGIN, **options})
    controller.write("inventory/misnamed.yml", PLUGIN)
    said = controller.run("ansible-inventory", "-i", "inventory", "--graph").stderr
    for _options, expected in wrong:
        assert says(said, expected)
    assert says(said, "misnamed.yml' could not be verified by inventory plugin 'humanz.cni.kubernetes_nodes'")


def test_the_plan_has_problems_where_inventory_and_cluster_disagree(controller: Controller) -> None:
    controller.source()
    said = controller.plan(
        "--limit=ubuntu-nested-3",
        code=2,
        **{
            "ubuntu-nested-1": {"pod_network_pod_cidr": "100.100.7.0/24"},
            "ubuntu-nested-2": {"pod_network_node_ip": "200.0.0.21"},
        },
    )
    assert says(said, "ubuntu-nested-1: pod_network_pod_cidr 100.100.7.0/24: is not what Kubernetes gave the node")
    assert says(
        said, "ubuntu-nested-2: pod_network_node_ip 200.0.0.21: is none of the node's InternalIPs in Kubernetes"
    )


def test_a_node_that_has_yet_to_join_is_planned_with_a_warning(controller: Controller) -> None:
    controller.source()
    joins = {"pod_network_pod_cidr": "100.100.3.0/24", "pod_network_node_ip": "200.0.0.40"}
    said = controller.plan(code=0, **{"ubuntu-nested-4": joins})
    assert says(said, "no nodes of the Kubernetes cluster, but of the inventory: ubuntu-nested-4.")


def test_while_the_cluster_cannot_be_read_nothing_is_planned(controller: Controller) -> None:
    controller.source()
    controller.server.allowed = False
    own = {"pod_network_pod_cidr": "100.100.0.0/24", "pod_network_node_ip": "200.0.0.10"}
    said = controller.plan(code=2, **{"ubuntu-nested-1": own})
    assert says(said, "403 nodes is forbidden")
    assert says(said, "/inventory/kubernetes_nodes.yml could not be read: must be readable, or this run would take")


def test_a_source_with_a_wrong_option_stops_the_plan_too(controller: Controller) -> None:
    controller.source(timeout="soon")
    assert says(controller.plan(code=2, **{"ubuntu-nested-1": {}}), "kubernetes_nodes.yml could not be read: must be")


def test_a_source_that_nobody_thought_of_stops_the_plan_too(controller: Controller) -> None:
    controller.write("kubeconfig", {**controller.server.kubeconfig(), "clusters": 5})
    controller.source()
    said = controller.plan(code=2, **{"ubuntu-nested-1": {}})
    assert says(said, "inventory/kubernetes_nodes.yml: cannot be read (TypeError: ", "object is not iterable")
    assert says(said, "kubernetes_nodes.yml could not be read: must be readable, or this run would take")


def test_the_page_holds_what_a_user_types(controller: Controller) -> None:
    """Run each command of the page after the files above it are written; kubectl's own answer is the saved one."""
    controller.write("kubectl", "#!/bin/sh\ncat saved.json\n")
    (controller.directory / "kubectl").chmod(0o755)
    controller.write("saved.json", {"kind": "List", "items": NODES})
    said = []
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language == "yaml":
            name = text.splitlines()[0].removeprefix("# ")
            assert yaml.safe_load(text)
            controller.write(name, text)
        elif language == "ini":
            controller.write("ansible.cfg", text)
        else:
            commands = [line.removeprefix("$ ") for line in text.splitlines()]
            said += [controller.run("bash", "-c", command).stdout for command in commands]
    assert "{pod_network_pod_cidr = 100.100.2.0/24}" in said[0]
    assert "{pod_network_service_cidr = 10.96.0.0/12}" in said[0]
    assert "hosts (3):" in said[1]
    assert said[3].count("ubuntu-nested-") == 4
    assert len(controller.server.requests) == 2
