"""The final report says what it was made from, and nothing in it is markup."""

from app.analysis.final_report import LOG_FILES, Summary, markdown
from app.analysis.summarize import ONLY_REQUESTS
from app.analysis.tally import Tally
from app.report import show
from app.report.build import build
from app.version import VERSION
from tests.records import exchange
from tests.unit.app.analysis.test_rows import of_lines
from tests.unit.app.analysis.test_tally import entry


def test_it_is_the_report_with_what_log_files_add() -> None:
    counts = Tally()
    counts.add(entry())
    report = build(of_lines([exchange(1)]), gaps=[ONLY_REQUESTS])
    summary = Summary(
        generated_at="2026-09-22T00:00:00Z", source=LOG_FILES, report=report,
        log=counts.summary(["telemetry_requests.log"]),
    )  # fmt: skip
    shown = markdown(summary)
    assert shown.startswith(
        f"# Telemetry report\n\nMade 2026-09-22T00:00:00Z by telemock {VERSION} from log files: "
        "1 capture, from 2026-09-21T14:13:20Z to 2026-09-21T14:13:20Z. Times are UTC.\n\n"
        "## Coverage\n\n- not complete: log files hold requests only"
    )
    assert show.markdown(report) in shown
    assert "1 requests in 1 files; 0 lines could not be read." in shown
    assert "## Response times" in shown and "| node | 1 |" in shown
    stored = markdown(Summary(generated_at="", source="/data/store.sqlite", report=report))
    assert "## Log files" not in stored


def test_markdown_is_inert() -> None:
    evil = "<img src=x onerror=alert(1)>|\x1b[2J"
    odd = exchange(1, query=[(evil, "1")], product_version=evil, headers=[("User-Agent", evil)])
    newer = exchange(2, product_version="4.17.0", query=[("new", "1")])
    counts = Tally()
    counts.add(entry(headers=[("User-Agent", evil)], host=evil))
    report = build(of_lines([odd, newer]))
    log = counts.summary([evil])
    shown = markdown(Summary(generated_at="", source=evil, report=report, log=log))
    assert "<img" not in shown and "\x1b" not in shown
    assert "query.new" in shown
