"""app/run/interception.py: which connections of a real process are led to the sidecar, with what
preface, and which are noted. Outside addresses are in tests/integration/test_run_covers.py."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.contract import preface
from app.contract.record import Endpoint, Program
from app.run import interception as i
from app.run import seccomp
from app.run.interception import Interception, Passed, Target
from tests.filtered import Filtered

pytestmark = pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")

NAME = Path(sys.executable).name
DUMMIES = {"127.116.0.1": "a.test", "100::1": "a.test"}


class Led:
    """In the place of the sidecar: what came, and from whom."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.listener.settimeout(10)
        self.port = self.listener.getsockname()[1]

    def accept(self) -> tuple[preface.Preface, bytes]:
        with self.listener.accept()[0] as taken:
            taken.settimeout(10)
            data = b""
            while (found := preface.decode(data)) is None or len(data) == found[1]:
                data += taken.recv(4096) or pytest.fail("it ended")
            taken.sendall(b"answered")
            return found[0], data[found[1] :]


@pytest.fixture
def led() -> Iterator[Led]:
    one = Led()
    with one.listener:
        yield one


@contextmanager
def watched(script: str, port: int, *ours: int) -> Iterator[tuple[Filtered, Interception]]:
    one = Filtered(script)
    found = Interception(one.calls, Target(port, frozenset(ours), DUMMIES))
    try:
        yield one, found
    finally:
        one.end()
        found.stop()


ASK = """
s = socket.socket(socket.AF_INET6 if ":" in {0!r} else socket.AF_INET)
s.settimeout({1})
s.connect(({0!r}, {2}))
s.sendall(b"hello")
print(s.recv(99))
"""


@pytest.mark.parametrize("timeout", [None, 5], ids=["blocking", "not blocking"])
@pytest.mark.parametrize(
    ("address", "to"), [("127.116.0.1", "127.116.0.1"), ("100::1", "100::1"),
                        ("::ffff:127.116.0.1", "127.116.0.1")],
)  # fmt: skip
def test_a_telemetry_host_is_led_to_the_sidecar_which_learns_who_asks(led, address, to, timeout):
    with watched(ASK.format(address, timeout, 443), led.port) as (one, found):
        said, data = led.accept()
        assert said == preface.Preface(Endpoint(to, 443), Program(NAME, one.process.pid))
        assert data == b"hello"
        assert one.said() == "b'answered'"
        assert (found.brought, found.passed) == (1, {})


def test_threads_ask_in_the_name_of_their_process(led):
    script = "import threading\ndef ask():" + ASK.format("127.116.0.1", None, 80).replace(
        "\n", "\n  "
    )
    with watched(f"{script}\nt = threading.Thread(target=ask); t.start(); t.join()", led.port) as (
        one, _,
    ):  # fmt: skip
        assert led.accept()[0].of.pid == one.process.pid
        assert one.said() == "b'answered'"


def test_a_second_connect_sends_no_second_preface(led):
    script = (
        "s = socket.socket(); s.setblocking(False)\n"
        "first = s.connect_ex(('127.116.0.1', 443))\n"
        "import select; select.select([], [s], [], 5)\n"
        "print(first, s.connect_ex(('127.116.0.1', 443)), s.connect_ex(('127.116.0.1', 443)))\n"
        "s.send(b'hello')"
    )
    with watched(script, led.port) as (one, found):
        assert led.accept()[1] == b"hello"
        first, second, third = map(int, one.said().split())
        assert first in (0, errno.EINPROGRESS)
        assert second in (0, errno.EISCONN)
        assert third == errno.EISCONN
        assert found.brought == 1


def test_another_port_of_a_telemetry_host_is_refused_and_noted():
    with watched("print(socket.socket().connect_ex(('127.116.0.1', 8443)))", 1) as (one, found):
        assert one.said() == str(errno.ECONNREFUSED)
        program = Program(NAME, one.process.pid)
        assert found.passed == {Passed(i.REFUSED, program, "a.test:8443"): 1}


def test_http_3_is_refused_and_the_sorting_of_addresses_is_not():
    script = (
        "u = socket.socket(type=socket.SOCK_DGRAM); u.setblocking(False)\n"
        "print(u.connect_ex(('127.116.0.1', 443)))\n"
        "v = socket.socket(type=socket.SOCK_DGRAM); print(v.connect_ex(('127.116.0.1', 443)))"
    )
    with watched(script, 1) as (one, found):
        assert one.said().split() == [str(errno.ECONNREFUSED), "0"]
        assert not found.passed


def test_a_server_of_this_machine_is_reached_and_noted_and_the_commands_own_is_not():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        script = (
            f"print(socket.create_connection(('127.0.0.1', {port})).getpeername()[1])\n"
            "own = socket.create_server(('127.0.0.1', 0))\n"
            "there = socket.create_connection(own.getsockname()).getpeername()\n"
            "print(there == own.getsockname())\n"
            "print(socket.socket().connect_ex(('127.0.0.1', 9)))"
        )
        with watched(script, 1) as (one, found):
            assert one.said().split() == [str(port), "True", str(errno.ECONNREFUSED)]
            program = Program(NAME, one.process.pid)
            assert found.passed == {Passed(i.LOCAL, program, f"127.0.0.1:{port}"): 1}


def test_connections_to_ours_are_counted(led):
    script = f"socket.create_connection(('127.0.0.1', {led.port}))"
    with watched(script, 1, led.port) as (one, found):
        one.said()
        assert (found.brought, found.passed) == (1, {})


def test_a_sidecar_that_is_gone_refuses_and_is_noted():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with watched("print(socket.socket().connect_ex(('127.116.0.1', 443)))", port) as (one, found):
        assert one.said() == str(errno.ECONNREFUSED)
        assert [(p.why, p.to) for p in found.passed] == [(i.BROKEN, "a.test:443")]


def test_a_daemon_for_containers_is_noted_and_other_local_sockets_are_not(tmp_path):
    script = "\n".join(
        f"print(socket.socket(socket.AF_UNIX).connect_ex({str(tmp_path / name)!r}))"
        for name in ("docker.sock", "other.sock")
    )
    with watched(script, 1) as (one, found):
        assert one.said().split() == [str(errno.ENOENT)] * 2
        assert [(p.why, p.to) for p in found.passed] == [(i.DAEMON, str(tmp_path / "docker.sock"))]


def test_nonsense_fails_as_the_kernel_has_it_fail():
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "s = socket.socket(); n = s.fileno()\n"
        "for given in ((999, b'x' * 16, 16), (n, None, 16), (n, b'x', 1), (0, b'\\2' * 16, 16)):\n"
        "    libc.connect(*given); print(ctypes.get_errno())"
    )
    with watched(script, 1) as (one, found):
        expected = (errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK)
        assert one.said().split() == [str(number) for number in expected]
        assert not found.passed
