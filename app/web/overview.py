"""The first view: what left in a period, in one sentence, then by outcome, product, host and pod.

It reads roll-ups and the inventory only, so that it costs the same at ten million captures.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.api.read import built_for
from app.contract.classes import SURE, about, in_order, title
from app.contract.instant import instant
from app.contract.outcomes import OUTCOMES, WORDS, Word, outcome, word_of
from app.report.build import EndpointLine, Report, WorkloadLine
from app.report.changes import Change
from app.runtime import Runtime
from app.store import Dimension, Scope, TrafficRow
from app.store.facts import HOUR
from app.web.changes import looked
from app.web.chart import Box, Chart, spark, stacked
from app.web.page import Lists, ask, render
from app.web.period import PERIODS, Period, period

_BY: tuple[Dimension, ...] = ("profile", "kind", "action", "answered_by", "reason")
_PODS, _HOSTS = 12, 8  # of the matrix
_NEWS = 8
_REQUESTS = '-method:"" -profile:""'  # the filter of those that products sent

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
    last_seen: str
    spark: list[Box]
    width: int


Cell = Literal["seen", "none", "unsure"]


class Matrix(NamedTuple):
    hosts: list[str]
    rows: list[tuple[WorkloadLine, list[Cell]]]
    more_hosts: int
    more_pods: int


class Overview(NamedTuple):
    requests: int
    others: int  # connections, messages, and what no profile names
    senders: int  # products that sent a request
    hosts: int
    pods: int
    tallies: list[OutcomeTally]
    products: list[Product]
    chart: Chart
    report: Report
    matrix: Matrix
    classes: list[tuple[str, str, int, list[str]]]  # of persons and secrets: fields, products
    news: list[tuple[Change, str]]  # and a field that its version sent first
    more_news: int
    since: str  # the version that sent all of them first, "" where there are several
    elsewhere: bool  # there is something, but not in this period
    fresh: int  # open changes that this visitor has not seen listed


def gather(
    runtime: Runtime,
    namespaces: tuple[str, ...] | None,
    asked: Period,
    looked: int = 0,
) -> Overview:
    scope, store = asked.scope, runtime.store
    report = built_for(runtime, namespaces, scope)
    lines = [line for word in WORDS for line in getattr(report, word)]
    titles = dict(runtime.papers.titles(line.profile for line in lines))
    first = scope.since_ns or min((instant(e.first_seen) for e in lines), default=0)
    last = scope.until_ns or max([time.time_ns(), *(instant(e.last_seen) for e in lines)])
    hours = asked.hours(first, last)
    # Sums by the hour know no namespaces: who may read some of them only sees no chart.
    steps = store.traffic(scope, _BY, hours) if lines and namespaces is None else []
    counted = [(row.at_ns, word, row.count) for row in steps if (word := _word(row))]
    chart = stacked(counted, hours * HOUR, list(WORDS), (first, last))
    news = [(change, field.path) for change in report.new_fields for field in change.new]
    requests = [line for line in lines if line.method and line.profile]
    elsewhere = not lines and scope != Scope() and built_for(runtime, namespaces, Scope()).count > 0
    return Overview(
        requests=sum(line.count for line in requests),
        others=sum(e.count for e in lines) - sum(line.count for line in requests),
        senders=len({line.profile for line in requests}),
        hosts=len({line.host for line in requests}),
        pods=len(
            {(w.namespace, w.pod) for w in report.workloads if w.profile and w.count > w.unseen}
        ),
        tallies=_tallies(lines),
        products=_products(report, lines, steps, titles, chart),
        chart=chart,
        report=report,
        matrix=_matrix(report),
        classes=_classes(report),
        news=news[:_NEWS],
        more_news=len(news) - _NEWS,
        since=news[0][0].version if len({change.version for change, _ in news}) == 1 else "",
        elsewhere=elsewhere,
        fresh=store.inbox(after=looked).open if looked else 0,
    )


def _word(row: TrafficRow) -> str:
    _, kind, action, answered_by, reason = map(str, row.by)
    id = outcome(kind, action, answered_by, reason)
    return word_of(id) if id else ""


def _tallies(lines: Sequence[EndpointLine]) -> list[OutcomeTally]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts[line.outcome] += line.count
    return [
        OutcomeTally(
            word,
            label,
            sum(n for id, n in counts.items() if word_of(id) == word),
            sum(line.bytes_out for line in lines if word_of(line.outcome) == word),
            [(id, of.says, counts[id]) for id, of in OUTCOMES.items()
             if of.word == word and counts[id]],
        )
        for word, label in WORDS.items()
    ]  # fmt: skip


def _products(
    report: Report,
    lines: Sequence[EndpointLine],
    rows: Sequence[TrafficRow],
    titles: dict[str, str],
    chart: Chart,
) -> list[Product]:
    steps = [bar.at_ns for bar in chart.bars]
    found = []
    for id in sorted({line.profile for line in lines} - {""}):
        mine = [line for line in lines if line.profile == id]
        at: Counter[int] = Counter()
        for row in rows:
            if row.by[0] == id:
                at[row.at_ns] += row.count
        found.append(
            Product(
                id=id,
                title=titles.get(id, id),
                count=sum(line.count for line in mine),
                hosts=len({line.host for line in mine}),
                pods=sum(1 for w in report.workloads if w.profile == id),
                versions=[v.version for v in report.versions if v.profile == id and v.version],
                last_seen=max(line.last_seen for line in mine),
                spark=spark(at, steps),
                width=4 * len(steps),
            )
        )
    return found


def _classes(report: Report) -> list[tuple[str, str, int, list[str]]]:
    """The classes about persons and secrets: id, title, number of fields, products."""
    found: dict[str, list[str]] = {}
    for line in report.inventory:
        if about(line.class_) and line.confidence >= SURE:
            found.setdefault(line.class_, []).append(line.profile)
    return [(id, title(id), len(found[id]), sorted({*found[id]} - {""})) for id in in_order(found)]


def _matrix(report: Report) -> Matrix:
    """Lists who was seen at which host; a pod that only tried counts too. An empty cell proves that
    there was none only where the pod's sidecar counted, and coverage has no gap that names it."""
    workloads = [w for w in report.workloads if w.profile]
    reach: Counter[str] = Counter()
    for one in workloads:
        reach.update(one.hosts)
    hosts = [host for host, _ in reach.most_common(_HOSTS)]
    whole = {one.who for one in report.ledger if one.numbered and one.stored >= one.numbered}
    unproven = {who for gap in report.coverage.gaps for who in gap.who}  # pods, namespaces, hosts

    def cell(one: WorkloadLine, host: str) -> Cell:
        who = _who(one.namespace, one.pod)
        if host in one.hosts:
            return "seen"
        proven = who in whole and not unproven & {who, one.namespace, host}
        return "none" if proven else "unsure"

    top = sorted(workloads, key=lambda w: -w.count)[:_PODS]
    rows = [(w, [cell(w, host) for host in hosts]) for w in top]
    return Matrix(hosts, rows, len(reach) - len(hosts), len(workloads) - len(top))


def _who(namespace: str, pod: str) -> str:
    """The ledger's name of a pod."""
    return "/".join(filter(None, (namespace, pod)))


@routes.get("/")
async def overview(
    request: Request, visitor: Lists, runtime: Run, since: str = "", until: str = ""
) -> Response:
    asked = period(since, until)
    found = await ask(lambda: gather(runtime, visitor.namespaces, asked, looked(request)))
    return render(
        request, "overview.html", visitor, found=found, period=asked, periods=PERIODS,
        requests=_REQUESTS,
    )  # fmt: skip
