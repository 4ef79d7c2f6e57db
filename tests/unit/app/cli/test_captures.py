"""Captures are listed, shown, followed and exported, and cannot act on the terminal."""

import csv
import io
import json
import os
import select
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from app.contract.record import Tls
from app.report.export import BINARY
from app.run.processes import App
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, SECOND, T0, exchange, incoming, log, spliced
from tests.unit.app.cli.conftest import Telemock
from tests.waiting import wait_for

EVIL = "\x1b]0;owned\x07\x9b31m\u202e"


def test_list_is_a_table_for_people_newest_first(telemock: Telemock, store: SqliteStore) -> None:
    store.write(
        incoming(
            exchange(1),
            exchange(2, time_ns=T0 + SECOND, action="observe", status=404),
            spliced(3, time_ns=T0 + 2 * SECOND),
            log(4, "disk is slow", time_ns=T0 + 3 * SECOND),
        )
    )
    done = telemock("captures", "list")
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["TIME", "ACTION", "STATUS", "VERSION", "WORKLOAD", "ID", "REQUEST"]
    assert [row.split()[5] for row in rows] == [f"{BOOT[:8]}-{n}" for n in (3, 2, 1)]
    assert rows[0].endswith("spliced other.example: no profile names the host, so the connection "
                            "was not opened")  # fmt: skip
    assert "observe   404" in rows[1]
    assert rows[2].endswith("GET cdn.cribl.io/telemetry/index.html")


def test_log_lines_are_listed_only_when_asked_for(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(*(log(n, "disk is slow") for n in range(1, 6)), exchange(6)))
    assert len(telemock("captures", "list", "--json").out.splitlines()) == 1
    assert len(telemock("captures", "list", "--json", "--limit", "1").out.splitlines()) == 1
    logs = telemock("captures", "list", "--kind", "log", "--limit", "3").out.splitlines()[1:]
    assert [line.endswith("log WARNING disk is slow") for line in logs] == [True] * 3
    assert len(telemock("captures", "tail", "-F", "--json").out.splitlines()) == 1


def test_list_has_every_page_and_heeds_the_limit(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(*(exchange(n) for n in range(1, 2502))))
    done = telemock("captures", "list", "--json")
    assert done.code == 0
    assert {json.loads(line)["seq"] for line in done.out.splitlines()} == set(range(1, 2502))
    assert len(telemock("captures", "list", "--json", "--limit", "1500").out.splitlines()) == 1500
    oldest = telemock("captures", "list", "--json", "--limit", "1", "--order", "arrival").out
    assert json.loads(oldest)["seq"] == 1


@pytest.mark.parametrize(
    "arguments, seqs",
    [
        ([], [1, 2, 3]),
        (["--action", "block"], [2]),
        (["--host", "other.example"], [3]),
        (["--kind", "exchange"], [1, 2]),
        (["--version", "4.17.0"], [2]),
        (["--workload", "logs/leader-0"], [1]),
        (["--method", "POST"], [2]),
        (["--status", "4xx"], [2]),
        (["--status", "200"], [1]),
        (["--text", "INDEX"], [1, 2]),
        (["--profile", "none"], []),
        (["--filter", "-status:2xx kind:exchange"], [2]),
        (["-q", "version>=4.17", "--method", "POST"], [2]),
        (["--since", "2026-09-21T14:13:21Z"], [2, 3]),
        (["--until", "2026-09-21T14:13:21Z"], [1]),
    ],
)
def test_filters(
    telemock: Telemock, store: SqliteStore, arguments: list[str], seqs: list[int]
) -> None:
    store.write(
        incoming(
            exchange(1),
            exchange(
                2, time_ns=T0 + SECOND, action="block", method="POST", status=403, pod="w-1",
                product_version="4.17.0",
            ),
            spliced(3, time_ns=T0 + 2 * SECOND),
        )
    )  # fmt: skip
    done = telemock("captures", "list", "--json", "--order", "oldest", *arguments)
    assert done.code == 0
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == seqs


def test_a_filter_that_makes_no_sense_says_what_would(telemock: Telemock) -> None:
    done = telemock("captures", "list", "--filter", "hots:a")
    assert done.code == 2
    assert "no name 'hots'" in done.err
    assert "hint: host, profile" in done.err


def test_captured_text_cannot_act_on_the_terminal(telemock: Telemock, store: SqliteStore) -> None:
    store.write(
        incoming(
            exchange(1, path="/" + EVIL, product_version=EVIL, pod=EVIL, host=EVIL),
            spliced(2, tls=Tls(sni=EVIL)),
            log(3, EVIL + "\nforged"),
        )
    )
    table = telemock("captures", "list", "--kind", "exchange")
    lines = telemock("captures", "list", "--json")
    one = telemock("captures", "show", f"{BOOT}-1")
    logs = telemock("captures", "list", "--kind", "log")
    for done in (table, lines, one, logs):
        assert done.code == 0
        assert not set(done.out) & set(EVIL.translate({ord(c): "" for c in "]0;owned31m"}))
    assert [len(done.out.splitlines()) for done in (table, logs)] == [2, 2]  # with their heads
    assert "\\x1b]0;owned\\x07\\x9b31m\\u202e" in table.out
    assert json.loads(one.out)["request"]["path"] == "/" + EVIL


def test_show(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(exchange(7)))
    done = telemock("captures", "show", f"{BOOT}-7")
    assert done.code == 0
    assert json.loads(done.out)["request"]["host"] == "cdn.cribl.io"
    for id in (f"{BOOT}-8", "\x1bnonsense", "../report"):
        missing = telemock("captures", "show", id)
        assert (missing.code, missing.out) == (1, "")
        assert "there is no capture" in missing.err and "\x1b" not in missing.err


def test_show_of_a_running_app(telemock: Telemock, app: App) -> None:
    httpx.get(f"{app.url}/telemetry/index.html?v=1&lic=secret", trust_env=False)
    (line,) = wait_for(lambda: telemock("captures", "list", "--json").out.splitlines())
    found = json.loads(line)
    shown = telemock("captures", "show", f"{found['boot']}-{found['seq']}")
    assert json.loads(shown.out) == found
    assert "secret" not in shown.out
    for id in (f"{found['boot']}-99", "../report", "x?y"):
        assert telemock("captures", "show", id).code == 1


def test_tail_prints_the_last_ones_oldest_first(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(*(exchange(n, time_ns=T0 + n) for n in range(1, 31))))
    done = telemock("captures", "tail", "--no-follow", "-n", "3", "--json")
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [28, 29, 30]


def test_tail_follows_what_arrives_also_late_until_ctrl_c(store: SqliteStore, place: Path) -> None:
    store.write(incoming(*(exchange(n, time_ns=T0 + n * SECOND) for n in range(1, 4))))
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "captures", "tail", "-n", "1", "--json",
         "--method", "GET"],
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.PIPE,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:

        def seq() -> int:
            assert select.select([process.stdout], [], [], 30)[0]
            return int(json.loads(process.stdout.readline())["seq"])  # type: ignore[union-attr]

        assert seq() == 3
        store.write(incoming(exchange(4, time_ns=T0), exchange(5, method="POST")))
        store.write(incoming(exchange(6, time_ns=T0 + 9 * SECOND)))
        assert [seq(), seq()] == [4, 6]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_a_short_id_is_taken_as_it_is_shown(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(exchange(1), exchange(2), exchange(3, boot=BOOT[:30] + "cd")))
    whole = telemock("captures", "show", f"{BOOT}-1")
    assert telemock("captures", "show", f"{BOOT[:8]}-1") == whole
    assert json.loads(whole.out)["id"] == f"{BOOT}-1"
    assert json.loads(telemock("captures", "show", f"{BOOT[:8]}-3").out)["seq"] == 3
    for wrong in (f"{BOOT[:7]}-1", f"{BOOT[:8]}-4", f"{BOOT[:8]}-", "-1", f"{BOOT[:7]}%-1"):
        done = telemock("captures", "show", wrong)
        assert (done.code, done.out) == (2 if wrong.startswith("-") else 1, "")
    store.write(incoming(exchange(1, boot=BOOT[:30] + "ef")))
    done = telemock("captures", "show", f"{BOOT[:8]}-1")
    assert done.code == 2
    assert "is the short form of several ids\n\nhint: " in done.err
    assert telemock("captures", "show", f"{BOOT}-1") == whole


def test_tail_of_an_empty_store_follows_from_the_first(store: SqliteStore, place: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "captures", "tail", "--json"],
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert process.stdout is not None
    try:
        store.write(incoming(exchange(1)))
        assert select.select([process.stdout], [], [], 30)[0]
        assert json.loads(process.stdout.readline())["seq"] == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_export_to_stdout_is_oldest_first(telemock: Telemock, store: SqliteStore) -> None:
    store.write(incoming(exchange(2, time_ns=T0 + 1), exchange(1)))
    lines = telemock("captures", "export").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert [json.loads(line)["id"] for line in lines] == [f"{BOOT}-1", f"{BOOT}-2"]
    assert json.loads(lines[1])["time"] == "2026-09-21T14:13:20.000000001Z"
    rows = list(
        csv.DictReader(io.StringIO(telemock("captures", "export", "-f", "csv", "--no-bom").out))
    )
    assert [row["id"] for row in rows] == [f"{BOOT}-1", f"{BOOT}-2"]
    assert telemock("captures", "export", "-f", "csv").out[0] == "\ufeff"
    har = json.loads(telemock("captures", "export", "-f", "har", "--status", "200").out)
    assert len(har["log"]["entries"]) == 2


def test_export_to_a_file_appears_whole_and_private(
    telemock: Telemock, store: SqliteStore, place: Path
) -> None:
    store.write(incoming(exchange(1)))
    done = telemock("captures", "export", "-o", "out.ndjson")
    assert (done.code, done.out) == (0, "")
    file = place / "out.ndjson"
    assert json.loads(file.read_text())["seq"] == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in place.iterdir() if p.name.startswith(".out")] == []


def test_a_workbook_is_written_to_a_file_and_not_to_a_terminal(
    telemock: Telemock, store: SqliteStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(incoming(exchange(1)))
    assert telemock("captures", "export", "-f", "xlsx", "-o", "out.xlsx").code == 0
    assert zipfile.is_zipfile(place / "out.xlsx")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for format in BINARY:
        done = telemock("captures", "export", "-f", format)
        assert (done.code, done.out) == (2, "") and "give --output FILE" in done.err


def test_a_format_whose_package_is_missing_says_what_to_install(
    telemock: Telemock, store: SqliteStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    done = telemock("captures", "export", "-f", "xlsx", "-o", "out.xlsx")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith(
        "error: --format xlsx needs the package XlsxWriter\n\nhint: pip install 'telemock[xlsx]'\n"
    )
    assert not (place / "out.xlsx").exists()


def test_export_to_nowhere_is_an_error(telemock: Telemock, store: SqliteStore) -> None:
    done = telemock("captures", "export", "-o", "no/such/folder/out.csv")
    assert done.code == 1
    assert "No such file or directory" in done.err
    assert "Traceback" not in done.err
