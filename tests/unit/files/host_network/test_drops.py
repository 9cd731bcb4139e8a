# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repair names that drops pods' packets."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

HOST_NETWORK = Path(__file__).resolve().parents[4] / "files" / "host_network"
LISTED = "table %s {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n%s\t}\n}\n"
ACCEPT = '\t\toifname "humanz-cni0" accept comment "humanz-cni: ACCEPT dst pods network" # handle 4\n'
JUMP = "\t\tcounter packets 0 bytes 0 jump HUMANZ-FORWARD # handle 4\n"


@pytest.fixture
def drops(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(HOST_NETWORK))
    return importlib.import_module("healing.drops")


@pytest.mark.parametrize(
    ("table", "rules", "named"),
    [
        ("inet filter", "", ["chain inet filter forward of nftables"]),
        ("ip filter", "", ["chain ip filter forward of nftables"]),
        ("ip6 filter", "", []),
        ("inet filter", ACCEPT, []),
        ("ip filter", JUMP, []),
    ],
    ids=["of both families", "of pods' family", "of the other family", "accepts pods", "jumps to ours"],
)
def test_a_chain_without_a_rule_of_ours_is_named(drops: ModuleType, table: str, rules: str, named: list[str]) -> None:
    assert drops.by_nft(["ip"], lambda _command: (0, LISTED % (table, rules), "")) == named


@pytest.mark.parametrize(
    ("installed", "version", "rules", "named"),
    [
        (["iptables"], "iptables v1.8.2 (legacy)", "-P FORWARD ACCEPT\n-A FORWARD -j DROP\n", ["FORWARD of iptables"]),
        (["iptables"], "iptables v1.6.1", "-P FORWARD DROP\n", ["FORWARD of iptables"]),
        (["iptables"], "iptables v1.8.9 (nf_tables)", "-P FORWARD DROP\n", []),
        (["iptables", "iptables-legacy"], "", "-P FORWARD DROP\n", ["FORWARD of iptables-legacy"]),
        (["iptables"], "iptables v1.6.1", "-P FORWARD ACCEPT\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n", []),
        ([], "", "", []),
    ],
)
def test_legacy_iptables(
    drops: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: list[str],
    version: str,
    rules: str,
    named: list[str],
) -> None:
    loaded = tmp_path / "ip_tables_names"
    loaded.write_text("filter\n", encoding="ascii")
    monkeypatch.setattr(drops.shutil, "which", lambda name: name if name in installed else None)

    def run(command: list[str]) -> tuple[int, str, str]:
        return 0, version if command[1:] == ["--version"] else rules, ""

    assert drops.by_legacy(str(loaded), "iptables", run) == named
