"""A real browser in front of a real app. Any error in its console, which names every violation of
the Content-Security-Policy, and any request to elsewhere fail the test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.browser.hostile import captures as hostile
from tests.serving import Served, serving
from tests.unit.app.web.samples import captures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with captures of a product at two versions, and with hostile ones."""
    with serving(tmp_path_factory.mktemp("app")) as served:
        served.runtime.store.write(captures())
        served.runtime.store.write(hostile())
        yield served


State = Any  # of a browser's context: its cookies


class Watched:
    """What a page said and asked for besides what it should."""

    def __init__(self, page: Page, origin: str) -> None:
        self.wrong: list[str] = []
        self.expected: list[str] = []
        page.on("console", lambda m: m.type == "error" and self._told(m.text))
        page.on("pageerror", lambda e: self._told(str(e)))
        page.on("request", lambda request: self._asked(request, origin))
        page.on("dialog", lambda dialog: self._told(f"a dialog opened: {dialog.message}"))

    def _told(self, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.wrong.append(text)

    def _asked(self, request: Request, origin: str) -> None:
        if not request.url.startswith((origin + "/", "data:", "about:")):
            self.wrong.append(f"asked elsewhere: {request.url}")


@contextmanager
def visiting(browser: Browser, served: Served, **given: Any) -> Iterator[tuple[Page, Watched]]:
    """A visitor of their own, not signed in."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | given))
    page = context.new_page()
    page.set_default_timeout(15_000)
    watched = Watched(page, served.url)
    try:
        yield page, watched
    finally:
        context.close()
    assert watched.wrong == []


def sign_in(page: Page, served: Served, to: str = "/") -> None:
    """By the link that `telemock open` prints."""
    path = served.client.post("/api/v1/page/codes").json()["path"]
    page.goto(served.url + path)
    page.wait_for_url(served.url + "/")
    if to != "/":
        page.goto(served.url + to)


@pytest.fixture(scope="module")
def state(browser: Browser, served: Served) -> State:
    """The cookie of someone who signed in."""
    with visiting(browser, served) as (page, _):
        sign_in(page, served)
        return page.context.storage_state()


@pytest.fixture
def page(browser: Browser, served: Served, state: State) -> Iterator[Page]:
    """Signed in."""
    with visiting(browser, served, storage_state=state) as (page, _):
        page.goto(served.url + "/login")
        yield page
