"""app/contract/canonical.py: the names and paths that a server could read."""

import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import canonical
from app.contract.canonical import (
    DECODINGS,
    LONGEST,
    authority_of,
    host_of,
    hosts_in,
    is_plain,
    pairs_of,
    readings,
    without_dots,
)
from app.contract.record import text


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("", ""),
        ("a", "a"),
        ("A.b.:443", "a.b"),
        ("a.b:0443", "a.b"),
        ("a.b:", "a.b"),
        ("a.b..", "a.b"),
        ("user:word@a.b:443", "a.b"),
        ("a%2Eb", "a.b"),
        ("%61.b", "a.b"),
        ("%2561.b", "a.b"),
        (" a.b\t", "a.b"),
        ("\r\n a.b", "a.b"),
        ("https://a.b/x", "a.b"),
        ("a.b:443:443", "a.b"),
        ("a.b:x", "a.b"),
        ("[a.b]", "a.b"),
        ("\uff41\u3002b", "a.b"),
        ("[::1]:80", "::1"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("127.0.0.1:8", "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_name_in_an_authority(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    "authority", ["x.y, a.b", "a.b@x.y", "x.y/a.b", "x.y a.b", "a\x00.b", "x.y\\@a.b", "x.y#@a.b"]
)
def test_a_name_that_some_server_takes_is_one_of_them(authority: str) -> None:
    assert "a.b" in hosts_in(authority)


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/dl/b-1.2_3~/c.tgz", "/.a/..b/c..", "/a+b@c,d=e"]
)
def test_an_ordinary_path_has_one_reading(path: str) -> None:
    assert is_plain(path) and readings(path) == (path,)


@pytest.mark.parametrize(
    "path",
    [
        "//t/x",
        "///t//x",
        "/./t/x",
        "/t/./x",
        "/y/../t/x",
        "/../t/x",
        "/y//../t/x",
        "/y/..//t/x",
        "/y/z/../..//t/x",
        "/%74/x",
        "/t%2fx",
        "/%2574/x",
        "/%252574/x",
        "/%25252574/x",
        "/%2e/t/x",
        "/y/%2e%2e/t/x",
        "/y/%2E./t/x",
        "/y/.%252e/t/x",
        "/y%2f..%2ft%2fx",
        "\\t\\x",
        "/y\\..\\t\\x",
        "/y/..%5ct%5Cx",
        "/t;v=1/x;w",
        "/t/x;jsessionid=1/",
        "/..;/t/x",
        "/y/..;a=b/t/x",
        "/t/x#y",
        "/t/x%23y",
        "/t/x%3Fy=1",
        "/t/x%00.gif",
        "/t/x%20",
        "/t%09/x",
        "/t/%0ax",
        "t/x",
        "./t/x",
        "https://h/t/x",
        "HTTP://u@h:80//t/x",
        "//h/t/x",
        "/%c1%b4/x",
        "/t%c0%afx",
        "/%e0%81%b4/x",
        "/%f0%80%81%b4/x",
        "/\\xc1\\xb4/x",
        "/%u0074/x",
        "/\uff54/x",
        "/%EF%BD%94/x",
    ],
)
def test_a_path_that_is_spelled_otherwise_is_read_by_its_canonical_form(path: str) -> None:
    found = readings(path)
    assert found is not None and found[0] == path
    assert {"/t/x", "/t/x/"} & set(found)


@pytest.mark.parametrize(
    "path", ["/T/x", "/tt/x", "/t-x", "/dl/t/x", "/dl/..t/x", "/y/.../t/x", "/y%2et/x", "/dl/t%2fx"]
)
def test_another_path_has_no_such_reading(path: str) -> None:
    assert not {p for p in readings(path) or () if p.startswith("/t/")}


def test_what_is_encoded_without_end_or_too_long_is_not_told() -> None:
    assert "/t" in (readings("/%" + "25" * (DECODINGS - 1) + "74") or ())
    assert readings("/%" + "25" * (DECODINGS + 1) + "74") is None
    assert readings("/" + "x/" * LONGEST) == ("/" + "x/" * LONGEST,)
    assert readings("//" + "x/" * LONGEST) is None


@given(st.text(alphabet="/\\.%25eEfFctT;?#: \x00\uff54\udc80", max_size=40))
def test_readings_are_few_and_have_no_end_of_their_own(path: str) -> None:
    found = readings(path)
    if found is None:
        return
    assert found[0] == path and len(found) == len(set(found)) <= (DECODINGS + 2) << 9
    assert all(p.startswith("/") for p in found[1:])


def test_the_longest_odd_path_takes_no_time() -> None:
    path = ("/" + "a;b\\../%252e%2e//\uff54?#" * LONGEST)[:LONGEST]
    started = time.process_time()
    assert readings(path) is not None
    assert time.process_time() - started < 1


@given(st.lists(st.sampled_from(["", ".", "..", "a", "b"]), max_size=8))
def test_dots_are_gone(segments: list[str]) -> None:
    kept = without_dots("/" + "/".join(segments))
    assert kept.startswith("/") and not {".", ".."} & set(kept.split("/"))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/a/b/c/./../../g", "/a/g"),
        ("/..", "/"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/../b", "/b"),
    ],
)
def test_dots_go_as_the_rfc_says(path: str, kept: str) -> None:
    assert without_dots(path) == kept


@pytest.mark.parametrize(
    ("target", "authority"),
    [("https://a.b/x", "a.b"), ("//a.b/x", ""), ("/x", ""), ("*", ""), ("http://u@a:1", "u@a:1")],
)
def test_the_authority_of_an_absolute_form(target: str, authority: str) -> None:
    assert authority_of(target) == authority


@pytest.mark.parametrize("authority", [":" * 60_000 + "x", "a." * 30_000 + "!", "a;%41" * 12_000])
def test_no_authority_keeps_others_waiting(authority: str) -> None:
    started = time.process_time()
    hosts_in(authority)
    assert time.process_time() - started < 0.5


@given(st.text("ab&=%+;2FfeEé \udcff", max_size=40))
def test_a_query_is_read_as_urllib_reads_it(query: str) -> None:
    pairs = parse_qsl(text(query), keep_blank_values=True, errors="surrogateescape")
    assert pairs_of(text(query)) == [(text(n), text(v)) for n, v in pairs]


def test_remembered_parameters_are_few_and_short() -> None:
    long = "x" * canonical._SHORT
    for i in range(canonical._REMEMBERED + 10):
        assert pairs_of(f"a={i}&{long}={i}") == [("a", str(i)), (long, str(i))]
        assert len(canonical._parameters) <= canonical._REMEMBERED
    assert not [part for part in canonical._parameters if len(part) > canonical._SHORT]


@pytest.mark.parametrize(
    "written",
    [
        "cdn\u00ad.cribl.io", "cdn\u200b.cribl.io", "cdn.cribl.\u0131o", "cdn.cr\u0130bl.io",
        "cdn..cribl.io", "xn--cdn-.cribl.io", "XN--cdn-.cribl.io:443", "cdn%C2%AD.cribl.io",
        "cdn\uff0ecribl\uff0eio", "cdn\ufe0f.cribl.io",
    ],
)  # fmt: skip
def test_a_name_is_read_as_who_folds_it_does(written: str) -> None:
    assert "cdn.cribl.io" in hosts_in(written)


def test_the_first_reading_of_a_name_in_punycode_is_the_name() -> None:
    assert hosts_in("xn--mnchen-3ya.example") == (
        "xn--mnchen-3ya.example", "m\u00fcnchen.example",
    )  # fmt: skip
    assert hosts_in("xn--\u00e9.example")  # no punycode


@pytest.mark.parametrize(
    "written",
    [
        "/tele%c2%admetry/", "/%e2%80%8btelemetry/", "/tele%cd%8fmetry/", "/telemetry%c2%85/",
        "/x/..%e2%88%95telemetry/", "/x/..%u2215telemetry/", "/%uff0ftelemetry/",
        "/x/..%E2%81%84telemetry/",
        "///cdn.cribl.io/telemetry/", "/%ud800/../telemetry/",
    ],
)  # fmt: skip
def test_a_path_is_read_without_what_nobody_sees(written: str) -> None:
    assert "/telemetry/" in (readings(written) or ())


def test_an_authority_is_read_to_its_slash() -> None:
    assert "cdn.cribl.io" in hosts_in(authority_of("http://other.test#@cdn.cribl.io/telemetry/"))
