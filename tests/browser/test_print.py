"""The report as an auditor gets it: printed to PDF by the browser, read back as text."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page

from app.report import show
from app.report.build import Report
from tests.browser.conftest import Served

PDFTOTEXT = shutil.which("pdftotext")


def pages(page: Page, path: Path) -> list[str]:
    if PDFTOTEXT is None:
        pytest.skip("needs pdftotext: apt-get install poppler-utils")
    page.pdf(path=path, format="A4")
    done = subprocess.run(
        [PDFTOTEXT, "-layout", str(path), "-"], stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode().split("\f")[:-1]


def squeezed(text: str) -> str:
    """Without the spaces and line ends that a layout makes."""
    return re.sub(r"\s+", "", text)


def test_the_report_prints_whole_and_without_the_page_around_it(
    page: Page, served: Served, tmp_path: Path
) -> None:
    page.goto(served.url + "/report?since=all&profile=cribl")
    found = pages(page, tmp_path / "report.pdf")
    text = squeezed("".join(found))
    asked = {"profile": "cribl"}
    report = msgspec.json.decode(
        served.client.get("/api/v1/report", params=asked).content, type=Report
    )
    titles = [s.title for s in show.sections(report) if s.rows or s.empty]
    assert {"Versions", "Inventory: every field that was ever sent, with its class"} <= {*titles}
    for wanted in (
        "Telemetry report", "Scope", "Period", "Coverage", "Not looked at", *titles,
        "How to repeat it", "telemock report --profile cribl", "Licence", "Evidence",
    ):  # fmt: skip
        assert squeezed(wanted) in text, wanted
    for gap in report.coverage.gaps:
        assert squeezed(gap.says.replace("`", "")) in text
    for limit in report.coverage.limits:
        assert squeezed(limit) in text
    # What acts on a screen does not print.
    head = found[0].partition("Coverage")[0]
    for word in ("Overview", "Workloads", "Sign out", "As Markdown", "last 7 days", "Skip to"):
        assert word not in head, word


def test_no_printed_table_is_cut_at_the_paper(page: Page, served: Served, tmp_path: Path) -> None:
    page.goto(served.url + "/report?since=all")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 702, "height": 1000})  # A4 less its margins, at 96 dpi
    wide = page.evaluate(
        "[...document.querySelectorAll('table')]"
        ".map((t) => [t.getBoundingClientRect().right, t.innerText.slice(0, 60)])"
        ".filter(([right]) => right > document.documentElement.clientWidth + 1)"
    )
    assert wide == []


@pytest.mark.parametrize("address", ["/", "/versions", "/fields", "/workloads", "/status"])
def test_other_views_print_too(page: Page, served: Served, tmp_path: Path, address: str) -> None:
    page.goto(served.url + address)
    found = pages(page, tmp_path / "view.pdf")
    assert page.inner_text("main h1") in found[0]
    assert "Sign out" not in found[0]
