import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.record import Body, CaptureRecord
from app.store.inventory import observe
from app.store.values import K, Sketch, hashed, values_of
from tests.records import exchange, spliced

KEY = b"k" * 32
_CARRIED = base64.b64encode(json.dumps({"a": [{"b": "x"}, {"b": 2}]}).encode()).decode()
_OTEL = {"attributes": [{"key": "os.type", "value": {"stringValue": "linux"}}]}


def sketch(values: int) -> Sketch:
    return Sketch().with_values((hashed(KEY, "p", str(n)) for n in range(values)), values)


def test_few_values_are_counted_exactly_and_many_about() -> None:
    for number in (0, 1, K - 1):
        assert (sketch(number).distinct, sketch(number).is_exact) == (number, True)
    for number in (500, 20_000):
        many = sketch(number)
        assert not many.is_exact and len(many.hashes) == K
        assert abs(many.distinct - number) < number * 3 / 8  # three standard deviations


def test_there_are_never_more_than_were_looked_at() -> None:
    for number in range(K, 3 * K):
        assert sketch(number).distinct <= number


def test_merging_is_as_if_seen_at_once_and_packing_loses_nothing() -> None:
    one, other = sketch(300), sketch(500)
    assert one.with_values(other.hashes, 0).hashes == other.hashes
    assert Sketch.of(7, one.packed()) == one._replace(looked=7)


def test_a_hash_needs_the_key_and_is_of_one_field() -> None:
    assert hashed(KEY, "query.a", "x") == hashed(KEY, "query.a", "x")
    others = [(b"x" * 32, "query.a", "x"), (KEY, "query.b", "x"), (KEY, "query.a", "y")]
    assert hashed(KEY, "query.a", "x") not in [hashed(*other) for other in others]
    assert hashed(KEY, "p", "\ud800")


RECORDS = [
    exchange(1),
    exchange(1, query=[("data", _CARRIED), ("e", "")], headers=[("User-Agent", "a/1; b/2")]),
    exchange(1, path="/v1/4.16/x", route="/v1/{version}/{os}"),
    exchange(1, path="/v1;a=b/y/../4.16/x;c", route="/v1/{version}/{os}", judged_by="path"),
    exchange(1, body=Body(text=json.dumps({"p": _CARRIED, "l": [1, [2, None]]}), size=9)),
    exchange(1, body=Body(text=json.dumps(_OTEL), size=9)),
    exchange(1, body=Body(text="a=1&b=%7B%22c%22%3A2%7D", size=9),
             headers=[("Content-Type", "application/x-www-form-urlencoded")]),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS)
def test_values_have_the_names_of_the_inventory(record: CaptureRecord) -> None:
    seen = observe(record)
    assert seen is not None
    scalars = {f.path for f in seen.fields if f.type not in ("object", "array", "opaque")}
    assert {path for path, _ in values_of(record)} == scalars


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_any_body_has_the_names_of_the_inventory(value: object) -> None:
    text = json.dumps(value)
    record = exchange(1, query=[], headers=[], body=Body(text=text, size=len(text)))
    seen = observe(record)
    assert seen is not None
    scalars = {f.path for f in seen.fields if f.type not in ("object", "array", "opaque")}
    assert scalars <= {path for path, _ in values_of(record)}


def test_what_is_not_read_has_no_values() -> None:
    assert list(values_of(spliced(1))) == []
    many = exchange(1, query=[(f"n{n}", "1") for n in range(3_000)])
    assert len(list(values_of(many))) == 2_000
