"""The inbox on the command line: of the store on disk, and of a running app."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.changes import os_user
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming
from tests.serving import Served, serving
from tests.unit.app.cli.conftest import Telemock

EVIL = "\x1b]0;owned\x07\u202e"


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    store.write(incoming(exchange(1, query=[("v", "1"), (EVIL, "")], headers=[])))
    store.write(incoming(exchange(2, product_version="4.17.0", query=[("gpu", "1")], headers=[])))
    return store


def listed(telemock: Telemock, *arguments: str) -> list[dict[str, str]]:
    done = telemock("changes", "list", "--json", *arguments)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.usefixtures("filled")
def test_list_is_a_table_that_cannot_act(telemock: Telemock) -> None:
    done = telemock("changes", "list")
    head, *rows = done.out.splitlines()
    assert head.split()[:4] == ["id", "state", "kind", "what"]
    assert [int(row.split()[0]) for row in rows] == list(range(len(rows), 0, -1))
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)
    assert [item["name"] for item in listed(telemock, "--text", "GPU")] == ["query.gpu"]
    assert len(listed(telemock, "--limit", "2")) == 2
    assert listed(telemock, "--state", "objected") == []


@pytest.mark.usefixtures("filled")
def test_decisions_where_no_app_runs(telemock: Telemock) -> None:
    (gpu,) = listed(telemock, "--text", "gpu")
    done = telemock("changes", "object", str(gpu["id"]), "--note", f"why? {EVIL}")
    assert done.code == 0 and done.out.startswith(f"objected by {os_user()}: {gpu['id']}, field ")
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)
    shown = telemock("changes", "show", str(gpu["id"]))
    assert json.loads(shown.out)["history"][0]["note"] == f"why? {EVIL}" and "\x1b" not in shown.out
    telemock("changes", "watch", str(gpu["id"]), "--name", "ann")
    (again,) = listed(telemock, "--state", "watched")
    assert again["who"] == "ann"
    telemock("changes", "reopen", str(gpu["id"]))
    assert {item["state"] for item in listed(telemock)} == {"open"}


@pytest.mark.usefixtures("filled")
def test_all_of_a_version(telemock: Telemock) -> None:
    open_before = len(listed(telemock))
    done = telemock("changes", "accept", "--all", "--version", "4.17.0", "--note", "read the notes")
    assert done.out == "accepted: 2 that were open\n"
    assert len(listed(telemock, "--state", "open")) == open_before - 2
    assert "0 that were open" in telemock("changes", "accept", "--all", "--text", "no such").out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2), (["1", "--all"], 2), (["1", "--profile", "cribl"], 2), (["0"], 2), (["x"], 2),
        (["1", "--note", "x" * 2001], 2), (["1", "--name", "x" * 201], 2), (["99999"], 1),
    ],
)  # fmt: skip
def test_what_cannot_be_decided(telemock: Telemock, arguments: list[str], code: int) -> None:
    done = telemock("changes", "accept", *arguments)
    assert done.code == code and done.err
    assert {item["state"] for item in listed(telemock)} == {"open"}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving(tmp_path) as served:
        served.runtime.store.write(incoming(exchange(1), exchange(2, product_version="4.17.0")))
        monkeypatch.setenv("TELEMOCK_DATA", str(tmp_path / "data"))
        yield served


def test_decisions_of_a_running_app(telemock: Telemock, app: Served) -> None:
    server = ("--server", app.url)
    (host,) = listed(telemock, "--kind", "host", *server)
    done = telemock("changes", "object", str(host["id"]), "--name", "ann", *server)
    assert done.code == 0 and done.out == f"objected by ann: {host['id']}, host cdn.cribl.io\n"
    found = app.runtime.store.change(int(host["id"]))
    assert found and (found.state, found.who) == ("objected", "ann")
    done = telemock("changes", "accept", "--all", "--version", "4.17.0", *server)
    assert done.out == "accepted: 1 that was open\n"
    assert telemock("changes", "show", "999", *server).code == 1


@pytest.mark.usefixtures("filled")
def test_a_class_is_said_where_no_app_runs(telemock: Telemock) -> None:
    (gpu,) = listed(telemock, "--text", "gpu")
    done = telemock("changes", "class", str(gpu["id"]), "licence", "--name", f"Ada {EVIL}")
    assert done.code == 0 and done.out.startswith("licence by Ada ")
    assert "query.gpu" in done.out and not {"\x1b", "\x07", "\u202e"} & set(done.out)
    fields = telemock("fields")
    (row,) = [one for one in fields.out.splitlines() if "query.gpu" in one]
    assert " licence " in row and "Ada" in row and "\x1b" not in row
    assert telemock("changes", "class", str(gpu["id"]), "none").out.startswith("no class by ")
    wrong = telemock("changes", "class", str(gpu["id"]), "personal")
    assert wrong.code == 2 and "identifier.person" in wrong.err
    (host,) = listed(telemock, "--kind", "host")
    assert telemock("changes", "class", str(host["id"]), "text").code == 2
    assert telemock("changes", "class", "9999", "text").code == 1
