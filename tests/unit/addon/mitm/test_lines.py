"""addon/mitm/lines.py: what a connection without HTTP is given and what of it is recorded. Against
real clients and hosts: tests/integration/test_lines.py."""

from collections.abc import Iterable
from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context

from addon.exchange.exchange import Kept
from addon.mitm.lines import LONGEST, LOOK, Lines
from app.contract.rules import Decision

Said = tuple[str, bytes, str, str]


class Records:
    """What `addon.connections` is to the layer."""

    line_cap = 1024

    def __init__(self) -> None:
        self.said: list[Said] = []

    def has_lines(self, lines: Lines) -> None:
        self.lines = lines

    def line(self, of: Lines, sender: str, line: Kept, kind: str, reason: str, detail: str) -> None:
        self.said.append((sender, line.prefix, kind, reason))

    def spliced(self, relay: object) -> None:
        pass


class Requests(layer.Layer):
    """In the place of the layer that reads requests."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.got = b""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.got += getattr(event, "data", b"")
        yield from ()


class Connection:
    """A connection whose layer gets bytes. `refuses`: the real host does."""

    def __init__(self, action: Any, refuses: str | None = None) -> None:
        self.client = Client(peername=("127.0.0.1", 1), sockname=("192.0.2.1", 61833),
                             state=ConnectionState.OPEN)  # fmt: skip
        context = Context(self.client, options.Options())
        context.server = self.server = Server(address=("kong.test", 61833))
        self.records, self.requests = Records(), Requests(context)
        self._refuses = refuses
        self.lines = Lines(
            context, self.records, Decision(action, host="kong.test"),  # type: ignore[arg-type]
            lambda: self.requests,
        )  # fmt: skip
        self.did: list[commands.Command] = []
        self._run(self.lines.handle_event(events.Start()))

    def _run(self, made: Iterable[commands.Command]) -> None:
        for command in made:
            self.did.append(command)
            if isinstance(command, commands.OpenConnection):
                if self._refuses is None:
                    self.server.state = ConnectionState.OPEN
                done = events.OpenConnectionCompleted(command, self._refuses)
                self._run(self.lines.handle_event(done))
            elif isinstance(command, commands.CloseConnection):
                command.connection.state = ConnectionState.CLOSED

    def send(self, *pieces: bytes) -> None:
        for data in pieces:
            self._run(self.lines.handle_event(events.DataReceived(self.client, data)))

    def answer(self, data: bytes) -> None:
        self._run(self.lines.handle_event(events.DataReceived(self.server, data)))

    def close(self, end: Any = None) -> None:
        end = end or self.client
        end.state &= ~ConnectionState.CAN_READ
        self._run(self.lines.handle_event(events.ConnectionClosed(end)))

    def sent(self, to: Any) -> bytes:
        return b"".join(c.data for c in self.did
                        if isinstance(c, commands.SendData) and c.connection is to)  # fmt: skip

    @property
    def closed(self) -> bool:
        return self.client.state is ConnectionState.CLOSED

    @property
    def said(self) -> list[Said]:
        return self.records.said


@pytest.mark.parametrize("action", ["mock", "observe", "block", "pass"])
@pytest.mark.parametrize(
    "pieces",
    [
        (b"GET / HTTP/1.1\r\n",),
        (b"G", b"ET / HT", b"TP/1.1\r\n", b"more"),
        (b"\r\nX / HTTP/1.0\n",),
    ],
)
def test_http_is_given_whole_to_who_reads_requests(action: str, pieces: tuple[bytes, ...]) -> None:
    one = Connection(action)
    one.send(*pieces)
    assert one.requests.got == b"".join(pieces)
    assert one.said == [] and one.lines.held == 0


def test_http2_without_tls_goes_to_who_reads_requests() -> None:
    one = Connection("mock")
    one.send(b"PRI * HTTP", b"/2.0\r\n", b"\r\nSM\r\n\r")
    assert one.requests.got == b""
    one.send(b"\n\x00")
    assert one.requests.got == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00"
    assert one.client.alpn == b"h2"


def test_what_is_nearly_http2_is_refused_by_who_reads_requests() -> None:
    one = Connection("mock")
    one.send(b"PRI * HTTP/2.0\r\n", b"\r\nXX")
    assert one.requests.got == b"PRI * HTTP/2.0\r\n\r\nXX" and one.client.alpn is None


def test_what_an_answered_line_gets_is_nothing() -> None:
    one = Connection("mock")
    one.send(b"<14>a=1\n<14>b", b"=2\n", b"c")
    assert [said[1] for said in one.said] == [b"<14>a=1\n", b"<14>b=2\n"]
    assert one.did == [] and one.lines.answers == 2
    one.close()
    assert one.closed and one.said[-1] == ("client", b"c", "message", "")


def test_half_a_request_at_the_end_is_a_line() -> None:
    one = Connection("mock")
    one.send(b"GET /")
    assert one.lines.stages() == {("head", 0): 0}
    one.close()
    assert one.closed and one.said == [("client", b"GET /", "message", "")]


@pytest.mark.parametrize("begun", [b"GET", b"<14>"])
def test_what_was_begun_is_recorded_when_its_connection_is_lost(begun: bytes) -> None:
    one = Connection("mock")
    one.send(begun)
    one.lines.end()
    one.lines.end()
    assert one.said == [("client", begun, "message", "")]


def test_a_line_that_was_begun_has_to_go_on() -> None:
    one = Connection("mock")
    one.send(b"<14>" + b"x" * 3000)
    assert one.lines.stages() == {("body", 0): 2}
    one.send(b"\n")
    assert one.lines.stages() == {}


def test_blocked_lines_end_their_connection_and_nothing_more_is_read() -> None:
    one = Connection("block")
    one.send(b"<14>a=1\n<14>b", b"more\n")
    assert one.closed and one.sent(one.server) == one.sent(one.client) == b""
    assert one.said == [
        ("client", b"<14>a=1\n", "refused", "blocked"), ("client", b"<14>b", "refused", "blocked"),
    ]  # fmt: skip


def test_observed_lines_are_forwarded_and_both_sides_recorded() -> None:
    one = Connection("observe")
    one.send(b"<14>a=1\n<14>b", b"=2")
    one.answer(b"ok")
    assert one.sent(one.server) == b"<14>a=1\n<14>b=2" and one.sent(one.client) == b"ok"
    one.close()
    assert not one.closed  # the host may still answer
    one.answer(b"!\n")
    one.close(one.server)
    assert one.closed and one.sent(one.client) == b"ok!\n"
    assert [said[:2] for said in one.said] == [
        ("client", b"<14>a=1\n"), ("client", b"<14>b=2"), ("server", b"ok!\n"),
    ]  # fmt: skip


def test_a_host_that_cannot_be_reached_leaves_the_line_in_the_record() -> None:
    one = Connection("observe", refuses="no way there")
    one.send(b"<14>a=1\nb", b"c")
    assert one.closed
    assert [said[2:] for said in one.said] == [("failed", "upstream_unreachable")] * 2


def test_passed_lines_are_relayed_unread() -> None:
    one = Connection("pass")
    one.send(b"<14>a=1\n", b"more")
    assert one.sent(one.server) == b"<14>a=1\nmore" and one.said == []


def test_a_line_without_end_is_closed() -> None:
    one = Connection("mock")
    for _ in range(0, LONGEST + 1, 1 << 20):
        one.send(b"<" * (1 << 20))
        assert one.lines.held <= 2 << 20
    assert one.closed
    assert [(said[1], said[3]) for said in one.said] == [(b"<" * 1024, "too_large")]


def test_single_bytes_of_a_long_word_cost_no_more_than_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from addon.mitm import lines

    looks: list[int] = []
    real = lines.starts_like_http
    monkeypatch.setattr(lines, "starts_like_http", lambda d: looks.append(len(d)) or real(d))
    one = Connection("mock")
    one.send(*[b"x"] * (8 * LOOK), b"\n")
    assert len(looks) <= LOOK + 2
    assert one.said == [("client", b"x" * 1024, "message", "")]
