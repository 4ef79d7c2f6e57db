"""app/run/interception.py: which connections of a real process are led to the sidecar, with what
preface, and which are noted. Outside addresses are in tests/integration/test_run_covers.py."""

import errno
import os
import socket
import subprocess
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
from tests.waiting import wait_for

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


UNIX = """
s = socket.socket(socket.AF_UNIX, {1})
print(s.connect_ex({0!r}))
"""
SEND = """
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"x", {0!r}); s.sendmsg([b"x"], [], 0, {0!r})
print(0)
"""


@pytest.mark.parametrize(
    ("name", "why"), [("docker.sock", i.DAEMON), ("other.sock", i.LOCAL), ("\0abstract", i.LOCAL),
                      ("agent.77", i.SERVICE)],
)  # fmt: skip
@pytest.mark.parametrize("how", ["stream", "datagram", "send"])
def test_another_program_behind_a_unix_socket_is_noted(tmp_path, name, why, how):
    path = name if name.startswith("\0") else str(tmp_path / name)
    kind = socket.SOCK_STREAM if how == "stream" else socket.SOCK_DGRAM
    shown = path.replace("\0", "@")
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(path)
        if how == "stream":
            other.listen()
            shown += f" ({NAME}, pid {os.getpid()})"
        script = SEND.format(path) if how == "send" else UNIX.format(path, int(kind))
        with watched(script, 1) as (one, found):
            assert one.said() == "0"
        program = Program(NAME, one.process.pid)
        assert found.passed == {Passed(why, program, shown): 1}


def test_unix_sockets_of_the_commands_own_and_those_that_nobody_serves_are_not(tmp_path):
    (tmp_path / "stale").touch()
    script = f"""
import os
os.chdir({str(tmp_path)!r})
for name in ("relative.sock", "\\0own", {str(tmp_path / "absolute.sock")!r}):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        own = socket.socket(socket.AF_UNIX, kind); own.bind(name)
        if kind != socket.SOCK_DGRAM: own.listen()
        there = socket.socket(socket.AF_UNIX, kind); there.connect(name)
        if kind != socket.SOCK_DGRAM: own.accept()
        else: socket.socket(socket.AF_UNIX, kind).sendto(b"x", name)
        if name[0] != "\\0": os.unlink(name)
for name in ("stale", "none/at/all", "\\0none"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        print(socket.socket(socket.AF_UNIX, kind).connect_ex(name))
a, b = socket.socketpair(); socket.send_fds(a, [b"x"], [0]); b.recv(1)
"""
    with watched(script, 1) as (one, found):
        refused = str(errno.ECONNREFUSED)
        assert one.said().split() == [refused] * 2 + [str(errno.ENOENT)] * 2 + [refused] * 2
    assert not found.passed


def test_a_server_of_the_commands_own_that_became_a_daemon_is_its_own(tmp_path):
    script = f"""
import os, time
own = socket.socket(socket.AF_UNIX); own.bind({str(tmp_path / "s")!r}); own.listen()
if os.fork(): sys.stdin.readline(); os._exit(0)
if os.fork(): os._exit(0)
own.accept()
"""
    asks = "print(socket.socket(socket.AF_UNIX).connect_ex({!r}))".format(str(tmp_path / "s"))
    with watched(script, 1) as (one, found):
        wait_for((tmp_path / "s").exists, 10)
        later = subprocess.run([sys.executable, "-c", f"import socket\n{asks}"], check=True,
                               capture_output=True, text=True)  # fmt: skip
        assert later.stdout.strip() == "0"
        one.said()
    assert not found.passed


LOCAL_UDP = """
s = socket.socket(type=socket.SOCK_DGRAM)
{0}
print("sent")
"""


@pytest.mark.parametrize(
    "how",
    ["s.connect({0}); s.send(b'x')", "s.setblocking(False); s.connect({0}); s.send(b'x')",
     "s.sendto(b'x', {0})", "s.sendmsg([b'x'], [], 0, {0})"],
)  # fmt: skip
def test_an_agent_that_listens_on_udp_is_noted_and_the_commands_own_is_not(how):
    with socket.socket(type=socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        to = agent.getsockname()
        script = (
            f"{LOCAL_UDP.format(how.format(to))}\n"
            "own = socket.socket(type=socket.SOCK_DGRAM); own.bind(('127.0.0.1', 0))\n"
            f"{LOCAL_UDP.format(how.format('own.getsockname()'))}\n"
            f"{LOCAL_UDP.format(how.format(('127.0.0.1', 9)))}"
        )
        with watched(script, 1) as (one, found):
            assert one.said().split() == ["sent"] * 3
        program = Program(NAME, one.process.pid)
        assert found.passed == {Passed(i.LOCAL, program, f"127.0.0.1:{to[1]}"): 1}


def test_the_more_exact_of_two_listeners_gets_it():
    """The command's own server on every address does not make another's on one its own."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        port = other.getsockname()[1]
        script = (
            f"own = socket.create_server(('', {port}), reuse_port=True)\n"
            f"socket.create_connection(('127.0.0.1', {port}))\n"
            f"socket.create_connection(('127.0.0.2', {port}))\n"
            "print('asked')"
        )
        with watched(script, 1) as (one, found):
            assert one.said().strip() == "asked"
        assert [p.to for p in found.passed] == [f"127.0.0.1:{port}"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens such sockets")
@pytest.mark.parametrize("family", ["AF_PACKET", "AF_INET", "AF_VSOCK"])
def test_a_socket_that_is_neither_tcp_nor_udp_is_noted(family):
    kind = "SOCK_STREAM" if family == "AF_VSOCK" else "SOCK_RAW"
    script = (
        f"print(socket.socket(socket.{family}, socket.{kind}, {1 if kind != 'SOCK_STREAM' else 0}))"
    )
    with watched(script, 1) as (one, found):
        one.said()
    ((passed, count),) = found.passed.items()
    assert (passed.why, count) == (i.OTHER_SOCKET, 1)
    assert passed.to.startswith(f"{family}, {kind}, protocol ")


def test_a_thread_with_descriptors_of_its_own_is_seen_by_them(led):
    """The same number means another socket in the rest of its process."""
    script = (
        "import threading, ctypes\n"
        "s = socket.socket(type=socket.SOCK_DGRAM); n = s.fileno()\n"
        "def ask():\n"
        "  ctypes.CDLL(None).unshare(0x400)\n"  # CLONE_FILES
        "  import os; other = socket.socket(); os.dup2(other.fileno(), n)\n"
        "  s.connect(('127.116.0.1', 443)); s.sendall(b'hello'); print(s.recv(99))\n"
        "t = threading.Thread(target=ask); t.start()\n"
        "t.join()"
    )
    with watched(script, led.port) as (one, found):
        assert led.accept()[1] == b"hello"
        assert one.said() == "b'answered'"
        assert (found.brought, found.passed) == (1, {})


def test_addresses_of_memory_that_there_is_not_end_nothing(led):
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "u = socket.socket(type=socket.SOCK_DGRAM).fileno()\n"
        "for at in (1, 2**63 - 4, 2**63, 2**64 - 1):\n"
        "    at = ctypes.c_void_p(at)\n"
        "    for _ in range(3):\n"
        "        libc.connect(u, at, 16); libc.sendmsg(u, at, 0); libc.sendmmsg(u, at, 9, 0)\n"
        "        libc.sendto(u, b'', 0, 0, at, 16)\n"
        f"{ASK.format('127.116.0.1', None, 443)}"
    )
    with watched(script, led.port) as (one, found):
        led.accept()
        assert one.said() == "b'answered'"
    assert not found.passed


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
