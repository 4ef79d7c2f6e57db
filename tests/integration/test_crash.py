"""The app dies in the middle of a load, twice: every client is answered, and every request is in
the store once."""

import http.client
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest

from app.contract import names
from app.run import processes
from app.store.sqlite.store import SqliteStore
from tests.waiting import wait_for

REQUESTS = 1000
CLIENTS = 4
LINE = b"cribl /// living the stream!\n"


class Load:
    """Clients that ask through the proxy, one request after the other each."""

    def __init__(self, proxy: str, ca_file: str) -> None:
        self._proxy = urlsplit(proxy)
        self._context = ssl.create_default_context(cafile=ca_file)
        self.answers: Counter[tuple[int, bytes]] = Counter()
        self.errors: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(100)

    @property
    def done(self) -> int:
        return self.answers.total() + len(self.errors)

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPSConnection(
            self._proxy.hostname, self._proxy.port, timeout=20, context=self._context
        )
        connection.set_tunnel("cdn.cribl.io", 443)
        for number in range(REQUESTS // CLIENTS):
            try:
                connection.request("GET", f"/telemetry/index.html?v=4.16.1&n={client}.{number}")
                answer = connection.getresponse()
                got = (answer.status, answer.read())
            except (OSError, http.client.HTTPException) as e:
                with self._lock:
                    self.errors.append(repr(e))
                connection.close()
                continue
            with self._lock:
                self.answers[got] += 1
        connection.close()


@pytest.mark.timeout(240)
def test_an_app_that_is_killed_under_load_loses_nothing(tmp_path):
    data, logs = tmp_path / "data", tmp_path / "logs"
    app = processes.start_app(data, logs)
    try:
        sidecar = processes.start_sidecar(data, logs, app.url)
        try:
            load = Load(sidecar.proxy, str(data / names.DIR_CA / names.FILE_CA_CERT))
            load.start()
            for part in (0.25, 0.6):
                wait_for(lambda part=part: load.done >= REQUESTS * part, 100)
                os.kill(app.child.pid, signal.SIGKILL)
                app.stop()
                app = processes.start_app(data, logs, port=app.port)
            load.join()
            assert load.errors == []
            assert load.answers == {(200, LINE): REQUESTS}
        finally:
            sidecar.child.stop()  # delivers what is left
        listed = subprocess.run(
            [sys.executable, "-m", "app.cli", "captures", "list", "--json"],
            env={**os.environ, "TELEMOCK_DATA": str(data)},
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert len(listed.stdout.splitlines()) == REQUESTS
        assert list((data / names.DIR_SPOOL).iterdir()) == []
        store = SqliteStore.open_readonly(data / names.FILE_STORE)
        (boot,) = [row for row in store.boots() if row.boot == sidecar.boot]
        store.close()
        assert (boot.ended, boot.count, boot.missing, boot.lost) == (True, boot.numbered, 0, {})
    finally:
        app.stop()
