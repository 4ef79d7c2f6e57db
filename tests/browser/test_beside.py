"""A capture that is pinned beside another, two times by their form, a draft of a profile."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.profiles.read import BUILT_IN
from tests.browser.conftest import Served, State, visiting
from tests.browser.test_views import AXE
from tests.unit.app.web.samples import id_of


@pytest.mark.parametrize("scripts", [True, False])
def test_a_pinned_capture_stays_while_others_are_opened(
    browser: Browser, served: Served, state: State, scripts: bool
) -> None:
    with visiting(browser, served, storage_state=state, java_script_enabled=scripts) as (page, _):
        page.goto(f"{served.url}/captures?q=host:cdn.cribl.io&open={id_of(5)}")
        page.get_by_role("link", name="Pin to compare").click()
        expect(page.get_by_text("This one is pinned")).to_be_visible()
        assert f"pin={id_of(5)}" in page.url
        row = page.locator(f".rows tbody tr[data-id='{id_of(4)}'] a")
        row.click()
        expect(page.get_by_text("Against the pinned one")).to_be_visible()
        assert f"pin={id_of(5)}" in page.url and f"open={id_of(4)}" in page.url
        differences = page.get_by_role("group", name="Table: Against the pinned one")
        expect(differences).to_contain_text("gpu")
        page.get_by_role("link", name="Unpin it").click()
        expect(page.get_by_text("Against the pinned one")).to_have_count(0)


def test_curl_is_copied_as_it_stands(browser: Browser, served: Served, state: State) -> None:
    with visiting(browser, served, storage_state=state) as (page, _):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(f"{served.url}/captures/{id_of(6)}")
        page.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("curl ") and "***" in copied


def test_two_times_are_compared_by_their_form(page: Page, served: Served) -> None:
    page.goto(served.url + "/versions")
    page.get_by_text("Compare two times").click()
    page.get_by_label("Before: since").fill("6h")
    page.get_by_label("Before: until").fill("3h")
    page.get_by_label("After: since").fill("3h")
    page.get_by_label("After: since").press("Enter")
    expect(page.get_by_role("heading", name="Hosts, endpoints and fields")).to_be_visible()
    assert "one=time%3A6h..3h" in page.url
    expect(page.get_by_role("group", name="Table: Differences")).to_contain_text("query.gpu")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_draft_is_checked(browser: Browser, served: Served, state: State, theme: str) -> None:
    draft = (BUILT_IN / "cribl.yaml").read_text()
    with visiting(browser, served, storage_state=state, color_scheme=theme) as (page, watched):
        watched.expected = ["status of 4"]
        page.goto(served.url + "/profiles")
        for text, said in ((draft, "Right:"), (draft.replace("mock", "mocc"), "problem")):
            if not page.get_by_label("A profile as YAML").is_visible():
                page.get_by_text("Check a draft").click()
            page.get_by_label("A profile as YAML").fill(text)
            page.get_by_role("button", name="Check", exact=True).click()
            expect(page.locator("details[open] .note").last).to_contain_text(said)
            assert page.get_by_label("A profile as YAML").input_value().strip() == text.strip()
            assert Axe().run(page, options=AXE).response["violations"] == []
