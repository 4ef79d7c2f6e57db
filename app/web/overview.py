"""The first view: what left in a period, in one sentence, then by outcome, product, host and pod.

It reads roll-ups and the inventory only, so that it costs the same at ten million captures.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.contract.outcomes import OUTCOMES, WORDS, Word, outcome, word_of
from app.report import build as reports
from app.report.build import Report, WorkloadLine
from app.store import Dimension, Scope, Store, TrafficRow
from app.store.facts import HOUR
from app.web.chart import Box, Chart, spark, stacked
from app.web.page import Lists, ask, render
from app.web.period import PERIODS, Period, period

_BY: tuple[Dimension, ...] = ("profile", "host", "kind", "action", "answered_by", "reason")
_PODS, _HOSTS = 12, 8  # of the matrix
_NEWS = 8
_NOT_REQUESTS = frozenset(("spliced", "tls_rejected", "log"))

routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class OutcomeTally:
    """One word for outcomes: its number, and those behind it that are not plain sailing."""

    word: Word
    label: str
    count: int
    bytes_out: int
    parts: list[tuple[str, str, int]]  # outcome's id, what it says, count


@dataclass(frozen=True)
class Product:
    id: str
    title: str
    count: int
    hosts: int
    pods: int
    versions: list[str]
    last_ns: int
    spark: list[Box]
    width: int


class Matrix(NamedTuple):
    hosts: list[str]
    rows: list[tuple[WorkloadLine, list[bool], bool]]
    more_hosts: int
    more_pods: int


class Overview(NamedTuple):
    requests: int
    connections: int
    senders: int  # products that sent a request
    hosts: int
    pods: int
    tallies: list[OutcomeTally]
    products: list[Product]
    chart: Chart
    report: Report
    matrix: Matrix
    news: list[tuple[str, str, str]]
    more_news: int
    oldest_ns: int  # of everything that is stored, 0 for nothing


def gather(
    store: Store, asked: Period, titles: dict[str, str], dropped: dict[str, int]
) -> Overview:
    scope = asked.scope
    totals = store.traffic(scope, _BY)
    first = scope.since_ns or min((row.first_ns for row in totals), default=0)
    last = scope.until_ns or max([time.time_ns(), *(row.last_ns for row in totals)])
    hours = asked.hours(first, last)
    steps = store.traffic(scope, _BY, hours) if totals else []
    report = reports.build(store, since_ns=scope.since_ns, until_ns=scope.until_ns, dropped=dropped)
    everything = totals or store.traffic(Scope(), ())
    counted = [(row.at_ns, _word(row), row.count) for row in steps if _word(row)]
    chart = stacked(counted, hours * HOUR, list(WORDS), (first, last))
    news = list(
        dict.fromkeys(
            (change.profile, change.version, field.path)
            for change in report.new_fields
            for field in change.new
        )
    )
    requests = [row for row in totals if row.by[2] not in _NOT_REQUESTS]
    return Overview(
        requests=sum(row.count for row in requests),
        connections=sum(r.count for r in totals) - sum(row.count for row in requests),
        senders=len({row.by[0] for row in requests} - {""}),
        hosts=len({row.by[1] for row in requests if row.by[0]}),
        pods=len({(w.namespace, w.pod) for w in report.workloads if w.profile}),
        tallies=_tallies(totals),
        products=_products(report, steps, titles, chart),
        chart=chart,
        report=report,
        matrix=_matrix(report),
        news=news[:_NEWS],
        more_news=len(news) - _NEWS,
        oldest_ns=min((row.first_ns for row in everything), default=0),
    )


def _id(row: TrafficRow) -> str:
    _, _, kind, action, answered_by, reason = map(str, row.by)
    return outcome(kind, action, answered_by, reason)


def _word(row: TrafficRow) -> str:
    id = _id(row)
    return word_of(id) if id else ""


def _tallies(rows: Sequence[TrafficRow]) -> list[OutcomeTally]:
    counts: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for row in rows:
        if id := _id(row):
            counts[id] += row.count
            sent[word_of(id)] += row.bytes_out
    return [
        OutcomeTally(
            word,
            label,
            sum(n for id, n in counts.items() if word_of(id) == word),
            sent[word],
            [(id, of.says, counts[id]) for id, of in OUTCOMES.items()
             if of.word == word and counts[id]],
        )
        for word, label in WORDS.items()
    ]  # fmt: skip


def _products(
    report: Report, rows: Sequence[TrafficRow], titles: dict[str, str], chart: Chart
) -> list[Product]:
    steps = [bar.at_ns for bar in chart.bars]
    found = []
    for id in sorted({str(row.by[0]) for row in rows} - {""}):
        mine = [row for row in rows if row.by[0] == id]
        at: Counter[int] = Counter()
        for row in mine:
            at[row.at_ns] += row.count
        found.append(
            Product(
                id=id,
                title=titles.get(id, id),
                count=sum(row.count for row in mine),
                hosts=len({row.by[1] for row in mine}),
                pods=sum(1 for w in report.workloads if w.profile == id),
                versions=[v.version for v in report.versions if v.profile == id and v.version],
                last_ns=max(row.last_ns for row in mine),
                spark=spark(at, steps),
                width=4 * len(steps),
            )
        )
    return found


def _matrix(report: Report) -> Matrix:
    """Lists who was seen at which host; a pod that only tried counts too. A pod whose records are
    missing in part is told apart: an empty cell proves nothing there."""
    workloads = [w for w in report.workloads if w.profile]
    reach: Counter[str] = Counter()
    for one in workloads:
        reach.update(one.hosts)
    hosts = [host for host, _ in reach.most_common(_HOSTS)]
    unsure = {(m.namespace, m.pod) for m in report.missing}
    top = sorted(workloads, key=lambda w: -w.count)[:_PODS]
    rows = [(w, [host in w.hosts for host in hosts], (w.namespace, w.pod) in unsure) for w in top]
    return Matrix(hosts, rows, len(reach) - len(hosts), len(workloads) - len(top))


@routes.get("/")
async def overview(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = ""
) -> Response:
    asked = period(since, until)
    titles = {p.id: p.title for p in runtime.rules.profiles}
    found = await ask(lambda: gather(runtime.store, asked, titles, runtime.writer.dropped))
    return render(request, "overview.html", visitor, found=found, period=asked, periods=PERIODS)
