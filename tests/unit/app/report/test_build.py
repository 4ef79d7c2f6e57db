"""The report: what left, who sent it, what is new, what passed, what failed, what is missing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.contract.account import Account
from app.contract.record import REASONS, CaptureRecord, Tls
from app.report.build import Report, build, markdown, text
from app.store import Store, Told
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, HOUR, OTHER_BOOT, T0, exchange, incoming, log, spliced


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path / "store.sqlite")
    newer = [("v", "4.17.0"), ("os", "linux"), ("fc.new", "7")]
    store.write(
        incoming(
            exchange(1),
            exchange(2, status=503),
            exchange(4, product_version="4.17.0", query=newer, pod="leader-1", time_ns=T0 + HOUR),
            exchange(5, action="pass", rule="", route="", path="/dl/x.tgz", query=[]),
            spliced(6, "evil\x1b[2J|<img src=x>.example"),
            exchange(7, kind="tls_rejected", request=None, response=None, action="",
                     tls=Tls(sni="cdn.cribl.io"), reason="client_refused_certificate"),
            exchange(8, kind="failed", response=None, reason="upstream_unreachable"),
            exchange(9, kind="refused", action="block", status=403, reason="blocked"),
            log(10, "a line"),
        )
    )  # fmt: skip
    yield store
    store.close()


def test_every_part(store: Store) -> None:
    report = build(store, dropped={"spool_full": 3})
    assert report.count == 8
    assert {(e.action, e.count) for e in report.endpoints} == {("mock", 3), ("block", 1)}
    (mock,) = [e for e in report.endpoints if e.action == "mock"]
    assert (mock.statuses, mock.answered_by, mock.mean_ms) == ({"200": 2, "503": 1}, "app", 2.5)
    assert (mock.first_seen, mock.last_seen) == ("2026-09-21T14:13:20Z", "2026-09-21T15:13:20Z")
    assert [v.version for v in report.versions][-1] == "4.17.0"
    (change,) = report.new_fields
    assert (change.version, change.previous) == ("4.17.0", "4.16.1-20904e45")
    assert [f.path for f in change.new] == ["query.fc.new"]
    assert [f.path for f in change.gone] == ["query.ib"]
    assert {(p.host, p.bytes_in) for p in report.passed} == {
        ("cdn.cribl.io", 29), ("evil\x1b[2J|<img src=x>.example", 2_000),
    }  # fmt: skip
    assert [e.host for e in report.rejected] == ["cdn.cribl.io"]
    assert [e.reason for e in report.failures] == ["upstream_unreachable"]
    assert [(m.count, m.missing) for m in report.missing] == [(9, 1)]
    assert {(w.pod, tuple(w.versions)) for w in report.workloads} >= {
        ("leader-1", ("4.17.0",)), ("leader-0", ("4.16.1-20904e45",)),
    }  # fmt: skip
    assert report.dropped == {"spool_full": 3}
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_workload_is_one_line_for_all_its_hosts_and_versions(store: Store) -> None:
    def sent(seq: int, version: str, host: str, hour: int) -> CaptureRecord:
        return exchange(seq, product_version=version, host=host, pod="busy-0",
                        time_ns=T0 + hour * HOUR)  # fmt: skip

    store.write(
        incoming(
            sent(11, "4.9.0", "b.example", 1), sent(12, "4.10.0", "a.example", 3),
            sent(13, "4.9.0", "a.example", 0), sent(14, "", "b.example", 2),
        )
    )  # fmt: skip
    (busy,) = [w for w in build(store).workloads if w.pod == "busy-0"]
    assert (busy.hosts, busy.versions) == (["a.example", "b.example"], ["4.9.0", "4.10.0"])
    assert (busy.count, busy.first_seen, busy.last_seen) == (
        4, "2026-09-21T14:13:20Z", "2026-09-21T17:13:20Z",
    )  # fmt: skip
    pods = [(w.namespace, w.pod, w.profile) for w in build(store).workloads]
    assert pods == sorted(set(pods))


def test_a_workload_without_a_version(store: Store) -> None:
    store.write(incoming(exchange(11, product_version="", pod="plain-0")))
    assert [w.versions for w in build(store).workloads if w.pod == "plain-0"] == [[]]


def test_scope(store: Store) -> None:
    late = build(store, since_ns=T0 + HOUR)
    assert (late.count, late.since) == (1, "2026-09-21T15:13:20Z")
    assert [v.version for v in late.versions] == ["4.17.0"]
    assert [c.version for c in late.new_fields] == ["4.17.0"]
    early = build(store, until_ns=T0 + HOUR)
    assert (early.count, early.new_fields) == (7, [])
    none = build(store, profile="other")
    assert (none.count, none.endpoints, none.new_fields) == (0, [], [])


def test_text_says_all_and_carries_no_escape(store: Store) -> None:
    shown = text(build(store, dropped={"spool_full": 3}))
    for part in ("cdn.cribl.io", "4.17.0", "query.fc.new", "gone", "leader-1", "(not opened)",
                 "refused our certificate", REASONS["upstream_unreachable"],
                 REASONS["spool_full"], "missing"):  # fmt: skip
        assert part in shown
    assert "\x1b" not in shown and r"evil\x1b[2J" in shown


def test_why_records_are_missing(store: Store) -> None:
    account = Account(boot=OTHER_BOOT, numbered=9, lost={"spool_full": 2, "of_tomorrow": 3})
    store.write(incoming(exchange(1, boot=OTHER_BOOT)), [Told(account, "", "")])
    rows = {m.boot: m for m in build(store).missing}
    assert (rows[BOOT].missing, rows[BOOT].lost) == (1, {})  # perhaps on its way
    assert (rows[OTHER_BOOT].missing, rows[OTHER_BOOT].lost) == (5, account.lost)
    account.ended = True
    store.write([], [Told(account, "", "")])
    assert {m.boot: m.missing for m in build(store).missing} == {BOOT: 1, OTHER_BOOT: 8}
    shown = text(build(store))
    assert f"3: {REASONS['killed']}" in shown and f"2: {REASONS['spool_full']}" in shown
    assert "3: of_tomorrow" in shown


def test_markdown_is_inert(store: Store) -> None:
    shown = markdown(build(store))
    assert "## What left\n\n| host |" in shown
    assert "<img" not in shown and "\x1b" not in shown
    (line,) = [line for line in shown.splitlines() if "evil" in line]
    assert line.replace("\\|", "").count("|") == 7


def test_empty(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "empty.sqlite")
    try:
        report = build(store)
    finally:
        store.close()
    assert report.count == 0
    assert "Nothing was recorded." in text(report) and "Nothing was recorded." in markdown(report)


def test_clock_out_of_range(store: Store) -> None:
    store.write(incoming(exchange(11, time_ns=2**63 - 1)))
    assert max(e.last_seen for e in build(store).endpoints) == "2262-04-11T23:47:16Z"
