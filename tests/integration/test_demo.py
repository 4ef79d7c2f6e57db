"""`telemock demo`, as a newcomer runs it: exit code, screen, files, and nothing left running."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from app.contract import names
from app.demo import plan
from tests import backends
from tests.waiting import wait_for


def demo(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / ".telemock").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", *options],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def running_in(folder: Path) -> list[int]:
    """Processes whose working directory it is."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder.resolve():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_it_shows_what_left_and_leaves_nothing_running(tmp_path):
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = " ".join(done.stdout.split())
    for part in (
        "cdn.cribl.io GET /telemetry/index.html answered here 6 ",
        "cdn.cribl.io POST /telemetry/events answered here 2 ",
        "cdn.cribl.io GET /dl/* passed through untouched 2 ",
        "data.example.test (spliced) passed through untouched 2 ",
        "query.ai.req query.fc.Wq4 query.wpm",
        "2 x GET cdn.cribl.io/dl/",
        "log files logs/",
        "API http://127.0.0.1:",
    ):
        assert part in shown
    assert running_in(tmp_path) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [".telemock", "logs"]
    assert not list((tmp_path / ".telemock").glob("demo-*"))


def test_log_files_and_store_hold_every_exchange_and_a_second_run_shows_its_own(tmp_path):
    first, second = demo(tmp_path, "--json"), demo(tmp_path, "--json")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    for done in (first, second):
        told = json.loads(done.stdout)
        assert told["captures"] == plan.CAPTURES == sum(row["count"] for row in told["sent"])
        assert told["added_fields"] == sorted(plan.ADDED)
    log = (tmp_path / "logs" / names.LOG_REQUESTS).read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    versions = Counter(line["query_params"].get("v") for line in lines)
    telemetry = [line for line in lines if line["path"] == "/telemetry/index.html"]
    assert len(telemetry) == 2 * 2 * plan.ROUNDS
    assert set(plan.VERSIONS) < versions.keys()
    assert all(line["url"].startswith("https://cdn.cribl.io/") for line in lines)
    assert plan.LICENCE not in log
    listed = subprocess.run(
        [sys.executable, "-m", "app.cli", "captures", "list", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert len(listed.stdout.splitlines()) >= 2 * plan.CAPTURES


def test_without_node_the_stand_in_is_python(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    done = demo(tmp_path, "--json", PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["client"] == "Python"


def test_kept_it_answers_until_it_is_stopped(tmp_path):
    done = demo(tmp_path, "--json", "--keep")
    told = json.loads(done.stdout)
    try:
        assert len(told["pids"]) == 3
        token = (tmp_path / ".telemock" / names.FILE_TOKEN).read_text().strip()
        answer = httpx.get(
            told["api"] + "/api/v1/report",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.status_code == 200
        again = json.loads(demo(tmp_path, "--json").stdout)
        assert (again["api"], again["running"]) == (told["api"], True)
    finally:
        for pid in told["pids"]:
            os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not running_in(tmp_path), 30)


def test_it_fails_with_a_sentence_when_a_process_does_not_start(tmp_path):
    (tmp_path / "file").write_text("a file where the directory should be")
    done = demo(tmp_path, TELEMOCK_DATA=str(tmp_path / "file"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert running_in(tmp_path) == []


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_lines_of_the_readme_work_on_the_log_files(tmp_path):
    assert demo(tmp_path).returncode == 0
    script = "jq -r '.url' logs/telemetry_requests.log | sort | uniq -c"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "https://cdn.cribl.io/telemetry/config?v=4.16.1-20904e45" in done.stdout
    found = subprocess.run(
        ["grep", "-c", "v=4.16.2-7c1d9b02", "logs/telemetry_requests.log"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(found.stdout) >= plan.ROUNDS


@pytest.fixture
def stopped_at_the_end(tmp_path):
    yield
    state = tmp_path / ".telemock" / "observability.json"
    if state.exists():
        for pid in json.loads(state.read_bytes())["stop"].split()[1:]:
            os.kill(int(pid), signal.SIGTERM)


@pytest.mark.usefixtures("stopped_at_the_end")
def test_with_otel_it_shows_a_trace_and_leaves_the_back_ends(tmp_path):
    programs = [Path(backends.program(name)).parent for name in ("jaeger", "prometheus")]
    path = os.pathsep.join([os.environ["PATH"], *map(str, programs)])
    done = demo(tmp_path, "--otel", "--json", PATH=path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [line.split()[:3] for line in told["trace"]] == [
        [kind, "GET", "/telemetry/index.html"] for kind in ("SERVER", "CLIENT", "SERVER")
    ]
    assert told["links"]["trace"].endswith("/trace/" + told["trace_id"])
    assert httpx.get(told["links"]["as JSON"], trust_env=False).status_code == 200
    again = json.loads(demo(tmp_path, "--otel", "--json", PATH=path).stdout)
    assert again["backends_stop"] == told["backends_stop"]
    assert again["trace_id"] != told["trace_id"]
