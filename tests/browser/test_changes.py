"""The inbox in a real browser: decisions with and without scripts, by keys, in two tabs, and past a
restart of the app."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.contract.reviews import State
from app.store.changes import ChangeQuery, InboxItem
from tests.browser.conftest import Served, sign_in, visiting
from tests.browser.test_views import AXE, EXPECTED
from tests.records import exchange, incoming
from tests.serving import serving
from tests.unit.app.web.samples import NEWER, captures

GPU = "/changes?text=gpu&kind=field"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """An app of this test alone: decisions stay."""
    with serving(tmp_path) as served:
        served.runtime.store.write(captures())
        yield served


def items(served: Served, state: State | None = None, text: str = "") -> list[InboxItem]:
    query = ChangeQuery(state=state, text=text or None, limit=1000)
    return served.runtime.store.changes(query).items


@pytest.mark.parametrize("scripts", [True, False])
def test_a_change_is_accepted_with_a_note(browser: Browser, own: Served, scripts: bool) -> None:
    with visiting(browser, own) as (page, _):
        sign_in(page, own)
        state = page.context.storage_state()
    with visiting(browser, own, java_script_enabled=scripts, storage_state=state) as (page, _):
        page.goto(own.url + GPU)
        row = page.locator(".items tbody tr").first
        name = row.get_by_role("link").first.inner_text()
        row.locator("summary").click()
        row.get_by_label("Note", exact=True).fill("it is <b>documented</b>")
        row.get_by_label("Name").fill("ann")
        row.get_by_role("button", name="Accept").click()
        told = page.get_by_role("status")
        expect(told).to_contain_text(f"Accepted: {name}, by ann")
        told.get_by_role("link").click()
        expect(page.get_by_role("cell", name="it is <b>documented</b>")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("status")).to_contain_text(f"Accepted: {name}, by ann")
        page.get_by_role("button", name="Take it back").click()
        expect(page.get_by_role("status")).to_contain_text("Open: ")
    assert {item.state for item in items(own)} == {"open"}


def test_by_keys_alone(browser: Browser, own: Served) -> None:
    with visiting(browser, own) as (page, _):
        sign_in(page, own, "/changes")
        rows = page.locator(".items tbody tr")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(rows.nth(0)).to_have_class("at")
        first = rows.nth(0).locator("a").first.inner_text()
        page.keyboard.press("n")
        page.keyboard.type("a key is no letter: awo")
        expect(rows.nth(0).locator("textarea")).to_have_value("a key is no letter: awo")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("o")
        expect(page.get_by_role("status")).to_contain_text(f"Objected: {first}")
        for key, word in (("w", "Watched"), ("a", "Accepted")):
            page.keyboard.press(key)  # on no row: nothing happens
            page.keyboard.press("j")
            page.keyboard.press(key)
            expect(page.get_by_role("status")).to_contain_text(f"{word}: ")
    decided: list[State] = ["objected", "watched", "accepted"]
    assert [len(items(own, state)) for state in decided] == [1, 1, 1]
    assert items(own, "objected")[0].note == "a key is no letter: awo"


def test_two_tabs_race_and_the_second_is_told(browser: Browser, own: Served) -> None:
    with visiting(browser, own) as (page, watched):
        watched.expected = ["status of 409"]
        sign_in(page, own, GPU)
        second = page.context.new_page()
        second.goto(own.url + GPU)
        page.locator(".items tbody tr").first.get_by_role("button", name="Object").click()
        expect(page.get_by_role("status")).to_contain_text("Objected")
        row = second.locator(".items tbody tr").first
        row.locator("summary").click()
        row.get_by_label("Note", exact=True).fill("mine")
        row.get_by_role("button", name="Accept").click()
        expect(second.get_by_role("alert")).to_contain_text("decided meanwhile: objected")
        assert items(own, "accepted") == []
        expect(second.get_by_label("Note", exact=True)).to_have_value("mine")
        second.get_by_role("button", name="Accept").click()
        expect(second.locator("dl.facts")).to_contain_text("Accepted")
        assert [item.note for item in items(own, "accepted")] == ["mine"]
        page.goto(own.url + GPU + "&state=all")
        second.locator(".decide").get_by_role("button", name="Watch").click()
        expect(second.locator("dl.facts")).to_contain_text("Watched")
        page.locator(".items tbody tr").last.get_by_role("button", name="Accept").click()
        page.go_back()  # asks anew: no form of then is sent by mistake
        expect(page.locator(".items tbody tr").first).to_contain_text("Watched")


def test_a_first_version_is_accepted_at_once(browser: Browser, own: Served) -> None:
    with visiting(browser, own) as (page, _):
        sign_in(page, own, "/changes")
        page.get_by_label("First sent by version").fill(NEWER)
        page.get_by_role("button", name="Find").click()
        page.get_by_text("Decide on all open ones that fit at once").click()
        late = exchange(90, product_version=NEWER, query=[("late", "1")], headers=[])
        own.runtime.store.write(incoming(late))
        page.locator(".bulk").get_by_role("button", name="Accept all").click()
        expect(page.get_by_role("status")).to_contain_text("decided on at once")
        expect(page.get_by_role("link", name="query.late", exact=True)).to_be_visible()
    assert [item.name for item in items(own, "open", NEWER)] == ["query.late"]


def test_a_restart_between_reading_and_deciding(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        first.runtime.store.write(captures())
        item = items(first, text="gpu")[0].id
        with visiting(browser, first) as (page, _):
            sign_in(page, first, f"/changes/{item}")
            (cookie,) = page.context.cookies()
            before = page.content()
    with serving(tmp_path) as again:
        state = {"cookies": [cookie | {"name": f"telemock-{again.port}"}], "origins": []}
        with visiting(browser, again, storage_state=state) as (page, _):
            address = f"{again.url}/changes/{item}"
            page.route(  # the page as it was, in front of the new app
                address,
                lambda route: (
                    route.fulfill(body=before, content_type="text/html")
                    if route.request.method == "GET"
                    else route.continue_()
                ),
                times=1,
            )
            page.goto(address)
            page.get_by_role("button", name="Object").click()
            expect(page.locator("dl.facts")).to_contain_text("Objected")
        assert [one.id for one in items(again, "objected")] == [item]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_in_every_state(browser: Browser, own: Served, theme: str) -> None:
    found = items(own)
    for n, item in enumerate(found[:9]):
        state = ("accepted", "watched", "objected")[n % 3]
        given = {"state": state, "note": "why"}
        assert own.client.post(f"/api/v1/changes/{item.id}", json=given).status_code == 200
    own.runtime.store.write(
        incoming(*(exchange(n, time_ns=2 * 10**18, product_version=NEWER) for n in range(80, 90)))
    )
    with visiting(browser, own, color_scheme=theme) as (page, watched):
        watched.expected = EXPECTED
        sign_in(page, own)
        for address in (
            "/changes?state=all", "/changes?state=objected", f"/changes/{found[2].id}",
            f"/changes?done={found[0].id}", "/changes?text=no+such+thing",
        ):  # fmt: skip
            page.goto(own.url + address)
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
            wrong = Axe().run(page, options=AXE).response["violations"]
            assert [(v["id"], n["html"][:200]) for v in wrong for n in v["nodes"]] == []
            for width in (320, 768, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_without_its_forms(page: Page, served: Served) -> None:
    page.goto(served.url + "/changes")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Changes", exact=True)).to_be_visible()
    hidden = page.locator("td.decide, .bulk, .keys")
    assert hidden.count() and not any(one.is_visible() for one in hidden.all())
    assert page.pdf()[:4] == b"%PDF"
