import asyncio
import gzip
import hashlib

import pytest

from app.contract.body import content
from app.contract.record import BODY_CAP, QUERY_CAP, VALUE_CAP
from app.ingest import admission as arriving_module
from app.ingest.admission import Arriving
from app.mock.request import (
    ClientGone,
    Scope,
    TooLarge,
    TooSlow,
    arrived,
    hosts_of,
    read_body,
    request_of,
)


def scope(**changes: object) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"v=1",
        "headers": [(b"host", b"CDN.cribl.io:8000")],
        "client": ("127.0.0.1", 5),
        **changes,
    }


@pytest.mark.parametrize(
    ("header", "hosts", "port"),
    [
        (b"cdn.cribl.io", ("cdn.cribl.io",), 80),
        (b"CDN.Cribl.IO.:443", ("cdn.cribl.io",), 443),
        (b"[::1]:8000", ("::1",), 8000),
        (b"[::1]", ("::1",), 80),
        (b"h:99999", ("h",), 80),
        (b"u@cdn.cribl.io:0443", ("cdn.cribl.io", "u"), 443),
        (b"", (), 80),
    ],
)
def test_host(header: bytes, hosts: tuple[str, ...], port: int) -> None:
    asked = arrived(scope(headers=[(b"host", header)]))
    assert (asked.hosts, asked.port) == (hosts, port)
    assert asked.host == (hosts[0] if hosts else "")


def test_hosts_may_be_none_or_several() -> None:
    assert hosts_of(scope(headers=[])) == ()
    assert hosts_of(scope(headers=[(b"host", b"b"), (b"x", b"y"), (b"host", b"A.")])) == ("b", "a")


def test_pairs_keep_order_repeats_and_bad_bytes() -> None:
    assert arrived(scope(query_string=b"a=1&b=x+y%20z&a=2&c&&d=%ff%C3%A9&=e")).query == [
        ("a", "1"), ("b", "x y z"), ("a", "2"), ("c", ""), ("d", "\\xffé"), ("", "e"),
    ]  # fmt: skip


def test_too_many_parameters_are_counted() -> None:
    asked = arrived(scope(query_string=b"&".join(b"a=%d" % i for i in range(QUERY_CAP + 7))))
    request = request_of(asked, None)
    assert len(request.query) == QUERY_CAP
    assert request.left_out == 7


def test_what_was_cut_is_marked_for_the_masking() -> None:
    """The start of a value at a cut is removed: see the tests of the sweep."""
    long = b"x" * (VALUE_CAP + 1)
    asked = arrived(
        scope(
            raw_path=b"/" + long,
            query_string=long + b"=" + long,
            headers=[(b"host", b"h"), (b"a", long)],
        )
    )
    request = request_of(asked, None)
    for text in (request.path, *request.query[0], request.headers[1][1]):
        assert text.endswith("x…") and len(text) == VALUE_CAP + 1


def test_internal_headers_are_told_apart() -> None:
    headers = [
        (b"host", b"cdn.cribl.io"),
        (b"telemock-record", b"x-1"),
        (b"telemock-scheme", b"https"),
        (b"x", b"\xff"),
    ]
    asked = arrived(scope(headers=headers))
    assert asked.internal == {"telemock-record": "x-1", "telemock-scheme": "https"}
    assert asked.headers == [("host", "cdn.cribl.io"), ("x", "\\xff")]
    assert (asked.scheme, asked.port) == ("https", 443)
    assert asked.path == "/a%20b"


async def read(chunks: list[bytes], limit: int = 1 << 40, encoding: str = ""):  # type: ignore[no-untyped-def]
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    if messages:
        messages[-1]["more_body"] = False
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    return await read_body(receive, encoding, limit, Arriving(lambda _: None), "a")


async def test_body_is_cut_but_counted_and_hashed_whole() -> None:
    chunk = bytes(range(256)) * 256
    body = await read([chunk] * 16)
    assert (body.size, body.truncated) == (1 << 20, True)
    assert body.sha256 == hashlib.sha256(chunk * 16).hexdigest()
    assert content(body) == (chunk * 16)[:BODY_CAP]


async def test_no_body_is_none() -> None:
    assert await read([b""]) is None


async def test_a_body_that_does_not_go_on_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving_module, "GRACE_S", 0.1)

    messages = [{"type": "http.request", "body": b"begun", "more_body": True}]

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TooSlow) as caught:
        await read_body(receive, "", 1 << 20, Arriving(lambda _: None), "a")
    assert content(caught.value.body) == b"begun"


async def test_encoding_is_undone() -> None:
    assert content(await read([gzip.compress(b"hello")], encoding="gzip")) == b"hello"


async def test_over_the_limit() -> None:
    with pytest.raises(TooLarge) as caught:
        await read([b"12345", b"67890"], limit=8)
    assert (caught.value.body.size, content(caught.value.body)) == (10, b"1234567890")


async def test_client_leaves() -> None:
    with pytest.raises(ClientGone) as caught:
        await read([])
    assert caught.value.body.size == 0
