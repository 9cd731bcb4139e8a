"""Nodes as podman containers: power on, wait until booted, power off, run a command in one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from lab import network
from lab.podman import command, containers, environment, podman
from lab.settings import CGROUP, Lab
from lab.shell import LabError, run, say, wait_until
from lab.topology import Node

BOOT_SECONDS = 60


def state(lab: Lab, node: Node) -> str:
    """running, exited or another word of podman's; "absent" if there is no container."""
    return containers().get(lab.container(node.name), "absent")


def require_running(lab: Lab, node: Node) -> None:
    """LabError unless the node runs."""
    now = state(lab, node)
    if now == "running":
        return
    if now == "absent" and lab.record.exists() and node.index not in json.loads(lab.record.read_text())["nodes"]:
        raise LabError("%s is no node of the lab; 'python3 lab add %d' adds it" % (node.name, node.index))
    raise LabError("%s is %s; 'python3 lab up' starts it" % (node.name, now))


def create(lab: Lab, node: Node, image: str, kubernetes: Path | None) -> None:
    """Make the node's container, with its data on the machine's own file system, unless it is there.

    The node's wires must lie. ``kubernetes`` is the directory of its programs, if it is to be one of its nodes.
    """
    if state(lab, node) != "absent":
        return
    volumes = ["%s:/etc/lab:ro" % lab.etc, *([] if kubernetes is None else ["%s:/opt/kubernetes:ro" % kubernetes])]
    if node.topology.resolver:
        volumes.append("%s:/etc/resolv.conf:ro" % (lab.etc / "resolv.conf"))
    for program in ("containerd", *([] if kubernetes is None else ("kubelet", "etcd"))):
        data = lab.data(node.name) / program
        data.mkdir(parents=True, exist_ok=True)
        volumes.append("%s:/var/lib/%s" % (data, program))
    podman(
        # Without a terminal, a privileged systemd container takes the machine's /dev/null for its console.
        "create",
        "--tty",
        "--privileged",
        "--cgroupns=private",
        "--cgroup-parent=/%s" % CGROUP,
        # podman's own systemd mode shows a node the machine's systemd cgroups, which all nodes would then share.
        "--systemd=false",
        "--env=container=podman",
        "--stop-signal=SIGRTMIN+3",
        "--name",
        lab.container(node.name),
        "--hostname",
        node.name,
        "--network",
        "ns:/run/netns/%s" % lab.namespace(node.name),
        "--no-hosts",
        "--dns=none",
        "--tmpfs=/run",
        "--tmpfs=/tmp",
        *("--volume=%s" % volume for volume in volumes),
        image,
        "/sbin/init",
    )


def power_on(lab: Lab, node: Node) -> None:
    """Start the node, whose wires must lie: its NICs are there when its first process starts."""
    podman("start", lab.container(node.name))
    # As systemd does on a machine, but not in a container. Without it, the bind mount that ``ip netns`` begins with
    # keeps the namespaces of running pods busy, and containerd cannot remove those pods.
    podman("exec", lab.container(node.name), "mount", "--make-rshared", "/")


def wait_booted(lab: Lab, node: Node) -> None:
    """Wait until systemd has started everything; LabError with the failed units if it could not."""
    container, settled = lab.container(node.name), ("running", "degraded", "maintenance")

    def now() -> str:
        return podman("exec", container, "systemctl", "is-system-running", check=False).strip()

    wait_until(lambda: now() in settled, "boot of %s" % node.name, BOOT_SECONDS)
    if now() != "running":
        failed = podman("exec", container, "systemctl", "--failed", "--plain", "--no-legend", check=False)
        raise LabError("%s booted with failed units: %s" % (node.name, failed.strip()))


def reboot(lab: Lab, node: Node) -> None:
    """Shut the node down, lay new wires, start it: its disk persists, /run and its network's state don't."""
    require_running(lab, node)
    say("rebooting %s" % node.name)
    podman("stop", "--time", "20", lab.container(node.name))
    network.plug_in(lab, node)
    power_on(lab, node)
    wait_booted(lab, node)


def delete(lab: Lab, node: Node) -> None:
    """Switch the node off and delete all of it, if it is there."""
    podman("rm", "--force", "--time", "0", "--ignore", lab.container(node.name))
    network.unplug(lab, node)
    shutil.rmtree(lab.data(node.name), ignore_errors=True)


def execute(lab: Lab, node: Node, argv: Sequence[str]) -> int:
    """Run a command in the node on this terminal; returns its exit code."""
    require_running(lab, node)
    options: list[str] = ["--interactive", *(["--tty"] if os.isatty(0) and os.isatty(1) else [])]
    argv = command("exec", *options, lab.container(node.name), *argv)
    return subprocess.run(argv, env=environment(), check=False).returncode


def attempt(lab: Lab, node: Node, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What became of a command in the node, which may fail."""
    return run(command("exec", lab.container(node.name), *argv), env=environment(), check=False)


def output(lab: Lab, node: Node, argv: Sequence[str]) -> str:
    """What a command in the node prints; LabError if it fails."""
    return podman("exec", lab.container(node.name), *argv)
