"""What products send: a search for known values finds nothing that is not there, and what is there;
a contract of it is kept by it."""

import hashlib
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from app.client.source import StoreSource
from app.contract import body as bodies
from app.contract.canary.search import Search
from app.contract.canary.spec import Canary, Spec
from app.contract.record import CaptureRecord, Message, encode
from app.demo.plan import parameters
from app.gate.behaviour import Behaviour, of_records
from app.gate.check import check
from app.gate.contract_file import valid, written
from app.gate.freeze import freeze
from app.gate.stored import behaviour
from app.ingest.digest import digest
from app.run.canary.git import url_spellings
from app.run.canary.plant import CORE, token
from app.store import Scope
from app.store.sqlite.store import SqliteStore
from tests.clients.table import CLIENTS
from tests.records import BOOT, SECOND, T0, exchange
from tests.unit.test_senders import RULES as SENDERS
from tests.unit.test_senders import taken
from tests.unit.test_vendors import KONG, TABLE, record_of
from tests.unit.test_vendors import RULES as VENDORS

SOURCES = ("host name", "user", "home", "working directory", "git remote", "git e-mail", "CI user")
# Words that are values somewhere, and short enough to be chance elsewhere.
REAL = ("build", "runner", "ubuntu", "node", "localhost", "ci", "app", "production", "default")


# What these products encrypt, nobody reads, and the search says so.
ENCRYPTED = {"kibana": ["body: not read (opaque, 80 bytes)"]}


@cache
def search() -> Search:
    planted = [
        Canary(source, (core := token(), f"/home/x/{core}"), core[:CORE]) for source in SOURCES
    ]
    remote = url_spellings("git@github.com:some-company/its-project.git")
    real = [Canary(f"{word} (real)", (word,)) for word in REAL]
    spec = Spec((*planted, *real, Canary("git remote (real)", remote)), ("next", "dbt", "mlflow"))
    return Search(spec, lambda: VENDORS)


def searched(record: CaptureRecord) -> CaptureRecord:
    search().record(record)
    assert record.canary is not None
    assert record.canary.skipped == ENCRYPTED.get(record.profile, [])
    return record


def cribl(number: int) -> CaptureRecord:
    query = [*parameters("4.16.1-20904e45", number).items()]
    return exchange(number, query=query)


def kong() -> CaptureRecord:
    return CaptureRecord(
        boot="0" * 16, seq=1, kind="message", time_ns=1, profile="kong", rule="report",
        message=Message(of="", sender="client", body=bodies.whole(KONG), line=True),
    )  # fmt: skip


REQUESTS = [record_of(sent)[0] for sent in TABLE] + [
    one.record for client in CLIENTS for one in taken(client)
]
RECORDS = [*REQUESTS, cribl(1), cribl(2), kong()]


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_nothing_is_found_in_what_products_send(number: int) -> None:
    record = searched(deepcopy(RECORDS[number]))
    assert record.canary is not None
    assert (record.canary.found, record.canary.fields >= 2) == ([], True)


def test_a_body_that_may_be_read_in_two_ways_is_told_in_the_sure_one() -> None:
    sentry = next(deepcopy(one) for one in REQUESTS if one.request.path.endswith("/envelope/"))  # type: ignore[union-attr]
    assert sentry.request is not None and sentry.request.body is not None
    text = bodies.content(sentry.request.body)
    value = search()._spec.canaries[0].values[0].encode()
    sentry.request.body = bodies.whole(
        text.replace(b'"timestamp"', b'"server":"%s","timestamp"' % value)
    )
    found = searched(sentry).canary.found  # type: ignore[union-attr]
    assert found and {how for _, _, how in found} == {"as it is"}
    assert not [field for _, field, _ in found if "›ndjson" in field]


@pytest.mark.parametrize("number", range(0, len(REQUESTS), 5))
def test_what_is_put_there_is_found(number: int) -> None:
    record = deepcopy(RECORDS[number])
    assert record.request is not None
    of_user = hashlib.sha256(search()._spec.canaries[1].values[0].encode()).hexdigest()
    record.request.query = [*record.request.query, ("aid", of_user)]
    assert searched(record).canary.found == [("user", "query.aid", "SHA-256")]  # type: ignore[union-attr]


def test_the_payloads_are_all_there() -> None:
    assert len(RECORDS) > 40
    assert {record.profile for record in RECORDS} >= {p.id for p in VENDORS.profiles}
    assert {p.id for p in SENDERS.profiles}


@pytest.mark.parametrize("profile", sorted({one.profile for one in RECORDS}))
def test_what_a_product_sends_keeps_the_contract_of_it(profile: str, tmp_path: Path) -> None:
    of_it = [one for one in RECORDS if one.profile == profile]
    records = [
        replace(deepcopy(one), boot=BOOT, seq=n, time_ns=T0 + n * SECOND)
        for n, one in enumerate(2 * of_it, 1)
    ]
    store = SqliteStore(tmp_path / "store.db")
    store.write([digest(encode(one), VENDORS.decoders) for one in records])
    source = StoreSource(store, profiles=[profile])
    for seen, again in (
        (of_records(records, VENDORS.decoders), of_records(reversed(records), VENDORS.decoders)),
        (stored(source, profile), stored(source, profile)),
    ):
        frozen = freeze(profile, None, seen, required_from=1)
        text = written(frozen.contract)
        assert text == written(freeze(profile, None, again, required_from=1).contract)
        assert valid("p.yaml", yaml.safe_load(text)) == frozen.contract
        assert bool(check(frozen.contract, seen)) == bool(frozen.left_out) == (profile == "kong")
    store.close()


def stored(source: StoreSource, profile: str) -> Behaviour:
    return behaviour(source, source.report(Scope(profile=profile)), profile, None)
