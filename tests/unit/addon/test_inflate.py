"""addon/inflate.py: compressed WebSocket messages as two ends of wsproto exchange them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from addon.inflate import Inflate


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
