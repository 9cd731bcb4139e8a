"""Pods on a node, through the CRI client that the node image carries."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Sequence

from lab import nodes
from lab.podman import command, environment
from lab.settings import Lab
from lab.shell import run
from lab.topology import Node

_CRI = ["python3", "/usr/local/lib/lab/cri.py"]
Pod = Dict[str, Any]


def start(lab: Lab, node: Node, name: str, namespace: str, ports: Sequence[str]) -> Pod:
    """Run a pod on the node: {"name", "namespace", "id", "state", "ips"}; LabError with the runtime's words."""
    nodes.require_running(lab, node)
    pod: Pod = json.loads(nodes.output(lab, node, [*_CRI, "run", name, namespace, *ports]))
    return pod


def remove(lab: Lab, node: Node, name: str, namespace: str) -> None:
    """Stop and remove a pod; no error if it is not there."""
    nodes.require_running(lab, node)
    nodes.output(lab, node, [*_CRI, "rm", name, namespace])


def listed(lab: Lab, node: Node) -> list[Pod]:
    """The node's pods."""
    pods: list[Pod] = json.loads(nodes.output(lab, node, [*_CRI, "list"]))
    return pods


def execute(lab: Lab, node: Node, name: str, namespace: str, argv: Sequence[str]) -> int:
    """Run a command in the pod, with its output on ours; returns its exit code."""
    nodes.require_running(lab, node)
    argv = command("exec", lab.container(node.name), *_CRI, "exec", name, namespace, "--", *argv)
    done = run(argv, env=environment(), check=False)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def ready(lab: Lab, node: Node) -> str:
    """What the runtime says of its network: "ready" or why not."""
    argv = command("exec", lab.container(node.name), *_CRI, "ready")
    return run(argv, env=environment(), check=False).stdout.strip()
