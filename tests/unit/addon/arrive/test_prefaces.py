"""addon/arrive/prefaces.py: who a client is and where it was going, on real sockets."""

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
        assert prefaces.program(Endpoint(*peer)) == CURL
        assert prefaces.program(Endpoint("127.0.0.1", 1)) is None
        assert prefaces.program(None) is None


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


ASK = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); input()"


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' /proc")
def test_a_client_of_the_proxy_is_looked_up_among_the_runs_descendants(listener):
    port = str(listener.getsockname()[1])
    with subprocess.Popen([sys.executable, "-c", ASK, port], stdin=subprocess.PIPE) as one:
        taken, peer = listener.accept()
        with taken:
            prefaces = Prefaces(os.getpid())
            prefaces.look_up(peer)
            program = prefaces.program(Endpoint(*peer))
            assert program is not None
            assert (program.name, program.pid) == (Path(sys.executable).name, one.pid)
            nobody = Prefaces(one.pid)
            nobody.look_up(peer)
            assert nobody.program(Endpoint(*peer)) is None
