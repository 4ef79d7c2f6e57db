"""addon/arrive/splice.py: connections through a running Splicer, between real sockets."""

import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.arrive import splice
from addon.arrive.pipes import PIPE_SIZE, Pipe, Pipes
from addon.arrive.splice import LOOK_CAP, Link, Splicer
from addon.target.first_bytes import Verdict, Wait
from tests.waiting import wait_for

RELAYED = Verdict("far.example", "far.example", "not_named")
OPENED = Verdict("named.example")


def told(_: Link, data: bytes) -> Verdict | Wait:
    """A beginning that is clear by its last byte."""
    if data.endswith(b"!"):
        raise ZeroDivisionError
    return {b"?": Wait.WAIT, b"N": OPENED}.get(data[-1:], RELAYED)


class Lab:
    """A splicer, and a server that it leads to."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._near = socket.create_server((address, 0), family=self.family)
        self.far = socket.create_server((address, 0), family=self.family)
        self.over: list[Link] = []
        self.back: list[socket.socket] = []
        self.splicer = Splicer(told, self.over.append)
        self._ends: list[socket.socket] = []

    def come(self, to: tuple[Any, ...] | None = None) -> socket.socket:
        """A client's end of a connection that the splicer has taken."""
        client = socket.create_connection(self._near.getsockname()[:2], 10)
        accepted, peer = self._near.accept()
        accepted.setblocking(False)
        to = (to or self.far.getsockname())[:2]
        link = Link(accepted, peer[:2], to, lambda: self.back.append(accepted))
        self.splicer.take(link)
        self._ends.append(client)
        return client

    def arrive(self) -> socket.socket:
        """The server's end."""
        self.far.settimeout(10)
        server, _ = self.far.accept()
        server.settimeout(10)
        self._ends.append(server)
        return server

    def turn(self) -> None:
        """After what came before: the splicer's thread takes what happens in its order."""
        passing = self.come()
        passing.sendall(b"N")
        wait_for(lambda: self.back).pop().close()

    def pair(self, first: bytes = b"x") -> tuple[socket.socket, socket.socket]:
        client = self.come()
        client.sendall(first)
        server = self.arrive()
        assert all_of(server, len(first)) == first
        return client, server

    def ended(self) -> Link:
        """The one connection that was relayed and has ended."""
        wait_for(lambda: self.over)
        (link,) = self.over
        return link

    def close(self) -> None:
        self.splicer.stop()
        for end in (self._near, self.far, *self._ends, *self.back):
            end.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def all_of(end: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (data := end.recv(1 << 20)):
        found += data
    return bytes(found)


def reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_bytes_go_both_ways_and_are_counted(address: str) -> None:
    before, lab = files(), Lab(address)
    client, server = lab.pair(b"hello")
    for _ in range(3):
        server.sendall(b"answer")
        assert all_of(client, 6) == b"answer"
        client.sendall(b"more")
        assert all_of(server, 4) == b"more"
    client.close()
    assert server.recv(9) == b""
    server.close()
    link = lab.ended()
    assert (link.sent, link.received, link.error, link.verdict) == (17, 18, "", RELAYED)
    assert link.peer[0] == address and 0 <= time.time() - link.began < 30
    lab.close()
    assert files() == before


def test_nothing_is_sent_before_the_beginning_is_clear_and_then_all_of_it(lab: Lab) -> None:
    client = lab.come()
    lab.far.setblocking(False)
    for piece in (b"a?", b"b?", b"c?"):
        client.sendall(piece)
        lab.turn()
        with pytest.raises(BlockingIOError):
            lab.far.accept()
    client.sendall(b"d")
    assert all_of(lab.arrive(), 7) == b"a?b?c?d"


def test_what_is_opened_is_given_back_with_every_byte_in_it(lab: Lab) -> None:
    client = lab.come()
    client.sendall(b"hello?")
    lab.turn()
    client.sendall(b"N")
    wait_for(lambda: lab.back)
    assert lab.back[0].recv(99) == b"hello?N"
    client.sendall(b"mine")
    wait_for(lambda: lab.back[0].recv(99, socket.MSG_PEEK) == b"mine")
    assert lab.over == []


def test_what_stays_unclear_is_given_back(lab: Lab) -> None:
    client = lab.come()
    for _ in range(LOOK_CAP // 1024):
        client.sendall(b"?" * 1024)
    wait_for(lambda: lab.back)
    assert len(lab.back[0].recv(1 << 20)) == LOOK_CAP


@pytest.mark.parametrize("beginning", [b"", b"never clear?"])
@pytest.mark.parametrize("leave", [socket.socket.close, reset, lambda s: s.shutdown(1)])
def test_who_leaves_without_saying_where_to_leaves_nothing(
    lab: Lab, beginning: bytes, leave: Callable[[socket.socket], None]
) -> None:
    client = lab.come()
    client.sendall(beginning)
    lab.turn()
    leave(client)
    wait_for(lambda: not lab.splicer._links)
    assert lab.over == [] and lab.back == []


def test_either_end_may_stop_talking_and_listen_on(lab: Lab) -> None:
    client, server = lab.pair()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(9) == b""
    server.sendall(b"late" * 100_000)
    server.close()
    assert len(all_of(client, 1 << 30)) == 400_000
    assert lab.ended().received == 400_000

    client, server = lab.pair()
    server.shutdown(socket.SHUT_WR)
    assert client.recv(9) == b""
    client.sendall(b"late")
    client.close()
    assert all_of(server, 99) == b"late"


@pytest.mark.parametrize("which", [0, 1])
def test_a_reset_is_passed_on(lab: Lab, which: int) -> None:
    ends = lab.pair()
    reset(ends[which])
    with pytest.raises(ConnectionResetError):
        ends[1 - which].recv(9)
    assert lab.ended().error == ""


def test_a_reset_after_the_end_is_passed_on(lab: Lab) -> None:
    client, server = lab.pair()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(9) == b""
    reset(client)
    lab.ended()
    with pytest.raises(OSError, match=r"reset|Broken"):
        server.sendall(b"x")


def test_what_was_sent_before_a_reset_arrives(lab: Lab) -> None:
    client, server = lab.pair()
    server.sendall(b"the answer")
    assert all_of(client, 10) == b"the answer"
    client.sendall(b"unread")
    wait_for(lambda: server.recv(9, socket.MSG_PEEK))
    server.close()  # with bytes unread: a reset
    with pytest.raises(ConnectionResetError):
        client.recv(9)
    assert lab.ended().sent == 7


def test_a_refused_connection_is_reset_and_says_why(lab: Lab) -> None:
    nobody = ("127.0.0.1", 9)
    client = lab.come(nobody)
    client.sendall(b"hello")
    with pytest.raises(ConnectionResetError):
        client.recv(9)
    link = lab.ended()
    assert link.error == f"[Errno 111] Connect call failed {nobody}"
    assert (link.sent, link.received) == (5, 0)


def test_what_the_kernel_refuses_at_once_is_told(lab: Lab) -> None:
    lab.come(("255.255.255.255", 443)).sendall(b"hello")
    assert lab.ended().error.startswith("[Errno ")


def test_no_socket_for_the_far_end_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    client = lab.come()
    monkeypatch.setattr(splice.socket, "socket", failing(errno.EMFILE))
    client.sendall(b"hello")
    assert lab.ended().error == "[Errno 24] Too many open files"


def test_who_leaves_before_the_far_end_answers_is_recorded(lab: Lab) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with contextlib.ExitStack() as filling:
            for _ in range(3):
                one = filling.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(deaf.getsockname())
            client = lab.come(deaf.getsockname())
            client.sendall(b"hello")
            wait_for(lambda: len(lab.splicer._links) == 2)
            reset(client)
            assert lab.ended().error == "connection cancelled"


def test_a_slow_reader_gets_everything_and_holds_nobody_up(lab: Lab) -> None:
    client, server = lab.pair()
    size = 64 << 20
    block = os.urandom(1 << 20)

    def send() -> None:
        for _ in range(size >> 20):
            server.sendall(block)
        server.close()

    sender = threading.Thread(target=send)
    sender.start()
    wait_for(lambda: [x for x in lab.splicer._links.values() if x.ways and x.ways[1].pipe])
    quick, its = lab.pair()
    its.sendall(b"pong")
    assert all_of(quick, 4) == b"pong"
    assert sender.is_alive()
    assert all_of(client, size) == block * (size >> 20)
    sender.join()


def test_thousands_of_small_pieces_arrive_whole(lab: Lab) -> None:
    client, server = lab.pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in range(5000):
        client.sendall(b"%d," % number)
    client.shutdown(socket.SHUT_WR)
    assert all_of(server, 1 << 20) == b"".join(b"%d," % n for n in range(5000))


def test_idle_connections_hold_their_sockets_and_nothing_else(lab: Lab) -> None:
    lab.pair()
    before = files()
    for _ in range(100):
        lab.pair()
    assert files() - before == 400  # both ends here, and both in the splicer


def test_where_no_more_files_may_be_open_bytes_wait(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = lab.pair()
    asked = []
    take = Pipes.take

    def none_left(pipes: Pipes) -> Pipe:
        asked.append(pipes)
        if len(asked) < 4:
            raise OSError(errno.EMFILE, "Too many open files")
        return take(pipes)

    monkeypatch.setattr(Pipes, "take", none_left)
    client.sendall(b"patience")
    assert all_of(server, 8) == b"patience"


def test_a_fast_sender_is_not_served_for_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "TURNS", 1)
    client, server = lab.pair()
    threading.Thread(target=client.sendall, args=(bytes(PIPE_SIZE * 8),)).start()
    assert len(all_of(server, PIPE_SIZE * 8)) == PIPE_SIZE * 8


def test_a_failure_of_ours_ends_one_connection(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    client, server = lab.pair()
    broken = lab.come()
    broken.sendall(b"!")
    with pytest.raises(ConnectionResetError):
        broken.recv(9)
    assert "ZeroDivisionError" in caplog.text
    client.sendall(b"fine")
    assert all_of(server, 4) == b"fine"


def test_what_cannot_be_watched_is_reset(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    client, server = lab.pair()
    lab.splicer._register = failing(errno.ENOSPC)  # type: ignore[method-assign]
    with pytest.raises(ConnectionResetError):
        lab.come().recv(9)
    assert "No space left" in caplog.text
    client.sendall(b"fine")
    assert all_of(server, 4) == b"fine"


def test_a_record_that_fails_costs_no_connection(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Link) -> None:
        raise ZeroDivisionError

    lab.splicer._over = fail
    client, server = lab.pair()
    client.close()
    server.close()
    wait_for(lambda: "could not be recorded" in caplog.text)
    lab.pair()


def test_the_end_tells_of_all_that_is_relayed(lab: Lab) -> None:
    lab.pair()
    lab.pair()
    lab.come()
    lab.splicer.stop()
    assert [link.sent for link in lab.over] == [1, 1]
    lab.splicer = Splicer(told, lab.over.append)


def test_it_may_be_stopped_while_it_is_awake() -> None:
    """The thread may end before `stop` has woken it."""
    for _ in range(50):
        lab = Lab()
        lab.come().sendall(b"x")
        lab.close()


def test_what_moves_nothing_for_a_day_is_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = lab.pair()
    silent = lab.come()
    lab.turn()

    for sent, over in ((b"x", 0), (b"", 1)):
        for link in set(lab.splicer._links.values()):
            link.active -= splice.IDLE_SECONDS
        client.sendall(sent)
        with monkeypatch.context() as patched:
            patched.setattr(splice, "SWEEP_S", 0)
            lab.turn()
        assert silent.recv(9) == b"" and server.recv(99) == sent
        assert len(lab.over) == over
