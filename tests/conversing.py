"""A client, a Conversation and an app as a state machine: whatever comes first, every request is
answered exactly once and in its order, or the connection is over; never both, and never neither.

Run by tests/unit/addon/exchange/test_conversation.py.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from addon.exchange.conversation import Conversation, Head
from addon.exchange.exchange import Exchange
from addon.exchange.reply import Reply
from tests.sidecar import rule as of_path
from tests.unit.addon.exchange.test_routing import exchange_with

NOW, APP, LAST, REAL = b"/now", b"/app", b"/last", b"/host"  # REAL is for the real host


class Client(RuleBasedStateMachine):
    """`wire`: bytes on their way. `sent`: kind and end of each request, counted in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = b""
        self.taken = self.size = 0
        self.sent: list[tuple[bytes, int]] = []
        self.answers: list[bytes] = []
        self.recorded: list[int] = []
        self.given_up: list[int] = []
        self.begun: list[Exchange] = []
        self.killed = self.left = False
        self.tried = 0
        line = exchange_with(of_path("x", "/x")).line
        self.talk = Conversation(self, lambda: line, self.answers.append)

    # What a Conversation asks for.

    def line(self, client: Any, server: Any) -> Any:
        raise NotImplementedError

    def begin(self, line: Any, head: Head) -> Exchange | None:
        if head.target == REAL:
            return None
        exchange = exchange_with(of_path("x", "/x"), path=head.target)
        exchange.number = "", len(self.begun)
        self.begun.append(exchange)
        return exchange

    def answer_now(self, exchange: Exchange) -> bool:
        assert self.tried == exchange.number[1]
        self.tried += 1
        if exchange.target != APP:
            exchange.reply = self._reply(exchange)
        return exchange.reply is not None

    def answered(self, exchange: Exchange) -> None:
        self.recorded.append(exchange.number[1])

    async def ask_app(self, exchange: Exchange) -> None:
        raise NotImplementedError  # the rules below are the app

    def abandoned(self, exchange: Exchange) -> None:
        self.given_up.append(exchange.number[1])

    def _reply(self, exchange: Exchange) -> Reply:
        body = b"%d" % exchange.number[1]
        fields = ((b"content-length", b"%d" % len(body)),)
        return Reply(200, b"OK", fields, body)

    # The client.

    @rule(
        paths=st.lists(st.sampled_from([NOW, NOW, APP, APP, LAST, REAL]), max_size=5),
        body=st.binary(max_size=5),
    )
    def sends(self, paths: list[bytes], body: bytes) -> None:
        for path in paths:
            close = b"Connection: close\r\n" if path == LAST else b""
            request = b"POST %s HTTP/1.1\r\nHost: a\r\n%scontent-length: %d\r\n\r\n%s" % (
                path, close, len(body), body
            )  # fmt: skip
            self.wire += request
            self.size += len(request)
            self.sent.append((path, self.size))

    @precondition(lambda self: self.wire and not self.over)
    @rule(size=st.integers(1, 400))
    def arrives(self, size: int) -> None:
        data, self.wire = self.wire[:size], self.wire[size:]
        self.taken += len(data)
        self.talk.receive(data)

    @precondition(lambda self: not self.over)
    @rule()
    def reads_no_more(self) -> None:
        self.talk.blocked = True

    @precondition(lambda self: not self.over)
    @rule()
    def reads_again(self) -> None:
        self.talk.go_on()

    @precondition(lambda self: not self.over)
    @rule()
    def leaves(self) -> None:
        self.left = True
        self.talk.leave()
        self.talk.leave()  # as a front may say it twice

    # The app, whose answer may come after the end.

    @precondition(lambda self: self.talk.asked is not None)
    @rule(kill=st.sampled_from([False, False, False, True]))
    def app_answers(self, kill: bool) -> None:
        exchange = self.talk.asked
        if exchange is None:
            return
        if kill:
            exchange.killed = True
            self.killed = self.killed or not self.over
        else:
            exchange.reply = self._reply(exchange)
        self.talk.replied()

    @property
    def over(self) -> bool:
        return self.talk.ended or self.talk.over is not None

    @invariant()
    def each_once_and_in_order(self) -> None:
        numbers = [int(answer.rpartition(b"\r\n\r\n")[2]) for answer in self.answers]
        assert numbers == list(range(len(numbers))) == self.recorded
        assert self.given_up in ([], [len(numbers)])
        assert not set(self.given_up) & set(numbers)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        whole = [path for path, end in self.sent if end <= self.taken]
        answered = len(self.answers)
        if self.talk.over is not None:
            assert self.sent[answered][0] == REAL and not self.talk.ended
            end = self.sent[answered - 1][1] if answered else 0
            assert len(self.talk.over) <= self.taken - end
        elif self.talk.ended:
            assert self.left or self.killed or self.sent[answered - 1][0] == LAST
        elif self.talk.asked is not None:
            assert self.sent[answered][0] == APP and answered < len(whole)
        elif not self.talk.blocked:
            assert answered == len(whole)
