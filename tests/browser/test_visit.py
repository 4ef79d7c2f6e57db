"""A visit: in by a link or a token, by keys alone, back and forth, and out; and past a restart."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served, sign_in, visiting
from tests.serving import serving
from tests.unit.app.web.samples import captures, id_of


def test_a_link_opens_the_page_and_going_back_stays_in(browser: Browser, served: Served) -> None:
    with visiting(browser, served) as (page, _):
        sign_in(page, served)
        assert "code=" not in page.url
        page.get_by_role("link", name="Captures").first.click()
        expect(page.get_by_role("heading", name="Captures", exact=True)).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="What left")).to_be_visible()


def test_a_token_is_typed_and_the_way_goes_on(browser: Browser, served: Served) -> None:
    with visiting(browser, served) as (page, watched):
        page.goto(served.url + "/captures?q=method:POST")
        expect(page).to_have_title("Sign in · telemock")
        watched.expected = ["status of 401"]
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("token is wrong")
        page.get_by_label("Token").fill(served.runtime.token)
        page.keyboard.press("Enter")
        expect(page).to_have_url(served.url + "/captures?q=method:POST")
        assert page.context.cookies()[0]["httpOnly"]
        assert page.context.cookies()[0]["sameSite"] == "Strict"
        assert page.evaluate("document.cookie") == ""


def test_a_session_that_ended_leads_back_to_where_one_was(browser: Browser, served: Served) -> None:
    with visiting(browser, served) as (page, _):
        sign_in(page, served, "/captures?q=method:POST")
        page.context.clear_cookies()
        page.locator(".rows tbody a").first.click()  # by htmx
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill(served.runtime.token)
        page.keyboard.press("Enter")
        expect(page.locator("#detail article")).to_be_visible()


def test_signing_out_ends_it_in_every_tab(browser: Browser, served: Served) -> None:
    with visiting(browser, served) as (page, _):
        sign_in(page, served)
        second = page.context.new_page()
        second.goto(served.url + "/captures")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(served.url + "/login")
        second.reload()
        expect(second.get_by_label("Token")).to_be_visible()


def test_a_capture_opens_beside_the_list_and_back_closes_it(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures?q=method:POST")
    page.evaluate("window.kept = true")
    page.locator(f"tr[data-id='{id_of(6)}'] a").click()
    expect(page.locator("#d-title")).to_be_focused()
    expect(page.locator("#d-title")).to_contain_text("POST https://telemetry.cribl.cloud")
    assert page.evaluate("window.kept") is True  # the page was not loaded anew
    expect(page).to_have_url(f"{served.url}/captures?q=method%3APOST&open={id_of(6)}")
    page.reload()
    expect(page.locator("#d-title")).to_be_visible()
    page.go_back()
    expect(page.locator("#d-title")).to_have_count(0)
    page.go_forward()
    expect(page.locator("#d-title")).to_be_visible()


def test_keys_alone(page: Page, served: Served) -> None:
    page.goto(served.url + "/captures")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Filter")).to_be_focused()
    page.keyboard.type("field:gpu kind:exchange")
    page.keyboard.press("Enter")
    page.wait_for_url("**/captures?q=field*")
    rows = page.locator(".rows tbody tr")
    expect(rows).to_have_count(2)
    page.keyboard.press("j")
    expect(rows.nth(0).locator("a")).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1).locator("a")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#d-title")).to_be_focused()
    expect(rows.nth(0)).to_have_class("at open")
    page.keyboard.press("Escape")
    expect(page.locator("#d-title")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Filter")).not_to_be_focused()


def test_a_command_is_copied(browser: Browser, served: Served) -> None:
    granted = ["clipboard-read", "clipboard-write"]
    with visiting(browser, served, permissions=granted) as (page, _):
        sign_in(page, served, f"/captures/{id_of(6)}")
        page.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --globoff --path-as-is -X POST 'https://telemetry.cribl.cloud")


def test_it_prints_without_what_only_a_screen_needs(page: Page, served: Served) -> None:
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
    expect(page.get_by_role("heading", name="How it ended")).to_be_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_a_session_survives_a_restart_of_the_app(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        first.runtime.store.write(captures())
        with visiting(browser, first) as (page, _):
            sign_in(page, first)
            cookie = page.context.cookies()[0]
    with serving(tmp_path) as second:
        state = {"cookies": [cookie | {"name": f"telemock-{second.port}"}], "origins": []}
        with visiting(browser, second, storage_state=state) as (page, _):
            page.goto(second.url + "/captures")
            expect(page.locator(".rows tbody tr")).to_have_count(10)


def test_a_filter_is_found_in_place_and_back_leads_back(browser: Browser, served: Served) -> None:
    with visiting(browser, served) as (page, watched):
        watched.expected = ["status of 422"]
        sign_in(page, served, "/captures")
        page.evaluate("window.kept = true")
        field = page.get_by_role("combobox", name="Filter")
        field.fill("hots:a")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("no name")
        field.fill("method:POST")
        field.press("Enter")
        page.wait_for_url("**/captures?q=method*")
        expect(page.get_by_role("main")).to_be_focused()
        expect(page.locator("#list tbody tr")).to_have_count(1)
        page.go_back()
        expect(page.get_by_role("alert")).to_contain_text("no name")
        page.get_by_role("link", name="Clear").click()
        expect(page.locator("#list tbody tr")).to_have_count(60)
        page.evaluate("window.kept = true")
        page.get_by_role("link", name="Delivered to the vendor").click()
        page.wait_for_url("**/captures?q=outcome*")
        expect(page.locator("#list tbody tr")).to_have_count(1)
        assert page.evaluate("window.kept") is True
        page.keyboard.press("j")
        expect(page.locator("#list tbody a").first).to_be_focused()
        page.go_back()
        expect(page.locator("#list tbody tr")).to_have_count(60)
