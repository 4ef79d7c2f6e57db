"""A profile whose template grows without end, in the app as `telemock serve` runs it: its own rule
fails, the others are answered as ever, and the memory stays what the container has."""

import threading
import time
from pathlib import Path

import httpx

from app.profiles.template import REST_S
from tests.integration.test_slow_senders import served

PROFILE = """
id: acme
title: Acme
licence: {class: none, note: made up}
evidence: [{claim: none, source: made up, verified: 2026-11-29}]
hosts: [acme.test]
rules:
  - {id: static, match: {path: /static}, action: mock, answer: {body: here}}
  - id: fine
    match: {path: /fine}
    action: mock
    answer: {template: "{{ request.query.v }}"}
  - id: grows
    match: {path: /grows}
    action: mock
    answer: {template: "{% set s = request.query.v %}GROWTH{{ s|length }}"}
  - id: loops
    match: {path: /loops}
    action: mock
    answer:
      template: "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
"""


def rss(pid: int) -> int:
    """Bytes of a process and its children."""
    total = 0
    for one in [pid, *children(pid)]:
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue  # ended meanwhile
        total += int((status.partition("VmRSS:")[2].split() or ["0"])[0]) * 1024
    return total


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def test_only_the_rule_fails(tmp_path: Path) -> None:
    growth = "{% set s = s|replace('a', 'aaaaaaaa') %}" * 12
    file = tmp_path / "acme.yaml"
    file.write_text(PROFILE.replace("GROWTH", growth))
    with served(tmp_path, TELEMOCK_PROFILES=str(file)) as app:
        bad: list[tuple[int, str]] = []
        stop = threading.Event()

        def ask(path: str) -> None:
            with httpx.Client(trust_env=False, timeout=60) as client:
                while not stop.is_set():
                    url = f"http://127.0.0.1:{app.port}{path}?v=aaaaaaaa"
                    answer = client.get(url, headers={"host": "acme.test"})
                    bad.append((answer.status_code, answer.headers.get("telemock-error", "")))

        threads = [threading.Thread(target=ask, args=(p,)) for p in ["/grows", "/loops"] * 8]
        for thread in threads:
            thread.start()
        times, most = [], 0
        log = tmp_path / "logs/mock_server.log"
        end, known = time.monotonic() + 60, 0
        failed: list[float] = []  # when that was told
        try:
            # Until one was tried again after its rest.
            while not failed or failed[-1] < failed[0] + REST_S:
                assert time.monotonic() < end
                if (told := log.read_text().count("a template failed")) > known:
                    known = told
                    failed.append(time.monotonic())
                for path, expected in (("/static", "here"), ("/fine?v=1", "1")):
                    began = time.monotonic()
                    answer = app.http.get(path, headers={"host": "acme.test"})
                    times.append(time.monotonic() - began)
                    assert (answer.status_code, answer.text) == (200, expected)
                most = max(most, rss(app.process.pid))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert set(bad) == {(500, "failed")}
        print(f"peak RSS {most >> 20} MiB, slowest of the others {max(times):.2f} s")
        assert most < 512 << 20
        assert max(times) < 3 and sorted(times)[len(times) * 9 // 10] < 0.5
        assert log.read_text().count("a template failed") < 30 < len(bad)
        pid, ours = app.process.pid, children(app.process.pid)
        assert ours
    assert not any(Path(f"/proc/{one}/stat").exists() for one in [pid, *ours])
