"""app/run/near.py: a server with the filter hears this machine, and nobody else."""

import socket
import sys

import pytest

from app.run import near
from tests import netns

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

# 10.0.0.2 is this machine's own, and stands for another's when it goes to another address.
TRY = """
import socket
from app.run import near
def reaches(family, to, source=None):
    with socket.socket(family) as server:
        server.bind(("", 0))
        near.put_on(server)
        server.listen()
        with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET) as client:
            client.settimeout(1)
            if source: client.bind((source, 0))
            try: client.connect((to, server.getsockname()[1]))
            except TimeoutError: return False
            client.send(b"x")
            return server.accept()[0].recv(1) == b"x"
four, six = socket.AF_INET, socket.AF_INET6
print(reaches(four, "127.0.0.1"), reaches(four, "10.0.0.2"), reaches(six, "127.0.0.1"),
      reaches(six, "::1"), reaches(six, "fd00::2"))
print(reaches(four, "127.0.0.1", "10.0.0.2"), reaches(six, "127.0.0.1", "10.0.0.2"),
      reaches(six, "::1", "fd00::2"), reaches(four, "10.0.0.2", "10.0.0.3"))
"""
ADDRESSES = ("addr add 10.0.0.2/24 dev lo", "addr add 10.0.0.3/24 dev lo",
             "-6 addr add fd00::2/64 dev lo nodad")  # fmt: skip


@pytest.mark.root
def test_this_machine_reaches_it_by_all_its_addresses_and_another_by_none():
    netns.require()
    ours, others = netns.run(TRY, network=ADDRESSES, seconds=60).splitlines()
    assert ours == "True True True True True"
    assert others == "False False False False"


def test_it_is_put_on_once_and_cannot_be_taken_off():
    with socket.socket() as server:
        assert not near.is_on(server)
        near.put_on(server)
        assert near.is_on(server)
        with pytest.raises(PermissionError):
            server.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
        with pytest.raises(PermissionError):
            near.put_on(server)
    with socket.socket() as other:  # one of its own
        other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert not near.is_on(other)
