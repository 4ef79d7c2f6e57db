"""addon/arrive/splice.py: an IPv6 address that leads nowhere is replaced by an IPv4 address."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from addon.arrive import splice
from addon.arrive.splice import Splicer
from tests.unit.addon.arrive.test_splice import Lab, all_of, reset, told
from tests.waiting import wait_for


class Otherwise(Lab):
    """Who asks for IPv6, to an address that leads nowhere, gets the same host's other address."""

    def __init__(self, by_ipv4: Callable[[str, int], Any]) -> None:
        super().__init__()
        self.splicer.stop()
        self.splicer = Splicer(told, self.over.append, by_ipv4)


def test_an_ipv6_address_that_refuses_or_hangs_is_replaced_by_ipv4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splice, "PATIENCE_S", 0.1)
    asked = []

    def by_ipv4(host: str, port: int) -> tuple[str, int]:
        asked.append((host, port))
        return lab.far.getsockname()  # type: ignore[no-any-return]

    lab = Otherwise(by_ipv4)
    with socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=0) as full:
        to = full.getsockname()
        kept = [socket.socket(socket.AF_INET6) for _ in range(3)]
        for one in kept:  # until its queue is full, and it answers no more
            one.setblocking(False)
            one.connect_ex(to)
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
            refuses = closed.getsockname()
        for place in (to, refuses):
            client = lab.come(place)
            client.sendall(b"hello")
            server = lab.arrive()
            assert all_of(server, 5) == b"hello"
            server.sendall(b"answer")
            assert all_of(client, 6) == b"answer"
            client.close()
            server.close()
            assert asked.pop() == ("far.example", place[1])
        for one in kept:
            one.close()
    wait_for(lambda: len(lab.over) == 2, 10)
    assert [link.error for link in lab.over] == ["", ""]
    assert [link.destination for link in lab.over] == [lab.far.getsockname()] * 2
    lab.close()


def test_without_another_address_the_client_is_reset_and_told_why() -> None:
    def none(host: str, port: int) -> None:
        if port % 2:
            raise OSError

    lab = Otherwise(none)
    for _ in range(3):
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
            refuses = closed.getsockname()
        client = lab.come(refuses)
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    wait_for(lambda: len(lab.over) == 3, 10)
    assert all("Connect call failed" in link.error for link in lab.over)
    lab.close()


def test_who_leaves_or_is_ended_while_another_address_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, go_on = threading.Semaphore(0), threading.Event()

    def slowly(host: str, port: int) -> None:
        looked.release()
        go_on.wait(10)

    lab = Otherwise(slowly)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
        refuses = closed.getsockname()
    leaves, stays = lab.come(refuses), lab.come(refuses)
    for client in (leaves, stays):
        client.sendall(b"hello")
        assert looked.acquire(timeout=10)
    reset(leaves)
    wait_for(lambda: len(lab.over) == 1, 10)
    lab.close()
    assert len(lab.over) == 2
    go_on.set()
