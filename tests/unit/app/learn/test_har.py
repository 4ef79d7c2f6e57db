"""app/learn/har.py: HARs of programs are read, hostile ones are refused with a sentence."""

import base64
import gzip
import json
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.contract import body as bodies
from app.contract.record import encode
from app.learn import har as hars
from app.learn.draft import draft
from app.learn.har import FILE_CAP, read
from app.learn.yaml_text import written
from app.profiles import ProfileError
from app.report.har import har as export
from tests.hars import BODY, HOSTILE, PROGRAMS, changed, entry, har, write
from tests.records import exchange, spliced


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_har_of_each_program_is_read(tmp_path: Path, program: str) -> None:
    (record,) = read(write(tmp_path / "x.har", PROGRAMS[program])).records
    assert record.request is not None and record.response is not None
    asked, answer = record.request, record.response
    assert (asked.method, asked.host, asked.path) == ("POST", "stats.acme.test", "/v1/orgs/42")
    assert (asked.query, asked.port, asked.scheme) == ([("v", "1")], 443, "https")
    assert asked.body is not None and asked.body.text == BODY
    assert not any(name.startswith(":") for name, _ in asked.headers)
    assert answer.body is not None and answer.body.text == '{"ok":true}'
    at = datetime(2026, 11, 29, 9, tzinfo=UTC).timestamp()
    assert (answer.status, record.time_ns // 10**9) == (200, at)


def test_what_is_no_http_is_left_out_and_counted(tmp_path: Path) -> None:
    odd = (
        "file:///etc/passwd",
        "about:blank",
        "chrome-extension://abc/x.js",
        "javascript:alert(1)",
    )
    entries = [entry(request={"method": "GET", "url": url}) for url in odd]
    found = read(write(tmp_path / "x.har", har(entry(), *entries)))
    assert len(found.records) == 1 and found.left_out.total() == len(odd)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_har_is_refused_with_file_place_value_and_remedy(
    tmp_path: Path, kind: str
) -> None:
    written, where, message = HOSTILE[kind]
    file = write(tmp_path / "x.har", written)
    began = time.perf_counter()
    with pytest.raises(ProfileError) as refused:
        read(file)
    assert time.perf_counter() - began < 5
    (problem,) = refused.value.problems
    assert (problem.file, problem.where) == (str(file), where)
    assert message in problem.message and problem.hint
    text = str(refused.value)
    assert len(text) < 600 and text.replace("\n", "").isprintable()


def test_there_are_hostile_ones_of_many_kinds() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("path", ["gone.har", "."])
def test_no_file_is_a_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(ProfileError, match="cannot be read") as refused:
        read(tmp_path / path)
    assert refused.value.problems[0].hint


def test_a_larger_file_is_refused_before_it_is_read_whole() -> None:
    with pytest.raises(ProfileError, match=f"larger than {FILE_CAP >> 20} MiB"):
        read(Path("/dev/zero"))


def test_no_other_file_is_read_and_none_is_named_in_an_answer(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("c4nary")
    one = changed("response.content", {"_file": str(secret), "mimeType": "text/plain"})
    two = changed("request.postData", {"params": [{"name": "f", "fileName": str(secret)}]})
    both = har(*one["log"]["entries"], *two["log"]["entries"])
    found = read(write(tmp_path / "x.har", both))
    assert b"c4nary" not in b"".join(map(encode, found.records))
    assert [*found.left_out.values()] == [1]


def test_bombs_stay_within_bounds(tmp_path: Path) -> None:
    bomb = base64.b64encode(gzip.compress(bytes(100 << 20))).decode()
    of = changed("response.content", {"text": bomb, "encoding": "base64"})
    of["log"]["entries"][1]["request"]["postData"] = {"text": bomb, "encoding": "base64"}
    file = write(tmp_path / "x.har", of)
    tracemalloc.start()
    try:
        text = written(draft(read(file).records)).text
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20 and len(text) < 10_000


HARMLESS: dict[str, Any] = {
    "control characters": {
        "text": "\x00\x1b]0;owned\x07\x9b31m\u202e",
        "mimeType": "text/x\x1b[31m",
    },
    "a text of 1 MB": {"text": "x" * 10**6},
    "a lone surrogate": {"text": "\ud800", "mimeType": "\udfff"},
    "a template": {"text": "{{ ''.__class__ }}{% for x in y %}"},
    "a YAML tag": {
        "text": "!!python/object/apply:os.system ['id']\n--- *a\n# x",
        "mimeType": "a: b",
    },
    "null": {"text": None, "mimeType": None, "encoding": None, "comment": None},
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_hostile_texts_are_texts_in_a_draft_that_is_right(tmp_path: Path, kind: str) -> None:
    one = changed("response.content", HARMLESS[kind])
    text = HARMLESS[kind]["text"] or ""
    asked = one["log"]["entries"][1]["request"]
    asked["url"] = f"https://stats.acme.test/{text[:500]}?{text[:500]}"
    asked["postData"] = {"text": json.dumps({text[:500] or "k": text, "email": text}), **{
        k: v for k, v in HARMLESS[kind].items() if k != "text"}}  # fmt: skip
    asked["headers"] = [{"name": text[:100] or "x", "value": text}]
    shown = written(draft(read(write(tmp_path / "x.har", one)).records)).text
    assert shown.isascii() and shown.replace("\n", "").isprintable()
    assert len(shown) < 30_000


def test_our_own_export_comes_back(tmp_path: Path) -> None:
    kept = exchange(1, route="", profile="")
    assert kept.request is not None and kept.response is not None
    kept.request.body = bodies.whole(b"\xff\x00\x01")
    kept.response.body = bodies.whole(b"x" * 5)
    whole = msgspec.convert(msgspec.to_builtins(exchange(2)), type(kept))
    cut = exchange(3)
    assert cut.request is not None
    cut.request.body = bodies.keep(b"{}", size=9, sha256="", cap=99)
    withheld = exchange(4)
    assert withheld.request is not None
    withheld.request.body = bodies.Body(size=9, withheld="unmaskable")
    file = tmp_path / "x.har"
    file.write_bytes(b"".join(export(map(encode, (kept, whole, cut, withheld)))))
    back = read(file).records
    for before, after in zip((kept, whole, cut, withheld), back, strict=True):
        assert before.request is not None and after.request is not None
        for name in ("method", "host", "port", "scheme", "path", "query"):
            assert getattr(after.request, name) == getattr(before.request, name)
        if before.request.body is not None:
            assert after.request.body is not None
            for name in ("text", "base64", "truncated", "withheld"):
                assert getattr(after.request.body, name) == getattr(before.request.body, name)
        assert after.time_ns // 10**6 == before.time_ns // 10**6


def test_what_our_own_export_left_out_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.har"
    file.write_bytes(b"".join(export(map(encode, (exchange(1), spliced(2), spliced(3))))))
    found = read(file)
    assert len(found.records) == 1
    assert found.left_out == {"no request: records of kind spliced": 2}


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    other = entry(request={"method": "GET", "url": "https://other.test/"})
    file = write(tmp_path / "x.har", har(entry(), other))
    assert [r.host for r in read(file, lambda r: r.host == "other.test").records] == ["other.test"]
    assert hars.ENTRIES >= 20_000
