"""app/report/show.py: the report as text and as Markdown, whatever was captured."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.contract.account import Account
from app.contract.record import REASONS
from app.profiles.compile import load
from app.report.build import build
from app.report.papers import ASKED, ORIGINS, Claim, Paper, papers_of
from app.report.show import markdown, text
from app.store import Store, Told
from app.store.changes import InboxCounts
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, HOUR, OTHER_BOOT, T0, exchange, incoming


def test_text_says_all_and_carries_no_escape(store: Store) -> None:
    shown = text(build(store, dropped={"spool_full": 3}))
    for part in ("cdn.cribl.io", "4.17.0", "query.fc.new", "gone", "leader-1", "(not opened)",
                 "did not accept the sidecar's certificate", REASONS["upstream_unreachable"],
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
    assert "## Answered here\n\n| host |" in shown
    assert "<img" not in shown and "\x1b" not in shown
    (line,) = [line for line in shown.splitlines() if "evil" in line]
    assert line.replace("\\|", "").count("|") == 8


def test_empty(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "empty.sqlite")
    try:
        report = build(store)
    finally:
        store.close()
    assert report.count == 0
    said = "No request or connection of this scope is recorded."
    assert said in text(report) and said in markdown(report)


def test_the_scope_says_what_a_report_is_of(store: Store) -> None:
    def scope(**given: Any) -> str:
        return text(build(store, **given)).partition("Coverage")[0]

    assert scope() == "Scope\n  all profiles\n  all time that the store still knows\n\n"
    assert "profile cribl\n" in scope(profile="cribl")
    assert "the namespaces a, b, and no others" in scope(namespaces=("b", "a"))
    assert "since 2026-09-21T14:13:20Z\n  requests and" in scope(since_ns=T0)


def test_records_of_more_than_the_scope_are_no_log_lines(store: Store) -> None:
    """The account of a sidecar is of all that it sent, whatever is asked for."""
    assert "(log lines are records too)" in build(store).coverage.how
    for given in ({"since_ns": T0 + 10 * HOUR}, {"profile": "other"}):
        how = build(store, **given).coverage.how
        assert "log lines" not in how and "stored in all of their time, of all profiles" in how


def test_shares_never_round_to_none_or_all(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    odd = [("v", "2"), ("odd", "1")]
    most = [("v", "2"), ("most", "1")]
    try:
        store.write(incoming(exchange(1, product_version="1", query=[("v", "1")])))
        store.write(
            incoming(*(exchange(n, product_version="2", query=most) for n in range(2, 301)))
        )
        store.write(incoming(exchange(301, product_version="2", query=odd)))
        report = build(store)
    finally:
        store.close()
    for shown in (text(report), markdown(report)):
        told = [line for line in shown.splitlines() if "query.odd" in line or "query.most" in line]
        assert any("under 1 %" in line for line in told) and any("99 %" in line for line in told)
        assert not any(" 0 %" in line or "100 %" in line or " 0%" in line for line in told)


def test_what_nobody_looked_at(store: Store) -> None:
    items = store.inbox()
    shown = text(build(store, inbox=items))
    assert f"Changes not yet reviewed: {items.open}\n" in shown and "came again" not in shown
    assert "not yet reviewed" not in text(build(store))  # log files keep no inbox
    counts = InboxCounts(open=0, accepted=3, objected=2, again=1)
    shown = markdown(build(store, inbox=counts))
    assert "## Changes not yet reviewed: 0\n" in shown
    assert "| 1 | objected to, and came again since |" in shown


def test_what_the_vendor_documents_in_three_columns(store: Store) -> None:
    (paper,) = papers_of(load(["cribl"]).written)
    report = build(store, papers=[paper])
    title = "What the vendor documents, and what was seen"
    shown = text(report).partition(f"{title}\n")[2].partition("\n\n")[0]
    head, first, *_ = shown.splitlines()
    assert head.split("  ")[0] == "profile"
    assert "seen but not documented" in head and "documented but never seen" in head
    assert "query.ib: Number of Bytes" in first and "Kernel Version" in first
    assert "query.os: OS Distribution/Version" in shown
    assert "Number of Routes (which field carries it is not known)" in shown
    assert "query.fc.new" in shown
    for written in (markdown(report), text(report)):
        assert title in written
    assert "the vendor documents: Kernel Version (source: docs.cribl.io" in markdown(report)
    assert title not in text(build(store))


def test_a_vendor_without_a_list_has_no_empty_columns(store: Store) -> None:
    (paper,) = papers_of(load(["cribl"]).written)
    paper.documented = []
    paper.no_list = [Claim(claim="Some data.", source="docs.acme", verified="2026-11")]
    report = build(store, papers=[paper])
    said = "the vendor publishes no list of what is sent (docs.acme, 2026-11)"
    for written in (markdown(report), text(report)):
        assert said in written and "Some data." in written
        assert "seen but not documented" not in written
    assert f"{said}: Some data." in markdown(report)


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_profile_that_is_not_in_use_is_marked_in_every_form(store: Store, origin: str) -> None:
    paper = Paper(profile="cribl", title="", hosts=[], licence="", licence_note="", evidence=[],
                  unknown=[], sensitive=[], origin=origin)  # fmt: skip
    report = build(store, find={"cribl": paper}.get)
    for shown in (text(report), markdown(report)):
        assert ORIGINS[origin] in shown and "Profiles that are not in use" in shown
    assert f"- {ORIGINS[origin]}\n" in markdown(report)
    in_use = build(store, papers=[replace(paper, origin="in use")])
    for shown in (text(in_use), markdown(in_use)):
        assert "not in use" not in shown


def test_a_profile_without_licence_and_evidence_says_so_in_every_form(store: Store) -> None:
    bare = Paper(profile="cribl", title="", hosts=[], licence="", licence_note="", evidence=[],
                 unknown=[], sensitive=[])  # fmt: skip
    report = build(store, papers=[bare])
    for shown in (text(report), markdown(report)):
        assert "What profiles do not state" in shown
        assert all(why in shown for why in ASKED.values())
    assert f"- no licence: {ASKED['licence']}\n" in markdown(report)
    assert "What profiles do not state" not in text(build(store))
