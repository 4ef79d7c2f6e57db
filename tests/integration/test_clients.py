"""Real clients through a real sidecar, by the profiles of `tests/clients`: each is content, its
events and its version are found again, no secret of theirs is, and its vendor gets nothing (mock)
or every byte as it was (observe)."""

import csv
import gzip
import io
import json
import os
import subprocess
from typing import Any, NamedTuple

import pytest

from app.contract.names import FILE_STORE
from tests import at_rest
from tests.canary import readings
from tests.clients import starting
from tests.clients.capture import version
from tests.clients.lab import Lab, planted
from tests.clients.table import CLIENTS, Client
from tests.clients.vendor import Request
from tests.netns import ROOT

CSV = "captures export --format csv"
AWAY = ("python/segment", "python/opentelemetry", "node/mixpanel", "node/sentry")
UNMASKED = """
from app.contract.masking.masker import Masker
Masker.record = lambda self, record: record
Masker.line = lambda self, line: line
"""
SECRETS = ("password", "key", "email", "own_key")
pytestmark = pytest.mark.timeout(400)  # the first test of a round runs all clients
SENT_VERSION = "4.10"  # a number that would be 4.1


class Run(NamedTuple):
    """What came of one client. `arrived` is what the vendors got, `left` what the tee saw leave."""

    done: subprocess.CompletedProcess[str]
    sent: dict[str, str]
    captures: list[dict[str, Any]]
    arrived: list[bytes]
    left: list[bytes]
    requests: list[Request]


class Round(NamedTuple):
    mode: str
    rows: list[dict[str, str]]  # of a spreadsheet
    runs: dict[str, Run]
    away: list[subprocess.CompletedProcess[str]]  # while the app was
    searched: list[tuple[str, str, bytes]]  # place, form in which it was read, and that


@pytest.fixture(scope="module", params=["mock", "observe", "unmasked"])
def round_(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Round:
    """One run of every client that can be run here."""
    clients = [client for client in CLIENTS if not starting.lacking(client)]
    if not clients:
        pytest.skip(starting.lacking(CLIENTS[0]))
    folder = tmp_path_factory.mktemp("clients")
    off = {}
    if request.param == "unmasked":  # the same search finds every secret
        (folder / "sitecustomize.py").write_text(UNMASKED)
        off = {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    lab = Lab(folder / request.param, "observe" if request.param == "observe" else "mock", **off)
    try:
        runs = {client.id: run(lab, client) for client in clients}
        searched = read(lab)
        lab.inside(lab.app.stop)
        away = [lab.run(one, runs[one.id].sent) for one in clients if one.id in AWAY]
        lab.inside(lab.sidecar.stop)
        searched |= dict(at_rest.values(lab.data / FILE_STORE))
    finally:
        lab.stop()
    searched |= dict(at_rest.files(lab.folder))
    rows = list(csv.DictReader(io.StringIO(searched[CSV].decode("utf-8-sig"))))
    texts = [(place, *one) for place, data in searched.items() for one in readings(data)]
    return Round(request.param, rows, runs, away, texts)


def run(lab: Lab, client: Client) -> Run:
    kept = [lab.vendor.connections, lab.tee.connections if lab.tee else []]
    for connections in (*kept, lab.vendor.requests):
        connections.clear()
    before = len(lab.captures(client.profile))
    sent = planted(client, SENT_VERSION)
    done = lab.run(client, sent)
    lab.delivered()
    arrived, left = (sorted(bytes(one) for one in connections if one) for connections in kept)
    # Some open a second connection and close it unused.
    captures = [c for c in lab.captures(client.profile)[before:] if c["kind"] == "exchange"]
    return Run(done, sent, captures, arrived, left, list(lab.vendor.requests))


def read(lab: Lab) -> dict[str, bytes]:
    """What the app and the command line tell of it all."""
    paths = ["/api/v1/captures?limit=1000", "/api/v1/report", "/api/v1/fields", "/metrics"]
    listed = json.loads(lab.get(paths[0]))["items"]
    paths += [f"/api/v1/captures/{one['boot']}-{one['seq']}" for one in listed]
    found = {path: lab.get(path) for path in paths}
    for words in ("captures list", "report", "fields", "captures export --format ndjson",
                  CSV, "captures export --format har"):  # fmt: skip
        found[words] = lab.command(*words.split())
    return found


@pytest.fixture
def ran(client: Client, round_: Round) -> Run:
    if client.id not in round_.runs:
        pytest.skip(starting.lacking(client))
    return round_.runs[client.id]


each = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)


@each
def test_the_client_is_content(client: Client, ran: Run) -> None:
    assert ran.done.returncode == 0, ran.done.stdout + ran.done.stderr
    assert {one["response"]["status"] for one in ran.captures} <= {200, 204}


@each
def test_each_of_its_events_is_kept_once(client: Client, ran: Run, round_: Round) -> None:
    assert len(ran.captures) == client.requests
    ids = {one["id"] for one in ran.captures}
    rows = [row for row in round_.rows if row["id"] in ids]
    assert sum(int(row["events"]) for row in rows) == client.events


@each
def test_its_version_is_known(client: Client, ran: Run) -> None:
    said = version(client) if client.version else SENT_VERSION
    assert {one.get("product_version") for one in ran.captures} - {None} == {said}


@each
def test_no_secret_of_it_is_left(client: Client, ran: Run, round_: Round) -> None:
    found = {
        (name, place, form)
        for name in SECRETS
        for place, form, text in round_.searched
        if ran.sent[name].encode() in text
    }
    if round_.mode == "unmasked":
        assert {name for name, _, _ in found} == client.secrets
    else:
        assert not found


@each
def test_the_vendor_gets_nothing_or_all(client: Client, ran: Run, round_: Round) -> None:
    if round_.mode != "observe":
        assert ran.arrived == []
        return
    assert ran.arrived == ran.left != []
    texts = [text for asked in ran.requests for _, text in readings(opened(asked))]
    sent = {name for name in SECRETS if any(ran.sent[name].encode() in text for text in texts)}
    assert sent == client.secrets


def test_the_app_may_be_away(round_: Round) -> None:
    assert all(one.returncode == 0 for one in round_.away), round_.away
    kept = b"".join(text for place, _, text in round_.searched if "sidecar/data/spool" in place)
    assert all(f'"profile":"{id_.partition("/")[2]}"'.encode() in kept for id_ in AWAY)


def opened(request: Request) -> bytes:
    """All of it, for a search."""
    body = request.body
    if request.header("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return f"{request.target}\n{request.headers}\n".encode() + body
