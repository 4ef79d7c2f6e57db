"""No command prints what a terminal acts on, whatever was captured and whatever is asked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from app.cli.root import cli
from app.contract.record import CaptureRecord, Endpoint, Message, decode
from app.gate import statement
from app.gate.statement import Subject
from app.store.sqlite.store import SqliteStore
from tests.hars import entry, har, write
from tests.records import BOOT, exchange, incoming, log, spliced
from tests.unit.app.cli.conftest import Telemock, place, store, telemock

__all__ = ["place", "store", "telemock"]  # fixtures

EVIL = "\x1b]0;owned\x07\x9b31m\x7f\x85\u2028\u202e\rx"
URL = f"https://cdn.cribl.io/{EVIL}?a={EVIL}"
PRINTING = [
    ["captures", "list"],
    ["captures", "list", "--json"],
    ["captures", "list", "--kind", "log"],
    ["captures", "list", "--kind", "log", "--json"],
    ["captures", "tail", "-F"],
    ["captures", "tail", "-F", "--json"],
    ["captures", "show", f"{BOOT}-1"],
    ["captures", "show", f"{BOOT}-2"],
    ["captures", "show", EVIL],
    ["captures", "list", "--since", EVIL],
    ["captures", "export", "--format", "ndjson"],
    ["captures", "export", "--format", "csv"],
    ["captures", "export", "--format", "har"],
    ["report"],
    ["report", "--json"],
    ["fields"],
    ["fields", "--json"],
    ["diff"],
    ["diff", "--json"],
    ["diff", "--markdown"],
    ["diff", EVIL, f"4.16.1{EVIL}"],
    ["changes", "list"],
    ["changes", "list", "--json"],
    ["changes", "list", "--text", EVIL],
    ["changes", "show", "1"],
    ["changes", "class", "7", "licence", "--name", EVIL],
    ["changes", "class", "7", EVIL],
    *(
        ["changes", verb, "1", "--note", EVIL, "--name", EVIL]
        for verb in ("accept", "watch", "object", "reopen")
    ),
    ["contract", "freeze", "--profile", f"cribl{EVIL}", "--version", f"4.16.1-20904e45{EVIL}"],
    ["contract", "freeze", "--profile", EVIL],
    ["contract", "check", "contract.yaml"],
    *(["contract", "check", "contract.yaml", f"--{f}"] for f in ("markdown", "sarif", "junit")),
    ["contract", "check", "contract.yaml", "--json"],
    ["contract", "check", "evil.yaml"],
    ["contract", "diff", "contract.yaml", f"4.16.1-20904e45{EVIL}"],
    ["contract", "diff", "contract.yaml", EVIL, "--markdown"],
    ["profiles", "list"],
    ["learn", "--host", EVIL, "--har", EVIL],
    ["learn", "--har", "evil.har"],
    ["learn", "--har", "evil.har", "--id", EVIL],
    ["learn", "--har", "evil.har", "-o", EVIL],
    ["profiles", "show", EVIL],
    ["profiles", "add", "evil.yaml"],
    ["profiles", "add", EVIL],
    ["profiles", "remove", EVIL],
    ["rules", "check", "evil.yaml"],
    ["rules", "check", "evil.yaml", "--json"],
    ["rules", "check", EVIL],
    ["rules", "explain", URL, "-H", f"a: {EVIL}"],
    ["rules", "explain", URL, "-H", f"a: {EVIL}", "--json"],
    ["statement", "verify", "gate.json"],
    ["statement", "verify", "gate.json", "--json"],
    ["statement", "verify", "gate.json", "--key", EVIL],
    ["statement", "verify", EVIL],
    ["inject", "-f", "evil.yaml"],
    ["version"],
]
# What `run`, `rehearse`, `optout` and `demo` print of captures is in their own tests;
# `status` and `restart` need a cluster; the others print nothing that was captured.
ELSEWHERE = {
    "run",
    "rehearse",
    "optout",
    "demo",
    "status",
    "restart",
    "serve",
    "injector",
    "proxy",
    "ca",
    "open",
}
_FIXED = {"boot", "kind", "action", "mode", "answered_by", "sender", "schema"}


def planted(record: CaptureRecord) -> CaptureRecord:
    """With the escapes at the end of every text of it that may be anything."""

    def plant(node: Any, name: str = "") -> Any:
        if isinstance(node, dict):
            return {key: plant(value, key) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [plant(one, name) for one in node]
        return node + EVIL if isinstance(node, str) and name not in _FIXED else node

    return decode(msgspec.json.encode(plant(msgspec.to_builtins(record))))


@pytest.fixture
def evil(store: SqliteStore, place: Path) -> None:
    named = ("reason", "detail", "judged_by", "trace_id", "span_id", "mask_key")
    asked = exchange(1, destination=Endpoint(address="a"), **dict.fromkeys(named, "x"))
    assert asked.request and asked.response and asked.response.body
    asked.request.http_version = asked.response.http_version = asked.response.reason = "x"
    asked.request.body = asked.response.body
    said = Message(of="x", sender="client", body=asked.response.body)
    records = [planted(r) for r in (asked, exchange(2, message=said), spliced(3), log(4, "x"))]
    for one in records[:2]:  # a body that is decoded
        assert one.response and one.response.body
        one.response.body.text = json.dumps({EVIL: EVIL}, ensure_ascii=False)
    store.write(incoming(*records))
    profile = {EVIL: 1, "id": EVIL, "hosts": [EVIL], "rules": [{"path": EVIL}]}
    (place / "evil.yaml").write_text(json.dumps(profile))
    said = {"verdict": EVIL, "says": EVIL, "command": EVIL, "finishedOn": EVIL}
    statement.write(place / "gate.json", [Subject(EVIL, {"sha256": EVIL})], said, None)
    contract = {"contract": 1, "profile": f"cribl{EVIL}", "hosts": []}
    (place / "contract.yaml").write_text(json.dumps(contract))
    asked = {"method": "POST", "url": f"https://stats.acme.test/{EVIL}?{EVIL}={EVIL}"}
    asked["postData"] = {"mimeType": EVIL, "text": json.dumps({EVIL: EVIL, f"{EVIL}email": EVIL})}
    said = {"status": 200, "headers": [{"name": EVIL, "value": EVIL}], "content": {"text": EVIL}}
    write(place / "evil.har", har(entry(request=asked, response=said)))


def commands(group: typer.Typer) -> Iterator[str]:
    for command in group.registered_commands:
        yield command.name or getattr(command.callback, "__name__", "")


def test_every_command_is_tried() -> None:
    groups = {g.name: g.typer_instance for g in cli.registered_groups}
    every = {("", name) for name in commands(cli)}
    for group, inner in groups.items():
        assert group and inner
        every |= {(group, name) for name in commands(inner)}
    tried = {(a[0], a[1]) if a[0] in groups else ("", a[0]) for a in PRINTING}
    assert every - tried == {("", name) for name in ELSEWHERE}


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda a: ascii(" ".join(a)))
def test_no_command_prints_what_a_terminal_acts_on(
    telemock: Telemock, evil: None, arguments: list[str]
) -> None:
    done = telemock(*arguments)
    printed = (done.out + done.err).replace("\r\n", "\n").removeprefix("\ufeff")
    assert "owned" in printed or arguments in (["version"], ["profiles", "list"])
    assert not [c for c in printed if not c.isprintable() and c not in "\n"]
