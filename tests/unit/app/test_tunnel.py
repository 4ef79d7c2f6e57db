"""Bytes through a real API server and kubelet to a real pod, and back."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kube import Api
from app.tunnel import Tunnel, tunnel
from tests.cluster import cluster, namespace, needs_cluster
from tests.relay import ADDRESS, needs_image, relay
from tests.serving import until


class Echo:
    """Sends back what it gets; b"bye" ends the connection from its side."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ADDRESS, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (data := connection.recv(65536)) and data != b"bye":
                connection.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def dial(opened: Tunnel) -> socket.socket:
    near = socket.socket(socket.AF_UNIX)
    near.settimeout(20)
    near.connect(str(opened.path))
    return near


def receive(near: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := near.recv(65536)):
        found += piece
    return found


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with cluster() as api:
        yield api


@pytest.fixture(scope="module")
def pod(api: Api) -> Iterator[str]:
    """NAMESPACE/NAME of a pod that echoes on its port 8443; on 8444 nobody listens."""
    echo = Echo()
    with namespace(api, "a1-tunnel") as place:
        relay(api, place, "echo", {}, {8443: echo.port})
        yield f"{place}/echo"
    echo.close()


@needs_image
def test_bytes_go_both_ways_and_connections_end(api: Api, pod: str) -> None:
    blob = os.urandom(3 << 20)
    with tunnel(api, *pod.split("/"), 8443) as opened:
        assert opened.path.parent.stat().st_mode & 0o777 == 0o700
        with dial(opened) as one, dial(opened) as two:
            two.sendall(b"second")
            threading.Thread(target=one.sendall, args=(blob,)).start()
            assert receive(one, len(blob)) == blob
            assert receive(two, 6) == b"second"
            one.sendall(b"bye")
            assert one.recv(1) == b""
        with dial(opened) as again:
            again.sendall(b"third")
            assert receive(again, 5) == b"third"
            assert opened.error == ""
            path = opened.path
        until(lambda: not opened._open)
    assert not path.parent.exists()


@needs_image
def test_closing_ends_what_is_open(api: Api, pod: str) -> None:
    opened = Tunnel(api, *pod.split("/"), 8443)
    opened.start()
    with dial(opened) as near:
        near.sendall(b"x")
        assert near.recv(1) == b"x"
        opened.close()
        assert near.recv(1) == b""
    until(lambda: not any(t.name == "telemock-tunnel" for t in threading.enumerate()))


@needs_image
def test_port_where_nobody_listens_is_said(api: Api, pod: str) -> None:
    with tunnel(api, *pod.split("/"), 8444) as opened, dial(opened) as near:
        near.sendall(b"x")
        assert near.recv(1) == b""
        until(lambda: "8444" in opened.error)


@needs_cluster
def test_pod_that_is_not_there_is_said(api: Api) -> None:
    with tunnel(api, "default", "a1-none", 1) as opened, dial(opened) as near:
        assert near.recv(1) == b""
        until(lambda: "404" in opened.error)


def test_api_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app import kube

    (tmp_path / "config").write_text(
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: u, user: {token: secret}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    api = kube.connect()
    with tunnel(api, "default", "a", 1) as opened, dial(opened) as near:
        assert near.recv(1) == b""
        until(lambda: bool(opened.error))
        assert "secret" not in opened.error
    api.close()
