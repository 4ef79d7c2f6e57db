from pathlib import Path

import httpx
import pytest

from app.store import Store, filter
from app.web.complete import MOST, KnownValues, Offer, offers
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.store.memory import MemoryStore
from tests.unit.app.web.conftest import bounded
from tests.unit.app.web.samples import NEWER, OLDER, captures


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = MemoryStore(tmp_path)
    store.write(captures())
    return store


def texts(store: Store, text: str, namespaces: tuple[str, ...] | None = None) -> list[str]:
    """What the whole filter would be."""
    begin, found = offers(text, KnownValues(), store, namespaces)
    return [text[:begin] + offer.text for offer in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ho", ["host:"]),
        ("-ho", ["-host:"]),
        ("method:GET ver", ["method:GET version:"]),
        ("version", ["version:", "version>=", "version<=", "version>", "version<"]),
        ("host:", ["host:cdn.cribl.io"]),
        ("host:cdn.cribl.io,tele", ["host:cdn.cribl.io,telemetry.cribl.cloud"]),
        ("host:CLOUD", ["host:telemetry.cribl.cloud"]),
        ("version>=4.17", [f"version>={NEWER}"]),
        ("version:", [f"version:{OLDER}", f"version:{NEWER}"]),
        ("action:mo", ["action:mock"]),
        ("-status:4", ["-status:4xx", "-status:403"]),
        ("pod:worker", ["pod:worker-1"]),
        ("namespace:", ["namespace:logs"]),
        ("since:7", ["since:7d"]),
        ("field:gpu", ["field:query.gpu"]),
        ('"free tex', []),
        ("nothing:x", []),
        ("hots", []),
    ],
)
def test_what_is_offered(store: Store, text: str, expected: list[str]) -> None:
    found = texts(store, text)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)
    for whole in found:
        if not whole.endswith((":", ">", "<", "=")):
            filter.read(whole)


def test_at_the_beginning_all_names(store: Store) -> None:
    assert [t for t in texts(store, "") if t.endswith(":")] == [f"{n}:" for n in filter.NAMES]


def test_values_are_quoted_as_the_grammar_needs(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    odd = 'a "b", c'
    store.write(incoming(exchange(1, product_version=odd)))
    (found,) = texts(store, "version:a")
    assert filter.read(found).terms[0].values == (odd,)
    assert texts(store, 'version:"a ') == [found]


def test_what_does_not_print_or_is_long_is_not_offered(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    odd = ("\u202ea", "a\x1b[2J", "a\n", "a" * 400)
    store.write(incoming(*(exchange(n, product_version=v) for n, v in enumerate(odd, 1))))
    assert texts(store, "version:") == []


def test_they_are_few_and_kept(store: Store) -> None:
    store.write(incoming(*(exchange(n, host=f"h{n}.example") for n in range(100, 140))))
    known = KnownValues()
    assert len(offers("host:h", known, store, None)[1]) == MOST
    store.write(incoming(exchange(150, host="new.example")))
    assert offers("host:new", known, store, None)[1] == []
    assert offers("host:new", KnownValues(), store, None)[1] == [Offer("new.example", "1")]


def test_a_namespaces_viewer_learns_nothing_of_others(store: Store) -> None:
    for name in filter.NAMES:
        found = texts(store, f"{name}:", ("edge",))
        for seen in ("cribl", "leader", "worker", "4.1", "gpu", "logs"):
            assert not any(seen in of for of in found), found
    assert texts(store, "namespace:", ("edge",)) == ["namespace:edge"]
    assert "action:mock" in texts(store, "action:", ("edge",))


def test_over_http(visitor: httpx.Client, filled: Served) -> None:
    found = visitor.get("/captures/words", params={"q": "method:"}).json()
    assert found == {
        "begin": 7, "offers": [{"text": "GET", "says": "7"}, {"text": "POST", "says": "1"}],
    }  # fmt: skip
    assert visitor.get("/captures/words", params={"q": "x" * 5000}).json()["offers"] == []
    assert filled.bare.get("/captures/words").status_code == 303
    bounded(filled, "edge")
    assert visitor.get("/captures/words", params={"q": "method:"}).json()["offers"] == []
