"""Renders the Report as text for terminals and as Markdown.

Called by the command line.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from app.contract.record import REASONS
from app.report.build import EndpointLine, Report
from app.report.tables import markdown_table, text_table


def text(report: Report) -> str:
    """Renders the report for a terminal."""
    return _render(report, text_table, lambda title: f"{title}\n", "  ")


def markdown(report: Report) -> str:
    return _render(report, markdown_table, lambda title: f"## {title}\n\n", "- ")


class _Section(NamedTuple):
    title: str
    head: str  # comma separated
    rows: list[Sequence[object]]
    empty: str = ""  # text of an empty section; if "", the section is left out


def _sections(report: Report) -> Iterator[_Section]:
    yield _Section(
        "What left",
        "host,endpoint,action,by,status,count,bytes,first seen,last seen",
        [
            (e.host, _what(e), e.action, e.answered_by, " ".join(map(":".join, _statuses(e))),
             e.count, e.bytes_out, e.first_seen, e.last_seen)
            for e in report.endpoints
        ],
        "Nothing was recorded.",
    )  # fmt: skip
    yield _Section(
        "Versions",
        "profile,version,count,first seen,last seen",
        [
            (v.profile, v.version or "-", v.count, v.first_seen, v.last_seen)
            for v in report.versions
        ],
    )
    yield _Section(
        "Fields that a newer version added or left out",
        "profile,endpoint,version,before,change,field,type,shape,in",
        [
            (c.profile, f"{c.method} {c.endpoint}", c.version, c.previous, change, f.path,
             " ".join(f.types), " ".join(f.shapes), f"{f.present:.0%}")
            for c in report.new_fields
            for change, fields in (("new", c.new), ("gone", c.gone))
            for f in fields
        ],
        "No difference between versions was seen.",
    )  # fmt: skip
    yield _Section(
        "Who sent it",
        "namespace,pod,node,profile,versions,count,bytes,last seen",
        [
            (w.namespace, w.pod, w.node, w.profile, " ".join(w.versions), w.count, w.bytes_out,
             w.last_seen)
            for w in report.workloads
        ],
    )  # fmt: skip
    yield _Section(
        "Passed through untouched",
        "host,endpoint,count,bytes out,bytes in,last seen",
        [
            (e.host, _what(e) or "(not opened)", e.count, e.bytes_out, e.bytes_in, e.last_seen)
            for e in report.passed
        ],
        "Nothing was passed through.",
    )
    yield _Section(
        "Clients that refused our certificate",
        "host,count,workloads,why,first seen,last seen",
        [
            (e.host, e.count, e.workloads, REASONS.get(e.reason, e.reason), e.first_seen,
             e.last_seen)
            for e in report.rejected
        ],
    )  # fmt: skip
    yield _Section(
        "Failures",
        "host,endpoint,count,why,last seen",
        [
            (e.host, _what(e), e.count, REASONS.get(e.reason, e.reason), e.last_seen)
            for e in report.failures
        ],
    )
    yield _Section(
        "Records missing, or still on their way",
        "namespace,pod,boot,stored,missing,why,last seen",
        [
            (m.namespace, m.pod, m.boot, m.count, m.missing, why_lost(m.lost), m.last_seen)
            for m in report.missing
        ],
    )
    yield _Section(
        "Records dropped",
        "count,why",
        [(n, REASONS.get(reason, reason)) for reason, n in report.dropped.items()],
    )


def why_lost(lost: Mapping[str, int]) -> str:
    return "; ".join(f"{count}: {REASONS.get(id, id)}" for id, count in lost.items())


def _what(endpoint: EndpointLine) -> str:
    return f"{endpoint.method} {endpoint.endpoint}".strip()


def _statuses(endpoint: EndpointLine) -> list[tuple[str, str]]:
    return [(status, str(count)) for status, count in endpoint.statuses.items()]


def _render(
    report: Report,
    table: Callable[[Sequence[str], Iterable[Sequence[object]]], str],
    title: Callable[[str], str],
    bullet: str,
) -> str:
    parts = []
    for section in _sections(report):
        if section.rows:
            parts.append(title(section.title) + table(section.head.split(","), section.rows))
        elif section.empty:
            parts.append(title(section.title) + bullet + section.empty + "\n")
    if report.unlisted:
        parts.append(f"{bullet}{report.unlisted} times a field was over the inventory's limit\n")
    return "\n".join(parts)
