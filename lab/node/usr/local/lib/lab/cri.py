"""Pods through containerd's CRI, as a kubelet starts them: containerd's libcni calls the CNI plugin.

python3 cri.py run NAME [NAMESPACE] [HOSTPORT:PODPORT]...   prints the pod as JSON
python3 cri.py list                                         prints all pods as JSON
python3 cri.py rm NAME [NAMESPACE]                          stops and removes it; no error if it is not there
python3 cri.py exec NAME [NAMESPACE] -- COMMAND...          runs a command in its container
python3 cri.py ready                                        the runtime's condition NetworkReady: exit code 0 or 1

A pod is {"name", "namespace", "id", "state": "ready" | "notready", "ips": [str]}. Its container runs peer.py on
port 8080. Field numbers are those of k8s.io/cri-api, pkg/apis/runtime/v1/api.proto.
"""

from __future__ import annotations

import contextlib
import json
import sys
import uuid
from typing import Any, Dict

import grpc
from protobuf import Message, encode, every, string_map, text

SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE = "localhost/lab-pod:latest"
PEER = ["/usr/bin/python3", "-I", "/usr/local/lib/lab/peer.py", "serve", "8080"]
LABELS = string_map({"app": "lab"})
# /usr is the container's userland; Debian reaches nc and others through /etc/alternatives.
MOUNTS = [{1: path, 2: path, 3: True} for path in ("/usr", "/etc/alternatives")]
Pod = Dict[str, Any]


class CriError(Exception):
    """What containerd answered."""


def call(method: str, request: Message) -> bytes:
    """One CRI request; returns the response's bytes. CriError with containerd's own words."""
    with grpc.insecure_channel(SOCKET) as channel:
        try:
            answer = channel.unary_unary("/runtime.v1.RuntimeService/" + method)(encode(request), timeout=120)
            return bytes(answer)
        except grpc.RpcError as error:
            raise CriError("%s: %s" % (method, error.details())) from error


def _sandbox_config(name: str, namespace: str, ports: list[str]) -> Message:
    mappings = []
    for port in ports:
        host, pod = port.split(":")
        mappings.append({2: int(pod), 3: int(host)})
    metadata = {1: name, 2: str(uuid.uuid4()), 3: namespace}
    return {1: metadata, 2: name, 5: mappings, 6: LABELS, 8: {2: {}}}


def run(name: str, namespace: str, ports: list[str]) -> Pod:
    """Start a pod, in place of one of that name that is not ready; CriError if there is one that is."""
    _make_room(name, namespace)
    config = _sandbox_config(name, namespace, ports)
    try:
        sandbox = text(call("RunPodSandbox", {1: config}), 1)
        container = {1: {1: "peer"}, 2: {1: IMAGE}, 3: PEER, 7: MOUNTS, 9: LABELS, 15: {2: {}}}
        created = call("CreateContainer", {1: sandbox, 2: container, 3: config})
        call("StartContainer", {1: text(created, 1)})
    except CriError:
        # containerd keeps a sandbox that it could not attach, and refuses to remove it while it has no network at all.
        with contextlib.suppress(CriError):
            _make_room(name, namespace)
        raise
    return _describe(sandbox)


def _make_room(name: str, namespace: str) -> None:
    left = find(name, namespace)
    if left and left["state"] == "ready":
        raise CriError("pod %s in namespace %s is there already" % (name, namespace))
    if left:
        _remove(left["id"])


def _describe(sandbox: str) -> Pod:
    status = every(call("PodSandboxStatus", {1: sandbox}), 1)[0]
    ips = [text(status, 5, 1)] + [ip.decode() for ip in every(status, 5, 2, 1)]
    return {
        "name": text(status, 2, 1),
        "namespace": text(status, 2, 3),
        "id": sandbox,
        # SANDBOX_READY is 0 and thus not on the wire.
        "state": "notready" if every(status, 3) else "ready",
        "ips": [ip for ip in ips if ip],
    }


def pods() -> list[Pod]:
    """All pods, by namespace and name."""
    found = [_describe(text(item, 1)) for item in every(call("ListPodSandbox", {}), 1)]
    return sorted(found, key=lambda pod: (pod["namespace"], pod["name"]))


def find(name: str, namespace: str) -> Pod | None:
    """The pod of that name, if there is one."""
    return next((pod for pod in pods() if (pod["name"], pod["namespace"]) == (name, namespace)), None)


def _remove(sandbox: str) -> None:
    call("StopPodSandbox", {1: sandbox})
    call("RemovePodSandbox", {1: sandbox})


def execute(pod: Pod, command: list[str]) -> int:
    """Run a command in the pod's container, with its output on ours; returns its exit code."""
    listed = call("ListContainers", {1: {3: pod["id"]}})
    answer = call("ExecSync", {1: every(listed, 1, 1)[0], 2: command, 3: 60})
    for field, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.buffer.write(b"".join(every(answer, field)))
    return int((every(answer, 3) or [0])[0])


def ready() -> tuple[bool, str]:
    """Return whether the runtime calls its network ready, and what it says about it."""
    for condition in every(call("Status", {}), 1, 1):
        if text(condition, 1) == "NetworkReady":
            return bool(every(condition, 2)), text(condition, 4)
    return False, "the runtime reports no condition NetworkReady"


def _existing(arguments: list[str]) -> Pod:
    name, namespace = arguments[0], (arguments[1:] or ["default"])[0]
    pod = find(name, namespace)
    if not pod:
        raise CriError("no pod %s in namespace %s on this node" % (name, namespace))
    return pod


def main(arguments: list[str]) -> int:
    """Read the command line."""
    command, rest = arguments[0], arguments[1:]
    if command == "run":
        ports = [argument for argument in rest if ":" in argument]
        names = [argument for argument in rest if ":" not in argument]
        print(json.dumps(run(names[0], (names[1:] or ["default"])[0], ports)))
    elif command == "list":
        print(json.dumps(pods()))
    elif command == "rm":
        pod = find(rest[0], (rest[1:] or ["default"])[0])
        if pod:
            _remove(pod["id"])
    elif command == "exec":
        split = rest.index("--")
        return execute(_existing(rest[:split]), rest[split + 1 :])
    elif command == "ready":
        is_ready, message = ready()
        print(message or "ready")
        return 0 if is_ready else 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CriError as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
