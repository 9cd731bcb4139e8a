# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing nodes by the Kubernetes API: pages, credentials, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleParserError

from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes import api
from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes import kubeconfig as kubernetes_kubeconfig
from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes.api import list_nodes
from tests.support.kubernetes_api_server import TOKEN, ApiServer, Certificates, node, serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture
def server(certificates: Certificates) -> Iterator[ApiServer]:
    with serving(certificates) as server:
        server.nodes = [node("n%d" % number, [], []) for number in range(1200)]
        yield server


def listed(content: dict[str, Any], directory: Path) -> list[str]:
    """Return the names of all nodes, by a kubeconfig file with *content*."""
    path = directory / "config"
    path.write_text(yaml.safe_dump(content))
    return list_nodes(kubernetes_kubeconfig.read([str(path)]), 10, lambda item: item["metadata"]["name"])


def test_a_client_certificate_lists_all_nodes_in_pages(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    assert listed(server.kubeconfig(), tmp_path) == ["n%d" % number for number in range(1200)]
    assert [request["limit"] for request in server.requests] == ["500"] * 3
    assert ["continue" in request for request in server.requests] == [False, True, True]
    assert [path.name for path in tmp_path.iterdir()] == ["config"]  # and no key


def test_certificates_may_be_files_beside_the_kubeconfig(server: ApiServer, tmp_path: Path) -> None:
    content = server.kubeconfig(**{"client-certificate": "client.crt", "client-key": "client.key"})
    authority = {"certificate-authority": "authority.crt"}
    content["clusters"][0]["cluster"] = {"server": server.url + "/", **authority}
    assert len(listed(content, server.certificates.directory)) == 1200


def test_an_answer_without_end_is_refused(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(listed(server.kubeconfig(), tmp_path)) == 1200
    monkeypatch.setattr(api, "LARGEST", 10_000)
    with pytest.raises(AnsibleParserError, match=r"/api/v1/nodes\?limit=500 answers with more than 10000 bytes: "):
        listed(server.kubeconfig(), tmp_path)


def test_a_token_lists_nodes_and_that_of_a_file_comes_first(server: ApiServer, tmp_path: Path) -> None:
    assert len(listed(server.kubeconfig(token=TOKEN), tmp_path)) == 1200
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert len(listed(server.kubeconfig(token="old", tokenFile="token"), tmp_path)) == 1200


def test_a_list_that_is_no_longer_kept_is_asked_for_at_once(server: ApiServer, tmp_path: Path) -> None:
    server.expired = True
    assert len(listed(server.kubeconfig(), tmp_path)) == 1200
    assert [sorted(request) for request in server.requests] == [["limit"], ["continue", "limit"], []]


def test_a_server_that_the_authority_has_not_signed_is_refused_unless_told_otherwise(
    server: ApiServer, tmp_path: Path
) -> None:
    content = server.kubeconfig()
    cluster = content["clusters"][0]["cluster"]
    cluster["certificate-authority-data"] = Certificates(tmp_path / "other").data("authority.crt")
    with pytest.raises(AnsibleParserError, match=r"https://127.0.0.1:\d+/.*certificate verify failed.* nodes_file"):
        listed(content, tmp_path)
    assert server.requests == []
    content["clusters"][0]["cluster"] = {"server": server.url, "insecure-skip-tls-verify": True}
    assert len(listed(content, tmp_path)) == 1200


def test_who_may_not_list_nodes_is_told_what_the_server_says(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(AnsibleParserError, match=r"answers 401 Unauthorized: the credentials in the kubeconfig file"):
        listed(server.kubeconfig(token="wrong"), tmp_path)
    server.allowed = False
    with pytest.raises(AnsibleParserError, match=r'403 nodes is forbidden: User "client" cannot .*auth can-i list'):
        listed(server.kubeconfig(), tmp_path)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_token_is_sent_nowhere_else(
    server: ApiServer, certificates: Certificates, tmp_path: Path, scheme: str
) -> None:
    with serving(certificates if scheme == "https" else None) as other:
        server.moved_to = other.url
        with pytest.raises(AnsibleParserError, match=r"answers 302 "):
            listed(server.kubeconfig(token=TOKEN), tmp_path)
        assert other.requests == []


def test_a_server_that_is_not_there_or_is_another_one_is_named(server: ApiServer, tmp_path: Path) -> None:
    content = server.kubeconfig(token=TOKEN)
    content["clusters"][0]["cluster"]["server"] = server.url + "/elsewhere"
    with pytest.raises(AnsibleParserError, match=r"404 the server could not .* must be a Kubernetes API server"):
        listed(content, tmp_path)
    content["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    with pytest.raises(AnsibleParserError, match=r"https://127.0.0.1:1/.*Connection refused.* nodes_file"):
        listed(content, tmp_path)


def test_keys_are_in_files_of_the_users_own_only_while_they_are_needed(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    modes = {}

    def look(item: dict[str, Any]) -> None:
        for path in tmp_path.glob("humanz-cni-*/*"):
            modes[path.name] = path.stat().st_mode & 0o777

    (tmp_path / "config").write_text(yaml.safe_dump(server.kubeconfig()))
    list_nodes(kubernetes_kubeconfig.read([str(tmp_path / "config")]), 10, look)
    assert modes == {"authority": 0o600, "certificate": 0o600, "key": 0o600}
    assert list(tmp_path.glob("humanz-cni-*")) == []
