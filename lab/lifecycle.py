"""The lab as a whole: up, down, add and remove nodes, reboot, status."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from lab import (
    binaries,
    image,
    inventory,
    keys,
    kubernetes,
    network,
    nodes,
    podman,
    pods,
    services_image,
)
from lab.settings import DEFAULT_SUITE, STATE, Lab
from lab.shell import LabError, run, say
from lab.topology import TOPOLOGIES, UBUNTU_NESTED, Node, Topology, node_named
from lab.topology import nodes as first_nodes

WATCHERS = 1024  # instances of inotify: enough for several labs of as many nodes as one can have


def record(lab: Lab) -> dict[str, Any]:
    """What Lab.record holds; LabError if the lab is not up."""
    if not lab.record.exists():
        raise LabError("lab %s is not up; 'python3 lab up' builds it" % lab.name)
    found: dict[str, Any] = json.loads(lab.record.read_text())
    return found


def topology_of(lab: Lab) -> Topology:
    """The lab's topology; if it is not up, the one that it has unless told otherwise."""
    return TOPOLOGIES[record(lab)["topology"]] if lab.record.exists() else UBUNTU_NESTED


def members(lab: Lab) -> list[Node]:
    """The lab's nodes."""
    topology = topology_of(lab)
    return [Node(topology, index) for index in record(lab)["nodes"]]


def node_of(lab: Lab, name: str) -> Node:
    """The node of the lab that *name* stands for."""
    return node_named(topology_of(lab), name)


def _save(lab: Lab, kind: dict[str, Any], members_: list[Node]) -> None:
    ordered = sorted(members_, key=lambda node: node.index)
    lab.record.write_text(json.dumps({**kind, "nodes": [node.index for node in ordered]}) + "\n")
    inventory.write(lab, TOPOLOGIES[kind["topology"]], ordered)


def build_image(suite: str, services: bool, again: bool = False) -> str:
    """Build the image of nodes with or without *services*, that is network managers and firewalls; its name."""
    return services_image.build(suite, again) if services else image.build(suite, again)


def _programs(kind: dict[str, Any]) -> Path | None:
    """The programs of Kubernetes in a lab of that kind, if it has it."""
    return Path(kind["kubernetes"]) if kind["kubernetes"] else None


def up(lab: Lab, topology: Topology, count: int, suite: str, services: bool, with_kubernetes: bool) -> None:
    """Build what is missing of a lab of ``count`` nodes; what this call made is deleted again if it fails."""
    started = time.monotonic()
    wanted = first_nodes(topology, count)
    before = members(lab) if lab.record.exists() else None
    first = "take it down (python3 lab --name %s down) before" % lab.name
    if before is not None and topology_of(lab) != topology:
        there = topology_of(lab).name
        raise LabError("lab %s is %s; %s --topology %s" % (lab.name, there, first, topology.name))
    if before is not None and record(lab)["suite"] != suite:
        raise LabError("lab %s runs %s; %s --suite %s" % (lab.name, record(lab)["suite"], first, suite))
    if before is not None and services and not record(lab)["services"]:
        raise LabError("lab %s is up without services; %s --services" % (lab.name, first))
    if before is not None and with_kubernetes and not record(lab)["kubernetes"]:
        raise LabError("lab %s is up without Kubernetes; %s --kubernetes" % (lab.name, first))
    programs = _programs(record(lab)) if before is not None else binaries.directory() if with_kubernetes else None
    _require_bridge_netfilter()
    _require_watchers()
    services = services or (before is not None and record(lab)["services"])
    base = build_image(suite, services)
    try:
        if before is None:
            say("laying switches, router and outside of lab %s in network namespaces of their own" % lab.name)
            keys.make(lab, topology)
        network.lay_switches(lab, topology)
        _start(lab, base, programs, wanted)
        kind = {"topology": topology.name, "suite": suite, "services": services}
        kind["kubernetes"] = str(programs) if programs else None
        _save(lab, kind, list({*wanted, *(before or [])}))
    except BaseException:
        say("that failed; deleting what was made")
        if before is None:
            down(lab)
        else:
            for node in set(wanted) - set(before):
                nodes.delete(lab, node)
        raise
    say("lab %s is up after %.1f s" % (lab.name, time.monotonic() - started))


def _start(lab: Lab, base: str, programs: Path | None, wanted: list[Node]) -> None:
    """Create and boot those nodes that do not run; they boot side by side."""
    if programs:
        kubernetes.configure(lab, wanted)
    states = podman.containers()
    booting = [node for node in wanted if states.get(lab.container(node.name)) != "running"]
    for node in booting:
        say("starting %s: %s" % (node.name, ", ".join(_nics(node))))
        network.plug_in(lab, node)
        nodes.create(lab, node, base, programs)
        nodes.power_on(lab, node)
    for node in booting:
        nodes.wait_booted(lab, node)
    if programs:
        kubernetes.wait_for_nodes(lab, wanted)


def _nics(node: Node) -> list[str]:
    """Each NIC of a node, with its address."""
    return ["%s %s" % (network.nic_of(node.index), node.addresses(network)[0]) for network in node.topology.networks]


def _require_bridge_netfilter() -> None:
    """A container can't load modules, so the machine has to hold br_netfilter before the nodes ask for it."""
    done = run(["sysctl", "-n", "net.bridge.bridge-nf-call-iptables"], check=False)
    if done.returncode:
        say("loading the kernel module br_netfilter, which stays loaded")
        run(["modprobe", "br_netfilter"])


def _require_watchers() -> None:
    """Nodes share what the kernel lets one user have of inotify, of which each takes six to twelve."""
    key = "fs.inotify.max_user_instances"
    if int(run(["sysctl", "-n", key]).stdout) < WATCHERS:
        say("setting %s to %d, which stays" % (key, WATCHERS))
        run(["sysctl", "--quiet", "%s=%d" % (key, WATCHERS)])


def down(lab: Lab) -> None:
    """Delete everything of the lab but the node image, whatever state it is in."""
    say("taking lab %s down" % lab.name)
    keys.disconnect(lab)
    left = podman.containers(lab.container(""))
    if left:
        podman.podman("rm", "--force", "--time", "0", *left)
    network.remove_all(lab)
    shutil.rmtree(lab.state, ignore_errors=True)
    if STATE.exists() and not any(STATE.iterdir()):
        STATE.rmdir()
    podman.release()


def add(lab: Lab, name: str) -> None:
    """Add a node to a running lab; LabError if it is there."""
    node, known = node_of(lab, name), record(lab)
    if node in members(lab):
        raise LabError("%s is there already" % node.name)
    try:
        _start(lab, build_image(known["suite"], known["services"]), _programs(known), [node])
    except BaseException:
        nodes.delete(lab, node)
        raise
    _save(lab, known, list({*members(lab), node}))


def remove(lab: Lab, name: str) -> None:
    """Remove a node from a running lab; no error if it is not there."""
    node, known = node_of(lab, name), record(lab)
    say("removing %s" % node.name)
    keys.disconnect(lab)
    nodes.delete(lab, node)
    _save(lab, known, [other for other in members(lab) if other != node])


def status(lab: Lab) -> str:
    """A table of the nodes: addresses, state, and whether the container runtime calls its network ready."""
    networks = [network.name.upper() for network in topology_of(lab).networks]
    rows = [("NODE", "STATE", *networks, "POD CIDR", "PODS", "RUNTIME'S NETWORK")]
    for node in members(lab):
        now = nodes.state(lab, node)
        count, ready = ("-", "-") if now != "running" else (str(len(pods.listed(lab, node))), pods.ready(lab, node))
        rows.append((node.name, now, *_nics(node), node.pod_cidr, count, ready))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def default_suite(lab: Lab) -> str:
    """The suite of the running lab, else the lab's default."""
    return record(lab)["suite"] if lab.record.exists() else DEFAULT_SUITE
