"""addon/mitm/flood.py: which HTTP/2 frames are counted, and that GOAWAY follows."""

from dataclasses import replace

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from addon.bounds import DEFAULTS
from addon.mitm.flood import FRAME_SIZE, Flood, Frames
from tests.attacks.framed import PING, h2_frame

HEAD = [(":method", "GET"), (":path", "/"), (":authority", "a"), (":scheme", "https")]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Frames, "bounds", replace(DEFAULTS, resets=5, control=20, streams=3))


class Pair:
    """A client, and the connection that it has with us."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=False)
        self.ours = Frames(config)
        self.client = h2.connection.H2Connection()
        self.client.initiate_connection()
        self.ours.initiate_connection()
        self.pass_on()

    def pass_on(self) -> list[h2.events.Event]:
        found = self.ours.receive_data(self.client.data_to_send())
        self.client.receive_data(self.ours.data_to_send())
        return found

    def ask(self, *, end: bool = True) -> int:
        stream = int(self.client.get_next_available_stream_id())
        self.client.send_headers(stream, HEAD, end_stream=end)
        return stream


pytestmark = pytest.mark.usefixtures("few")


def test_a_few_resets_are_the_clients_right() -> None:
    pair = Pair()
    for _ in range(5):
        pair.client.reset_stream(pair.ask())
    pair.pass_on()
    pair.client.reset_stream(pair.ask())
    with pytest.raises(Flood) as e:
        pair.pass_on()
    assert (e.value.bound, e.value.error_code) == ("resets", h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize(
    "frame",
    [PING, h2_frame(4), h2_frame(2, b"\0\0\0\0\1", 3), h2_frame(8, b"\0\0\0\1"), h2_frame(0x55)],
    ids=["PING", "SETTINGS", "PRIORITY", "WINDOW_UPDATE", "unknown"],
)
def test_frames_that_carry_nothing_are_counted(frame: bytes) -> None:
    pair = Pair()
    pair.ours.receive_data(frame * 10)
    with pytest.raises(Flood) as e:
        pair.ours.receive_data(frame * 15)
    assert e.value.bound == "control"


def test_empty_data_is_counted_and_its_end_is_not() -> None:
    pair = Pair()
    stream = pair.ask(end=False)
    pair.pass_on()
    pair.ours.receive_data(h2_frame(0, stream=stream) * 10)
    with pytest.raises(Flood):
        pair.ours.receive_data(h2_frame(0, stream=stream) * 15)


def test_a_download_may_update_its_windows() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.pass_on()
    pair.ours.send_headers(stream, [(":status", "200")])
    for _ in range(200):
        pair.ours.send_data(stream, b"x" * 1000)
        for event in pair.client.receive_data(pair.ours.data_to_send()):
            if isinstance(event, h2.events.DataReceived):
                pair.client.increment_flow_control_window(1000)
                pair.client.increment_flow_control_window(1000, stream)
        pair.pass_on()


def test_streams_at_a_time_and_the_size_of_frames_are_told() -> None:
    pair = Pair()
    settings = pair.client.remote_settings
    assert (settings.max_concurrent_streams, settings.max_frame_size) == (3, FRAME_SIZE)


def test_what_waits_and_what_is_not_whole_is_known() -> None:
    pair = Pair()
    pair.client.update_settings({4: 0})  # INITIAL_WINDOW_SIZE
    one, two = pair.ask(), pair.ask()
    pair.pass_on()
    for stream in (one, two):
        pair.ours.send_headers(stream, [(":status", "200")])
    pair.ours.send_data(one, b"x" * 5000)
    pair.ours.send_data(two, b"x" * 700)
    assert (pair.ours.waiting(one), pair.ours.waiting(), pair.ours.waiting(99)) == (5000, 5700, 0)
    pair.ours.receive_data(h2_frame(1, b"\0" * 300, 7) + b"\0\0\x10")
    assert pair.ours.partial() == 303
