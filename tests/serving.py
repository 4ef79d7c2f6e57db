"""The real app on a real uvicorn, on a thread of the test's process."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from app.cli import server
from app.main import create_app
from app.runtime import Runtime
from app.settings import load
from tests.waiting import wait_for

_TLS = ssl.create_default_context()  # made once: it reads every authority of this machine


class Served:
    """`client` asks with the token, `bare` without."""

    def __init__(self, app: FastAPI, port: int, running: uvicorn.Server) -> None:
        self.server = running
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.runtime: Runtime = app.state.runtime
        token = {"authorization": f"Bearer {self.runtime.token}"}
        client = partial(httpx.Client, base_url=self.url, trust_env=False, verify=_TLS, timeout=20)
        self.client, self.bare = client(headers=token), client()

    def stop(self) -> None:
        """Asks the server to end, as a signal does."""
        self.server.should_exit = True

    def captures(self, at_least: int = 1, **filters: Any) -> list[dict[str, Any]]:
        """Oldest first, once there are that many."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            answer = self.client.get("/api/v1/captures", params={"order": "arrival", **filters})
            answer.raise_for_status()
            found[:] = answer.json()["items"]
            return len(found) >= at_least

        wait_for(enough)
        return found


def environment(folder: Path, **values: str) -> dict[str, str]:
    """Settings with everything below `folder`."""
    return {
        "TELEMOCK_DATA": str(folder / "data"),
        "TELEMOCK_LOGS": str(folder / "logs"),
        "PORT": "0",
        "TELEMOCK_RETENTION_DAYS": "0",  # tests make records of any time
        **values,
    }


@contextmanager
def on_thread(config: uvicorn.Config, listener: socket.socket) -> Iterator[uvicorn.Server]:
    """A server that has started; afterwards it has ended, and the listener is closed."""
    running = server.Server(config)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(running.serve(sockets=[listener]))
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=run, name="uvicorn")
    thread.start()
    try:
        wait_for(lambda: running.started or not thread.is_alive())
        if not running.started:
            raise AssertionError("the server did not start") from (failed[0] if failed else None)
        yield running
    finally:
        running.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()


@contextmanager
def serving(folder: Path, context: ssl.SSLContext | None = None, **values: str) -> Iterator[Served]:
    """Serves the app; with a context over TLS, where a test brings its own clients."""
    app = create_app(load(environment(folder, **values)))
    # Named as TCP, so that asyncio sets TCP_NODELAY: without it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(values.get("PORT", 0))))
    listener.listen()
    config = server.config(app, timeout_graceful_shutdown=5)
    if context is not None:
        config.ssl_context_factory = lambda *_: context
    with on_thread(config, listener) as running:
        served = Served(app, listener.getsockname()[1], running)
        with served.client, served.bare:
            yield served
