"""app/run/stage.py: hosts whose connections fail."""

import errno
import select
import socket
import ssl

import pytest

from app.run.stage import FailingHosts

HOSTS = frozenset({"a.test"})


def connected(failing: FailingHosts, timeout: float | None = None) -> int:
    with socket.socket() as sock:
        sock.settimeout(timeout)
        error = failing.lead(sock, "127.0.0.1")
        return sock.connect_ex(("192.0.2.1", 443)) if error is None else error


def test_refused():
    with FailingHosts("refused", HOSTS) as failing:
        assert connected(failing) == connected(failing, 1) == errno.ECONNREFUSED
        assert len(failing.tried) == 2


def test_dropped_connections_are_never_made():
    with FailingHosts("dropped", HOSTS) as failing, socket.socket() as sock:
        sock.setblocking(False)
        assert failing.lead(sock, "127.0.0.1") == errno.EINPROGRESS
        assert select.select([], [sock], [], 1) == ([], [], [])
        with pytest.raises(OSError, match="not connected"):
            sock.getpeername()


def test_a_blocking_socket_stays_one_and_the_kernel_waits_on():
    with FailingHosts("tls-error", HOSTS) as failing, socket.socket() as sock:
        assert failing.lead(sock, "127.0.0.1") in (None, 0)
        assert sock.getblocking()
        assert sock.connect_ex(("192.0.2.1", 443)) in (0, errno.EISCONN)  # as it would go on
        assert sock.getpeername() == ("127.0.0.1", failing.port)


def test_a_handshake_ends_with_an_alert_and_plain_text_with_nothing():
    with FailingHosts("tls-error", HOSTS) as failing:
        context = ssl.create_default_context()
        with (
            socket.create_connection(("127.0.0.1", failing.port), 5) as sock,
            pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"),
        ):
            context.wrap_socket(sock, server_hostname="a.test")
        with socket.create_connection(("127.0.0.1", failing.port), 5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(100) == b""


def test_nothing_listens_afterwards():
    with FailingHosts("tls-error", HOSTS) as failing:
        port = failing.port
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
