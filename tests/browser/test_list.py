"""The long list: a few rows of many in the document, reached by wheel, slider and keys."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.contract.names import FILE_STORE
from tests.bench.reports import fill
from tests.browser.conftest import Served, State, sign_in, visiting
from tests.browser.test_views import violations
from tests.serving import serving
from tests.waiting import wait_for

CAPTURES = 20_000
MOST = 80  # rows in the document
ROWS = "() => document.querySelectorAll('#list tbody tr').length"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("many")
    (folder / "data").mkdir()
    fill(folder / "data" / FILE_STORE, CAPTURES)
    with serving(folder) as served:
        yield served


@pytest.fixture(scope="module")
def state(browser: Browser, served: Served) -> State:
    with visiting(browser, served) as (page, _):
        sign_in(page, served)
        return page.context.storage_state()


def becomes(page: Page, expression: str) -> None:
    """Playwright's own way would need unsafe-eval."""
    wait_for(lambda: page.evaluate(expression), 15)


def at(page: Page) -> tuple[int, int, int]:
    """Positions of the first and last row in view, and of how many."""
    text = page.locator("#at").inner_text().removeprefix("about ")
    found = re.fullmatch(r"([\d,]+) to ([\d,]+) of ([\d,]+)", text)
    assert found, text
    first, last, total = (int(n.replace(",", "")) for n in found.groups())
    return first, last, total


def ids(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#list tbody tr')].map((row) => row.dataset.id)"
    )
    return found


def times(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#list tbody time')].map((time) => time.dateTime)"
    )
    return found


def in_order(page: Page) -> None:
    found = times(page)
    assert found == sorted(found, reverse=True)


def in_view(page: Page) -> str:
    """The id of the row at the top of the view."""
    found: str = page.evaluate(
        """() => { const box = document.getElementById('list');
        const top = box.getBoundingClientRect().top + box.querySelector('thead').offsetHeight;
        return [...box.querySelectorAll('tbody tr')]
          .find((row) => row.getBoundingClientRect().bottom > top + 4).dataset.id }"""
    )
    return found


def every(served: Served, most: int = 1000) -> list[str]:
    found = served.client.get("/api/v1/captures", params={"limit": most}).json()["items"]
    return [item["id"] for item in found]


def to_share(page: Page, value: int) -> None:
    page.locator("#place").evaluate(
        """(place, value) => { place.value = value;
        place.dispatchEvent(new Event('input', { bubbles: true })) }""",
        value,
    )


def to_part(page: Page, value: int) -> None:
    """The same where the total is known, and until the place is in view."""
    to_share(page, value)
    wait_for(lambda: abs(at(page)[0] / at(page)[2] - value / 10_000) < 0.02, 15)


def test_a_list_that_rests_asks_for_nothing(page: Page, served: Served) -> None:
    """Rows that come at one end take rows away at the other, which must not come again."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for height in (600, 800, 1_200):
        page.set_viewport_size({"width": 1280, "height": height})
        page.goto(served.url + "/captures")
        to_part(page, 5_000)
        page.hover("#list")
        for way in (200, 200, 150, 350, -400, -150, 90, -30):
            page.mouse.wheel(0, way)
            page.wait_for_timeout(700)
            asked.clear()
            page.wait_for_timeout(400)
            assert asked == []


def test_a_wheel_passes_every_capture_once(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    assert at(page)[::2] == (1, CAPTURES)
    page.hover("#list")
    expected, seen = every(served), []
    while len(seen) < 400:
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(30)
        shown = ids(page)
        assert len(shown) <= MOST
        seen += [id for id in shown if id not in seen]
        first = at(page)[0]
        assert in_view(page) in expected[first - 2 : first + 1]
    assert seen == expected[: len(seen)]
    while at(page)[0] > 1:
        page.mouse.wheel(0, -900)
        page.wait_for_timeout(30)
        assert page.evaluate(ROWS) <= MOST
    assert ids(page)[:20] == expected[:20]


def test_the_slider_reaches_any_place(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    newest = times(page)[0]
    for value in (5_000, 9_000, 2_500):
        to_part(page, value)
        expect(page.locator("#at")).to_contain_text("about")
        assert page.evaluate(ROWS) <= MOST
        first, _, total = at(page)
        assert abs(first / total - value / 10_000) < 0.01
        in_order(page)
        assert times(page)[0] < newest
        label = page.locator("#place").get_attribute("aria-valuetext")
        assert label and f"{first:,} of 20,000" in label
    page.locator("#place").focus()
    page.keyboard.press("End")
    becomes(page, "document.getElementById('at').textContent.includes('to 20,000')")
    oldest = served.client.get("/api/v1/captures?order=oldest&limit=5").json()["items"]
    assert ids(page)[-5:] == [item["id"] for item in oldest][::-1]
    page.keyboard.press("Home")
    becomes(page, "document.getElementById('at').textContent.startsWith('1 to')")
    assert ids(page) == every(served, 60)
    first, last, _ = at(page)
    page.keyboard.press("ArrowDown")  # by what is in view
    becomes(page, f"document.getElementById('at').textContent.startsWith('{last + 1} to ')")
    page.keyboard.press("ArrowUp")
    becomes(page, "document.getElementById('at').textContent.startsWith('1 to')")


def test_from_a_place_in_the_middle_both_ways_go_on(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    to_part(page, 5_000)
    middle = ids(page)
    page.hover("#list")
    for _ in range(6):
        page.mouse.wheel(0, -700)
        page.wait_for_timeout(40)
    above = ids(page)
    assert not set(above[:20]) & set(middle)
    in_order(page)
    for _ in range(12):
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(40)
    assert set(ids(page)) != set(above)
    assert page.evaluate(ROWS) <= MOST


def test_keys_go_down_as_far_as_one_likes(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    expected = every(served, 200)
    for n in range(90):
        page.keyboard.press("j")
        becomes(page, f"document.activeElement.closest('tr')?.dataset.id === '{expected[n]}'")
    assert page.evaluate(ROWS) <= MOST
    row = page.locator("tr.at")
    assert row.get_attribute("aria-rowindex") == "91"  # the head is the first
    assert page.locator("#list table").get_attribute("aria-rowcount") == str(CAPTURES + 1)
    page.keyboard.press("k")
    becomes(page, f"document.activeElement.closest('tr')?.dataset.id === '{expected[88]}'")
    page.keyboard.press("Enter")
    expect(page.locator("#d-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#d-title")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.locator("#help summary")).to_be_focused()
    expect(page.get_by_role("group", name="Table: Names of the filter language")).to_be_visible()


def test_an_address_holds_the_place(browser: Browser, page: Page, served: Served) -> None:
    page.goto(served.url + "/captures?q=host%3Acdn.cribl.io")
    to_part(page, 4_000)
    page.hover("#list")
    page.mouse.wheel(0, 333)
    page.wait_for_url("**cursor=**")
    page.wait_for_timeout(300)
    seen, address = in_view(page), page.url
    page.locator(f"tr[data-id='{seen}'] a").click()
    expect(page.locator("#d-title")).to_be_visible()
    page.get_by_role("link", name="Own page").click()
    page.wait_for_url("**/captures/*-*")
    page.go_back()
    expect(page.locator("#d-title")).to_be_visible()
    assert in_view(page) == seen
    page.go_back()
    expect(page.locator("#d-title")).to_have_count(0)
    becomes(page, "document.getElementById('list') !== null")
    assert in_view(page) == seen
    state = page.context.storage_state()
    for runs in (True, False):  # who gets the address sees the same, without scripts too
        with visiting(browser, served, storage_state=state, java_script_enabled=runs) as (other, _):
            other.goto(address)
            assert other.locator("#list tbody tr").first.get_attribute("data-id") is not None
            if runs:
                assert in_view(other) == seen
            else:
                assert ids_of(other.content())[0] == seen


def ids_of(html: str) -> list[str]:
    return re.findall(r'<tr data-id="([^"]+)"', html)


@pytest.mark.parametrize("q", ["pod:worker-42*", "field:lic", "version>=4.16 -status:2xx"])
def test_filters_are_long_too(page: Page, served: Served, q: str) -> None:
    page.goto(f"{served.url}/captures?q={q}")
    before = ids(page)
    if page.locator("#place").is_hidden():
        return
    to_share(page, 6_000)
    becomes(page, f"!document.querySelector(`tr[data-id='{before[0]}']`)")
    assert page.evaluate(ROWS) <= MOST
    in_order(page)


def test_a_session_that_ended_leads_to_the_login(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    page.context.clear_cookies()
    to_share(page, 5_000)
    expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_in_the_middle(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.goto(served.url + "/captures")
    to_part(page, 5_000)
    page.keyboard.press("j")
    assert violations(page) == []


def test_on_a_phone_a_capture_is_three_lines_and_the_list_goes_on(
    page: Page, served: Served
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(served.url + "/captures")
    page.mouse.move(180, 500)
    seen = set(ids(page))
    for _ in range(12):
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(150)
        seen |= set(ids(page))
        assert page.evaluate(ROWS) <= MOST
        in_order(page)
    assert len(seen) > 100
    heights = page.evaluate(
        "[...new Set([...document.querySelectorAll('#list tbody tr')].map((r) => r.offsetHeight))]"
    )
    assert len(heights) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
