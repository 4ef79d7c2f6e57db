"""A field has one class everywhere: the one in force. OUTPUTS is the table of what shows classes;
each must show a new class at once, and the one before no more."""

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import parquet

from app.contract.classes import CLASSES
from app.contract.names import PATH_CAPTURES
from app.profiles import watch
from app.settings import SETTINGS
from tests.records import exchange, incoming
from tests.serving import Served, serving
from tests.unit.app.cli.conftest import Telemock, telemock  # noqa: F401 - a fixture
from tests.unit.app.web.conftest import sign_in
from tests.waiting import wait_for

OLD, NEW = "contact", "identifier.person"
FIELD, VERSIONS = "fax", ("4.16.0", "4.17.0")
NOW = time.time_ns()
RECORDS = [
    exchange(1, time_ns=NOW, product_version=VERSIONS[0], query=[("n", "1")], headers=[]),
    exchange(
        2, time_ns=NOW, product_version=VERSIONS[1], query=[("n", "1"), (FIELD, "x")], headers=[]
    ),
]
PROFILE = """
id: cribl
title: Cribl, for tests
licence: {class: none, note: made up}
evidence: [{claim: none, source: made up, verified: 2026-11-24}]
hosts: [cdn.cribl.io]
rules:
  - {id: telemetry, match: {path: /telemetry/index.html}, action: mock, answer: {body: x}}
"""


class Shown(NamedTuple):
    """The app with one capture of a known class, and the command line beside it."""

    served: Served
    page: Any
    run: Callable[..., str]
    folder: Path

    def get(self, path: str, **asked: str) -> Any:
        answer = self.page.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        return answer

    def row(self, path: str, **asked: str) -> str:
        """The rows of the page that are about the field."""
        rows = re.findall(r"<tr.*?</tr>", self.get(path, **asked).text, re.DOTALL)
        return "\n".join(row for row in rows if FIELD in row)

    def lines(self, text: str) -> str:
        return "\n".join(line for line in text.splitlines() if FIELD in line)

    def found(self, by: Callable[[str], bool]) -> str:
        """The classes by which the capture is found."""
        return " ".join(id for id in (OLD, NEW) if by(f"class:{id}"))

    def export(self, format: str) -> Path:
        file = self.folder / f"captures.{format}"
        self.run("captures", "export", "--format", format, "--output", str(file))
        return file


def _dl(html: str) -> str:
    return "\n".join(re.findall(r"<dt>Class</dt><dd>.*?</dd>", html, re.DOTALL))


def _change(shown: Shown) -> str:
    return _dl(shown.get(f"/changes/{_item(shown)}").text)


def _metric(shown: Shown) -> str:
    said = re.findall(r"^telemock_inventory_fields\{(.*)\} ([\d.]+)$",
                      shown.get("/metrics").text, re.MULTILINE)  # fmt: skip
    return "\n".join(labels for labels, number in said if float(number))


def _item(shown: Shown) -> int:
    items = shown.get("/api/v1/changes", kind="field", text=FIELD).json()["items"]
    return int(items[0]["id"])


def _sheet(file: Path) -> str:
    with zipfile.ZipFile(file) as book:
        return "\n".join(book.read(name).decode() for name in book.namelist())


def _id(shown: Shown) -> str:
    (found,) = shown.get(PATH_CAPTURES, q=f"field:{FIELD}").json()["items"]
    return str(found["id"])


OUTPUTS: dict[str, Callable[[Shown], str]] = {
    "API: captures": lambda s: s.found(
        lambda q: bool(s.get(PATH_CAPTURES, q=q).json()["items"])
    ),
    "API: fields": lambda s: s.lines(
        "\n".join(map(json.dumps, s.get("/api/v1/fields").json()["items"]))
    ),
    "API: report": lambda s: s.lines(
        "\n".join(map(json.dumps, s.get("/api/v1/report").json()["inventory"]))
    ),
    "API: diff": lambda s: s.lines(
        "\n".join(map(json.dumps, s.get("/api/v1/diff").json()["differences"]))
    ),
    "page: captures": lambda s: s.found(lambda q: _id(s) in s.get("/captures", q=q).text),
    "page: capture": lambda s: s.row(f"/captures/{_id(s)}"),
    "page: HAR of a capture": lambda s: s.get(f"/captures/{_id(s)}.har").text,
    "page: fields": lambda s: s.row("/fields"),
    "page: fields as CSV": lambda s: s.lines(s.get("/fields.csv").text),
    "page: field": lambda s: _dl(s.get(
        "/fields/one", profile="cribl", host="cdn.cribl.io", method="GET",
        route="/telemetry/index.html", field=f"query.{FIELD}",
    ).text),
    "page: overview": lambda s: "".join(
        re.findall(r'"h-classes">.*?</section>', s.get("/").text, re.DOTALL)
    ),
    "page: report": lambda s: s.row("/report"),
    "page: report as Markdown": lambda s: s.lines(s.get("/report.md").text),
    "page: versions": lambda s: s.row("/versions"),
    "page: versions as Markdown": lambda s: s.lines(s.get("/versions.md").text),
    "page: change": _change,
    "metrics": _metric,
    "telemock fields": lambda s: s.lines(s.run("fields")),
    "telemock fields --json": lambda s: s.lines(s.run("fields", "--json")),
    "telemock report": lambda s: s.lines(s.run("report")),
    "telemock diff": lambda s: s.lines(s.run("diff")),
    "telemock diff --markdown": lambda s: s.lines(s.run("diff", "--markdown")),
    "telemock captures list": lambda s: s.found(
        lambda q: VERSIONS[1] in s.run("captures", "list", "--filter", q)
    ),
    "telemock captures tail": lambda s: s.found(
        lambda q: VERSIONS[1] in s.run("captures", "tail", "--filter", q, "--no-follow")
    ),
    "export: CSV": lambda s: s.export("csv").read_text(),
    "export: HAR": lambda s: s.export("har").read_text(),
    "export: XLSX": lambda s: _sheet(s.export("xlsx")),
    "export: Parquet": lambda s: str(
        parquet.read_table(s.export("parquet")).column("classes").to_pylist()
    ),
}  # fmt: skip


@pytest.fixture
def shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    telemock: Telemock,  # noqa: F811
) -> Iterator[Shown]:
    monkeypatch.setattr(watch, "_LOOK_S", 0.05)
    profile = tmp_path / "cribl.yaml"
    profile.write_text(PROFILE)

    def run(*arguments: str) -> str:
        done = telemock(*arguments)
        assert done.code == 0, done.err
        return done.out

    with serving(tmp_path, TELEMOCK_PROFILES=str(profile)) as served, sign_in(served) as page:
        for setting in SETTINGS:
            monkeypatch.delenv(setting.name, raising=False)
        monkeypatch.setenv("TELEMOCK_DATA", str(served.runtime.settings.data))
        monkeypatch.setenv("TELEMOCK_PROFILES", str(profile))
        served.runtime.store.write(incoming(*RECORDS))
        served.runtime.writer.counting.recount = True  # as the writer says of new fields
        page.headers["authorization"] = served.client.headers["authorization"]
        yield Shown(served, page, run, tmp_path)


def people_say(shown: Shown, id: str) -> None:
    answer = shown.served.client.post(
        f"/api/v1/changes/{_item(shown)}/class", json={"class": id, "name": "Ada"}
    )
    assert answer.status_code == 200, answer.text


def profile_says(shown: Shown, id: str) -> None:
    file = shown.folder / "cribl.part"
    classes = f"classes: {{query.{FIELD}: {id}}}\n" if id != "none" else ""
    file.write_text(PROFILE + classes)
    file.replace(file.with_suffix(".yaml"))  # the app reads all of it or what was there before
    of = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html", f"query.{FIELD}")

    def in_use() -> bool:
        word = shown.served.runtime.store.words().word(*of)
        return (word.id if word else "none") == id

    wait_for(in_use)


@pytest.mark.parametrize("by", ["app", "store"])
@pytest.mark.parametrize("say", [people_say, profile_says])
def test_every_output_shows_the_class_in_force(
    shown: Shown, say: Callable[[Shown, str], None], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "app":
        monkeypatch.setenv("TELEMOCK_SERVER", shown.served.url)
    outputs = {
        name: output for name, output in OUTPUTS.items()
        if by == "app" or name.startswith(("telemock", "export"))
    }  # fmt: skip
    for said, is_old in (("", True), (NEW, False), ("none", True)):
        if said:
            say(shown, said)
        texts = {name: output(shown).lower() for name, output in outputs.items()}
        assert {
            name: text for name, text in texts.items()
            if ("contact" in text) != is_old
            or any(of in text for of in (NEW, CLASSES[NEW].title)) == is_old
        } == {}  # fmt: skip


def test_a_person_beats_the_profile_in_a_frozen_contract_too(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMOCK_SERVER", shown.served.url)

    def frozen() -> str:
        asked = ("--profile", "cribl", "--version", VERSIONS[1])
        return shown.lines(shown.run("contract", "freeze", *asked))

    assert "said" not in frozen()
    profile_says(shown, "licence")
    assert "said: licence" in frozen()
    people_say(shown, NEW)
    assert f"classes: [contact], said: {NEW}" in frozen()
