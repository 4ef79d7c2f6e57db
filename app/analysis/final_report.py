"""Renders the summary as the final report, in Markdown. Called by `app.analysis.summarize`."""

from collections.abc import Iterator

import msgspec

from app.analysis.tally import LogSummary
from app.contract.outcomes import WORDS
from app.escape import inert
from app.report import show
from app.report.build import Report
from app.report.coverage import count
from app.report.tables import markdown_table
from app.version import VERSION

LOG_FILES = "log files"


class Summary(msgspec.Struct, kw_only=True):
    """`report` is what `telemock report` prints, from `source`: the store's path, or "log files".
    `log` is about the log files, None without any."""

    generated_at: str
    source: str
    report: Report
    log: LogSummary | None = None


def markdown(summary: Summary) -> str:
    report, log = summary.report, summary.log
    captures = count(report.count, "capture", "captures")
    head = (
        f"# Telemetry report\n\nMade {inert(summary.generated_at)} by telemock {VERSION} from "
        f"{inert(summary.source)}: {captures}{_period(report)}. Times are UTC.\n"
    )
    return "\n".join([head, show.markdown(report), *(_sections(log) if log else ())])


def _period(report: Report) -> str:
    since, until = report.since, report.until
    rows = [one for word in WORDS for one in getattr(report, word)]
    if rows:
        since = since or min(row.first_seen for row in rows)
        until = until or max(row.last_seen for row in rows)
    return f", from {inert(since)} to {inert(until)}" if since and until else ""


def _sections(log: LogSummary) -> Iterator[str]:
    said = f"{log.requests} requests in {len(log.files)} files"
    yield f"## Log files\n\n{said}; {log.broken_lines} lines could not be read.\n"
    yield "## Response times\n\n" + markdown_table(
        ("host", "endpoint", "count", "p50 ms", "p95 ms", "p99 ms", "max ms"),
        [
            (e.host, f"{e.method} {e.endpoint}", e.count, t.p50, t.p95, t.p99, t.max)
            for e in log.by_endpoint
            for t in (e.response_times_ms,)
        ],
    )
    agents = list(log.by_user_agent.items())
    yield "## User agents\n\n" + markdown_table(("user agent", "count"), agents)
