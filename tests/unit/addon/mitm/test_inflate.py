"""addon/mitm/inflate.py: compressed WebSocket messages as two ends of wsproto exchange them."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.test import tflow
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import Opcode

from addon.mitm.inflate import Inflate, Messages, WebSocketSide
from tests.attacks.host import MIB, bomb, frame


def ends(*extensions: PerMessageDeflate, agreed: str) -> tuple[Connection, Connection]:
    for extension in extensions:
        extension.finalize(f"permessage-deflate{agreed}")
    client, server = extensions
    return (
        Connection(ConnectionType.CLIENT, [client]),
        Connection(ConnectionType.SERVER, [server]),
    )


def received(end: Connection, data: bytes) -> list[Event]:
    end.receive_data(data)
    return list(end.events())


def text(found: list[Event]) -> str:
    return "".join(e.data for e in found if isinstance(e, TextMessage))


FRAGMENTS = st.lists(
    st.tuples(st.text(max_size=300), st.lists(st.sampled_from([Ping, Pong]), max_size=3)),
    min_size=1,
    max_size=4,
)


@given(
    st.lists(FRAGMENTS, min_size=1, max_size=3),
    st.sampled_from(["", "; client_no_context_takeover"]),
)
def test_control_frames_between_the_fragments_change_nothing(
    messages: list[list[tuple[str, list[type]]]], agreed: str
) -> None:
    client, server = ends(Inflate(), Inflate(), agreed=agreed)
    for fragments in messages:
        found = []
        for number, (part, between) in enumerate(fragments):
            last = number == len(fragments) - 1
            found += received(server, client.send(TextMessage(part, message_finished=last)))
            for control in between:
                (told,) = received(server, client.send(control(b"x")))
                assert isinstance(told, control)
        assert text(found) == "".join(part for part, _ in fragments)
        assert not any(isinstance(e, CloseConnection) for e in found)


def test_wsproto_itself_still_needs_the_mend() -> None:
    client, server = ends(Inflate(), PerMessageDeflate(), agreed="")
    received(server, client.send(TextMessage("a" * 99, message_finished=False)))
    received(server, client.send(Ping(b"")))
    found = received(server, client.send(TextMessage("b" * 99)))
    assert any(isinstance(e, CloseConnection) for e in found) or text(found) != "b" * 99


@pytest.mark.parametrize("size", [10, 1000])
def test_a_message_over_the_bound_is_refused(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inflate, "most", 100)
    client, server = ends(Inflate(), (inflate := Inflate()), agreed="")
    found = received(server, client.send(TextMessage("a" * size)))
    assert inflate.over is (size > 100)
    assert any(isinstance(e, CloseConnection) for e in found) is (size > 100)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inflate, "most", 10_000)


def server() -> tuple[Connection, Inflate]:
    extension = Inflate()
    extension.finalize("permessage-deflate")
    return Connection(ConnectionType.SERVER, [extension]), extension


def packed(content: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(content) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], masked=True, first=0xC2)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("times", [1, 5])
def test_messages_up_to_the_bound_are_inflated(times: int) -> None:
    connection, extension = server()
    for _ in range(times):  # each counts anew
        events = received(connection, packed(b"x" * 10_000))
        content = b"".join(bytes(x.data) for x in events if isinstance(x, BytesMessage))
        assert content == b"x" * 10_000
    assert not extension.over


@pytest.mark.usefixtures("small")
def test_a_larger_one_ends_the_connection() -> None:
    connection, extension = server()
    (event,) = received(connection, packed(b"x" * 10_001))
    assert isinstance(event, CloseConnection) and event.code == 1009
    assert extension.over


def test_a_bomb_is_inflated_no_further_than_the_bound() -> None:
    connection, extension = server()
    data = bomb(masked=True)
    assert len(data) < MIB
    inflated = 0
    for begin in range(0, len(data), 65536):
        for event in received(connection, data[begin : begin + 65536]):
            inflated += len(event.data) if isinstance(event, BytesMessage) else 0
        if extension.over:
            break
    assert extension.over and inflated <= Inflate.most


def test_what_is_not_compressed_is_not_counted() -> None:
    connection, extension = server()
    (event,) = received(connection, frame(b"x" * 70_000, masked=True, first=0x82))
    assert isinstance(event, BytesMessage) and not extension.over


def drive(layer: Messages, event: events.Event) -> None:
    for made in layer.handle_event(event):
        if isinstance(made, commands.StartHook):
            drive(layer, events.HookCompleted(made, None))


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (frame(b"user=x", masked=True, first=0x89), [(Opcode.PING, b"user=x")]),
        (frame(b"user=x", masked=True, first=0x8A), [(Opcode.PONG, b"user=x")]),
        (frame(b"asked", masked=True, first=0x8A), []),  # as the host's ping asks for
        (frame(b"", masked=True, first=0x89), []),
        (frame(b"\x03\xe8user=x", masked=True, first=0x88), [(Opcode.CLOSE, b"user=x")]),
        (frame(b"hello", masked=True, first=0x81), [(Opcode.TEXT, b"hello")]),
    ],
    ids=["ping", "pong", "answer", "empty", "close", "message"],
)
def test_what_a_client_says_in_control_frames_is_a_message(
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    frames: bytes,
    told: list[tuple[Opcode, bytes]],
) -> None:
    monkeypatch.setattr(websocket, "WebsocketConnection", WebSocketSide)
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages.clear()
    layer = Messages(context, flow)
    drive(layer, events.Start())
    ping = frame(b"asked", masked=False, first=0x89)
    drive(layer, events.DataReceived(context.server, ping))
    drive(layer, events.DataReceived(context.client, frames))
    assert [(one.type, one.content) for one in flow.websocket.messages] == told
    assert all(one.from_client for one in flow.websocket.messages)
