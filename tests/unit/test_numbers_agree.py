"""Numbers that several outputs state of the same thing are the same: API, page, command line, the
list of captures and exports, over a store of chance, for who may read all and who may not."""

import csv
import io
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import to_builtins

from app.client.source import StoreSource, captures
from app.contract.instant import iso
from app.contract.names import FILE_STORE
from app.contract.outcomes import WORDS, outcome, word_of
from app.contract.record import Body, CaptureRecord, Message, Tls
from app.report.compare import share
from app.store import CaptureQuery, Scope
from app.store.sqlite.store import SqliteStore
from tests.records import HOUR, exchange, incoming, log, spliced
from tests.serving import Served, serving
from tests.unit.app.web.conftest import bounded, sign_in

DAY = 24 * HOUR
NAMESPACES = ("a", "b", "")

Stored = tuple[Served, list[CaptureRecord]]


def chance(seed: int) -> list[CaptureRecord]:
    """Three days and the next one (a clock that is ahead), two products and none, each kind."""
    pick = random.Random(seed)
    midnight = time.time_ns() // DAY * DAY
    made: list[CaptureRecord] = []
    for seq in range(1, 301):
        namespace = pick.choice(NAMESPACES)
        boot = {"a": "aa", "b": "bb", "": "cc"}[namespace] * 16
        version = pick.choice(["1.9", "1.10", "2.0-x", ""])
        query = [(name, "1") for name in "pqrs" if pick.random() < 0.7] + [("user", "jo")]
        given: dict[str, Any] = {
            "seq": seq, "boot": boot, "namespace": namespace, "product_version": version,
            "pod": pick.choice(["x-0", "x-1"]) if namespace else "",
            "time_ns": midnight + pick.randrange(-2 * DAY, 2 * DAY),
            "host": pick.choice(["cdn.cribl.io", "telemetry.cribl.cloud"]), "query": query,
        }  # fmt: skip
        if pick.random() < 0.2:
            given |= {"profile": "", "rule": "", "route": "", "path": f"/n/{pick.randrange(3)}"}
        bare = {"request": None, "response": None, "tls": Tls(sni=given["host"])}
        message = Message(of=f"{boot}-1", sender="client", body=Body(text="x", size=1))
        kinds: list[dict[str, Any]] = [
            {}, {}, {}, {"action": "observe", "answered_by": "upstream"}, {"status": 503},
            {"kind": "refused", "action": "block", "answered_by": "", "status": 403,
             "reason": "blocked"},
            {"kind": "failed", "action": "observe", "answered_by": "",
             "reason": "upstream_unreachable", "response": None},
            {"kind": "failed", "action": "", "answered_by": "", "reason": "no_request", **bare},
            {"kind": "tls_rejected", "action": "", "answered_by": "",
             "reason": "client_refused_certificate", **bare},
            {"kind": "message", "message": message, "request": None, "response": None},
        ]  # fmt: skip
        if pick.random() < 0.1:
            one = pick.choice([log(seq, "a line"), spliced(seq)])
            one.boot, one.time_ns = boot, given["time_ns"]
            one.workload = exchange(namespace=namespace, pod=given["pod"]).workload
            made.append(one)
            continue
        made.append(exchange(**(given | pick.choice(kinds))))
    return made


@pytest.fixture(params=[1, 2], scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    made = chance(request.param)
    with serving(tmp_path_factory.mktemp("numbers")) as served:
        served.runtime.store.write(incoming(*made))
        yield served, made


@pytest.fixture
def stored(filled: Stored) -> Iterator[Stored]:
    authority = filled[0].runtime.authority
    yield filled
    filled[0].runtime.authority = authority


def of_word(record: CaptureRecord) -> str:
    id = outcome(record.kind, record.action, record.answered_by, record.reason)
    return word_of(id) if id else ""


def count(served: Served, q: str) -> int:
    """The captures behind a filter, page by page."""
    found, cursor = 0, ""
    while True:
        asked = {"q": q, "limit": "1000", **({"cursor": cursor} if cursor else {})}
        page = served.client.get("/api/v1/captures", params=asked).raise_for_status().json()
        found += len(page["items"])
        if not page["next"]:
            return found
        cursor = page["next"]


def numbers(page: str) -> list[tuple[str, int]]:
    """The filter and the number of each link to captures that is a number."""
    found = []
    links = re.findall(r'<a [^>]*?href="(/captures\?q=[^"]+)"[^>]*>(.*?)</a>', page, re.DOTALL)
    for link, text in links:
        shown = " ".join(re.sub(r"<[^>]+>", " ", text).split())
        if told := re.fullmatch(r"(?:\D* )?(\d[\d,]*)(?: [a-z ]+)?", shown):
            q = parse_qs(urlsplit(unescape(link)).query)["q"][0]
            found.append((q, int(told[1].replace(",", ""))))
    return found


PERIODS = [(None, None), (-1, None), (-2, 0), (0, 2)]  # days from this midnight
READERS = [None, NAMESPACES, ("a",)]


def period(days: tuple[int | None, int | None]) -> dict[str, int]:
    midnight = time.time_ns() // DAY * DAY
    ends = zip(("since", "until"), days, strict=True)
    return {name: midnight + of * DAY for name, of in ends if of is not None}


def within(made: list[CaptureRecord], asked: dict[str, int]) -> list[CaptureRecord]:
    since, until = asked.get("since", 0), asked.get("until", 1 << 63)
    return [one for one in made if one.kind != "log" and since <= one.time_ns < until]


@pytest.mark.parametrize("readers", READERS)
@pytest.mark.parametrize("days", PERIODS)
def test_a_report_counts_the_captures(
    stored: Stored, days: tuple[int | None, int | None], readers: tuple[str, ...] | None
) -> None:
    """By whole days sums of hours, sums of days and captures mean the same."""
    served, made = stored
    if readers is not None:
        bounded(served, *readers)
    asked = period(days)
    seen = [r for r in within(made, asked) if readers is None or r.workload.namespace in readers]
    words = Counter(map(of_word, seen))
    report = served.client.get("/api/v1/report", params=asked).raise_for_status().json()
    assert report["count"] == len(seen)
    for word in WORDS:
        assert sum(line["count"] for line in report[word]) == words[word]
    assert sum(w["count"] for w in report["workloads"]) == len(seen)
    assert report["coverage"]["how"].startswith(f"{len(seen)} request")
    cover = served.client.get("/api/v1/coverage", params=asked).raise_for_status().json()
    assert cover["coverage"] == report["coverage"]
    versions = Counter((r.profile, r.product_version) for r in seen if r.profile)
    assert {(v["profile"], v["version"]): v["count"] for v in report["versions"]} == versions


@pytest.mark.parametrize("readers", READERS)
@pytest.mark.parametrize("days", PERIODS)
@pytest.mark.parametrize("view", ["/", "/workloads", "/report"])
def test_every_number_that_leads_to_captures_is_theirs(
    stored: Stored, view: str, days: tuple[int | None, int | None], readers: tuple[str, ...] | None
) -> None:
    served, _ = stored
    if readers is not None:
        bounded(served, *readers)
    asked = {"since": "all"} | {name: iso(at) for name, at in period(days).items()}
    with sign_in(served) as client:
        found = numbers(client.get(view, params=asked).raise_for_status().text)
    assert found
    assert {q: of for q, of in found} == {q: count(served, q) for q, _ in found}


@pytest.mark.parametrize("readers", READERS)
def test_facets_of_the_list_are_of_the_captures(
    stored: Stored, readers: tuple[str, ...] | None
) -> None:
    served, _ = stored
    if readers is not None:
        bounded(served, *readers)
    for view in ("/captures", "/captures?q=outcome:answered"):
        with sign_in(served) as client:
            found = numbers(client.get(view).raise_for_status().text)
        assert bool(found) == (readers is None)  # the others are told no counts
        assert dict(found) == {q: count(served, q) for q, _ in found}


def test_the_command_line_says_what_the_app_says(stored: Stored) -> None:
    """The same store, read without the app: everything but the app's own account."""
    served, made = stored
    settings = served.runtime.settings
    store = SqliteStore.open_readonly(settings.data / FILE_STORE)
    try:
        source = StoreSource(store, "", settings.profiles, settings.added)
        mine = to_builtins(source.report(Scope()))
        fields = to_builtins(source.fields(Scope()))
        listed = [line for line in captures(source, CaptureQuery())]
    finally:
        store.close()
    report = served.client.get("/api/v1/report").raise_for_status().json()
    for own in ("generated_at", "coverage", "ledger"):
        del mine[own], report[own]
    assert mine == report
    assert fields == served.client.get("/api/v1/fields").raise_for_status().json()["items"]
    assert len(listed) == sum(one.kind != "log" for one in made) == report["count"]
    changes = served.client.get("/api/v1/changes?state=open&limit=1000").raise_for_status().json()
    assert len(changes["items"]) == report["inbox"]["open"]


@pytest.mark.parametrize("readers", READERS)
def test_fields_are_the_same_in_report_and_dictionary(
    stored: Stored, readers: tuple[str, ...] | None
) -> None:
    served, _ = stored
    if readers is not None:
        bounded(served, *readers)
    report = served.client.get("/api/v1/report").raise_for_status().json()
    with sign_in(served) as client:
        text = client.get("/fields.csv").raise_for_status().text.removeprefix("\ufeff")
        page = client.get("/fields").raise_for_status().text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows and f"{len(rows)} fields, in all versions that are known" in page
    told = {
        (f["profile"], f["host"], f["method"], f["endpoint"], f["field"]): share(f["present"], 1)
        for f in report["inventory"]
    }
    assert told == {
        (r["profile"], r["host"], r["method"], r["endpoint"], r["field"]): r["present"]
        for r in rows
    }


def test_who_may_read_all_namespaces_is_told_what_who_may_read_all_is(stored: Stored) -> None:
    served, _ = stored
    whole = served.client.get("/api/v1/report").raise_for_status().json()
    bounded(served, *NAMESPACES)
    mine = served.client.get("/api/v1/report").raise_for_status().json()
    for own in ("generated_at", "namespaces", "inbox", "ledger", "missing", "coverage"):
        del mine[own], whole[own]
    assert mine == whole
