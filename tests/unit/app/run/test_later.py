"""app/run/later.py: a socket is looked at once it is connected, and never if it is not."""

import errno
import os
import socket
import time

from app.run import later
from tests.waiting import wait_for


def test_who_is_connected_late_is_seen_and_who_is_not_is_forgotten(monkeypatch):
    monkeypatch.setattr(later, "_PATIENCE_S", 5.0)
    looks, seen = later.Later(), []
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as late:
        looks.once_connected(late, lambda sock: seen.append(sock.getpeername()))
        time.sleep(0.05)
        assert seen == []
        late.connect(server.getsockname())
        wait_for(lambda: seen == [server.getsockname()], 5)
    looks.stop()


def test_the_copy_is_closed_so_that_the_other_end_sees_the_end(monkeypatch):
    monkeypatch.setattr(later, "_PATIENCE_S", 0.05)
    looks = later.Later()
    with socket.create_server(("127.0.0.1", 0)) as server:
        asks = socket.create_connection(server.getsockname())
        taken, _ = server.accept()
        with taken:
            looks.once_connected(asks, lambda sock: None)
            asks.close()
            taken.settimeout(5)
            assert taken.recv(1) == b""
    looks.stop()


def test_an_error_ends_nothing_and_stop_lets_go():
    looks, seen = later.Later(), []

    def fails(sock: socket.socket) -> None:
        seen.append(1)
        raise ValueError

    a, b = socket.socketpair()
    with a, b, socket.socket() as never:
        looks.once_connected(a, fails)
        looks.once_connected(never, fails)
        looks.once_connected(b, fails)
        looks.stop()
    assert seen == [1, 1] and looks.failed


def test_many_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(later, "_MOST", 2)
    looks = later.Later()
    socks = [socket.socket() for _ in range(9)]
    for sock in socks:
        looks.once_connected(sock, lambda sock: None)
    wait_for(lambda: len(looks._waiting) <= 2, 5)
    looks.stop()
    for sock in socks:
        sock.close()


def test_a_socket_that_does_not_block_stays_so():
    """The copy shares that with the caller's own."""
    looks = later.Later()
    with socket.socket(socket.AF_UNIX) as asks:
        asks.setblocking(False)
        looks.once_connected(asks, lambda sock: None)
        assert not os.get_blocking(asks.fileno())
    looks.stop()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as asks:
        looks = later.Later()
        asks.setblocking(False)
        asks.connect_ex(server.getsockname())
        seen = []
        looks.once_connected(asks, lambda sock: seen.append(sock.getpeername()))
        wait_for(lambda: seen, 5)
        assert not os.get_blocking(asks.fileno())
        looks.stop()


def test_the_outcome_of_a_connect_that_was_begun():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        assert later.outcome(client, 20) == 0
    with socket.socket() as unconnected, socket.socket() as client:
        unconnected.bind(("127.0.0.1", 0))
        client.setblocking(False)
        client.connect_ex(unconnected.getsockname())
        # The kernel may have said so to the call itself.
        assert later.outcome(client, 20) in (0, errno.ECONNREFUSED)
