"""`telemock contract …`: what is frozen is kept; what is planted is found, with its exit code."""

import json
import re
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as etree

import pytest

from app.cli import contract
from app.cli.ending import GATE_OPEN
from app.gate.contract_file import read
from app.gate.freeze import REQUIRED_FROM
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, SECOND, T0, exchange, incoming, spliced
from tests.serving import serving
from tests.unit.app.cli.conftest import Telemock
from tests.unit.app.gate.test_check import PLANTED

OLD, NEW = "4.16.1-20904e45", "4.17.0-1"
FREEZE = ("contract", "freeze", "--profile", "cribl", "--version", OLD)


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    store.write(incoming(*(
        exchange(n, time_ns=T0 + n * 60 * SECOND) for n in range(1, 41)
    ), spliced(41)))  # fmt: skip
    return store


def plant(store: SqliteStore, **given: object) -> None:
    query = [("v", NEW), ("os", "linux"), ("ib", "12"), ("user", "root")]
    given = {"product_version": NEW, "query": query} | given
    store.write(incoming(exchange(50, time_ns=T0 + 50 * 60 * SECOND, **given)))


@pytest.mark.usefixtures("filled")
def test_a_frozen_version_is_kept(telemock: Telemock, place: Path) -> None:
    done = telemock(*FREEZE, "-o", "p.yaml")
    assert (done.code, done.out, done.err) == (0, "", "")
    text = (place / "p.yaml").read_text()
    assert telemock(*FREEZE).out.splitlines()[1:] == text.splitlines()[1:]
    assert "40 captures" in text and "logs/leader-0" in text and "linux" not in text
    (endpoint,) = read(place / "p.yaml").endpoints
    assert endpoint.every == "60s"
    assert {field.presence for field in (endpoint.fields or {}).values()} == {"always"}
    done = telemock("contract", "check", "p.yaml")
    assert done.code == 0 and done.out.startswith("kept: 40 captures of cribl checked"), done.err
    assert "coverage: " in done.out


def test_a_planted_field_violates_it(telemock: Telemock, filled: SqliteStore, place: Path) -> None:
    telemock(*FREEZE, "-o", "p.yaml")
    plant(filled)
    for more in ((), ("--version", NEW), ("--since", "2020-01-01")):
        done = telemock("contract", "check", "p.yaml", *more)
        assert done.code == 1 and done.err == ""
        assert "unplanned_field" in done.out and "query.user" in done.out
        assert "root" not in done.out
    assert telemock("contract", "check", "p.yaml", "--version", OLD).code == 0
    found = json.loads(telemock("contract", "check", "p.yaml", "--json").out)
    (violation,) = found["violations"]
    assert (violation["field"], violation["count"], violation["of"]) == ("query.user", 1, 41)
    shown = telemock("captures", "show", violation["example"])
    assert json.loads(shown.out)["seq"] == 50
    done = telemock("contract", "check", "p.yaml", "--junit", "-o", "p.xml")
    assert done.code == 1 and done.out.startswith("1 violation")
    assert etree.fromstring((place / "p.xml").read_text()).get("failures") == "1"  # noqa: S314 - ours
    done = telemock("contract", "check", "p.yaml", "--sarif")
    at = json.loads(done.out)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    line = (place / "p.yaml").read_text().splitlines()[at["region"]["startLine"] - 1]
    assert line == "  - host: cdn.cribl.io"
    assert telemock("contract", "check", "p.yaml", "--markdown").out.startswith("## Contract")


@pytest.mark.parametrize("more", [(), ("--since", "2020-01-01")], ids=["sums", "captures"])
def test_what_could_not_be_checked_is_not_green(
    telemock: Telemock, filled: SqliteStore, place: Path, more: tuple[str, ...]
) -> None:
    telemock(*FREEZE, "-o", "p.yaml")
    one = exchange(49, time_ns=T0 + 49 * 60 * SECOND)
    assert one.request is not None
    one.request.left_out = 1
    filled.write(incoming(one))
    check = ("contract", "check", "p.yaml", *more)
    done = telemock(*check)
    assert done.code == GATE_OPEN == 122, done.err
    assert done.out.startswith("kept as far as it could be checked: 41 captures"), done.out
    assert "  not checked: 1 request was not kept whole" in done.out
    assert json.loads(telemock(*check, "--json").out)["unchecked"]
    assert telemock(*check, "--allow-unchecked").code == 0
    plant(filled)
    assert telemock(*check, "--allow-unchecked").code == telemock(*check).code == 1


@pytest.mark.parametrize("kind", [kind for kind in PLANTED if kind != "unplanned_host"])
@pytest.mark.parametrize("more", [(), ("--since", "2020-01-01")], ids=["sums", "captures"])
def test_each_kind_of_violation_is_found_in_a_store(
    telemock: Telemock, filled: SqliteStore, kind: str, more: tuple[str, ...]
) -> None:
    telemock(*FREEZE, "-o", "p.yaml")
    assert telemock("contract", "check", "p.yaml", *more).code == 0
    make, name = PLANTED[kind]
    number = 100 if kind == "cadence" else 1
    planted = [make() for _ in range(number)]
    for seq, record in enumerate(planted, 100):
        record.seq = seq
    filled.write(incoming(*planted))
    done = telemock("contract", "check", "p.yaml", *more, "--json")
    assert done.code == 1, done.err
    found = {one["kind"]: one for one in json.loads(done.out)["violations"]}
    assert found[kind]["field"] == name
    assert found[kind]["example"]
    if kind != "cadence":
        assert found[kind]["example"] == f"{BOOT[:8]}-100"


def test_a_new_host_of_the_profile_is_found(telemock: Telemock, filled: SqliteStore) -> None:
    telemock(*FREEZE, "-o", "p.yaml")
    plant(filled, host="new.cribl.io")
    for more in ((), ("--since", "2020-01-01")):
        done = telemock("contract", "check", "p.yaml", "--json", *more)
        (one,) = json.loads(done.out)["violations"]
        assert (one["kind"], one["host"]) == ("unplanned_host", "new.cribl.io")


def test_diff_with_files_and_versions(telemock: Telemock, filled: SqliteStore) -> None:
    plant(filled)
    telemock(*FREEZE, "-o", "old.yaml")
    telemock("contract", "freeze", "--version", NEW, "-o", "new.yaml")
    assert telemock("contract", "diff", "old.yaml", OLD).code == 0
    done = telemock("contract", "diff", "old.yaml", "new.yaml")
    assert done.code == 1 and "1 added, 0 gone, 1 changed" in done.out
    assert "query.user" in telemock("contract", "diff", "old.yaml", NEW, "--markdown").out
    found = json.loads(telemock("contract", "diff", NEW, "old.yaml", "--json").out)
    assert {one["kind"] for one in found["differences"]} == {"gone", "changed"}
    assert telemock("contract", "diff", OLD, NEW).code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("freeze", "--profile", "cribl"), 2, OLD),
        (("freeze", "--version", "9"), 1, f"no version '9' of cribl was seen.*{OLD}"),
        (("freeze", "--profile", "x", "--version", "9"), 1, "with one of cribl"),
        (("check", "no.yaml"), 2, "no.yaml: cannot be read"),
        (("check", "bad.yaml"), 2, "bad.yaml: hosts: 7 is not a list"),
        (("check", "p.yaml", "--version", "9"), 1, f"nothing was checked.*{OLD}"),
        (("check", "p.yaml", "--profile", "x"), 1, "with one of cribl"),
        (("check", "p.yaml", "--since", "1s"), 1, "no capture of cribl is of that time"),
        (("check", "p.yaml", "--sarif", "--json"), 2, "give one of"),
        (("check", "p.yaml", "-o", "x"), 2, "--output beside none"),
        (("check", "p.yaml", "--watch", "1", "--since", "1d"), 2, "without --since"),
        (("diff", "p.yaml", "9"), 1, OLD),
        (("diff", "p.yaml", "9" * 5_000), 1, OLD),
        (("freeze", "--profile", "x" * 300), 1, "is too much for a contract: profile"),
        ((*FREEZE[1:], "-o", "no/p.yaml"), 1, "no/p.yaml: No such file"),
    ],
)
def test_what_cannot_be_done(
    telemock: Telemock,
    filled: SqliteStore,
    place: Path,
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    telemock(*FREEZE, "-o", "p.yaml")
    (place / "bad.yaml").write_text("contract: 1\nprofile: cribl\nhosts: 7\n")
    if "x" * 300 in arguments:
        filled.write(incoming(exchange(60, profile="x" * 300, product_version="")))
    done = telemock("contract", *arguments)
    assert done.code == code, done.err
    assert re.search(says, done.err.replace("\n", " ")), done.err
    assert "\n\nhint: " in done.err


def test_an_empty_store_has_nothing_to_check(telemock: Telemock, store: SqliteStore) -> None:
    done = telemock("contract", "freeze")
    assert done.code == 1 and "no capture of a profile's host is stored" in done.err


def test_watch_ends_at_the_first_violation(
    telemock: Telemock, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMOCK_DATA", str(place / "data"))
    with serving(place) as app:
        store = app.runtime.store
        store.write(incoming(*(exchange(n, time_ns=T0 + n * SECOND) for n in range(1, 41))))
        done = telemock(*FREEZE, "--server", app.url, "-o", "p.yaml")
        assert done.code == 0, done.err

        def late() -> None:
            time.sleep(0.5)
            plant(store)  # type: ignore[arg-type]

        sending = threading.Thread(target=late)
        began = time.monotonic()
        sending.start()
        done = telemock("contract", "check", "p.yaml", "--watch", "60", "--server", app.url)
        sending.join()
        assert done.code == 1 and "1 violation: 1 capture" in done.out, done.err
        assert time.monotonic() - began < 30
        done = telemock("contract", "check", "p.yaml", "--watch", "0", "--server", app.url)
        assert done.code == 1 and "nothing was checked" in done.err


def test_the_default_stands_once() -> None:
    assert contract._REQUIRED_FROM == REQUIRED_FROM


@pytest.mark.parametrize("more", [(), ("--since", "2020-01-01"), ("--watch", "1")])
def test_requests_that_never_name_a_version_prove_nothing_of_one(
    telemock: Telemock, filled: SqliteStore, more: tuple[str, ...]
) -> None:
    filled.write(incoming(exchange(900, product_version="", route="/events", path="/events")))
    assert telemock(*FREEZE, "-o", "p.yaml").code == 0
    done = telemock("contract", "check", "p.yaml", "--version", "9.9", *more)
    assert (done.code, done.out) == (1, "")
    assert "no version '9.9' of cribl was seen, so nothing was checked" in done.err
    if not more:
        assert telemock("contract", "check", "p.yaml", "--version", OLD).code == 0


def test_what_was_only_passed_on_unread_is_frozen(
    telemock: Telemock, store: SqliteStore, place: Path
) -> None:
    store.write(incoming(exchange(1, action="pass", product_version=NEW)))
    done = telemock("contract", "freeze", "--version", NEW, "-o", "p.yaml")
    assert done.code == 0, done.err
    assert [one.fields for one in read(place / "p.yaml").endpoints] == [None]
    done = telemock("contract", "check", "p.yaml", "--version", NEW)
    assert done.code == 0, done.err + done.out
    assert "1 endpoint was planned without `fields`, which are not judged" in done.out
