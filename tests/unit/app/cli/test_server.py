"""app/cli/server.py: how a server ends, and how many connections it may have."""

import http.client
import socket
import ssl
import threading
import time
from pathlib import Path

import trustme
from starlette.responses import PlainTextResponse

from app.cli.serve import _Inner
from app.cli.server import config
from tests.waiting import wait_for

ROOT = Path(__file__).parents[4]


def test_connections_at_rest_over_tls_do_not_hold_the_end_up() -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    server = _Inner(  # without signals, which are the main thread's
        config(PlainTextResponse("here"), lifespan="off", ssl_context_factory=lambda *_: context)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    ended: list[float] = []

    def run() -> None:
        server.run([listener])
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: server.started)
    client = http.client.HTTPSConnection(
        "localhost", listener.getsockname()[1], context=trusting, timeout=10
    )
    client.request("GET", "/")
    assert client.getresponse().read() == b"here"
    began = time.monotonic()
    server.should_exit = True
    thread.join(20)
    client.close()
    listener.close()
    assert ended and ended[0] - began < 5
