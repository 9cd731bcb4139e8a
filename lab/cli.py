"""The command line: python3 lab COMMAND."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Callable

from lab import binaries, inventory, kubernetes, lifecycle, nodes, podman, pods
from lab.settings import DEFAULT_NAME, DEFAULT_SUITE, Lab
from lab.shell import LabError
from lab.topology import TOPOLOGIES, UBUNTU_NESTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 lab", description="Systemd nodes, wired like an example inventory.")
    name = os.environ.get("HUMANZ_LAB_NAME", DEFAULT_NAME)
    parser.add_argument("--name", default=name, help="the lab's name (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("image", help="build the node image")
    build.add_argument("--suite", default=DEFAULT_SUITE, help="Debian release of the nodes (%(default)s)")
    build.add_argument("--again", action="store_true", help="build it even if it is there, to take newer packages")
    _add_services(build)
    commands.add_parser("programs", help="build Kubernetes from source if needed, and print where its programs are")
    up = commands.add_parser("up", help="build or complete the lab; builds the node image if needed")
    up.add_argument("--nodes", type=int, default=3, metavar="N", help="how many (%(default)s)")
    up.add_argument("--suite", help="Debian release of the nodes (%s)" % DEFAULT_SUITE)
    up.add_argument(
        "--topology", choices=sorted(TOPOLOGIES), help="one network for everything, or two (%s)" % UBUNTU_NESTED.name
    )
    _add_services(up)
    up.add_argument("--kubernetes", action="store_true", help="with a real Kubernetes, built from source if needed")
    kubectl = commands.add_parser("kubectl", help="run kubectl as the administrator of the lab's Kubernetes")
    kubectl.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS")
    down = commands.add_parser("down", help="delete the lab; the node image stays")
    down.add_argument("--purge", action="store_true", help="delete the node images too")
    commands.add_parser("status", help="show the nodes")
    shown = commands.add_parser("inventory", help="print how Ansible connects; layer it over inventory/TOPOLOGY")
    shown.add_argument("--path", action="store_true", help="print the path of the file instead")
    for name, text in (("add", "add a node"), ("remove", "remove a node"), ("reboot", "reboot a node")):
        commands.add_parser(name, help=text).add_argument("node", metavar="NODE", help="its name, or its number")
    execute = commands.add_parser("exec", help="run a command in a node")
    execute.add_argument("node", metavar="NODE")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    _add_pod_commands(commands.add_parser("pod", help="pods, through containerd's CRI"))
    return parser


def _add_services(command: argparse.ArgumentParser) -> None:
    text = "nodes with network managers and firewalls, none of them started"
    command.add_argument("--services", action="store_true", help=text)


def _add_pod_commands(pod: argparse.ArgumentParser) -> None:
    commands = pod.add_subparsers(dest="pod_command", required=True, metavar="COMMAND")
    texts = {"run": "start a pod and print its address", "rm": "remove a pod", "exec": "run a command in a pod"}
    for name, text in texts.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--namespace", default="default", help="Kubernetes namespace (%(default)s)")
        if name == "run":
            command.add_argument("--publish", action="append", default=[], metavar="HOSTPORT:PODPORT")
        command.add_argument("node", metavar="NODE")
        command.add_argument("pod", metavar="NAME")
        if name == "exec":
            command.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    listed = commands.add_parser("list", help="list pods")
    listed.add_argument("node", metavar="NODE", nargs="?")


def _argv(words: list[str]) -> list[str]:
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise LabError("no command given; it goes after --")
    return words


def _image(_lab: Lab, options: argparse.Namespace) -> None:
    print(lifecycle.build_image(options.suite, options.services, options.again))
    podman.release()


def _programs(_lab: Lab, _options: argparse.Namespace) -> None:
    print(binaries.directory())


def _up(lab: Lab, options: argparse.Namespace) -> None:
    suite = options.suite or lifecycle.default_suite(lab)
    topology = TOPOLOGIES[options.topology] if options.topology else lifecycle.topology_of(lab)
    lifecycle.up(lab, topology, options.nodes, suite, options.services, options.kubernetes)


def _down(lab: Lab, options: argparse.Namespace) -> None:
    lifecycle.down(lab)
    if options.purge:
        podman.purge()


def _inventory(lab: Lab, options: argparse.Namespace) -> None:
    members = lifecycle.members(lab)
    print(
        lab.inventory if options.path else inventory.text(lab, lifecycle.topology_of(lab), members),
        end="\n" if options.path else "",
    )


def _reboot(lab: Lab, options: argparse.Namespace) -> None:
    nodes.reboot(lab, lifecycle.node_of(lab, options.node))


def _exec(lab: Lab, options: argparse.Namespace) -> int:
    return nodes.execute(lab, lifecycle.node_of(lab, options.node), _argv(options.argv))


def _kubectl(lab: Lab, options: argparse.Namespace) -> int:
    control_plane = kubernetes.control_plane(lifecycle.topology_of(lab))
    return nodes.execute(lab, control_plane, [*kubernetes.KUBECTL, *_argv(options.argv)])


def _pod(lab: Lab, options: argparse.Namespace) -> int | None:
    if options.pod_command == "list":
        for node in [lifecycle.node_of(lab, options.node)] if options.node else lifecycle.members(lab):
            for pod in pods.listed(lab, node):
                print(node.name, pod["namespace"], pod["name"], pod["state"], ",".join(pod["ips"]) or "-")
        return None
    node = lifecycle.node_of(lab, options.node)
    if options.pod_command == "run":
        print(" ".join(pods.start(lab, node, options.pod, options.namespace, options.publish)["ips"]))
    elif options.pod_command == "rm":
        pods.remove(lab, node, options.pod, options.namespace)
    else:
        return pods.execute(lab, node, options.pod, options.namespace, _argv(options.argv))
    return None


_COMMANDS: dict[str, Callable[[Lab, argparse.Namespace], int | None]] = {
    "image": _image,
    "programs": _programs,
    "up": _up,
    "down": _down,
    "status": lambda lab, _options: print(lifecycle.status(lab)),
    "inventory": _inventory,
    "add": lambda lab, options: lifecycle.add(lab, options.node),
    "remove": lambda lab, options: lifecycle.remove(lab, options.node),
    "reboot": _reboot,
    "exec": _exec,
    "kubectl": _kubectl,
    "pod": _pod,
}


def main() -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args()
    if os.geteuid() != 0:
        print("lab: this needs root: it makes network namespaces and containers", file=sys.stderr)
        return 1
    # Also where SIGINT is ignored, as it is by what a script starts in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.command != "programs":  # which may take long, and has nothing of podman's
            podman.hold()
        return _COMMANDS[options.command](Lab(options.name), options) or 0
    except LabError as error:
        print("lab: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
