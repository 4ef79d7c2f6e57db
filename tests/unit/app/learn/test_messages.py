"""app/learn/messages.py: what WebSockets said is the greeting, and content."""

import pytest

from app.contract import body as bodies
from app.contract.record import CaptureRecord, Message
from app.learn.draft import Draft, draft
from app.learn.fields import look
from app.learn.messages import MESSAGES, greetings, opens, spoken
from app.learn.yaml_text import written
from app.profiles.compile import compiled_draft
from tests.unit.app.learn.conftest import request

UPGRADE = [("Upgrade", "WebSocket"), ("Connection", "Upgrade")]


def opener(at: float = 0, path: str = "/socket", seq: int = 1, status: int = 101) -> CaptureRecord:
    found = request(
        at, path, method="GET", sent=b"", headers=UPGRADE, answer=(status, "", b""), seq=seq
    )
    return found


def message(of: CaptureRecord, sender: str, data: bytes, after: int = 1) -> CaptureRecord:
    return CaptureRecord(
        boot=of.boot, seq=of.seq + 1_000 + after, kind="message", time_ns=of.time_ns + after,
        profile="opened", rule="all", action="observe",
        message=Message(of=of.id, sender=sender, body=bodies.whole(data)),  # type: ignore[arg-type]
    )  # fmt: skip


def drafted(*records: CaptureRecord) -> Draft:
    return draft(records)


def test_a_websocket_is_accepted_and_greeted_as_the_host_did() -> None:
    one = opener()
    found = drafted(
        one,
        message(one, "client", b'{"machine": "pc-jane", "email": "a@b.example"}', 2),
        message(one, "server", b'{"type": "welcome"}', 1),
        message(one, "server", b'{"ack": true}', 3),
        request(9, "/socket", method="GET", sent=b""),
    )
    socket, plain = found.endpoints
    assert (socket.id, plain.id) == ("socket-websocket", "socket-get")
    assert (socket.reply.websocket, socket.reply.body) == (True, '{"type": "welcome"}')
    assert not plain.reply.websocket
    assert {"any.machine", "any.email"} <= {row.field for row in found.sensitive}
    assert any("its messages are not answered" in said for said in found.unknown)
    rules = compiled_draft(written(found).text.encode(), "x").rules
    assert rules[0].answer.websocket and rules[0].answer.body == b'{"type": "welcome"}'
    assert [value.name for value in rules[0].match.headers] == ["upgrade"]


@pytest.mark.parametrize("status", [101, 403, 502])
def test_it_is_one_by_what_was_asked(status: int) -> None:
    (endpoint,) = drafted(opener(status=status)).endpoints
    assert endpoint.reply.websocket and endpoint.reply.body == ""


def test_a_host_that_spoke_second_did_not_greet() -> None:
    one = opener()
    (endpoint,) = drafted(
        one, message(one, "client", b"hi", 1), message(one, "server", b"yes", 2)
    ).endpoints
    assert endpoint.reply.body == ""


def test_messages_of_others_are_none() -> None:
    one, other = opener(), opener(seq=7)
    line = message(one, "client", b"x")
    assert line.message is not None
    line.message.line = True
    looks = [found for found in map(look, (one,)) if found]
    assert spoken([line, message(other, "client", b"{}"), one], looks) == []


def test_they_are_bounded_and_a_greeting_is_whole_text() -> None:
    one = opener()
    looks = [found for found in map(look, (one,)) if found]
    many = [message(one, "client", b"{}", n) for n in range(MESSAGES + 9)]
    assert len(spoken(many, looks)) == MESSAGES
    binary = [message(one, "server", b"\xff\x00", 1), message(one, "server", b"x", 2)]
    assert [*greetings(spoken(binary, looks), looks)] == []


def test_a_request_opens_one_by_its_header() -> None:
    asked = request(headers=UPGRADE).request
    plain = request().request
    assert asked is not None and plain is not None
    assert opens(asked) and not opens(plain)
