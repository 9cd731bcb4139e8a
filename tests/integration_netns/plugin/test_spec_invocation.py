# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the specification has a plugin called: where its parameters come from, and what it may rely on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.plugin.runtime import BLOG, Outcome, Runtime, nested
from tests.support.plugin.system_calls import traced

PACKAGES = Path(__file__).resolve().parents[3] / "files"
CRASH = """
import sys
sys.path.insert(0, sys.argv[1])
from humanz_cni import main
from humanz_cni.network import bridge
def crash(*_arguments):
    raise ZeroDivisionError("nobody foresaw it")
bridge.ensure = crash
main.main()
"""


def test_s_002_parameters_come_from_standard_input_and_environment_alone(runtime: Runtime) -> None:
    runtime.pod("pod1")
    runtime.node.run("sh", "-c", "mkdir -p /etc/cni/net.d; echo garbage > /etc/cni/net.d/10-humanz-cni-plugin.conflist")

    done = traced(runtime, "ADD", BLOG, ["-e", "trace=open,openat,stat,newfstatat,access", "-o", "/run/trace"])

    assert done.document["ips"]
    assert not re.findall(
        r'"[^"]*/(?:cni/net\.d|kubernetes|kubelet)[^"]*"', runtime.node.run("cat", "/run/trace").stdout
    )


@pytest.mark.parametrize("args", [None, "", "IgnoreUnknown=1"])
def test_s_008_s_102_cni_args_and_status_are_optional(runtime: Runtime, args: str | None) -> None:
    """The first call on a node is an ADD; nobody has asked for STATUS."""
    assert runtime.add(BLOG, ARGS=args)["ips"]


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "STATUS", "GC"])
def test_s_014_standard_input_that_cannot_be_read(runtime: Runtime, command: str) -> None:
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
        "CNI_NETNS": "/run/netns/pod1",
    }  # fmt: skip
    line = runtime.command(environment)[5:]
    done = runtime.node.run("sh", "-c", 'exec "$@" 0> /run/not-for-reading', "sh", *line, check=False)

    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 5


def test_s_023_an_environment_of_nothing_else_will_do(runtime: Runtime) -> None:
    """The runtime of these tests passes on no variable of its own; here are those that others do pass on."""
    shell = 'env -i TRACEPARENT=00-0-0-01 TRACESTATE=x BAGGAGE=y HOME=/nowhere LC_ALL=xx_XX TZ=:bad "$@"'
    environment = {"CNI_COMMAND": "VERSION"}
    executable = runtime.command(environment)[-1]
    done = runtime.node.run("sh", "-c", shell, "sh", "CNI_COMMAND=VERSION", executable, input="{}")

    assert json.loads(done.stdout)["supportedVersions"]
    assert done.stderr == ""


def test_version_waits_for_an_input_that_comes_late(runtime: Runtime) -> None:
    line = runtime.command({"CNI_COMMAND": "VERSION"})
    late = 'set -o pipefail; { sleep 0.4; echo "{\\"cniVersion\\": \\"0.4.0\\"}"; } | "$@"'
    done = runtime.node.run("bash", "-c", late, "bash", *line[5:])

    assert json.loads(done.stdout)["cniVersion"] == "0.4.0"


def test_s_033_an_error_has_the_version_of_the_configuration(runtime: Runtime) -> None:
    runtime.pod("pod1")
    for version in ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
        assert runtime.fail("ADD", nested(cniVersion=version, mtu=-1))["cniVersion"] == version


def test_s_039_what_nobody_foresaw_is_a_json_error_too(runtime: Runtime) -> None:
    """The traceback is on standard error, and what had been done is undone."""
    runtime.pod("pod1")
    before = runtime.state()
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod1", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
        "CNI_NETNS": "/run/netns/pod1",
    }  # fmt: skip
    enter = runtime.command(environment)[:-1]
    line = [*enter, sys.executable, "-c", CRASH, str(PACKAGES)]
    done = subprocess.run(line, input=json.dumps(BLOG).encode(), capture_output=True, check=False)

    outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert outcome.status == 1
    assert outcome.document["code"] == 999
    assert outcome.document["msg"] == "ZeroDivisionError: nobody foresaw it"
    assert "Traceback" in outcome.error
    assert runtime.state() == before
