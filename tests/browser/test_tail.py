"""The live tail: what is read stays where it is; a restart, an ended session, hidden tabs, hostile
captures."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served, State, sign_in, visiting
from tests.browser.hostile import TEXTS
from tests.browser.hostile import captures as hostile
from tests.browser.test_list import becomes, ids, in_view
from tests.browser.test_views import violations
from tests.records import OTHER_BOOT, exchange, incoming
from tests.serving import serving
from tests.unit.app.web.conftest import bounded
from tests.waiting import wait_for

FOLLOWING = "document.getElementById('live-said').textContent.startsWith('Following.')"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        write(served, 1, 100)
        yield served


@pytest.fixture
def state(browser: Browser, served: Served) -> State:
    with visiting(browser, served) as (page, _):
        sign_in(page, served)
        return page.context.storage_state()


def write(served: Served, first: int, number: int, **given: str) -> None:
    now = time.time_ns()
    records = (exchange(n, time_ns=now + n, **given) for n in range(first, first + number))
    served.runtime.store.write(incoming(*records))


def follow(page: Page, served: Served, q: str = "") -> None:
    page.goto(f"{served.url}/captures?q={q}&tail=1")
    becomes(page, FOLLOWING)


def seqs(page: Page) -> list[int]:
    return [int(id.rpartition("-")[2]) for id in ids(page)]


def test_at_the_top_what_arrives_is_added(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")
    assert page.url.endswith("tail=1")
    page.mouse.move(1, 1)
    becomes(page, FOLLOWING)
    write(served, 101, 5)
    wait_for(lambda: seqs(page)[:6] == [105, 104, 103, 102, 101, 100])
    assert len(seqs(page)) == 60
    write(served, 106, 1)
    wait_for(lambda: seqs(page)[0] == 106)
    assert page.locator("#at").inner_text().endswith(" of 106")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#live-said")).to_have_text("")
    assert "tail" not in page.url
    write(served, 107, 1)
    page.wait_for_timeout(1200)
    assert seqs(page)[0] == 106


def test_what_is_read_stays_and_37_are_new(page: Page, served: Served) -> None:
    follow(page, served)
    page.hover("#list")
    page.mouse.wheel(0, 500)
    page.wait_for_timeout(300)
    seen = in_view(page)
    where = page.locator(f"tr[data-id='{seen}']").bounding_box()
    write(served, 101, 30)
    expect(page.get_by_role("button", name="30 new")).to_be_visible()
    write(served, 131, 7)
    fresh = page.get_by_role("button", name="37 new")
    expect(fresh).to_be_visible()
    assert page.locator(f"tr[data-id='{seen}']").bounding_box() == where
    assert 137 not in seqs(page)
    fresh.focus()
    page.keyboard.press("Enter")
    wait_for(lambda: seqs(page)[:3] == [137, 136, 135])
    expect(fresh).to_be_hidden()
    assert page.locator("#at").inner_text().startswith("1 to ")


def test_a_row_that_has_the_focus_is_read(page: Page, served: Served) -> None:
    follow(page, served)
    page.keyboard.press("j")
    write(served, 101, 3)
    expect(page.get_by_role("button", name="3 new")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('tr').dataset.id").endswith("-100")
    assert seqs(page)[0] == 100


def test_the_filter_is_the_servers(page: Page, served: Served) -> None:
    follow(page, served, "field:gpu,os -pod:leader-9")
    write(served, 101, 2, pod="leader-9")
    write(served, 103, 1)
    wait_for(lambda: seqs(page)[0] == 103)
    assert not {101, 102} & set(seqs(page))


def test_many_are_sampled_and_that_is_said(page: Page, served: Served) -> None:
    follow(page, served)
    write(served, 101, 1_500)
    expect(page.locator("#live-said")).to_contain_text("Showing 1 of 100.")
    assert len(seqs(page)) == 60
    write(served, 2_001, 3_000)
    expect(page.locator("#live-said")).to_contain_text("more arrived than were looked at")


def test_hostile_captures_stay_text_as_they_arrive(page: Page, served: Served) -> None:
    follow(page, served)
    batch = hostile()
    for at in range(0, len(batch), 10):
        served.runtime.store.write(batch[at : at + 10])
        wait_for(lambda at=at: any(OTHER_BOOT in id for id in ids(page)[: at + 10]))
        page.wait_for_timeout(600)
    assert page.evaluate("window.acted") is None
    assert page.locator("main script, main iframe, main style, main img, main link").count() == 0
    text = page.inner_text("#list")
    assert TEXTS[0] in text or TEXTS[1] in text
    assert not any(c in text for c in "\u202e\u2066\x1b\x00\x9b")


def test_a_hidden_tab_asks_nothing_and_catches_up(page: Page, served: Served) -> None:
    follow(page, served)
    hide = """(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden,
      configurable: true}); document.dispatchEvent(new Event('visibilitychange')) }"""
    page.evaluate(hide, True)
    wait_for(lambda: not served.app.state.feed._followers)
    write(served, 101, 4)
    page.wait_for_timeout(700)
    assert seqs(page)[0] == 100
    page.evaluate(hide, False)
    wait_for(lambda: seqs(page)[:5] == [104, 103, 102, 101, 100])


def test_two_tabs_have_a_stream_each(page: Page, served: Served) -> None:
    follow(page, served)
    other = page.context.new_page()
    follow(other, served, "pod:leader-9")
    expect(other.get_by_role("heading", name="No capture fits this filter.")).to_be_visible()
    write(served, 101, 1)
    write(served, 102, 1, pod="leader-9")
    wait_for(lambda: seqs(page)[:2] == [102, 101])
    wait_for(lambda: seqs(other) == [102])
    expect(other.locator("#list")).to_be_visible()
    other.close()
    wait_for(lambda: len(served.app.state.feed._followers) == 1)


def test_a_session_that_ends_says_so(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.tail.AGAIN_S", 0.3)
    follow(page, served)
    served.runtime.authority._token = b"another"
    expect(page.locator("#live-said")).to_contain_text("Your session has ended")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    wait_for(lambda: not served.app.state.feed._followers)


def test_signing_out_in_another_tab_ends_it(page: Page, served: Served) -> None:
    follow(page, served)
    other = page.context.new_page()
    other.goto(served.url + "/")
    other.get_by_role("button", name="Sign out").click()
    expect(page.locator("#live-said")).to_contain_text("Nobody is signed in")
    write(served, 101, 1)
    page.wait_for_timeout(1_000)
    assert seqs(page)[0] == 100


def test_a_viewer_of_a_namespace_gets_its_rows_alone(page: Page, served: Served) -> None:
    write(served, 200, 1, namespace="edge")
    bounded(served, "edge")
    follow(page, served)
    assert seqs(page) == [200]
    write(served, 201, 1)
    write(served, 202, 1, namespace="edge")
    wait_for(lambda: seqs(page) == [202, 200])


def test_no_more_than_some_may_follow(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.feed.EACH", 1)
    follow(page, served)
    other = page.context.new_page()
    other.goto(served.url + "/captures?tail=1")
    expect(other.locator("#live-said")).to_contain_text("of your lists follow live already")
    expect(page.locator("#live-said")).to_contain_text("Following.")


def test_it_goes_on_after_a_restart_of_the_app(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    with ExitStack() as running:
        first = running.enter_context(serving(folder))
        write(first, 1, 3)
        with visiting(browser, first) as (page, watched):
            watched.expected = ["net::ERR_"]
            sign_in(page, first)
            follow(page, first)
            page.evaluate("window.kept = true")
            began = time.monotonic()
            running.close()
            assert time.monotonic() - began < 4  # it does not wait for the stream
            expect(page.locator("#live-said")).to_contain_text("The connection broke")
            with serving(folder, PORT=str(first.port)) as second:
                write(second, 4, 2)
                wait_for(lambda: seqs(page) == [5, 4, 3, 2, 1], 20)
                becomes(page, FOLLOWING)
                assert page.evaluate("window.kept") is True
                page.goto("about:blank")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_while_it_follows(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    follow(page, served)
    page.keyboard.press("j")
    write(served, 101, 3)
    expect(page.get_by_role("button", name="3 new")).to_be_visible()
    assert violations(page) == []


def test_the_counts_beside_it_follow_unless_they_are_used(page: Page, served: Served) -> None:
    follow(page, served)
    counts = page.locator("#facets")
    expect(counts).not_to_contain_text("POST")
    write(served, 101, 2, method="POST")
    post = counts.get_by_role("link", name="POST 2")
    expect(post).to_be_visible()
    page.evaluate("window.kept = true")
    post.focus()
    write(served, 103, 1, method="POST")
    page.wait_for_timeout(4_000)
    expect(post).to_be_focused()
    page.locator("#list").focus()
    expect(counts.get_by_role("link", name="POST 3")).to_be_visible()
    counts.get_by_role("link", name="POST 3").click()
    page.wait_for_url("**q=method%3APOST*")
    expect(page.locator("#list tbody tr")).to_have_count(3)
    assert page.evaluate("window.kept") is True  # within the page, as the links before
