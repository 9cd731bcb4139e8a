# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the network: what it says, that it needs nothing but itself, and how large it gets."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._picture import matrix as picture_matrix
from ansible_collections.humanz.cni.plugins.plugin_utils._picture import nodes as picture_nodes
from ansible_collections.humanz.cni.plugins.plugin_utils._picture import page as picture_page
from tests.support.pictured_cluster import PicturedCluster

PAGE = Path(__file__).resolve().parents[5] / "docs" / "picture.md"
LINKS = {"href", "src", "srcset", "action", "data", "poster", "xlink:href", "cite", "ping", "style"}


class Page(HTMLParser):
    """An HTML page: its elements, its words, and what is not closed in order."""

    VOID = {"meta", "link", "br", "img"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.words = " ".join(self.words.split())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += " " + data


def page_of(cluster: PicturedCluster) -> Page:
    return Page(picture_page.render(cluster.data)["html"])


def broken() -> PicturedCluster:
    cluster = PicturedCluster(3, vxlan=True)
    cluster.cut("node-1", "node-2")
    cluster.fill("node-3")
    return cluster


def test_a_cluster_that_is_well_says_so_first() -> None:
    picture = picture_page.render(PicturedCluster(3).data)
    assert picture["headline"] == "All is well"
    words = Page(picture["html"]).words
    assert "18 of 18 connections work; routes, VXLAN, pods' subnets and forwarding of 3 nodes are as planned." in words
    assert "next hop 200.0.0.2 pods 100.100.1.0/24" in words
    assert "1 of 253" in words
    assert "2 of 2" in words
    assert "Nodes to look at" not in words


def test_what_fails_comes_first_and_names_the_node_that_differs() -> None:
    words = page_of(broken()).words
    assert "4 of 18 connections fail" in words
    assert "Look first at node-1 Nodes 3 on 2 networks Pods 100.96.0.0/11" in words
    for said in (
        "node-1 has no route to 100.100.2.0/24, the pods of node-2",
        "pod on node-1 -> pod on node-2 (100.100.2.2): no answer in 5 s",
        "no route to 100.100.2.0/24 via 200.0.0.3",
        "the pool 100.100.3.0/24 is nearly full: 240 of 253 addresses are in use",
        "router, VXLAN through it: VNI 217, UDP 4789",
        "1 of 2",
    ):
        assert said in words


def test_a_node_that_differs_is_shown_though_all_connections_work() -> None:
    cluster = PicturedCluster(3)
    cluster.fill("node-2")
    words = page_of(cluster).words
    assert "1 of 3 nodes needs a look 18 of 18 connections work. Look at node-2" in words


def test_without_a_plan_nothing_is_called_as_planned() -> None:
    cluster = PicturedCluster(2)
    for info in cluster.nodes.values():
        del info["comparison"]
    cluster.plan["problems"] = [{"node": "node-1", "value": "pod_network_pod_cidr is not set", "remedy": "must be set"}]
    words = page_of(cluster).words
    assert "All is well" not in words
    assert "node-1: pod_network_pod_cidr is not set: must be set" in words
    words = Page(
        picture_page.render({**cluster.data, "plan": None, "plan_error": "no group 'k8s_cluster'"})["html"]
    ).words
    assert "There is none, so that no node was compared with it: no group 'k8s_cluster'" in words
    cluster.plan["problems"] = []
    assert "No node was compared with it, as none could be asked." in page_of(cluster).words


def test_the_documentation_names_what_is_compared() -> None:
    assert "%s of all nodes are as planned" % picture_page.COMPARED in PAGE.read_text(encoding="utf-8")


def test_a_part_of_the_plan_is_not_called_all() -> None:
    cluster = PicturedCluster(8)
    for name in cluster.names[2:]:
        del cluster.cluster["nodes"][name], cluster.nodes[name]
    picture = picture_page.render(cluster.data)
    assert picture["headline"] == "8 of 8 connections work"
    words = Page(picture["html"]).words
    for said in (
        "Only 2 of the plan's 8 nodes took part; %s of 2 nodes are as planned." % picture_page.COMPARED,
        "Nodes 2 of 8 in the plan, on 1 network",
    ):
        assert said in words
    assert "All is well" not in words
    cluster.cut("node-1", "node-2")
    assert "Only 2 of the plan's 8 nodes took part; 1 of 2 nodes also differs" in page_of(cluster).words


def test_what_failures_come_with_is_counted_apart() -> None:
    assert "fail 2 of 3 nodes also differ from the plan or have a nearly full pool. Look" in page_of(broken()).words
    cluster = PicturedCluster(3)
    cluster.cut("node-1", "node-2")
    assert "fail 1 of 3 nodes also differs from the plan or has a nearly full pool. Look" in page_of(cluster).words
    cluster = PicturedCluster(3)
    cluster.lose("node-2")
    assert "connections fail Look first at node-2" in page_of(cluster).words


def test_the_same_network_gives_the_same_page() -> None:
    assert picture_page.render(broken().data) == picture_page.render(broken().data)


@pytest.mark.parametrize("size", [3, 20, 60])
def test_the_page_needs_nothing_but_itself(size: int) -> None:
    cluster = PicturedCluster(size, vxlan=True)
    cluster.cut("node-1", "node-2")
    text = picture_page.render(cluster.data)["html"]
    page = Page(text)
    names = [tag for tag, _attributes in page.elements]
    assert not {"script", "iframe", "object", "embed", "img", "image", "use", "form", "base"} & set(names)
    for tag, attributes in page.elements:
        for name in LINKS & set(attributes):
            assert (attributes[name] or "").startswith(("#", "data:image/svg+xml,")), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    found = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert found is not None
    style = found[1]
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [found["content"] or "" for _tag, found in page.elements if "http-equiv" in found]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")


def test_links_lead_to_what_is_there_once() -> None:
    cluster = PicturedCluster(100)
    cluster.cut("node-1", "node-2")
    page = page_of(cluster)
    ids = [found["id"] for _tag, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    links = [(found["href"] or "")[1:] for tag, found in page.elements if tag == "a"]
    assert links == ["n1"]
    assert set(links) <= set(ids)


@pytest.mark.parametrize("size", [2, 60])
def test_a_hostile_name_stays_a_name(size: int) -> None:
    given = "<script>alert('%d')</script>\"&\x1b[2J\ud800"
    name = given.replace("\x1b", "?").replace("\ud800", "?")
    cluster = PicturedCluster(size, name=given)
    cluster.cut(given % 1, given % 2)
    picture = picture_page.render(cluster.data)
    page = Page(picture["html"].encode().decode())
    assert "script" not in {tag for tag, _attributes in page.elements}
    assert name % 1 in page.words
    svg = ElementTree.fromstring(picture["svg"])
    assert not list(svg.iter("{http://www.w3.org/2000/svg}script"))
    assert name % 1 in " ".join(svg.itertext())


def test_the_drawing_alone_is_well_formed_and_shows_every_node() -> None:
    svg = ElementTree.fromstring(picture_page.render(broken().data)["svg"])
    text = " ".join(svg.itertext())
    assert svg.findtext("{http://www.w3.org/2000/svg}title") == "Pod network: 4 of 18 connections fail"
    for said in ("200.0.0.0/20", "200.0.16.0/20", "node-1", "node-2", "node-3", "next hop 200.0.16.4"):
        assert said in text


def test_a_thousand_nodes_stay_light() -> None:
    cluster = PicturedCluster(1000, vxlan=True)
    cluster.cut("node-7", "node-31")
    cluster.lose("node-700")
    started = time.process_time()
    picture = picture_page.render(cluster.data)
    assert time.process_time() - started < 20  # 1.5 s on a machine that does nothing else
    page = Page(picture["html"])
    assert "node-700 has no probe pod" in page.words
    assert len(picture["html"]) < 750_000
    assert len(page.elements) < 12_000
    assert len(picture["svg"]) < 150_000


def test_a_thousand_nodes_that_all_fail_stay_light_too() -> None:
    cluster = PicturedCluster(1000)
    cluster.lose(*cluster.names[::10])
    picture = picture_page.render(cluster.data)
    assert len(picture["html"]) < 1_000_000
    assert len(Page(picture["html"]).elements) < 15_000


def failure(one: str, other: str, kind: str = "pod") -> dict[str, str]:
    return {"kind": kind, "from": one, "to": other}


@pytest.mark.parametrize(
    ("ends", "differing", "expected"),
    [
        ([], set(), set()),
        ([("a", "b"), ("c", "b"), ("b", "a")], set(), {"b"}),
        ([("a", "b"), ("b", "a")], {"a"}, {"a"}),
        ([("a", "b"), ("b", "a")], {"c"}, {"a", "b"}),
        ([("a", "b"), ("c", "b"), ("e", "b"), ("d", "e"), ("d", "a")], set(), {"b", "d"}),
    ],
)
def test_the_few_nodes_that_explain_all_failures(
    ends: list[tuple[str, str]], differing: set[str], expected: set[str]
) -> None:
    assert picture_nodes.suspects([failure(*pair) for pair in ends], differing) == expected


def test_what_is_outside_can_be_the_one_that_explains_them() -> None:
    failures = [failure(name, "192.168.122.1", "outside") for name in "abc"]
    assert picture_nodes.suspects(failures, set()) == set()
    assert picture_nodes.suspects(failures[:1], {"a"}) == {"a"}


def test_the_grid_counts_what_it_stands_for() -> None:
    cluster = PicturedCluster(120)
    cluster.cut("node-1", "node-2")
    grid = picture_matrix.matrix(cluster.cluster, cluster.failures)
    assert (grid["kind"], grid["block"], len(grid["rows"])) == ("grid", 3, 40)
    # A block of three nodes: the six pairs of which the sample has some, and each node to its own pod.
    (failed,) = grid["failed"]
    assert re.fullmatch(r"node-1 … node-3 → node-1 … node-3: 4 of \d+ failed", failed["text"])
    assert grid["some"].count("M") == 1
    assert grid["all"] == ""
    assert grid["untold"] is False


def test_the_pointer_is_spoken_of_where_it_tells_something() -> None:
    cluster = PicturedCluster(60)
    assert "Hold the pointer" not in page_of(cluster).words
    cluster.cut("node-1", "node-2")
    assert "Hold the pointer over a failure to see whose it is." in page_of(cluster).words
    cluster.lose(*cluster.names[::2])
    assert "Hold the pointer over one of the first 400 failures to see" in page_of(cluster).words


def test_a_long_name_in_the_grid_ends_in_an_ellipsis() -> None:
    cluster = PicturedCluster(120, name="a-name-of-no-common-length-%d")
    first = picture_matrix.matrix(cluster.cluster, [])["rows"][0]["text"]
    assert first == "1 a-name-of-no-common…"
