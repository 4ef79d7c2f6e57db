"""app/learn/answers.py: the answer that was observed, in the draft or in a file, else a plausible
one."""

import json

import pytest

from app.contract import body as bodies
from app.learn.answers import ANSWER_CAP, accepted
from app.learn.draft import draft
from app.profiles.read import FILE_CAP
from tests.unit.app.learn.conftest import request

JSON = "application/json"
LARGE = b"[" + b"1," * ANSWER_CAP + b"1]"
ROOM = 8 << 20


def test_the_answer_is_the_one_observed_most_often() -> None:
    other, ok = (200, JSON, b'{"id": 7}'), (202, JSON, b'{"ok": true}')
    (endpoint,) = draft(
        [request(0, answer=other), *(request(n, answer=ok) for n in (1, 2))]
    ).endpoints
    reply = endpoint.reply
    assert (reply.status, reply.headers, reply.body) == (
        202,
        {"content-type": JSON},
        '{"ok": true}',
    )
    assert "2 of 3 were the same" in reply.how


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("me@acme.example", "***"),
        ("mailto:me%40acme.example?x", "mailto:***?x"),
        ("8843d7f92416211de9ebb963ff4ce28125932878", "***"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "***"),
        ("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "00000000-0000-0000-0000-000000000000"),
        ("https://a.test/hook/yYaUej3P42cziRVzv6T5w2aYy9po2Mrn/x", "https://a.test/hook/***/x"),
        ("https://api.acme-telemetry.example/log", "https://api.acme-telemetry.example/log"),
        ("3.17.2-rc.1 2026-11-30T10:00:00.123Z app@1.0.0", None),
        ("1796000000000000000 -1.2345678901234567e+16 4.10", None),
        ("a sentence of words; feature_flag_quota_limited", None),
    ],
)
def test_an_answer_tells_of_nobody(said: str, kept: str | None) -> None:
    (endpoint,) = draft([request(answer=(200, "text/plain", said.encode()))]).endpoints
    assert endpoint.reply.body == (said if kept is None else kept)
    assert ("masked values" in endpoint.reply.how) is (kept is not None and kept != said)
    moved = request(answer=(302, "text/plain", b""))
    assert moved.response is not None
    moved.response.headers = [("location", f"/to/{said}")]
    (endpoint,) = draft([moved]).endpoints
    assert endpoint.reply.headers == {"location": f"/to/{said if kept is None else kept}"}


@pytest.mark.parametrize(
    ("answer", "says", "kind", "body"),
    [
        (None, "no answer was observed", JSON, "{}"),
        ((401, JSON, b"{}"), "it was answered with 401", JSON, "{}"),
        ((200, JSON, LARGE), "not their bodies", JSON, "{}"),
        ((200, "image/png", b"\x89PNG\xff"), "not their bodies", "image/png", ""),
    ],
)
def test_else_it_is_plausible_and_said_to_be(
    answer: tuple[int, str, bytes] | None, says: str, kind: str, body: str
) -> None:
    found = draft([request(0, answer=answer)])
    reply = found.endpoints[0].reply
    assert (reply.status, reply.headers, reply.body) == (200, {"content-type": kind}, body)
    assert says in reply.how and "plausible" in reply.how
    assert any(f"content with the answer of v1-usage: {reply.how}" in one for one in found.unknown)


@pytest.mark.parametrize(
    ("given", "status", "headers", "body"),
    [
        ({"method": "HEAD"}, 200, {}, ""),
        ({"headers": [("accept", "text/html,*/*")]}, 200, {"content-type": "text/html"}, ""),
        ({"headers": [("accept", "image/webp,*/*")]}, 204, {}, ""),
        ({"headers": [("content-type", "application/x-protobuf")]}, 200,
         {"content-type": "application/x-protobuf"}, ""),
        ({"headers": [("accept", "application/json; q=1")]}, 200, {"content-type": JSON}, "{}"),
        ({"headers": [("accept", "text/\x1b[31m")]}, 200, {}, ""),
    ],
)  # fmt: skip
def test_what_is_plausible_depends_on_what_the_client_takes(
    given: dict, status: int, headers: dict, body: str
) -> None:
    reply = draft([request(0, **given)]).endpoints[0].reply
    assert (reply.status, reply.headers, reply.body) == (status, headers, body)


def test_an_answer_of_ours_is_not_the_vendors() -> None:
    record = request(0, answer=(200, JSON, b'{"ours": 1}'))
    record.answered_by = "app"
    assert draft([record]).endpoints[0].reply.body == "{}"


@pytest.mark.parametrize(
    ("kind", "body", "ending"),
    [
        (JSON, LARGE, ".json"),
        ("image/gif", b"GIF89a\xff\x00", ".gif"),
        ("text/csv; charset=utf-8", b"a,b\n" * ANSWER_CAP, ".csv"),
        ("a/../../b", b"\xff\xfe" * 9, ".bin"),
        ("", b"\x00\xff", ".bin"),
    ],
)
def test_what_is_large_or_no_text_is_the_files(kind: str, body: bytes, ending: str) -> None:
    (endpoint,) = draft([request(answer=(201, kind, body))], room=ROOM).endpoints
    reply = endpoint.reply
    assert (reply.status, reply.body, reply.beside) == (201, "", body)
    name = reply.file(endpoint.id)
    assert name.startswith("v1-usage.") and name.endswith(ending) and "/" not in name
    assert "the one that was observed (1 of 1" in reply.how and "in a file beside" in reply.how


def test_a_file_tells_of_nobody() -> None:
    said = {"contact": "ops@acme.example", "salt": "8843d7f92416211de9ebb963ff4ce281", "n": 17}
    body = json.dumps([said] * 200).encode()
    (endpoint,) = draft([request(answer=(200, JSON, body))], room=ROOM).endpoints
    kept = json.loads(endpoint.reply.beside)
    assert kept == [{"contact": "***", "salt": "***", "n": 17}] * 200
    assert "holds masked values" in endpoint.reply.how


def test_files_are_bounded_each_and_together() -> None:
    small, huge = b"\xff" * 9_000, request(0, "/huge", answer=(200, "", b"x"))
    assert huge.response is not None
    over = b"\xff" * (FILE_CAP + 1)
    huge.response.body = bodies.keep(over, size=len(over), sha256="", cap=len(over))
    others = (request(n, f"/{n * 'x'}", answer=(200, "", small)) for n in range(1, 4))
    found = draft([huge, *others], room=FILE_CAP + 10_000)
    assert {e.route: len(e.reply.beside) for e in found.endpoints}["/huge"] == 0
    found = draft([*(request(n, f"/{n * 'x'}", answer=(200, "", small)) for n in range(1, 4))],
                  room=2 * len(small))  # fmt: skip
    assert sorted(len(e.reply.beside) for e in found.endpoints) == [0, len(small), len(small)]
    (how,) = [e.reply.how for e in found.endpoints if not e.reply.beside]
    assert "9,000 bytes, which are more than" in how and "plausible" in how


def test_a_body_that_is_not_whole_is_no_file() -> None:
    cut = request(answer=(200, JSON, b"{}"))
    assert cut.response is not None
    cut.response.body = bodies.keep(LARGE, size=len(LARGE) + 1, sha256="", cap=FILE_CAP)
    (endpoint,) = draft([cut], room=ROOM).endpoints
    assert endpoint.reply.beside == b"" and "not their bodies: cut" in endpoint.reply.how


@pytest.mark.parametrize(
    ("said", "body"),
    [([], ""), (["hi"], "hi"), (["a", "b", "b"], "b"), (["x" * (ANSWER_CAP + 1)], ""),
     (["me@acme.example"], "***")],
)  # fmt: skip
def test_a_websocket_is_greeted_as_the_host_did(said: list[str], body: str) -> None:
    reply = accepted(said)
    assert (reply.websocket, reply.body, reply.headers) == (True, body, {})
