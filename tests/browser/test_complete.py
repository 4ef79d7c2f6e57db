"""The filter is completed as it is typed, by keys alone or by the mouse."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Served
from tests.browser.test_views import violations


def open_list(page: Page, served: Served, typed: str) -> None:
    page.goto(served.url + "/captures")
    page.keyboard.press("/")
    page.keyboard.type(typed)
    expect(page.get_by_role("option").first).to_be_visible()


def test_by_keys_alone(page: Page, served: Served) -> None:
    open_list(page, served, "ho")
    field = page.get_by_role("combobox", name="Filter")
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    first = page.get_by_role("option", selected=True)
    expect(first).to_contain_text("host:")
    assert field.get_attribute("aria-activedescendant") == first.get_attribute("id")
    page.keyboard.press("Enter")
    expect(field).to_have_value("host:")
    page.keyboard.type("telem")
    expect(page.get_by_role("option").first).to_contain_text("telemetry.cribl.cloud")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("host:telemetry.cribl.cloud ")
    page.keyboard.type("-action:mock,ob")
    expect(page.get_by_role("option").first).to_contain_text("observe")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("host:telemetry.cribl.cloud -action:mock,observe ")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/captures?q=host*")


def test_escape_closes_the_list_and_then_leaves(page: Page, served: Served) -> None:
    open_list(page, served, "field:")
    field = page.get_by_role("combobox", name="Filter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(field).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(field).to_have_value("field:")


def test_enter_without_a_choice_finds(page: Page, served: Served) -> None:
    open_list(page, served, "method:")
    page.keyboard.type("POST")
    page.keyboard.press("Enter")
    page.wait_for_url("**/captures?q=method*")


def test_by_the_mouse(page: Page, served: Served) -> None:
    open_list(page, served, "version:")
    page.get_by_role("option").filter(has_text="4.17.0").click()
    expect(page.get_by_role("combobox", name="Filter")).to_have_value("version:4.17.0-1f2e3d4c ")


def test_what_was_captured_stays_text(page: Page, served: Served) -> None:
    for name in ("host", "version", "field", "pod", "rule"):
        open_list(page, served, f"{name}:<")
        assert page.locator("#q-offers > li > :not(bdi, span)").count() == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.wait_for_url("**/captures?q=*")
        assert page.evaluate("window.acted") is None
        assert page.get_by_role("alert").count() == 0  # what was completed can be read


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(page: Page, served: Served, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    open_list(page, served, "st")
    page.keyboard.press("ArrowDown")
    assert violations(page) == []
