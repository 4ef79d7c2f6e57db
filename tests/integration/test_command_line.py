"""The contract of the command line, over all commands: exit codes, sentences, JSON, and what is
left to the program that shares the environment. A new command falls under it by itself."""

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.commands import CLUSTER, SERVERS, TELEMOCK, Sample, bare, check, every, groups, run
from tests.unit.app.cli.conftest import Telemock, place, telemock
from tests.volume import volume

__all__ = ["place", "telemock"]  # fixtures

EVERY = every()
CLIENTS = [s for s in EVERY if s.name not in SERVERS]
JSON = [s for s in EVERY if s.has_json]
LOCAL = [s for s in CLIENTS if s.name not in CLUSTER]
ASKING = [s for s in EVERY if s.has_server]
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def quick(telemock: Telemock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """`run` in this process, for what needs none of its own."""
    for name in os.environ:
        if name.startswith(("TELEMOCK_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", "/none")

    def call(arguments: list[str], environ: Mapping[str, str] | None = None) -> Done:
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        done = telemock(*arguments)
        return Done(arguments, done.code, done.out, done.err)

    return call


def named(sample: object) -> str:
    return str(sample)


@pytest.mark.parametrize("sample", EVERY, ids=named)
def test_help(sample: Sample, quick) -> None:
    short, long = (quick([*sample.name.split(), h]) for h in ("-h", "--help"))
    assert (short.returncode, short.stderr, short.stdout) == (0, "", long.stdout)
    assert short.stdout.startswith(f"Usage: telemock {sample.name} ")


@pytest.mark.parametrize("group", groups())
def test_a_group_alone_shows_its_commands(group: str, quick) -> None:
    done = quick(group.split())
    helped = quick([*group.split(), "-h"])
    assert (done.returncode, done.stdout, done.stderr) == (2, "", helped.stdout)
    assert helped.returncode == 0
    assert quick(["--version"]).stdout == quick(["version"]).stdout != ""


@pytest.mark.parametrize("sample", EVERY, ids=named)
@pytest.mark.parametrize("wrong", [["--no-such-option"], ["--json=1"], ["--since"]], ids=str)
def test_wrong_usage(sample: Sample, wrong: list[str], quick) -> None:
    for asked in [[], ["--json"]][: 1 + sample.has_json]:
        done = quick([*sample.name.split(), *asked, *wrong])
        assert done.returncode == 2
        check(done, sample, with_json=bool(asked))


RUBBISH = {
    "OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": "here", "LOG_LEVEL": "loud",
    "OTEL_PROPAGATORS": "none such", "OTEL_PYTHON_CONTEXT": "none", "LOG_FORMAT": "xml",
    "PORT": "http", "HOST": "\x01", "MITM_HOST": "nowhere.invalid", "MITM_PORT": "many",
    "POD_NAME": "x" * 9000, "POD_NAMESPACE": "y", "NODE_NAME": "z", "WEB_CONCURRENCY": "many",
    "FORWARDED_ALLOW_IPS": "?", "SSLKEYLOGFILE": "/none/at/all", "PYTHONWARNINGS": "error",
    "HTTPS_PROXY": "nonsense://[", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": "*",
    "ALL_PROXY": "socks9://x", "REQUESTS_CA_BUNDLE": "/none", "CURL_CA_BUNDLE": "/none",
    "NODE_OPTIONS": "--require /none", "JAVA_TOOL_OPTIONS": "-Xnone", "PAGER": "/none",
    "EDITOR": "/none", "UVICORN_PORT": "x", "SSL_CERT_DIR": "/none", "TERM": "none-such",
    "COLUMNS": "wide", "LINES": "-1", "NO_COLOR": "", "FORCE_COLOR": "no", "TZ": "Nowhere/At_All",
    "DEBUG": "1", "CI": "x", "EMPTY": "",
}  # fmt: skip


def unlike(text: str) -> str:
    """Without what differs between two runs: times, ports, ids."""
    return re.sub(r"[0-9a-f]{32}|\d[\d:.]*(Z| s\b)?|/tmp/\S+", "#", text)


@pytest.mark.parametrize("sample", CLIENTS, ids=named)
def test_the_programs_variables_change_nothing(sample: Sample, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (two / ".env").mkdir(parents=True)
    if "--help" in sample.arguments:
        return
    plain = run(sample.arguments, one)
    odd = run(sample.arguments, two, environ=RUBBISH)
    assert odd.returncode == plain.returncode, odd.stderr
    assert unlike(odd.stdout) == unlike(plain.stdout)
    ours = [line for line in odd.stderr.splitlines() if "PROXY" not in line and "_CA_" not in line]
    assert unlike("\n".join(ours)) == unlike("\n".join(plain.stderr.splitlines()))
    check(odd, sample)


@pytest.mark.parametrize("file", ["LOG_LEVEL=debug\nPORT=x\n", "\udcff\udcfe", "a b c\n'"])
def test_run_gives_the_program_its_own_variables(file: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(file, errors="surrogateescape")
    ours = {n: v for n, v in RUBBISH.items() if not n.lower().endswith(("proxy", "bundle"))}
    ours.pop("NODE_OPTIONS"), ours.pop("JAVA_TOOL_OPTIONS")  # get what makes them trust us
    done = run(["run", "--", "env", "-0"], tmp_path, environ=ours)
    assert done.returncode == 0, done.stderr
    got = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert {n: got.get(n) for n in ours} == ours
    assert not [n for n in got if n.startswith("TELEMOCK_")]


@pytest.mark.parametrize("sample", EVERY, ids=named)
@pytest.mark.parametrize(
    ("how", "said"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_standard_output_that_takes_nothing(
    how: str, said: str, sample: Sample, tmp_path: Path
) -> None:
    done = run([*sample.name.split(), "-h"], tmp_path, before=("sh", "-c", f'"$@" {how}', "sh"))
    assert done.returncode == (125 if sample.name == "run" else 1)
    assert done.stderr.startswith(f"error: standard output: {said}\n\nhint: ")
    check(done, sample)


@pytest.mark.parametrize("sample", EVERY, ids=named)
def test_a_reader_that_has_left_is_no_error(sample: Sample, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    assert ended.wait(20) == 0 and ended.stdin
    done = run([*sample.name.split(), "-h"], tmp_path, stdout=ended.stdin)
    assert (done.returncode, done.stderr) == (1, "")
    ended.stdin.close()


@pytest.mark.parametrize("sample", LOCAL, ids=named)
def test_closed_streams_are_no_files_of_ours(sample: Sample, tmp_path: Path) -> None:
    """A file that took the place of a closed stream would get what is printed."""
    done = run(sample.arguments, tmp_path, before=("sh", "-c", '"$@" <&- >&- 2>&-', "sh"))
    assert done.returncode < 128
    for path in (tmp_path / ".telemock").rglob("*"):
        if path.is_file() and path.suffix not in (".pem", ".log", ".sqlite"):
            assert b"error: " not in path.read_bytes(), path
    check(run(sample.arguments, tmp_path, before=("sh", "-c", '"$@" <&-', "sh")), sample)


def no_home(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder / "none")}


def below_a_file(folder: Path) -> dict[str, str]:
    (folder / "file").touch()
    return {"TELEMOCK_DATA": str(folder / "file" / "data")}


def on_a_file(folder: Path) -> dict[str, str]:
    (folder / "file").touch()
    return {"XDG_STATE_HOME": str(folder / "file")}


def elsewhere(folder: Path) -> dict[str, str]:
    """A file system that takes no directories."""
    return {"TELEMOCK_DATA": "/proc/none"}


def anothers(folder: Path) -> dict[str, str]:
    (folder / ".telemock").mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(folder / ".telemock", 65534, 65534)
    return {}


def wrong_setting(folder: Path) -> dict[str, str]:
    return {"TELEMOCK_RETENTION_DAYS": "many"}


def wrong_profile(folder: Path) -> dict[str, str]:
    (folder / "bad.yaml").write_text("id: 7\n")
    return {"TELEMOCK_PROFILES": "bad.yaml"}


def no_profile(folder: Path) -> dict[str, str]:
    return {"TELEMOCK_PROFILES": "/none/x.yaml"}


def folders_for_files(folder: Path) -> dict[str, str]:
    for name in ("store.sqlite", "token", "mask.key", "server.json", "ca", "spool", "logs"):
        (folder / ".telemock" / name / "x").mkdir(parents=True)
    return {}


def damaged_files(folder: Path) -> dict[str, str]:
    (folder / ".telemock/ca").mkdir(parents=True)
    for name in ("store.sqlite", "token", "mask.key", "server.json", "ca/mitmproxy-ca.pem"):
        (folder / ".telemock" / name).write_bytes(b"\xff\x00 not what it should be" * 50)
    return {}


STATES = [
    no_home, below_a_file, on_a_file, elsewhere, anothers, wrong_setting, wrong_profile, no_profile,
    folders_for_files, damaged_files,
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("sample", [s for s in EVERY if s.name not in SERVERS], ids=named)
def test_what_is_in_the_way_is_told_in_a_sentence(
    state, sample: Sample, tmp_path: Path, quick
) -> None:
    (tmp_path / ".telemock").rmdir()
    environ = state(tmp_path)
    asked = ["--json"] if sample.has_json else []
    words = len(sample.name.split())
    arguments = [*sample.arguments[:words], *asked, *sample.arguments[words:]]
    if sample.name in ("run", "demo"):
        done = run(arguments, tmp_path, environ=environ)
    else:
        done = quick(arguments, environ)
    check(done, sample, with_json=bool(asked))
    if sample.name == "run" and done.returncode:
        assert done.returncode == 125


@pytest.mark.parametrize("sample", LOCAL, ids=named)
def test_a_full_or_read_only_disk(sample: Sample, tmp_path: Path) -> None:
    with volume(tmp_path / "small", 1 << 20) as disk:
        for state in ("full", "read-only"):
            if state == "full":
                disk.fill()
            else:
                disk.free()
                remount = ["mount", "-o", "remount,ro", str(disk.path)]
                subprocess.run([*disk.enter, *remount], check=True)
            where = {"TELEMOCK_DATA": str(disk.path / "data")}
            before = tuple(disk.enter)
            done = run(sample.arguments, tmp_path, environ=where, before=before)
            check(done, sample)
            if sample.name in ("run", "demo"):
                said = {"full": "No space left", "read-only": "Read-only file system"}[state]
                assert done.returncode in (125, 2) and said in done.stderr


ANSWERS = (
    (200, b"<html>"), (200, b"{}"), (200, b"\xff"), (302, b""), (401, b"{}"), (404, b""),
    (500, b"x" * 99_999), (503, b'{"error": 7}'),
    (200, b'{"items": [{}], "next": null, "last": ""}'),
)  # fmt: skip


@contextlib.contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("sample", ASKING, ids=named)
def test_a_server_that_is_none_of_ours(sample: Sample, tmp_path: Path, quick) -> None:
    (tmp_path / ".telemock/token").write_text("x" * 43)
    asked = ["--json"] * sample.has_json

    def ask(server: str, code: int) -> None:
        done = quick([*sample.arguments, *asked, "--server", server])
        assert done.returncode == code, f"{server}: {done.stderr}"
        check(done, sample, with_json=bool(asked))

    for wrong in ("here", "ftp://h", "http://", "http://[", "http://h:99999", "clusters"):
        ask(wrong, 2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        ask(f"http://127.0.0.1:{taken.getsockname()[1]}", 3)
    ask("http://no-such-host.invalid", 3)
    ask("cluster", 3)
    ask("cluster:none", 3)
    for status, content in ANSWERS:
        with answering(status, content) as url:
            done = quick([*sample.arguments, *asked, "--server", url])
            assert done.returncode in (1, 3) or content == b"{}", (status, content, done.stdout)
            check(done, sample, with_json=bool(asked))


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("serve", ["PORT"]),
        ("proxy", ["MITM_PORT", "TELEMOCK_HEALTH_PORT"]),
    ],
)
def test_a_port_that_is_taken(command: str, settings: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for name in settings:
            ports = dict.fromkeys(("PORT", "MITM_PORT", "TELEMOCK_HEALTH_PORT"), "0")
            done = run([command], tmp_path, environ={**ports, name: port})
            assert done.returncode == 2
            assert port in done.stderr and "hint: " in done.stderr
            assert "Traceback" not in done.stderr


def test_exit_codes_of_run(tmp_path: Path) -> None:
    """As `env` and `timeout` have them."""
    plain, script = tmp_path / "plain", tmp_path / "script"
    plain.write_text("x")
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    for command, code in (
        (["true"], 0),
        (["sh", "-c", "exit 125"], 125),
        (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "kill -2 $$"], 130),
        (["no-such-command"], 127),
        ([str(plain)], 126),
        ([str(tmp_path)], 126),
        ([str(script)], 127),
    ):
        done = run(["run", "--json", "--", *command], tmp_path)
        assert done.returncode == code, (command, done.stderr)
        told = json.loads(done.stdout)
        assert told.get("exit_code") == code or (code in (126, 127) and told["error"])


def test_what_a_run_leaves_is_its_owners_alone_and_ignored_by_git(tmp_path: Path) -> None:
    authority = tmp_path / "theirs.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [*TELEMOCK, "run", "--", "true"], cwd=work, capture_output=True, text=True, check=False,
        env=bare(tmp_path, CURL_CA_BUNDLE=str(authority)), umask=0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(work.iterdir()) == []
    state = tmp_path / ".local/state/telemock"
    assert (state / ".gitignore").read_text() == "*\n"
    found = [state, *state.rglob("*")]
    assert len(found) > 10
    open_ones = {str(p): oct(p.stat().st_mode) for p in found if p.stat().st_mode & 0o077}
    assert open_ones == {}
    report = run(["report", "--json"], work, environ={"HOME": str(tmp_path)})
    assert report.returncode == 0 and json.loads(report.stdout)["count"] == 0


def test_text_that_the_terminals_encoding_lacks(tmp_path: Path) -> None:
    url = "https://cdn.cribl.io/telemetry/?v=äöü漢\N{CHIPMUNK}"
    for encoding in ("ascii", "latin-1", "utf-8"):
        environ = {"PYTHONIOENCODING": encoding}
        done = subprocess.run(
            [*TELEMOCK, "rules", "explain", "--json", url, "-H", "a: \N{CHIPMUNK}漢"],
            env=bare(tmp_path, **environ), cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr == b""
        json.loads(done.stdout.decode(encoding))


def test_ctrl_c_before_anything_is_loaded(tmp_path: Path) -> None:
    """The package in its place interrupts itself as soon as it is imported."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("import os; os.kill(os.getpid(), 2)\n")
    script = Path(__file__).parents[2] / "scripts/telemock"
    done = subprocess.run(
        [sys.executable, str(script), "version"], env=bare(tmp_path, PYTHONPATH=str(tmp_path)),
        capture_output=True, check=False, cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
    installed = shutil.which("telemock", path=str(Path(sys.executable).parent))
    assert installed
    assert Path(installed).read_text().partition("\n")[2] == script.read_text().partition("\n")[2]
