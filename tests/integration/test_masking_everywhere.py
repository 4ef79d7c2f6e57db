"""A sensitive value leaves no trace: sent every way a client can, it is looked for in every file,
blob, page and line that telemock wrote. The same search finds it where a profile says `keep`."""

import base64
import gzip
import http.client
import json
import os
import re
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
import zstandard
from websockets.sync.client import connect

import app.profiles
from app.contract import names
from app.run import processes
from tests.canary import find_secret
from tests.waiting import wait_for

SECRET = "Lc9/canary+Zq7=x"
QUERY = f"v=4.16.1&lic={quote(SECRET, safe='')}"
CRIBL = Path(app.profiles.__file__).with_name("cribl.yaml")
JSON = {"content-type": "application/json"}


def through(proxy: str, ca: Path, method: str, target: str, body: bytes = b"", **headers) -> int:
    """One request to cdn.cribl.io through the sidecar; the status, 0 for none."""
    at = urlsplit(proxy)
    context = ssl.create_default_context(cafile=ca)
    connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=20, context=context)
    connection.set_tunnel("cdn.cribl.io", 443)
    try:
        connection.request(
            method, target, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def bodies() -> Iterator[tuple[bytes, dict[str, str]]]:
    """The value at any depth, in any clothes."""
    inner = json.dumps({"a": [{"lic": SECRET}]}).encode()
    yield inner, JSON
    yield inner + b"\n" + inner + b"\n", {"content-type": "application/x-ndjson"}
    yield gzip.compress(inner), {**JSON, "content-encoding": "gzip"}
    yield zstandard.compress(inner), {**JSON, "content-encoding": "zstd"}
    yield json.dumps({"data": base64.b64encode(inner).decode()}).encode(), JSON
    yield inner[:-6], JSON  # cut
    yield QUERY.encode(), {"content-type": "application/x-www-form-urlencoded"}
    yield inner, {**JSON, "content-encoding": "gzip"}  # it is not


class Site:
    """The app and the sidecar with everything they write below one folder."""

    def __init__(self, folder: Path, profile: Path) -> None:
        self.folder = folder
        self.data, self.logs = folder / "data", folder / "logs"
        self.environ = {"LOG_LEVEL": "DEBUG", "TELEMOCK_PROFILES": str(profile)}
        self.app = processes.start_app(self.data, self.logs, environ=self.environ)
        self.stdout = folder / "sidecar.stdout"
        # Nothing listens where the real host should be, so what is forwarded fails.
        with self.stdout.open("wb") as file:
            self.sidecar = processes.start_sidecar(
                self.data, self.logs, self.app.url, stdout=file.fileno(),
                environ={
                    "LOG_LEVEL": "DEBUG",
                    "TELEMOCK_RESOLVE": f"cdn.cribl.io:443=127.0.0.1:{processes.free_port()}",
                },
            )  # fmt: skip
        self.pages: dict[str, bytes] = {}

    def send(self) -> None:
        proxy, ca = self.sidecar.proxy, self.data / names.DIR_CA / names.FILE_CA_CERT
        url = f"https://cdn.cribl.io/telemetry/?{QUERY}"
        assert through(proxy, ca, "GET", f"/telemetry/index.html?{QUERY}", referer=url) == 200
        assert through(proxy, ca, "GET", f"/telemetry?{QUERY}") == 302
        assert through(proxy, ca, "GET", f"/dl/file?{QUERY}") == 502
        for body, headers in bodies():
            assert through(proxy, ca, "POST", "/telemetry/events", body, **headers) == 200
        with httpx.Client(base_url=self.app.url, trust_env=False) as direct:
            assert direct.get(f"/telemetry/index.html?{QUERY}", headers={"referer": url}).text
            for body, headers in bodies():
                direct.post("/telemetry/events", content=body, headers=headers)
            direct.get(f"/nowhere?{QUERY}")
            direct.get(f"/api/v1/captures?{QUERY}")
        with connect(self.app.url.replace("http", "ws") + "/telemetry/ws", proxy=None) as socket:
            socket.send(json.dumps({"lic": SECRET}))

    def spool(self) -> bytes:
        """What waits on disk while the app is away."""
        self.app.stop()
        proxy, ca = self.sidecar.proxy, self.data / names.DIR_CA / names.FILE_CA_CERT
        assert through(proxy, ca, "GET", f"/telemetry/index.html?{QUERY}") == 200

        def spooled() -> bytes:
            folder = self.data / names.DIR_SPOOL
            return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())

        wait_for(lambda: b"/telemetry/index.html" in spooled())
        return spooled()

    def read(self) -> None:
        """Every page of the API, and what the command line makes of it."""
        with httpx.Client(
            base_url=self.app.url, trust_env=False,
            headers={"authorization": f"Bearer {self.app.token}"},
        ) as client:  # fmt: skip
            listed = client.get("/api/v1/captures", params={"limit": 1000})
            ids = [f"{one['boot']}-{one['seq']}" for one in listed.json()["items"]]
            assert len(ids) >= 25
            paths = [f"/api/v1/captures/{one}" for one in ids]
            paths += ["/api/v1/report", "/api/v1/fields", "/api/v1/profiles"]
            paths += ["/health", "/metrics", "/openapi.json"]
            self.pages = {path: client.get(path).content for path in paths}
            self.pages["/api/v1/captures"] = listed.content
        for arguments in (
            ["captures", "list"], ["report"], ["fields"],
            *(["captures", "export", "--format", kind] for kind in ("ndjson", "csv", "har")),
        ):  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-m", "app.cli", *arguments],
                env={**os.environ, "TELEMOCK_DATA": str(self.data)},
                capture_output=True, timeout=60, check=True,
            )  # fmt: skip
            assert done.stdout
            self.pages[" ".join(arguments)] = done.stdout + done.stderr

    def summarize(self) -> None:
        subprocess.run(
            [sys.executable, "-m", "app.analysis.summarize", "--from-logs", str(self.logs)],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip

    def files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.folder.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                yield str(path.relative_to(self.folder)), raw
                if path.suffix == ".zst":
                    yield f"{path.name}, opened", zstandard.decompress(raw)

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Every value of every table, compressed ones opened."""
        store = sqlite3.connect(f"file:{self.data / names.FILE_STORE}?mode=ro", uri=True)
        try:
            tables = [
                row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            dictionaries = dict(store.execute("SELECT id, data FROM dictionary"))
            for table in tables:
                rows = store.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                yield f"table {table}", repr(rows).encode()
            kept = [
                ("capture", *row)
                for row in store.execute("SELECT id, dictionary_id, record FROM capture")
                if row[1] >= 0  # a form's values were seen in the table
            ]
            kept += [
                ("form", *row) for row in store.execute("SELECT id, dictionary_id, line FROM form")
            ]
            for what, id, dictionary, blob in kept:
                known = zstandard.ZstdCompressionDict(dictionaries.get(dictionary, b""))
                yield f"{what} {id}", zstandard.ZstdDecompressor(known).decompress(blob)
        finally:
            store.close()

    def stop(self) -> None:
        self.sidecar.child.stop()
        self.app.stop()


def everything(folder: Path, profile: Path) -> dict[str, list[str]]:
    """Where the value was found, and in which forms; also every place that was searched."""
    folder.mkdir()
    site = Site(folder, profile)
    try:
        site.send()
        spooled = site.spool()
        site.app = processes.start_app(
            site.data, site.logs, environ=site.environ, port=site.app.port
        )
        site.sidecar.child.stop()
        site.read()
        site.summarize()
        searched = {"spool": spooled, **site.pages, **dict(site.blobs())}
    finally:
        site.stop()
    searched |= dict(site.files())
    return {place: find_secret(content, SECRET) for place, content in searched.items()}


@pytest.mark.timeout(240)
def test_the_value_is_nowhere(tmp_path):
    found = everything(tmp_path / "site", CRIBL)
    assert {place: forms for place, forms in found.items() if forms} == {}
    for place in ("spool", "sidecar.stdout", "logs/mock_server.log", "logs/telemetry_requests.log",
                  "logs/analysis/final-report.md", "data/store.sqlite", "capture 1",
                  "/api/v1/report", "captures export --format har"):  # fmt: skip
        assert place in found


@pytest.mark.timeout(240)
def test_where_a_profile_keeps_it_the_same_search_finds_it(tmp_path):
    keeping = tmp_path / "keeping.yaml"
    keeping.write_text(re.sub(r"as: (mask|token)", "as: keep", CRIBL.read_text()))
    found = everything(tmp_path / "site", keeping)
    for place in ("spool", "sidecar.stdout", "logs/telemetry_requests.log", "/api/v1/captures",
                  "captures export --format ndjson"):  # fmt: skip
        assert found[place], place
    assert any(forms for place, forms in found.items() if place.startswith("capture "))
