# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the network in a real browser: on a phone and on a desk, by day and at night, few nodes and many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from ansible_collections.humanz.cni.plugins.plugin_utils._picture import page as picture_page
from tests.support.pictured_cluster import PicturedCluster

PHONE, DESK = 360, 1280
LONG = "worker_with_a_rather_long_name_that_has_no_place_to_break_%d"
HOSTILE = "<img src=x onerror=alert(%d)><script>document.title='owned'</script>"
Show = Callable[..., Page]


def broken(count: int, **options: Any) -> PicturedCluster:
    """Return a cluster in which every state of a node occurs."""
    cluster = PicturedCluster(count, **options)
    names = cluster.names
    cluster.cut(names[0], names[1])
    cluster.fill(names[2])
    if count > 3:
        cluster.lose(names[3])
    return cluster


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Iterator[Show]:
    """Return a function that opens a cluster's page; in the end, none may have complained or asked for anything."""
    troubles: list[str] = []
    contexts: list[BrowserContext] = []

    def opened(cluster: PicturedCluster, width: int = DESK, **options: Any) -> Page:
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(picture_page.render(cluster.data)["html"])
        contexts.append(chromium.new_context(viewport={"width": width, "height": 800}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("request", lambda request: troubles.append(request.url) if _is_foreign(request.url, file) else None)
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def _is_foreign(url: str, file: Path) -> bool:
    return not url.startswith((file.as_uri(), "data:"))


def width_of(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def top_of(element: Locator) -> float:
    """Return how far below the upper edge of the screen the element begins."""
    box = element.bounding_box()
    assert box is not None, "it is not visible"
    top: float = box["y"]
    return top


@pytest.mark.parametrize("count", [3, 10, 40, 60])
@pytest.mark.parametrize("name", ["node-%d", LONG])
def test_nothing_sticks_out_of_a_phone(show: Show, count: int, name: str) -> None:
    page = show(broken(count, name=name, vxlan=True), width=PHONE)
    assert width_of(page) == PHONE
    assert page.locator("svg.narrow").is_visible()
    assert not page.locator("svg.wide").is_visible()
    texts = page.locator("svg.narrow text")
    ends = texts.evaluate_all("found => found.map(text => text.getBoundingClientRect().right)")
    assert max(ends) <= PHONE


def test_what_to_look_at_is_on_the_first_screen_of_a_phone_and_leads_there(show: Show) -> None:
    page = show(broken(3), width=PHONE)
    link = page.get_by_role("link", name="node-1")
    assert top_of(link) < 400
    link.click()
    card = page.locator("article:target")
    assert card.locator("h3").inner_text().endswith("node-1")
    assert "no route to 100.100.2.0/24" in card.inner_text()
    assert 0 <= top_of(card) < 800


def test_the_matrix_can_be_read_by_its_headers(show: Show) -> None:
    page = show(broken(3))
    rows = page.get_by_role("region", name="Table of who reaches whom").get_by_role("row").all()
    shown = [row.locator("th, td").all_inner_texts() for row in rows]
    assert shown == [
        ["from", "pod on node-1", "pod on node-2", "pod on node-3", "outside 192.168.122.1"],
        ["node-1", "ok", "FAIL", "ok", "ok"],
        ["node-2", "FAIL", "ok", "ok", "ok"],
        ["node-3", "ok", "ok", "ok", "ok"],
    ]


def test_the_grid_says_whose_a_failure_is(show: Show) -> None:
    page = show(broken(60))
    grid = page.locator("svg.grid").last
    assert "node-1 … node-2 → node-1 … node-2: 4 of 6 failed" in grid.locator("rect title").all_text_contents()
    box = page.get_by_role("region", name="Grid of who reaches whom")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("count", "width"), [(3, PHONE), (60, DESK)])
def test_nothing_keeps_anybody_from_reading_it(show: Show, scheme: str, count: int, width: int) -> None:
    """Contrast, table headers, names of regions and drawings, and what else axe-core finds."""
    page = show(broken(count, vxlan=True), width=width, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(16, 21, 27)"}[scheme]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_hostile_name_does_nothing(show: Show) -> None:
    page = show(broken(3, name=HOSTILE))
    assert page.title().startswith("4 of 18 connections fail")
    assert page.locator("img, script").count() == 0
    assert HOSTILE % 1 in page.locator("article h3").first.inner_text()


def test_the_policy_would_stop_what_is_not_meant_to_be_there(chromium: Browser, tmp_path: Path) -> None:
    smuggled = (
        "<script>document.title='owned'</script><p id=p style='color: red'>x</p><img src='http://192.0.2.1/x.png'>"
    )
    file = tmp_path / "page.html"
    file.write_text(picture_page.render(PicturedCluster(3).data)["html"].replace("</main>", smuggled + "</main>"))
    page = chromium.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(file.as_uri())
    assert page.title() == "All is well – pod network"
    assert page.locator("#p").evaluate("found => getComputedStyle(found).color") != "rgb(255, 0, 0)"
    for directive in ("script-src", "style-src", "img-src"):
        assert any("Content Security Policy" in text and directive in text for text in refused), refused
    page.close()


def test_a_thousand_nodes_open_at_once(show: Show) -> None:
    cluster = broken(1000, vxlan=True)
    page = show(cluster, width=PHONE)
    assert page.evaluate("document.querySelectorAll('*').length") < 12_000
    assert width_of(page) == PHONE
    assert page.get_by_role("heading", level=1).inner_text().endswith("connections fail")


def test_it_prints_in_ink_on_paper(show: Show) -> None:
    page = show(broken(3), color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
