"""A time range of the overview: by drawing on the chart, and by keys."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import Served

CHART = "svg[data-steps]"


def test_a_range_is_drawn(page: Page, served: Served) -> None:
    page.goto(served.url + "/")
    chart = page.locator(CHART)
    steps = int(chart.get_attribute("data-steps") or 0)
    chart.scroll_into_view_if_needed()
    begin, step = (int(chart.get_attribute(f"data-{name}") or 0) for name in ("begin", "step"))
    box = chart.bounding_box()
    assert box and steps > 20
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * (steps - 2.5) / steps, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (steps - 8.5) / steps, y, steps=4)
    expect(page.locator(".brush")).to_have_count(1)
    page.mouse.up()
    page.wait_for_url("**since=**")
    asked = parse_qs(urlsplit(page.url).query)
    first, last = begin + (steps - 9) * step, begin + (steps - 2) * step
    seen = [page.evaluate("Date.parse", asked[name][0]) for name in ("since", "until")]
    assert seen == [first, last]
    said = page.locator(".lead").inner_text()
    assert re.search(r"\(since [\d-]+ [\d:]+ until [\d-]+ [\d:]+ UTC\)", said)
    # Numbers lead to the captures of that time.
    page.get_by_role("link", name=re.compile("Answered here")).first.click()
    page.wait_for_url("**/captures?q=since*until*")
    page.go_back()
    page.go_back()
    expect(page).to_have_url(served.url + "/")


def test_a_click_and_escape_choose_nothing(page: Page, served: Served) -> None:
    page.goto(served.url + "/")
    page.locator(CHART).click()  # and in view
    box = page.locator(CHART).bounding_box()
    assert box
    page.mouse.move(box["x"] + 50, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 20, steps=3)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator(".brush")).to_have_count(0)
    expect(page).to_have_url(served.url + "/")


def test_by_keys_alone(page: Page, served: Served) -> None:
    page.goto(served.url + "/?since=7d")
    field = page.get_by_label("From (UTC)")
    until = page.get_by_label("Until (UTC)").input_value()
    field.focus()
    page.keyboard.type("01012026")
    page.keyboard.press("Tab")
    page.keyboard.type("0100AM")
    page.keyboard.press("Enter")
    page.wait_for_url("**since=2026-01-01T01*")
    assert parse_qs(urlsplit(page.url).query)["until"] == [until]
    expect(page.locator(".lead")).to_contain_text("since 2026-01-01 01:00")
