"""app/contract/decoding/envelope.py: Sentry's envelopes, with lengths and without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import envelope
from tests.unit.app.contract.decoding.timing import linear

HEAD = b'{"event_id":"9ec7","dsn":"https://e12@o1.ingest.example/1"}\n'


def item(kind: str, payload: bytes, length: bool = True) -> bytes:
    size = b',"length":%d' % len(payload) if length else b""
    return b'{"type":"%b"%b}\n%b\n' % (kind.encode(), size, payload)


def read(data: bytes) -> list[tuple[str, bytes]]:
    parts = envelope.split(data)
    assert parts is not None
    return [(p.name, data[p.start : p.end]) for p in parts]


def payloads(data: bytes) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in read(data) if not name.endswith("header")]


def test_items_end_after_their_length_or_with_their_line() -> None:
    data = HEAD + item("event", b'{"lic":"x"}', False) + item("attachment", b"\x00a\n{b\xff")
    assert payloads(data) == [("event", b'{"lic":"x"}'), ("attachment", b"\x00a\n{b\xff")]
    assert [name for name, _ in read(data)][:2] == ["header", "event header"]
    assert payloads(data.rstrip(b"\n"))[0] == ("event", b'{"lic":"x"}')
    assert payloads(b"{}\n" + item("event", b"{}", False)) == [("event", b"{}")]


def test_an_item_that_was_cut_goes_to_the_end() -> None:
    data = HEAD + item("event", b'{"lic":"secret"}')
    assert payloads(data[: data.index(b"ret")]) == [("event", b'{"lic":"sec')]
    assert read(HEAD + item("event", b"{}") + b'{"type":"ev')[-1] == ("header", b'{"type":"ev')


def test_lengths_are_rewritten() -> None:
    data = HEAD + item("event", b'{"lic":"secret"}') + item("attachment", b"\x00")
    parts = envelope.split(data)
    assert parts is not None
    values = [data[p.start : p.end].replace(b"secret", b"***") for p in parts]
    expected = HEAD + item("event", b'{"lic":"***"}') + item("attachment", b"\x00")
    assert envelope.join(data, parts, values) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b'{"a":1}\n{"b":2}\n', b'{}\n{"type":"other"}\n{}\n', b"{}\n\n", b"[]\n[]",
        b'{"dsn":1}\nno json', b'{"dsn":1}\n{"type":"event","length":-1}\n{}',
        b'{"dsn":1}\n{"type":"event","length":1}\n{}', b'{"dsn":1}\n{"type":5}\n{}',
    ],
)  # fmt: skip
def test_other_bytes_are_none(data: bytes) -> None:
    assert envelope.split(data) is None


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
def test_only_changed_items_change(contents: list[bytes]) -> None:
    data = HEAD + b"".join(item("attachment", content) for content in contents)
    parts = envelope.split(data)
    assert parts is not None and [v for _, v in payloads(data)] == contents
    values = [data[p.start : p.end] for p in parts]
    assert envelope.join(data, parts, values) == data
    values[2] = b"***"
    contents[0] = b"***"
    expected = HEAD + b"".join(item("attachment", content) for content in contents)
    assert envelope.join(data, parts, values) == expected


@pytest.mark.parametrize(
    "filler", [b"\n", b'{"type":"event"}\n\n', b'{"type":"event","length":0}\n\n', b"{"]
)
def test_hostile_bytes_take_linear_time(filler: bytes) -> None:
    assert linear(envelope.split, lambda n: HEAD + filler * n, 8_000)


def test_a_million_items_are_refused() -> None:
    assert envelope.split(HEAD + b'{"type":"event"}\n\n' * 1_000_000) is None
