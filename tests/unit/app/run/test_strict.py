"""app/run/strict.py: of a real process, what a gate notes and a plain run does not. With addresses
outside: tests/integration/test_gate.py."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.run import asked, seccomp, strict
from app.run import interception as i
from app.run.interception import Passed, Target
from app.run.strict import Strict
from tests.filtered import Filtered

pytestmark = pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")


NO_HOSTS: dict[str, str] = {}
DUMMIES = {"127.116.0.1": "a.test"}


@contextmanager
def watched(
    script: str, *ours: int, own: list[int] | None = None, need=lambda: True, hosts=NO_HOSTS
):
    one = Filtered(script, strict=True)
    found = Strict(one.calls, Target(1, frozenset(ours), hosts), own or [], need)
    try:
        yield one, found
    finally:
        one.end()
        found.stop()


def noted(
    script: str, *ours: int, own: list[int] | None = None, hosts=NO_HOSTS
) -> tuple[str, set[tuple[str, str]]]:
    """What the process said, and the ways that were noted of it."""
    with watched(script, *ours, own=own, hosts=hosts) as (one, found):
        said = one.said()
    return said, {(passed.why, passed.to) for passed in found.passed}


@pytest.fixture
def server() -> Iterator[int]:
    """Another program's, as far as this run goes: of our own process."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]


def test_a_lookup_is_noted_whoever_answers():
    said, ways = noted(
        "s = socket.socket(type=2); s.sendto(b'x', ('127.0.0.1', 53)); print('sent')"
    )
    assert said == "sent"
    assert ways == {(i.LOOKUP, "127.0.0.1:53")}


def test_udp_to_a_telemetry_host_is_refused_and_an_attempt_to_connect_sends_nothing():
    connects = "s = socket.socket(type=2); print(s.connect_ex(('127.116.0.1', 443)))"
    refused = str(errno.ECONNREFUSED)
    assert noted(connects, hosts=DUMMIES) == (refused, {(i.SOUGHT, "a.test:443")})
    sends = f"try: socket.socket(type=2).sendto(b'x', {('127.116.0.1', 443)})\n"
    sends += "except OSError as e: print(e.errno)"
    assert noted(sends, hosts=DUMMIES) == (refused, {(i.DATAGRAMS, "a.test:443")})


def test_a_group_is_noted():
    script = (
        "s = socket.socket(type=2)\ntry: s.setsockopt(0, 35, bytes(8))\nexcept OSError: print('no')"
    )
    assert noted(script) == ("no", {(i.JOINED, "a group of hosts")})
    other = (
        "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); print('set')"
    )
    assert noted(other) == ("set", set())


def test_only_the_proxy_of_ours_is_no_other_program(server):
    script = f"socket.create_connection(('127.0.0.1', {server})); print('there')"
    assert noted(script, server) == ("there", set())
    said, ways = noted(script)
    assert said == "there"
    assert ways == {(i.LOCAL, f"127.0.0.1:{server}")}


def test_the_sidecar_is_waited_for_before_the_proxy_is_reached(server):
    asked: list[bool] = []
    script = f"socket.create_connection(('127.0.0.1', {server})); print('there')"
    with watched(script, server, need=lambda: bool(asked.append(True)) or True) as (one, _):
        assert one.said() == "there"
    assert asked == [True]


def test_a_service_of_the_system_is_another_program(tmp_path, monkeypatch):
    place = tmp_path / "agent.1"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))
        one.listen()
        _, ways = noted(f"socket.socket(1).connect({str(place)!r}); print('there')")
    ((why, to),) = ways
    assert why == i.LOCAL
    assert to.startswith(str(place))


def test_a_server_that_does_not_take_the_connection_at_once_is_noted(tmp_path):
    place = str(tmp_path / "slow")
    script = f"""
import time
s = socket.socket(1); s.settimeout(2)
try: s.connect({place!r})
except OSError: pass
print('over'); time.sleep(.5)"""
    kept = []
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(place)
        one.listen(0)
        while True:
            waiting = socket.socket(socket.AF_UNIX)
            waiting.setblocking(False)
            kept.append(waiting)
            if waiting.connect_ex(place):
                break
        with watched(script) as (filtered, found):
            assert filtered.said() == "over"
        ways = {passed.why for passed in found.passed}
    for waiting in kept:
        waiting.close()
    assert ways == {i.LOCAL}


@pytest.mark.parametrize("path", ["/run/nscd/socket", "/var/run/nscd/socket",
                                  "/run/systemd/resolve/io.systemd.Resolve"])  # fmt: skip
def test_who_looks_up_names_for_others_is_not_there(path):
    script = f"try: socket.socket(1).connect({path!r})\nexcept OSError as e: print(e.errno)"
    assert noted(script) == ("111", set())


def test_what_has_others_act_is_refused():
    script = """import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True); libc.syscall.restype = ctypes.c_long
number = 249 if os.uname().machine == 'x86_64' else 218
print(libc.syscall(number, b'user', b'x', b'', 0), ctypes.get_errno())
try: fcntl.ioctl(0, 0x5412, b'x')
except OSError as e: print(e.errno)"""
    assert noted(script) == ("-1 38\n5", set())


def test_standard_streams_that_are_sockets_are_noted(monkeypatch):
    with watched("print('x')") as (one, found):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            monkeypatch.setattr(
                os, "dup", lambda fd, real=os.dup: real(ours.fileno() if fd == 0 else fd)
            )
            found.note_inherited(one.process.pid)
        one.said()
    assert [passed.why for passed in found.passed if isinstance(passed, Passed)][:1] == [
        i.INHERITED
    ]


def test_each_connection_that_goes_to_the_sidecar_is_kept_by_its_end(server):
    """One that ends at once may leave no record."""
    script = f"""
s = socket.create_connection(('127.0.0.1', {server}))
s.connect_ex(s.getpeername())  # as some libraries ask whether they are connected
print(s.getsockname()[1])"""
    with watched(script, server) as (one, found):
        port = int(one.said())
    assert [(led.client, led.to, led.passed.to) for led in found.led] == [
        (("127.0.0.1", port), None, "the proxy")
    ]
    assert found.passed == {}


def test_two_connections_from_one_port_are_two():
    """The kernel gives a local port to several, to as many peers."""
    script = """
a = socket.socket(); b = socket.socket()
for s in a, b: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
a.bind(('127.0.0.1', 0)); b.bind(a.getsockname())
a.connect(('127.0.0.1', {0})); b.connect(('127.0.0.2', {0}))
print(a.getsockname() == b.getsockname() and a.getsockname()[1]); sys.stdin.read()"""
    with socket.create_server(("0.0.0.0", 0)) as one:
        server = one.getsockname()[1]
        with watched(script.format(server), server) as (filtered, found):
            port = int(filtered.said())
    assert port
    assert [led.client for led in found.led] == [("127.0.0.1", port)] * 2


def test_a_server_of_the_commands_has_the_filter_before_it_listens():
    script = """
from app.run import near
one = socket.create_server(('127.0.0.1', 0))
six = socket.create_server(('::1', 0), family=socket.AF_INET6)
unix = socket.socket(socket.AF_UNIX); unix.bind('\\0telemock-test'); unix.listen()
one.listen()  # again
print(near.is_on(one), near.is_on(six))
socket.create_connection(one.getsockname()).close()"""
    assert noted(script) == ("True True", set())


def test_a_server_with_a_locked_filter_of_its_own_is_noted():
    script = """
import ctypes, struct
code = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0xFFFFFFFF), 8)
given = struct.pack('@HP', 1, ctypes.addressof(code))
one = socket.socket(); one.bind(('127.0.0.1', 0))
one.setsockopt(socket.SOL_SOCKET, 26, given); one.setsockopt(socket.SOL_SOCKET, 44, 1)
one.listen(); print('listens')"""
    assert noted(script) == ("listens", {(i.OTHER_SOCKET, "a server that others may reach")})


def test_a_socket_takes_no_way_of_its_own():
    for option in ("(0, 4, bytes(4))", "(1, 36, 1)", "(41, 50, bytes(20))"):
        script = (
            f"s = socket.socket(10, 2)\ntry: s.setsockopt{option}\n"
            "except OSError as e: print(e.errno)"
        )
        assert noted(script) == ("1", set())
    for control in ("(0, 7, bytes(4))", "(0, 8, b'\\2\\0\\0\\0' + bytes(8))", "(41, 57, bytes(8))"):
        script = (
            "s = socket.socket(10, 2); s.connect(('::1', 9))\n"
            f"try: s.sendmsg([b'x'], [{control}])\nexcept OSError as e: print(e.errno)"
        )
        assert noted(script) == ("1", set())
    by_loopback = (
        "s = socket.socket(2, 2); device = [(0, 8, b'\\1\\0\\0\\0' + bytes(8))]\n"
        "s.sendmsg([b'x'], device, 0, ('127.0.0.1', 9)); print(9)"
    )
    assert noted(by_loopback) == ("9", set())


@pytest.mark.parametrize("kind", ["2, 1, 262", "16, 3, 2", "16, 3, 9"])
def test_sockets_that_lead_round_it_are_not_there(kind):
    script = f"try: socket.socket({kind})\nexcept OSError as e: print(e.errno)"
    assert noted(script) == ("93", set())


def test_a_server_that_is_slow_to_take_is_waited_for():
    script = """
import threading
l = socket.create_server(('127.0.0.1', 0), backlog=0)
t = [threading.Thread(target=lambda: socket.socket().connect(l.getsockname())) for _ in range(4)]
[one.start() for one in t]
for _ in t: l.accept()
[one.join() for one in t]; print('all')"""
    assert noted(script) == ("all", set())


def test_what_cannot_be_read_is_noted_whatever_the_reason(monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(errno.EMFILE, "")

    monkeypatch.setattr(asked, "read", fails)
    said, ways = noted("socket.socket().connect_ex(('127.0.0.1', 9)); print('tried')")
    assert (said, {why for why, _ in ways}) == ("tried", {i.UNREADABLE})


def test_who_lives_and_is_not_the_commands_own_is_so_by_no_name(monkeypatch, tmp_path):
    """A name may be bound in another network, too."""
    monkeypatch.setattr("app.run.helpers.Own.has_name", lambda *_: True)
    name = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as peer:
        server.bind(name)
        server.listen()
        peer.connect(name)
        with watched("pass") as (one, found):
            found._unix_peer(one.process.pid, name, peer)
            assert [passed.why for passed in found.passed] == [i.LOCAL]


@pytest.mark.parametrize(
    ("family", "to", "own"),
    [(2, "127.0.0.9", "127.0.0.1"), (10, "::1", "::1"), (10, "127.0.0.9", "::ffff:127.0.0.1")],
)
def test_a_look_for_the_way_gets_the_address_and_no_peer(family, to, own):
    with socket.socket(family, socket.SOCK_DGRAM) as looks:
        for _ in range(2):
            assert strict._look_for_the_way(looks, to) == 0
        assert looks.getsockname()[0] == own
        with pytest.raises(OSError):
            looks.send(b"x")
