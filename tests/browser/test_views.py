"""Every view in a real browser: accessible in both themes, at three widths, without scripts, and
whatever was captured."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from app.web.page import VIEWS
from tests.browser.conftest import Served, State, visiting
from tests.browser.hostile import LONG, TEXTS, id_of
from tests.unit.app.web.samples import id_of as plain_id

FIELD = (
    "/fields/one?profile=cribl&host=cdn.cribl.io&method=GET&route=/telemetry/index.html"
    "&field=query.v"
)
ADDRESSES = [
    *VIEWS, f"/captures/{plain_id(6)}", f"/captures/{plain_id(4)}?pin={plain_id(1)}", FIELD,
    f"/captures?open={plain_id(6)}&q=method:POST",
    "/captures?q=hots:a", "/?since=2020-01-01&until=2020-01-02",
]  # fmt: skip
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
EXPECTED = ["status of 4"]  # a view that refuses says so in the console


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=AXE).response["violations"]
    return [
        f"{v['id']}: {n['html'][:200]} {n['failureSummary']}" for v in found for n in v["nodes"]
    ]


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", [*ADDRESSES, "/login"])
def test_accessible(
    browser: Browser, served: Served, state: State, address: str, theme: str
) -> None:
    given = {} if address == "/login" else {"storage_state": state}
    with visiting(browser, served, color_scheme=theme, **given) as (page, watched):
        watched.expected = EXPECTED
        page.goto(served.url + address)
        open_all(page)
        assert violations(page) == []


@pytest.mark.parametrize("address", [*ADDRESSES, f"/captures?open={id_of(1)}"])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, served: Served, state: State, address: str
) -> None:
    with visiting(browser, served, storage_state=state) as (page, watched):
        watched.expected = EXPECTED
        page.goto(served.url + address)
        open_all(page)
        for width in (320, 360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_scripts(browser: Browser, served: Served, state: State, address: str) -> None:
    """The same address shows the same text, but for what is counted meanwhile."""
    words = []
    for runs in (True, False):
        with visiting(browser, served, java_script_enabled=runs, storage_state=state) as (
            page,
            watched,
        ):
            watched.expected = EXPECTED
            page.goto(served.url + address)
            text = page.inner_text("main").replace("Copy as curl", "")
            words.append(re.sub(r"\d+", "0", text).split())
    assert words[0] == words[1]


@pytest.mark.parametrize("n", range(1, len(TEXTS) + 2))
def test_a_hostile_capture_stays_text(page: Page, served: Served, n: int) -> None:
    text = [*TEXTS, LONG][n - 1]
    page.goto(f"{served.url}/captures/{id_of(n)}")
    open_all(page)
    assert page.evaluate("window.acted") is None
    assert page.title().endswith("telemock")
    assert page.url.endswith(id_of(n))
    shown = page.inner_text("main")
    if text.isprintable() and len(text) < 200:
        assert text in shown
    assert not any(c in shown for c in "\u202e\u2066\x1b\x00\x9b")
    assert page.locator("main script, main iframe, main style, main img, main link").count() == 0
    assert page.locator("main h1").count() == 1


@pytest.mark.parametrize("address", [*VIEWS, "/captures?q=kind:log", "/captures?q=kind:spliced"])
def test_views_of_hostile_captures(page: Page, served: Served, address: str) -> None:
    """Names of hosts, pods, versions and fields are captured text, too."""
    page.goto(served.url + address)
    open_all(page)
    page.wait_for_timeout(100)
    assert page.evaluate("window.acted") is None
    assert page.locator("main script, main iframe, main style, main img, main link").count() == 0
    assert "injected" not in [h.inner_text() for h in page.locator("h1").all()]
    assert not any(c in page.inner_text("body") for c in "\u202e\u2066\x1b\x00\x9b")
