"""The command line finds what to ask, and both sources answer the same."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.client.source import (
    LOCAL_HINTS,
    ApiSource,
    ClientError,
    Source,
    StoreSource,
    captures,
    connect,
)
from app.contract.names import FILE_SERVER, FILE_STORE, FILE_TOKEN
from app.contract.record import decode
from app.contract.settings import SettingError
from app.run.processes import start_app
from app.settings import Settings, load
from app.store import CaptureQuery, Scope, StoreError, filter
from app.store.changes import ChangeQuery, NewReview
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, SECOND, T0, exchange, incoming, spliced
from tests.serving import serving


def settings(data: Path) -> Settings:
    return load({"TELEMOCK_DATA": str(data), "TELEMOCK_LOGS": str(data / "logs")})


@pytest.fixture
def filled(tmp_path: Path) -> Settings:
    """A data directory with a store of 2,500 records, and no app."""
    store = SqliteStore(tmp_path / FILE_STORE)
    store.write(incoming(*(exchange(n, time_ns=T0 + n * SECOND) for n in range(1, 2500))))
    store.write(incoming(spliced(2500)))
    store.close()
    return settings(tmp_path)


def test_store_is_read_when_no_app_runs(filled: Settings) -> None:
    with connect(filled) as source:
        assert isinstance(source, StoreSource)
        seqs = [decode(line).seq for line in captures(source, CaptureQuery(kind="exchange"))]
        assert seqs == list(range(2499, 0, -1))
        assert len(list(captures(source, CaptureQuery(), 1001))) == 1001
        assert list(captures(source, CaptureQuery(), 0)) == []


def test_file_of_a_dead_app_is_passed_over(filled: Settings) -> None:
    (filled.data / FILE_SERVER).write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    with connect(filled) as source:
        assert isinstance(source, StoreSource)
    (filled.data / FILE_SERVER).write_text("nonsense")
    with connect(filled) as source:
        assert isinstance(source, StoreSource)


def test_app_and_store_answer_the_same(filled: Settings) -> None:
    queries = [
        CaptureQuery(),
        CaptureQuery(order="oldest", status="2xx", host="cdn.cribl.io", since_ns=T0 + 9 * SECOND),
        CaptureQuery(order="arrival", text="OTHER", until_ns=T0 + SECOND),
        CaptureQuery(workload="logs/leader-0", action="mock", version="4.16.1-20904e45"),
        CaptureQuery(method="POST"),
        filter.read('-host:"cdn.cribl.io" outcome:delivered'),
        filter.read("field:v status:200 version>=4", CaptureQuery(order="oldest")),
    ]
    scope = Scope(profile="cribl", since_ns=T0)
    with connect(filled) as store:
        expected = [list(captures(store, query, 1500)) for query in queries]
        report, fields = store.report(scope), store.fields(scope)
        one = store.capture(f"{BOOT}-7")
        sides = f"time:{T0}..{T0 + 60 * SECOND}", "4.16.1-20904e45"
        diff = store.diff("cribl", *sides)
    app = start_app(filled.data, filled.logs, environ={"TELEMOCK_RETENTION_DAYS": "0"})
    try:
        with connect(filled) as source:
            assert isinstance(source, ApiSource)
            assert [list(captures(source, query, 1500)) for query in queries] == expected
            report.generated_at = ""
            live = source.report(scope)
            live.generated_at = ""
            live.dropped = report.dropped
            assert live == report
            assert source.fields(scope) == fields
            assert source.diff(None, *sides) == diff
            assert source.capture(f"{BOOT}-7") == one
            assert source.capture(f"{BOOT}-9999") is None
            assert source.capture("../report") is None
            with pytest.raises(SettingError, match="cursor"):
                source.page(CaptureQuery(cursor="nonsense"))
        (filled.data / FILE_TOKEN).write_text("wrong")
        with connect(filled) as source, pytest.raises(ClientError, match="token is wrong"):
            source.page(CaptureQuery())
    finally:
        if app.child is not None:
            app.child.stop()


ACME = (
    "id: acme\ntitle: Acme\nhosts: [a.test]\nclasses: {query.n: licence}\n"
    "rules: [{id: a, action: observe, match: {path: /a}, decode: [protobuf]}]\n"
)


def test_app_and_store_read_by_profiles_that_captures_name(tmp_path: Path) -> None:
    """A run had `calico`, `dbt` and the added `acme`; in use is `cribl` alone. Other ids are text:
    of a profile by path, of nobody."""
    made = load({"TELEMOCK_DATA": str(tmp_path), "TELEMOCK_LOGS": str(tmp_path / "logs"),
                 "TELEMOCK_PROFILES": "cribl"})  # fmt: skip
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme.yaml").write_text(ACME)
    (tmp_path / "own.yaml").write_text(ACME.replace("acme", "own"))
    asked = [("guid", "0" * 8), ("size", "3"), ("cal_ver", "v3.30"), ("n", "5")]
    ids = ["cribl", "calico", "acme", "own", "../own", str(tmp_path / "own.yaml"), "own.yaml"]
    store = SqliteStore(tmp_path / FILE_STORE)
    store.write(incoming(*(
        exchange(n, profile=id, host="a.test", rule="usage", query=asked, product_version=version)
        for n, (id, version) in enumerate([(i, v) for i in ids for v in ("1", "2")], 1)
    )))  # fmt: skip
    store.close()
    rules = [
        ("dbt", "fusion"),
        ("acme", "a"),
        ("cribl", "telemetry"),
        ("own", "a"),
        ("../own", "a"),
    ]

    def answers(source: Source) -> object:
        report = source.report(Scope())
        report.generated_at, report.dropped = "", {}
        one = source.report(Scope(profile="calico"))
        one.generated_at, one.dropped = "", {}
        found = CaptureQuery(kind="exchange", order="oldest")
        decoders = source.decoders()
        return (
            report, one, source.fields(Scope()), source.diff("calico", "1", "2"),
            [*captures(source, filter.read("class:licence", found))],
            [tuple(decoders(*rule)) for rule in rules],
        )  # fmt: skip

    with connect(made) as source:
        assert isinstance(source, StoreSource)
        expected = answers(source)
        report, fields, decoders = source.report(Scope()), source.fields(Scope()), source.decoders()
        licensed = [*captures(source, filter.read("class:licence", CaptureQuery()))]
    papers = {part.profile: part.paper for part in report.profiles}
    assert {id for id, paper in papers.items() if paper} == {"cribl", "calico", "acme"}
    assert {*ids} == papers.keys()
    (said,) = (one for one in report.documented if one.profile == "calico")
    assert said.seen and "query.n" in said.undocumented
    classes = {(row.profile, row.path): row.class_by for row in fields}
    assert classes["calico", "query.size"] == classes["acme", "query.n"] == "profile"
    assert "profile" not in {by for (id, _), by in classes.items() if "own" in id}
    assert {decode(line).profile for line in licensed} == {"acme"}
    assert [tuple(decoders(*rule)) for rule in rules] == [("protobuf",), ("protobuf",), (), (), ()]
    app = start_app(
        made.data, made.logs, environ={"TELEMOCK_RETENTION_DAYS": "0", "TELEMOCK_PROFILES": "cribl"}
    )
    try:
        with connect(made) as source:
            assert isinstance(source, ApiSource)
            assert [p.id for p in source.profiles().profiles] == ["cribl"]
            assert answers(source) == expected
    finally:
        if app.child is not None:
            app.child.stop()


def test_a_refused_profile_in_use_takes_no_other_in_its_place(filled: Settings) -> None:
    (filled.data / "own.yaml").write_text("id: cribl\n")
    broken = replace(filled, profiles_given=(str(filled.data / "own.yaml"),))
    with connect(broken) as source:
        report = source.report(Scope())
        assert [part.paper for part in report.profiles] == [None]
        assert "profile" not in {row.class_by for row in source.fields(Scope())}
        assert any(gap.id == "profile_refused" for gap in report.coverage.gaps)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="hint: "), connect(settings(tmp_path)):
        pass


def test_server_without_a_token_or_without_an_answer(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    with pytest.raises(ClientError, match="token"), connect(settings(tmp_path), url):
        pass
    (tmp_path / FILE_TOKEN).write_text("x")
    for given in (settings(tmp_path), replace(settings(tmp_path), server=url)):
        server = "" if given.server else url
        with (
            connect(given, server) as source,
            pytest.raises(ClientError, match="no app answers at http"),
        ):
            source.report(Scope())


class _Stranger(http.server.BaseHTTPRequestHandler):
    """A server that is no telemock."""

    def do_GET(self) -> None:
        status = 404 if "fields" in self.path else 200
        self.send_response(status)
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def stranger() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_strangers_are_recognised(tmp_path: Path, stranger: str) -> None:
    (tmp_path / FILE_TOKEN).write_text("x")
    with connect(settings(tmp_path), stranger) as source:
        with pytest.raises(ClientError, match="the app's answer is not understood"):
            source.report(Scope())
        with pytest.raises(ClientError, match="says: status 404"):
            source.fields(Scope())


def test_the_store_alone_links_traces_too(filled: Settings) -> None:
    store = SqliteStore(filled.data / FILE_STORE)
    store.write(incoming(exchange(9000, time_ns=T0 + 9000 * SECOND, trace_id="ab" * 16)))
    store.close()
    linking = replace(filled, trace_url="https://jaeger.test/{trace_id}")
    link = b'"trace_url":"https://jaeger.test/' + b"ab" * 16 + b'"}'
    with connect(linking) as source:
        assert source.page(CaptureQuery(limit=1)).items[0].endswith(link)
        assert (source.capture(f"{BOOT}-9000") or b"").endswith(link)
        assert source.capture(f"{BOOT}-9001") is None


def test_what_is_wrong_with_an_app_names_what_came_again(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        store = served.runtime.store
        store.write(incoming(exchange(1)))
        source = ApiSource(served.client, LOCAL_HINTS, lambda: "")
        assert source.trouble() == []
        store.decide_all(ChangeQuery(kind="host"), NewReview("objected", "ann", "a note", T0))
        store.write(incoming(exchange(2)))
        (said,) = source.trouble()
        assert said.startswith("1 change that was objected to came again") and "note" not in said
