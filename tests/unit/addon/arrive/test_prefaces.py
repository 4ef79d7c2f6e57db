"""addon/arrive/prefaces.py: who a client is and where it was going, on real sockets."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.arrive.prefaces import Prefaces
from app.contract.preface import Preface, encode
from app.contract.record import Endpoint, Program

CURL = Program("curl", 4711)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_the_line_is_taken_and_what_follows_stays(listener):
    prefaces = Prefaces(1)
    prefaces.prepare(listener)
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(encode(Preface(Endpoint("192.0.2.1", 443), CURL)))
        taken, peer = listener.accept()
        with taken:
            client.sendall(b"GET /")
            taken.setblocking(False)
            assert prefaces.read(taken, peer)
            taken.setblocking(True)
            assert taken.recv(99) == b"GET /"
            assert prefaces.original_addr(taken) == ("192.0.2.1", 443)
        assert prefaces.program(peer, ("192.0.2.1", 443)) == CURL
        assert prefaces.program(("127.0.0.1", 1), ("192.0.2.1", 443)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux defers the acceptance")
def test_a_connection_is_accepted_once_its_first_bytes_are_there(listener):
    Prefaces.prepare(listener)
    listener.setblocking(False)
    with socket.create_connection(listener.getsockname()) as client:
        with pytest.raises(BlockingIOError):
            listener.accept()
        client.sendall(b"x")
        listener.accept()[0].close()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02"])
def test_who_begins_otherwise_is_none_of_this_run(listener, first):
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(first)
        taken, peer = listener.accept()
        with taken:
            assert not Prefaces(1).read(taken, peer)


def test_a_silent_connection_blocks_nothing(listener):
    with socket.create_connection(listener.getsockname()):
        taken, peer = listener.accept()
        with taken:
            taken.setblocking(False)
            assert not Prefaces(1).read(taken, peer)


def test_a_port_that_is_used_again_is_another_connections():
    """The sidecar may still hold the one before, whose client reset it."""
    prefaces, node = Prefaces(1), Program("node", 4712)
    one, other = socket.socketpair(), socket.socketpair()
    with one[0], one[1], other[0], other[1]:
        for (ours, theirs), to, of in ((one, "192.0.2.1", CURL), (other, "192.0.2.2", node)):
            ours.sendall(encode(Preface(Endpoint(to, 443), of)))
            assert prefaces.read(theirs, ("127.0.0.1", 5))
        assert prefaces.original_addr(one[1]) == ("192.0.2.1", 443)
        assert prefaces.original_addr(other[1]) == ("192.0.2.2", 443)
    assert prefaces.program(("127.0.0.1", 5), ("192.0.2.2", 443)) == node
    assert prefaces.program(("127.0.0.1", 5), ("192.0.2.1", 443)) is None  # not node


ASK = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", int(sys.argv[2]))); s.connect(("127.0.0.1", int(sys.argv[1]))); input()
"""


def client_of(proxy: tuple[str, int], port: int = 0) -> subprocess.Popen[bytes]:
    """A program that stays connected until its stdin ends."""
    ask = [sys.executable, "-c", ASK, str(proxy[1]), str(port)]
    return subprocess.Popen(ask, stdin=subprocess.PIPE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' /proc")
def test_a_client_of_the_proxy_is_looked_up_among_the_runs_descendants(listener):
    proxy = listener.getsockname()
    with client_of(proxy) as one:
        taken, peer = listener.accept()
        with taken:
            prefaces = Prefaces(os.getpid())
            prefaces.look_up(peer, proxy)
            program = prefaces.program(peer, proxy)
            assert program is not None
            assert (program.name, program.pid) == (Path(sys.executable).name, one.pid)
            assert prefaces.program(peer, ("127.0.0.1", 1)) is None
            nobody = Prefaces(one.pid)
            nobody.look_up(peer, proxy)
            assert nobody.program(peer, proxy) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' /proc")
def test_others_may_have_the_same_port_on_their_way_to_elsewhere(listener):
    """The order in the kernel's table is by chance, so there are many of them."""
    with contextlib.ExitStack() as stack:
        port, proxy = 0, listener.getsockname()
        for n in range(2, 18):
            elsewhere = stack.enter_context(socket.create_server((f"127.0.0.{n}", 0)))
            other = stack.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", port))
            other.connect(elsewhere.getsockname())
            port = other.getsockname()[1]
        one = stack.enter_context(client_of(proxy, port))
        taken, peer = listener.accept()
        with taken:
            assert peer == ("127.0.0.1", port)
            prefaces = Prefaces(os.getpid())
            prefaces.look_up(peer, proxy)
            program = prefaces.program(peer, proxy)
            assert program is not None and program.pid == one.pid
            # Redirected from the same port: neither is the other's.
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.sendall(encode(Preface(Endpoint("192.0.2.1", 443), CURL)))
                assert prefaces.read(theirs, peer)
            assert prefaces.program(peer, ("192.0.2.1", 443)) == CURL
            assert prefaces.program(peer, proxy) == program
            prefaces.look_up(peer, proxy)
            assert prefaces.program(peer, ("192.0.2.1", 443)) == CURL
