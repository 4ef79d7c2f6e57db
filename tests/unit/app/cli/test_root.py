"""Every command has help with an example; errors are sentences with the right exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from typer.main import get_command

from app.cli.root import cli
from app.contract.names import FILE_SERVER
from app.run.processes import App
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming
from tests.unit.app.cli.conftest import Telemock
from tests.waiting import wait_for

COMMANDS = [
    "ca",
    "captures export",
    "captures list",
    "captures show",
    "captures tail",
    "changes accept",
    "changes class",
    "changes list",
    "changes object",
    "changes reopen",
    "changes show",
    "changes watch",
    "contract check",
    "contract diff",
    "contract freeze",
    "demo",
    "diff",
    "fields",
    "inject",
    "injector",
    "learn",
    "open",
    "optout",
    "profiles add",
    "profiles list",
    "profiles remove",
    "profiles show",
    "proxy",
    "rehearse",
    "report",
    "restart",
    "rules check",
    "rules explain",
    "run",
    "serve",
    "statement verify",
    "status",
    "version",
]


def commands(app: typer.Typer) -> Iterator[str]:
    root = get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        yield from (f"{name} {n}" for n in below) if below else [name]


def test_commands_are_these() -> None:
    assert sorted(commands(cli)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_has_help_and_an_example(telemock: Telemock, command: str) -> None:
    done = telemock(*command.split(), "--help")
    assert done.code == 0
    assert "Example: " in done.out and f"telemock {command}" in done.out.split("Example: ")[1]


def test_exit_codes_are_documented(telemock: Telemock) -> None:
    text = " ".join(telemock("--help").out.split())
    assert (
        "0 done; 1 failed, nothing matched, or a contract is violated or differs; 2 wrong" in text
    )


def test_wrong_setting_is_usage(telemock: Telemock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    done = telemock("serve")
    assert done.code == 2
    assert "PORT is 'http', expected a port from 0 to 65535" in done.err
    assert "hint: " in done.err


def test_no_store_is_unreachable(telemock: Telemock) -> None:
    for command in (["report"], ["fields"], ["captures", "list"]):
        done = telemock(*command)
        assert (done.code, done.out) == (3, "")
        assert "hint: " in done.err and "Traceback" not in done.err


def test_damaged_store_is_unreachable(telemock: Telemock, place: Path) -> None:
    (place / ".telemock/store.sqlite").write_bytes(b"not a database" * 100)
    done = telemock("report")
    assert done.code == 3
    assert "hint: " in done.err and "Traceback" not in done.err


def test_no_server_is_unreachable(telemock: Telemock, place: Path) -> None:
    (place / ".telemock/token").write_text("x" * 43)
    done = telemock("report", "--server", "http://127.0.0.1:1")
    assert done.code == 3
    assert "no app answers at http://127.0.0.1:1" in done.err


def test_hold_is_refused_with_a_sentence(telemock: Telemock) -> None:
    done = telemock("run", "--mode", "hold", "--", "true")
    assert done.code == 125
    assert "hold" in done.err and "hint: " in done.err


def test_command_line_of_run_is_the_commands_own(telemock: Telemock) -> None:
    done = telemock("run", "telemock-has-no-such-command", "--help")
    assert done.code == 127
    assert "telemock-has-no-such-command: command not found" in done.err


def test_report_names_what_a_new_version_added(telemock: Telemock, store: SqliteStore) -> None:
    old = exchange(query=[("v", "4.16.1"), ("os", "linux")], product_version="4.16.1")
    new = exchange(
        query=[("v", "4.17.0"), ("os", "linux"), ("\x1b[2Jnew", "1")], product_version="4.17.0"
    )
    store.write(incoming(old, new))
    done = telemock("report")
    assert done.code == 0
    assert "\\x1b[2Jnew" in done.out
    assert "\x1b" not in done.out
    found = json.loads(telemock("report", "--json").out)
    assert found["count"] == 2
    assert [f["path"] for f in found["new_fields"][0]["new"]] == ["query.\x1b[2Jnew"]
    assert json.loads(telemock("report", "--json", "--profile", "none").out)["count"] == 0


def test_fields(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(exchange(query=[("v", "4.16.1"), ("os", "linux")])))
    done = telemock("fields")
    assert done.code == 0
    assert "query.os" in done.out
    rows = [json.loads(line) for line in telemock("fields", "--json").out.splitlines()]
    assert {"query.os", "query.v"} <= {row["path"] for row in rows}


def test_diff(telemock: Telemock, store: SqliteStore) -> None:
    refused = telemock("diff")
    assert refused.code == 2 and "no two versions" in refused.err and "hint: " in refused.err
    for n in ("4.16.1", "4.17.0"):
        query = [("v", n), (f"\x1b[2J{n}", "1")]
        store.write(incoming(exchange(query=query, product_version=n)))
    for sides in ([], ["4.16.1", "4.17.0", "--profile", "cribl"]):
        done = telemock("diff", *sides)
        assert done.code == 0
        assert "cribl: from 4.16.1 to 4.17.0\n  1 added, 1 gone, 0 changed" in done.out
        assert "\x1b" not in done.out
    assert telemock("diff", "--markdown").out.startswith("## cribl: from 4.16.1 to 4.17.0\n")
    found = json.loads(telemock("diff", "4.17.0", "4.16.1", "--json").out)
    assert [(d["kind"], d["what"]) for d in found["differences"]] == [
        ("added", "query.\x1b[2J4.16.1"), ("gone", "query.\x1b[2J4.17.0"),
    ]  # fmt: skip


def test_running_app_gives_the_same_answers(telemock: Telemock, app: App, place: Path) -> None:
    httpx.get(f"{app.url}/telemetry/index.html?v=4.16.1&lic=secret", trust_env=False)
    assert json.loads((place / ".telemock" / FILE_SERVER).read_text())["url"] == app.url
    wait_for(lambda: json.loads(telemock("report", "--json").out)["count"] == 1)
    live = {
        "report": json.loads(telemock("report", "--json").out),
        "fields": telemock("fields", "--json").out,
    }
    assert live["report"]["count"] == 1
    named = telemock("report", "--json", "--server", app.url)
    assert json.loads(named.out)["answered"] == live["report"]["answered"] != []
    if app.child is not None:
        app.child.stop()
    assert not (place / ".telemock" / FILE_SERVER).exists()
    stored = json.loads(telemock("report", "--json").out)
    for report in (stored, live["report"]):
        report.pop("generated_at")
        for who in report["ledger"]:  # the app has run on until it was stopped
            who.pop("last_seen")
    assert stored == live["report"]
    assert telemock("fields", "--json").out == live["fields"]


def test_wrong_token_is_told(telemock: Telemock, app: App, place: Path) -> None:
    (place / ".telemock/token").write_text("wrong")
    done = telemock("report")
    assert done.code == 3
    assert "token is wrong" in done.err
    assert "TELEMOCK_DATA" in done.err


def test_reader_that_leaves_early_is_no_error(store: SqliteStore, place: Path) -> None:
    store.write(incoming(*(exchange() for _ in range(3000))))
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "captures", "list", "--json"],
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.PIPE,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_proxy_becomes_the_sidecar(place: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "proxy"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=place,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[4]),
            "MITM_PORT": "no port",
        },
    )
    assert process.stderr is not None
    error = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() != 0
    assert "MITM_PORT" in error


def test_version(telemock: Telemock) -> None:
    assert telemock("version").out.startswith("telemock ")


LIGHT = {
    "app",
    "app.cli",
    "app.cli.ca",
    "app.cli.captures",
    "app.cli.changes",
    "app.cli.contract",
    "app.cli.ending",
    "app.cli.group",
    "app.cli.inject",
    "app.cli.interrupt",
    "app.cli.learn",
    "app.cli.open",
    "app.cli.options",
    "app.cli.optout",
    "app.cli.profiles",
    "app.cli.rehearse",
    "app.cli.root",
    "app.cli.run",
    "app.cli.rules",
    "app.cli.statement",
    "app.cli.status",
    "app.cli.streams",
    "app.contract",
    "app.contract.actions",
    "app.contract.instant",
    "app.contract.names",
    "app.contract.printable",
    "app.contract.reviews",
    "app.escape",
    "app.report",
    "app.report.tables",
    "app.version",
}
SLOW = {"asyncio", "email", "http", "importlib.metadata", "sqlite3"}  # of Python's library


def loaded(*arguments: str) -> set[str]:
    """Modules that a process has at the end of `telemock ARGUMENTS…`."""
    code = "import atexit, sys; from app.cli import main; atexit.register("
    code += "lambda: print(*sys.modules, file=sys.stderr)); main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_imports_typer_and_nothing_else() -> None:
    found = loaded("--help")
    ours = {name for name in found if name.split(".")[0] in ("app", "addon")}
    assert ours <= LIGHT
    bare = {name.split(".")[0] for name in loaded_by_python_and_typer()}
    assert {name.split(".")[0] for name in found} - bare - {"app"} <= sys.stdlib_module_names
    assert found & SLOW == set()


def loaded_by_python_and_typer() -> set[str]:
    code = "import sys, typer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", ["captures tail --help", "run --help", "version"])
def test_help_of_a_command_imports_no_more_of_ours(arguments: str) -> None:
    """Typer itself imports pydantic as soon as it looks at a command's own options."""
    assert {name for name in loaded(*arguments.split()) if name.startswith("app.")} <= LIGHT
