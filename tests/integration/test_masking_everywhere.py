"""A sensitive value leaves no trace: sent every way a client can, it is looked for in every file,
blob, page and line that telemock wrote. The same search finds it where a profile says `keep`, and
where nothing is masked. `tests.planted` is the table of names, spellings, encodings and secrets,
`tests.layered` that of formats in encodings at places, `tests.unusual` that of odd places, and
`tests.at_large` that of issuers' formats, languages, lines and carriers."""

import base64
import gzip
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
import zstandard
from websockets.sync.client import connect

import app.profiles
from app.contract import names
from app.profiles.read import BUILT_IN
from app.run import processes
from tests import at_large, at_rest, unusual
from tests.canary import find_secret
from tests.layered import DEEP, few, opened, texts
from tests.planted import CORE, READ, Sent, cases, readable
from tests.waiting import wait_for

LAYERED = list(islice(few("lic", DEEP), 0, None, 2))
BEGINNINGS = {CORE, DEEP, unusual.UNUSUAL, at_large.LARGE}
BY_THEMSELVES = {
    case.value
    for case in (*cases(), *at_large.cases())
    if not any(beginning in case.value for beginning in BEGINNINGS)
}
SECRET = "Lc9/canary+Zq7=x"
QUERY = f"v=4.16.1&lic={quote(SECRET, safe='')}"
CRIBL = BUILT_IN / "cribl.yaml"
ROOT = Path(app.profiles.__file__).parents[2]
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


class Through:
    """Requests to cdn.cribl.io through the sidecar, on one connection while it lasts."""

    def __init__(self, proxy: str, ca: Path) -> None:
        self._at = urlsplit(proxy)
        self._context = ssl.create_default_context(cafile=ca)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._at.hostname or "", self._at.port, timeout=20, context=self._context
        )
        connection.set_tunnel("cdn.cribl.io", 443)
        return connection

    def send(self, sent: Sent) -> None:
        target = sent.path + (sent.query and "?" + sent.query)
        try:
            self._connection.request("POST", target, sent.body or b"", dict(sent.headers))
            self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):  # refused: it is recorded all the same
            self._connection.close()
            self._connection = self._connect()

    def close(self) -> None:
        self._connection.close()


class Site:
    """The app and the sidecar with everything they write below one folder."""

    def __init__(self, folder: Path, profile: Path, **environ: str) -> None:
        self.folder = folder
        self.data, self.logs = folder / "data", folder / "logs"
        self.environ = {"LOG_LEVEL": "DEBUG", "TELEMOCK_PROFILES": str(profile), **environ}
        self.app = processes.start_app(self.data, self.logs, environ=self.environ)
        self.stdout = folder / "sidecar.stdout"
        # Nothing listens where the real host should be, so what is forwarded fails.
        with self.stdout.open("wb") as file:
            self.sidecar = processes.start_sidecar(
                self.data, self.logs, self.app.url, stdout=file.fileno(),
                environ={
                    **environ,
                    "LOG_LEVEL": "DEBUG",
                    "TELEMOCK_RESOLVE": f"cdn.cribl.io:443=127.0.0.1:{processes.free_port()}",
                },
            )  # fmt: skip
        self.pages: dict[str, bytes] = {}

    def plant(self) -> None:
        """All of `planted`, and a part of `layered`, through the sidecar, and every fourth straight
        to the app."""
        client = Through(self.sidecar.proxy, self.data / names.DIR_CA / names.FILE_CA_CERT)
        with httpx.Client(base_url=self.app.url, trust_env=False, timeout=20) as direct:
            for number, case in enumerate(
                [*cases(), *unusual.cases(), *at_large.cases(), *readable(), *LAYERED]
            ):
                client.send(case.sent)
                if number % 4 == 0:
                    target = case.sent.path + (case.sent.query and "?" + case.sent.query)
                    direct.post(target, content=case.sent.body, headers=case.sent.headers)
        client.close()
        wait_for(lambda: self.sidecar.not_taken()[0] == 0, 60)

    def read_planted(self) -> None:
        """All captures as the API lists them, and as they are exported."""
        with httpx.Client(
            base_url=self.app.url, trust_env=False, timeout=60,
            headers={"authorization": f"Bearer {self.app.token}"},
        ) as client:  # fmt: skip
            params = {"limit": "1000"}
            while True:
                page = client.get("/api/v1/captures", params=params)
                self.pages[f"/api/v1/captures {len(self.pages)}"] = page.content
                if not (cursor := page.json()["next"]):
                    break
                params["cursor"] = cursor
            self.pages["/api/v1/fields"] = client.get("/api/v1/fields").content
            self.pages["/metrics"] = client.get("/metrics").content
        for kind in ("ndjson", "csv", "har"):
            self.pages[kind] = self.command("captures", "export", "--format", kind)

    def command(self, *arguments: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env={**os.environ, "TELEMOCK_DATA": str(self.data)},
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stdout
        return done.stdout + done.stderr

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
            self.pages[" ".join(arguments)] = self.command(*arguments)

    def summarize(self) -> None:
        subprocess.run(
            [sys.executable, "-m", "app.analysis.summarize", "--from-logs", str(self.logs)],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip

    def values(self) -> dict[str, bytes]:
        return dict(at_rest.values(self.data / names.FILE_STORE))

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
        searched = {"spool": spooled, **site.pages, **site.values()}
    finally:
        site.stop()
    searched |= dict(at_rest.files(site.folder))
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


def forms(value: str) -> list[bytes]:
    """As which a value would be found: raw, escaped, percent-encoded, hexadecimal and base64."""
    data = value.encode()
    found = {data, json.dumps(value)[1:-1].encode(), quote(value, safe="").encode()}
    found |= {quote(value).encode(), data.hex().encode()}
    for ahead in range(3):
        core = base64.b64encode(bytes(ahead) + data)[(0, 2, 3)[ahead] :].rstrip(b"=")[:-1]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return list(found)


def planted(folder: Path, **environ: str) -> tuple[dict[str, set[str]], set[str]]:
    """What is left of the planted secrets, and where; and which of the readable values are left in
    what the API lists."""
    folder.mkdir()
    site = Site(folder, CRIBL, **environ)
    try:
        site.plant()
        site.sidecar.child.stop()
        site.read_planted()
        site.summarize()
        searched = {**site.pages, **site.values()}
    finally:
        site.stop()
    searched |= dict(at_rest.files(site.folder))
    listed = b"".join(v for k, v in searched.items() if k.startswith("/api/v1/captures"))
    stay = {f"{READ}{n.decode()}" for n in re.findall(READ.encode() + rb"(\d{4})", listed)}
    # Those under names have their beginning in common, which is looked for in every form.
    wanted = {beginning: forms(beginning) for beginning in BEGINNINGS}
    wanted |= {value: forms(value) for value in BY_THEMSELVES}
    left: dict[str, set[str]] = {}
    for place, content in searched.items():
        for value, written in wanted.items():
            if any(form in content for form in written):
                left.setdefault(value, set()).add(place)
        if place.startswith("capture "):
            read = [each for text in texts(content) for each in opened(text)]
            for value in BEGINNINGS:
                if any(value.encode() in each for each in read):
                    left.setdefault(value, set()).add(f"{place}, decoded")
    return left, stay


@pytest.mark.timeout(600)
def test_no_planted_secret_is_anywhere_and_what_is_like_one_stays(tmp_path: Path) -> None:
    left, stay = planted(tmp_path / "site")
    assert left == {}
    # What is listed as base64 is not read here.
    lost = [c.what for c in readable() if c.value not in stay and "base64" not in c.what]
    assert lost == []


@pytest.mark.timeout(600)
def test_without_masking_every_kind_of_planted_secret_is_found(tmp_path: Path) -> None:
    (tmp_path / "off").mkdir()
    (tmp_path / "off/sitecustomize.py").write_text(
        "from app.contract.masking.masker import Masker\n"
        "Masker.record = lambda self, record: record\n"
        "Masker.line = lambda self, line: line\n"
    )
    path = os.pathsep.join([str(tmp_path / "off"), str(ROOT)])
    left, _ = planted(tmp_path / "site", PYTHONPATH=path)
    assert left.keys() == BEGINNINGS | BY_THEMSELVES
    assert sum(place.endswith(", decoded") for place in left[DEEP]) > 300
    assert {"telemetry_requests.log"} <= {Path(place).name for place in left[CORE]}
