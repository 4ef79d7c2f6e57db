"""The process itself, under a real API server: tests/integration/test_injector.py."""

import socket

import pytest

from app.cli.injector import _listener
from app.contract.settings import SettingError


def test_listens_on_both_families() -> None:
    with _listener(0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        if listener.family == socket.AF_INET6:
            socket.create_connection(("::1", port)).close()


def test_port_in_use_is_a_sentence() -> None:
    with _listener(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingError, match=rf"TELEMOCK_INJECTOR_PORT is {port}, .*in use"):
            _listener(port)
