"""addon/target/first_bytes.py: what the first bytes of a connection say."""

import ssl
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.target.first_bytes import Verdict, Wait, judge, names_another, starts_like_http
from addon.target.hello import HEAD_CAP
from tests.sidecar import HOST

FAR = "198.51.100.7"


def hello(sni: str | None, *alpn: str) -> bytes:
    """A ClientHello as Python's ssl sends it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=sni)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def judged(data: bytes, destination: str = FAR) -> Verdict | Wait:
    return judge(data, destination, lambda host: host == HOST)


@pytest.mark.parametrize(
    ("data", "destination", "verdict"),
    [
        (hello(HOST), FAR, Verdict(HOST, HOST, tls=True)),
        (hello(HOST.upper()), FAR, Verdict(HOST, HOST, tls=True)),
        (hello(HOST, "http/1.1"), FAR, Verdict(HOST, HOST, tls=True)),
        (hello(HOST, "http/1.1", "h2"), FAR, Verdict(HOST, HOST, tls=True, h2=True)),
        (hello("other.example"), FAR, Verdict("other.example", "other.example", "not_named")),
        (hello(None), FAR, Verdict(FAR, "", "not_named")),
        (hello(None), HOST, Verdict(HOST, tls=True)),
        (b"GET / HTTP/1.1\r\nhost: %s\r\n\r\n" % HOST.encode(), FAR, Verdict(HOST)),
        (b"GET / HTTP/1.1\r\nhost: o.test:80\r\n\r\n", FAR, Verdict("o.test", "", "not_named")),
        (b"GET / HTTP/1.0\r\n\r\n", FAR, Verdict(FAR, "", "not_named")),
        (b"SSH-2.0-x\r\n", FAR, Verdict(FAR, "", "not_named")),
        (b"SSH-2.0-x\r\n", HOST, Verdict(HOST, "", "not_http")),
        (b"\x16\x03\x01\x00\x00", HOST, Verdict(HOST, "", "not_http")),
        (b"\x16\x03\x01\x00\x00", FAR, Verdict(FAR, "", "not_named")),
        # Any name that a profile knows opens a connection.
        (hello("other.example"), HOST, Verdict(HOST, "other.example", tls=True)),
        (b"GET / HTTP/1.1\r\nhost: o.test\r\n\r\n", HOST, Verdict(HOST)),
        (b"GET / HTTP/1.1\r\nhost: o\r\nhost: %s\r\n\r\n" % HOST.encode(), FAR, Verdict(HOST)),
        (b"GET / HTTP/1.1\r\nhost:\r\n %s\r\n\r\n" % HOST.encode(), FAR, Verdict(HOST)),
        (b"GET / HTTP/1.1\nHost : %s.:080\n\n" % HOST.upper().encode(), FAR, Verdict(HOST)),
        (b"GET http://%s/ HTTP/1.1\r\nhost: o\r\n\r\n" % HOST.encode(), FAR, Verdict(HOST)),
        (b"GET / HTTP/2.0\r\nhost: %s\r\n\r\n" % HOST.encode(), FAR, Verdict(HOST, "", "not_http")),
    ],
)  # fmt: skip
def test_a_beginning_names_its_host(data: bytes, destination: str, verdict: Verdict) -> None:
    assert judged(data, destination) == verdict


@pytest.mark.parametrize(
    "data", [hello("other.example"), b"GET / HTTP/1.1\r\na: b\r\nHost: other.example\r\n\r\n"]
)
def test_nothing_is_told_before_the_name_is_there(data: bytes) -> None:
    for size in range(len(data)):
        assert judged(data[:size]) is Wait.WAIT
    assert judged(data) != Wait.WAIT


def test_a_hello_in_many_records_is_one() -> None:
    whole = hello("other.example")
    body = whole[5:]
    pieces = [body[i : i + 50] for i in range(0, len(body), 50)]
    data = b"".join(whole[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert judged(data) == judged(whole)


def test_an_endless_beginning_is_not_waited_for() -> None:
    for beginning in (b"GET ", b"GET / HTTP/1.1\r\na: ", b"\x16\x03\x01\xff\xff\x01\xff\xff\xff"):
        assert judged(beginning + b"x" * 100) is Wait.WAIT
        found = judged(beginning + b"x" * HEAD_CAP)
        assert isinstance(found, Verdict) and found.reason == "not_named"


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    assert isinstance(judged(data), Verdict | Wait)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.2\r\n", True),
        (b"\r\n\nGET / HTTP/1.1\r\n", True),
        (b"M-SEARCH * HTTP/1.1\r\n", True),
        (b"go /\x00 HTTP/1.0 \n", True),
        (b"GET /", Wait.WAIT),
        (b"\r\n", Wait.WAIT),
        (b"\r\n!", Wait.WAIT),
        (b"PRI * HTTP/2.0\r\n", False),
        (b"GET /\r\n", False),
        (b"G(T /", False),
        (b"\x00", False),
    ],
)
def test_http_begins_with_a_request_line(data: bytes, found: bool | Wait) -> None:
    assert starts_like_http(data) is found


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: o.test\r\nHost: %s\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %s\rx: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %s\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: o.test,\r\n\t%s\r\n\r\n",
        b"CONNECT %s:443 HTTP/1.1\r\n\r\n",
        b"connect %s:443 HTTP/1.0\r\nHost: o.test\r\n\r\n",
        b"GET http://%s/ HTTP/1.1\r\nHost: o.test\r\n\r\n",
    ],
)
def test_a_name_counts_wherever_a_head_has_it(head: bytes) -> None:
    assert judged(head % HOST.encode()) == Verdict(HOST)


@pytest.mark.parametrize(
    "data",
    [
        b"GET " + b" " * HEAD_CAP,
        b"GET " + b" \t" * 30_000 + b"x\r\n\r\n",
        b"GET " + b" HTTP/1.1" * 7000 + b"x\r\n\r\n",
        b"\r\n" * 32_000,
        b"GET / HTTP/1.1\r\nHost: " + b":" * 60_000 + b"x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost" + b" " * 60_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a\r\n " * 15_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"Host: a;b\r\n" * 5000 + b"\r\n",
    ],
)
def test_no_head_keeps_others_waiting(data: bytes) -> None:
    started = time.process_time()
    judged(data)
    assert time.process_time() - started < 0.5


def naming(*names: bytes) -> bytes:
    """A ClientHello with these names in its SNI."""
    known = b"a-name.test"
    whole = hello(known.decode())
    end = whole.index(known) + len(known)
    listed = b"".join(b"\0" + len(name).to_bytes(2, "big") + name for name in names)
    listed = len(listed).to_bytes(2, "big") + listed
    extension = b"\0\0" + len(listed).to_bytes(2, "big") + listed
    data = bytearray(whole[: end - len(known) - 9] + extension + whole[end:])
    sizes = 9 + 2 + 32  # behind the random: session id, ciphers, compressions
    sizes += 1 + data[sizes]
    sizes += 2 + int.from_bytes(data[sizes : sizes + 2])
    sizes += 1 + data[sizes]
    for at, size in ((3, 2), (6, 3), (sizes, 2)):
        before = int.from_bytes(data[at : at + size])
        data[at : at + size] = (before + len(data) - len(whole)).to_bytes(size)
    return bytes(data)


@pytest.mark.parametrize("more", [(), (b"o.test",), (b" ",)])
def test_every_name_of_an_sni_counts(more: tuple[bytes, ...]) -> None:
    for names in ((HOST.encode(), *more), (*more, HOST.encode()), (HOST.encode() + b" ", *more)):
        found = judged(naming(*names))
        assert isinstance(found, Verdict) and found.tls and found.host == HOST
    assert judged(naming(b"o.test", *more)).reason == "not_named"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % HOST.encode(), HOST),
        (b"CONNECT %s:443 HTTP/1.1\r\n\r\n" % HOST.encode(), HOST),
        (hello(HOST), HOST),
        (hello("o.test"), ""),
        (b"GET / HTTP/1.1\r\nHost: o.test\r\n\r\n", ""),
        (b"a part of a body\r\nHost: %s\r\n" % HOST.encode(), ""),
        (b"\x16\x03\x03\x00\x01\x10", ""),
        (b"GET /", ""),
    ],
)
def test_a_further_request_names_a_host(data: bytes, host: str) -> None:
    assert names_another(data, lambda name: name == HOST) == host
