"""app/run/summary.py: rows from records, and a table that a captured name cannot break out of."""

from app.client.source import StoreSource
from app.contract.account import Account
from app.contract.record import Body, CaptureRecord, Request, Response, Tls, encode
from app.run import summary
from app.store import Page, Told
from app.store.sqlite.store import SqliteStore

BOOT = "0123456789abcdef"


def exchange(seq: int, time_s: int, **request) -> CaptureRecord:
    given = {"method": "GET", "host": "cdn.cribl.io", "path": "/telemetry/", **request}
    return CaptureRecord(
        boot=BOOT,
        seq=seq,
        kind="exchange",
        time_ns=time_s * 10**9,
        action="mock",
        route="/telemetry/*",
        request=Request(**given),
        response=Response(status=200, body=Body(size=29)),
    )


def spliced(seq: int) -> CaptureRecord:
    return CaptureRecord(
        boot=BOOT,
        seq=seq,
        kind="spliced",
        time_ns=5 * 10**9,
        action="pass",
        reason="not_named",
        tls=Tls(sni="data.example.test"),
        sent=10,
        received=20,
    )


def test_one_row_for_each_way_in_the_order_of_first_sight():
    rows = summary.summed([spliced(3), exchange(2, 4, query=[("v", "1")]), exchange(1, 2)])
    first, second = rows
    assert (first.host, first.endpoint, first.action, first.count) == (
        "cdn.cribl.io", "/telemetry/", "mock", 2,
    )  # fmt: skip
    assert (first.bytes_in, first.first_ns, first.last_ns) == (58, 2 * 10**9, 4 * 10**9)
    assert (second.host, second.kind, second.bytes_out, second.bytes_in) == (
        "data.example.test", "spliced", 10, 20,
    )  # fmt: skip


def test_the_table_shows_escapes_and_says_why():
    shown = summary.table(summary.summed([spliced(1), exchange(2, 1, host="\x1b[2J.test")]))
    assert "\x1b" not in shown
    assert "\\x1b[2J.test" in shown
    assert "no profile names the host" in shown


class Stored:
    """Pages of a store, as a Source gives them."""

    def __init__(self, records):
        self.records = records

    def page(self, query):
        return Page([encode(r) for r in self.records], None, None)


def test_only_that_start_counts_and_no_log_lines():
    other = exchange(1, 1)
    other.boot = "f" * 16
    line = CaptureRecord(boot=BOOT, seq=9, kind="log", time_ns=1)
    found = list(summary.records(Stored([other, exchange(2, 1), line]), BOOT, 0))
    assert [r.seq for r in found] == [2]


def test_what_that_start_lost(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    try:
        account = Account(boot="ab" * 16, numbered=5, lost={"spool_full": 2}, ended=True)
        store.write([], [Told(account, "", "")])
        source = StoreSource(store)
        assert summary.lost(source, "ab" * 16, 0) == {"spool_full": 2, "killed": 3}
        assert summary.lost(source, "cd" * 16, 0) == {}
    finally:
        store.close()


def test_what_one_rule_takes_by_several_paths_can_be_told_apart():
    asked = ("/telemetry/", "/telemetry/off", "/telemetry/42", "/telemetry/43")
    found = [exchange(number, number, path=path) for number, path in enumerate(asked)]
    for one in found:
        one.rule = "all"
    assert [row.endpoint for row in summary.summed(found)] == ["/telemetry/*"]
    rows = summary.summed([*found, spliced(5)], summary.paths())
    assert [(row.endpoint, row.count) for row in rows] == [
        ("/telemetry/", 1), ("/telemetry/off", 1), ("/telemetry/{id}", 2), ("", 1),
    ]  # fmt: skip
