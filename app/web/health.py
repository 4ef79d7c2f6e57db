"""Shows how telemock itself is: store, disk, retention, ingest, records on their way by pod,
profiles, versions, and which alerts' conditions hold.

At /status, because /health is the one that programs ask.
"""

import contextlib
import shutil
import time
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from app.api.common import Run
from app.contract.presence import APP
from app.otel.recent import values
from app.report import ledger
from app.report.coverage import why_lost
from app.runtime import Runtime
from app.store import StoreError
from app.version import VERSION
from app.web import alerts
from app.web.page import Lists, PageError, ask, render
from app.web.show import plural, size

routes = APIRouter(include_in_schema=False)


class Check(NamedTuple):
    """One part. `ok` None: a plain fact."""

    name: str
    says: str
    ok: bool | None = None
    hint: str = ""


class Backlog(NamedTuple):
    """Records of one pod that the store lacks: on their way, waiting, or lost."""

    who: str
    underway: int
    waiting: int
    lost: str


def backlog(runtime: Runtime, namespaces: tuple[str, ...] | None) -> list[Backlog]:
    """Those with most first. Raises StoreError."""
    rows = [
        row
        for row in runtime.rows().boots()
        if namespaces is None or row.namespace in namespaces or row.said.form == APP
    ]
    found = [
        Backlog(one.who, one.underway, one.waiting, why_lost(one.lost))
        for one in ledger.witnesses(rows, (), lambda host: True, time.time_ns())
        if one.underway or one.waiting or one.lost
    ]
    return sorted(found, key=lambda one: -(one.waiting + one.underway))


async def checks(runtime: Runtime) -> list[Check]:
    with contextlib.suppress(StoreError):  # its own part says so
        await runtime.count_records()
    parts = await runtime.health()
    settings, counts = runtime.settings, runtime.sidecars.counts()
    store: dict[str, Any] = parts["store"]
    found = [
        Check("App", f"version {VERSION}, up for {_span(time.monotonic() - runtime.started)}"),
        _store(store, settings.retention_size),
        _disk(runtime),
        Check(
            "Retention",
            f"{_days(settings.retention_days)}, {_limit(settings.retention_size)}; "
            "the oldest captures go first",
        ),
        _ingest(runtime),
        _records(parts["records"]),
        Check(
            "Sidecars",
            f"{plural(counts.seen, 'is', 'are')} heard of, {counts.silent:,} fell silent in the "
            "last hour without taking leave",
            counts.silent == 0,
            "" if counts.silent == 0 else "`telemock status` says which, and why",
        ),
        Check(
            "Profiles",
            parts["profiles"]["error"] or ", ".join(p.id for p in runtime.rules.profiles),
            not parts["profiles"]["error"],
            "the last good ones stay in use" if parts["profiles"]["error"] else "",
        ),
        Check(
            "Log files",
            f"{plural(parts['log_lines_lost'], 'line')} lost",
            parts["log_lines_lost"] == 0,
        ),
    ]  # fmt: skip
    if tls := parts.get("tls"):
        found.append(Check("Certificate", tls.get("error") or "valid", bool(tls["ok"])))
    for problem in parts["degraded"]:
        found.append(Check("Trouble", problem, ok=False))
    return found


def _ingest(runtime: Runtime) -> Check:
    number, over = runtime.recent.increase("telemock_captures_total")
    minutes = max(1, round(over / 60))
    waits = runtime.writer.waiting
    return Check(
        "Ingest",
        f"{plural(int(number), 'record')} in the last {minutes} min "
        f"({number / max(1.0, over):,.1f}/s); {plural(waits, 'waits', 'wait')} to be written",
    )


def _store(store: dict[str, Any], most: int) -> Check:
    if "records" not in store:
        return Check("Store", store["error"], ok=False)
    says = f"{store['records']:,} records, schema {store['schema']}, {size(store['bytes'])}"
    if most:
        says += f" of {size(most)}"
    return Check("Store", says, bool(store["ok"]))


def _disk(runtime: Runtime) -> Check:
    try:
        free = shutil.disk_usage(runtime.settings.data).free
    except OSError as e:
        return Check("Disk", f"cannot be looked at: {e.strerror}", ok=False)
    low = free < 256 << 20
    hint = "free some space, or lower TELEMOCK_RETENTION_SIZE" if low else ""
    return Check("Disk", f"{size(free)} free", not low, hint)


def _records(records: dict[str, Any]) -> Check:
    says = ", ".join(f"{number:,} {name}" for name, number in records.items() if name != "lost")
    lost = records.get("lost", 0)
    return Check(
        "Records by the senders' own count",
        f"{says}, {lost:,} lost",
        not lost,
        "" if not lost else "Workloads says of whom, and why",
    )


def _span(seconds: float) -> str:
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    return f"{int(seconds // 3600)} h" if seconds < 172_800 else f"{int(seconds // 86_400)} days"


def _days(days: float) -> str:
    return (
        f"captures are kept for {days:g} days" if days else "captures are kept whatever their age"
    )


def _limit(number: int) -> str:
    return f"as far as {size(number)} hold them" if number else "without a limit of size"


@routes.get("/status")
async def status(request: Request, visitor: Lists, runtime: Run) -> Response:
    parts = await checks(runtime)  # sets the gauges, too
    await runtime.measure()
    judged = alerts.judge(values(runtime.metrics.registry, alerts.names()), runtime.recent)
    try:
        by_pod = await ask(lambda: backlog(runtime, visitor.namespaces))
    except PageError:  # the store's part says so
        by_pod = []
    return render(request, "health.html", visitor, checks=parts, judged=judged, backlog=by_pod)
