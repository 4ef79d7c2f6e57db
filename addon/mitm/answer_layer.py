"""Runs a conversation (`addon.exchange.conversation`) on a connection that mitmproxy reads.

`addon.mitm.next_layer` chooses it for CONNECT, and for connections without TLS.
"""

from dataclasses import dataclass

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from addon.exchange.conversation import Conversation, Stage
from addon.exchange.exchange import Exchange, Line
from addon.mitm.layers import Http
from addon.mitm.relay import LayerEvents

UNSENT_CAP = 256 * 1024  # bytes of unsent answers over which no further request is read
RETRY_S = 0.02  # until the next look if the client has drained them; doubles each time
RETRY_MOST_S = 1.0


@dataclass
class AskAppHook(commands.StartHook):
    """Has mitmproxy call `ask_app` of `addon.exchanges`, which gets the answer."""

    exchange: Exchange


class AnswerLayer(layer.Layer):
    """The layer of such a conversation."""

    def __init__(self, context: Context, told: LayerEvents) -> None:
        super().__init__(context)
        self._told = told
        self._to_send = bytearray()
        self._talk = Conversation(told.answers, self._line, self._add)
        self._hook: AskAppHook | None = None
        self._looking: commands.RequestWakeup | None = None  # back-pressure: the next look
        self._retry = RETRY_S
        self.over: Http | None = None

    # Read by `addon.mitm.handler`.

    @property
    def answers(self) -> int:
        return self._talk.count

    @property
    def held(self) -> int:
        return self._talk.held

    @property
    def ahead(self) -> int:
        return self._talk.ahead

    def stages(self) -> dict[Stage, int]:
        return self._talk.stages()

    def _add(self, answer: bytes) -> None:
        self._to_send += answer
        self._talk.blocked = self._talk.blocked or len(self._to_send) > UNSENT_CAP

    def _line(self) -> Line | None:
        if self.context.server.address is None:
            return None
        return self._told.answers.line(self.context.client, self.context.server)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.over is not None:
            yield from self.over.handle_event(event)
            return
        if self._talk.ended:
            return
        if isinstance(event, events.DataReceived):
            self._talk.receive(event.data)
        elif isinstance(event, events.HookCompleted) and event.command is self._hook:
            self._hook = None
            self._talk.replied()
        elif isinstance(event, events.ConnectionClosed):
            self._talk.leave()
        elif isinstance(event, events.Wakeup):
            self._looking = None
            self._retry = min(2 * self._retry, RETRY_MOST_S)
            if self._told.unsent(self.context.client) < UNSENT_CAP:
                self._retry = RETRY_S
                self._talk.go_on()
        yield from self._follow()

    def _follow(self) -> layer.CommandGenerator[None]:
        talk = self._talk
        if talk.begun:
            self._told.heard(self.context.client)
        if self._to_send:
            yield commands.SendData(self.context.client, bytes(self._to_send))
            self._to_send.clear()
        if talk.blocked and self._looking is None and not talk.ended:
            full = self._told.unsent(self.context.client) >= UNSENT_CAP
            self._looking = commands.RequestWakeup(self._retry if full else 0)
            yield self._looking
        if talk.ended:
            yield commands.CloseConnection(self.context.client)
        elif talk.asked is not None and self._hook is None:
            self._hook = AskAppHook(talk.asked)
            # With a layer as value mitmproxy tells that layer of the hook's end, and still gives it
            # events meanwhile: it must see the client leave.
            self._hook.blocking = self  # type: ignore[assignment]
            yield self._hook
        elif talk.over is not None:
            self.over = Http(self.context, HTTPMode.transparent, self._told)
            yield from self.over.handle_event(events.Start())
            begun, talk.over = talk.over, b""
            yield from self.over.handle_event(events.DataReceived(self.context.client, begun))
