"""The report: what left, who sent it, what is new, what passed, what failed, what is missing."""

import msgspec
from msgspec.structs import replace

from app.contract.outcomes import WORDS
from app.contract.presence import Presence
from app.contract.record import CaptureRecord
from app.report.build import Report, build
from app.report.papers import Paper
from app.store import Heard, Store
from tests.records import HOUR, T0, exchange, incoming


def test_hosts_by_suffix_are_a_gap_where_names_are_redirected(store: Store) -> None:
    """An /etc/hosts has no suffixes; `all` and a run see them."""
    paper = Paper(profile="x", title="", hosts=["x.test"], licence="", licence_note="",
                  evidence=[], unknown=[], sensitive=[])  # fmt: skip
    suffix = replace(paper, hosts=["x.test", ".x.test"])
    heard = Heard("ab" * 16, "logs", "leader-0", T0, False, Presence(form="hosts"))
    for form, known, found in (
        ("hosts", paper, False), ("hosts", suffix, True), ("loopback", suffix, True),
        ("all", suffix, False), ("run", suffix, False),
    ):  # fmt: skip
        store.heard([heard._replace(said=Presence(form=form))])
        gaps = {gap.id for gap in build(store, papers=[known]).coverage.gaps}
        assert ("suffix_hosts" in gaps) == found, form


def test_every_part(store: Store) -> None:
    report = build(store, dropped={"spool_full": 3})
    assert report.count == 8
    (mock,) = report.answered
    assert (mock.action, mock.count, mock.outcome) == ("mock", 3, "answered")
    assert (mock.statuses, mock.answered_by, mock.mean_ms) == ({"200": 2, "503": 1}, "app", 2.5)
    assert (mock.first_seen, mock.last_seen) == ("2026-09-21T14:13:20Z", "2026-09-21T15:13:20Z")
    assert [v.version for v in report.versions][-1] == "4.17.0"
    (change,) = report.new_fields
    assert (change.version, change.previous) == ("4.17.0", "4.16.1-20904e45")
    assert [f.path for f in change.new] == ["query.fc.new"]
    assert [f.path for f in change.gone] == ["query.ib"]
    assert report.delivered == []
    assert {(p.host, p.outcome, p.bytes_in) for p in report.passed} == {
        ("cdn.cribl.io", "passed", 29), ("evil\x1b[2J|<img src=x>.example", "relayed", 2_000),
    }  # fmt: skip
    assert [(e.action, e.outcome) for e in report.refused] == [("block", "refused")]
    assert {(e.outcome, e.reason) for e in report.failed} == {
        ("certificate_refused", "client_refused_certificate"),
        ("not_delivered", "upstream_unreachable"),
    }  # fmt: skip
    parts = [getattr(report, word) for word in WORDS]
    assert sum(e.count for part in parts for e in part) == report.count
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
    assert (none.count, none.answered, none.new_fields) == (0, [], [])


def test_clock_out_of_range(store: Store) -> None:
    store.write(incoming(exchange(11, time_ns=2**63 - 1)))
    assert max(e.last_seen for e in build(store).answered) == "2262-04-11T23:47:16Z"
