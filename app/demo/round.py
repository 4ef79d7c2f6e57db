"""`telemock demo`: one whole round on this machine. A stand-in node of a vendor's product sends its
telemetry through the sidecar, the app answers and records it, and the result is checked and shown.

Called by the CLI. Needs no network but loopback: the real hosts are local servers (`demo.host`).
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app import environment
from app.client.page_link import link
from app.client.running import running_app
from app.client.source import Source, connect
from app.contract import names, state
from app.contract.actions import ANSWERED, MOCK
from app.contract.record import CaptureRecord
from app.demo import backends, host, plan, show
from app.demo.show import DemoOutcome
from app.escape import as_json as json_of
from app.run import processes
from app.run import summary as sent
from app.settings import Settings

_HERE = Path(__file__).parent
NODE_SECONDS = 60


class DemoError(processes.LocalError):
    """A result differs from the plan. The text is meant for people, whole."""


def demo(
    settings: Settings, *, keep: bool = False, as_json: bool = False, otel: bool = False
) -> int:
    """Runs the round and prints the result; with `keep` app, sidecar and real hosts stay up; with
    `otel` traces and metrics go to back ends that are found or started, and stay up too.

    Returns 0. Raises DemoError when anything differs from the plan, LocalError when a process does
    not start; nothing stays up then.
    """
    began, began_ns = time.monotonic(), time.time_ns()
    data, logs = settings.data, settings.logs
    state.make_with_room(data)
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="demo-", dir=data))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        ports, hosts = _real_hosts(directory, logs, keep)
        stack.callback(hosts.stop)
        seen = backends.find(data, logs) if otel else None
        environ = seen.environ if seen else {}
        url = running_app(data)
        if url and otel:
            raise DemoError(
                f"an app runs on {data} already, without the demo's collector: {url}\n\n"
                "hint: stop it, or set TELEMOCK_DATA to a directory of the demo's own"
            )
        app = processes.App(url, data, None) if url else processes.start_app(
            data, logs, environ={"TELEMOCK_PROFILES": "cribl", **environ}, stay=keep
        )  # fmt: skip
        stack.callback(app.stop)
        sidecar = processes.start_sidecar(
            data, logs, app.url, environ=_sidecar_settings(directory, ports) | environ, stay=keep
        )
        stack.callback(sidecar.child.stop)
        client, problems = _node(directory, data / names.DIR_CA, sidecar.proxy)
        _raise(problems)
        with connect(settings, app.url) as source:
            records = _delivered(source, sidecar.boot, began_ns)
        rows = sent.summed(records)
        outcome = DemoOutcome(
            client=client,
            sent=rows,
            added_fields=_added(records),
            passed=(directory / host.LOG_FILE).read_text().splitlines(),
            captures=len(records),
            seconds=round(time.monotonic() - began, 1),
            logs=str(logs),
            data=str(data),
            api=app.url,
            running=keep or app.child is None,
        )
        _raise(_wrong(outcome, records))
        if seen:
            _show_trace(outcome, records, seen)
        if outcome.running:
            outcome.page = link(settings, app.url)
        if keep:
            children = [sidecar.child, *([app.child] if app.child else []), hosts]
            outcome.pids = [child.pid for child in children]
            stack.pop_all()
    if as_json:
        print(json_of(outcome))
    else:
        show.outcome(outcome)
    return 0


def _real_hosts(directory: Path, logs: Path, stay: bool) -> tuple[dict[str, int], processes.Child]:
    told = directory / host.PORTS_FILE
    told.unlink(missing_ok=True)
    child = processes.Child(
        "the demo's real host",
        [*processes.PYTHON, "app.demo.host", str(directory)],
        environ=environment.child(),
        console=logs / "demo-hosts.console.log",
        stay=stay,
    )
    child.wait(told.exists)
    ports: dict[str, int] = json.loads(told.read_bytes())
    return ports, child


def _sidecar_settings(directory: Path, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "TELEMOCK_RESOLVE": ",".join(
            f"{name}:443=127.0.0.1:{ports[name]}" for name in (host.CDN, host.OTHER)
        ),
        "TELEMOCK_UPSTREAM_CA": str((directory / host.CA_FILE).absolute()),
        "TELEMOCK_MODE": MOCK,
        "POD_NAMESPACE": "demo",
        "POD_NAME": "stand-in-node",
    }


def _node(directory: Path, ca: Path, proxy: str) -> tuple[str, list[str]]:
    """Runs the stand-in node at both versions; returns the runtime it uses, and the problems."""
    node = shutil.which("node")
    command = [node, str(_HERE / "node.js")] if node else [sys.executable, str(_HERE / "node.py")]
    trusted = directory / "client-ca.pem"
    trusted.write_bytes(
        (ca / names.FILE_CA_CERT).read_bytes() + (directory / host.CA_FILE).read_bytes()
    )
    environ = {
        **environment.child(),
        "HTTPS_PROXY": proxy,
        "NODE_EXTRA_CA_CERTS": str(trusted),
        "SSL_CERT_FILE": str(trusted),
    }
    problems: list[str] = []
    for version in plan.VERSIONS:
        calls = list(plan.calls(version))
        script = directory / "calls.json"
        script.write_text(json.dumps([call._asdict() for call in calls]))
        done = subprocess.run(  # noqa: S603
            [*command, str(script)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=NODE_SECONDS,
            check=False,
        )
        got: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.split("\n") if line]
        if done.returncode or len(got) != len(calls):
            problems.append(f"the stand-in node ended with {done.returncode}: {done.stderr[-500:]}")
        problems += filter(None, (c.problem(g) for c, g in zip(calls, got, strict=False)))
        script.unlink()  # it holds the made-up licence id, which must not stay on disk
    return "Node.js" if node else "Python", problems


def _delivered(source: Source, boot: str, since_ns: int) -> list[CaptureRecord]:
    """Waits, a few seconds at most, until the app has all captures of the run; returns them."""
    deadline = time.monotonic() + 10
    while True:
        found = list(sent.records(source, boot, since_ns))
        if len(found) >= plan.CAPTURES or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _added(records: list[CaptureRecord]) -> list[str]:
    """Query parameters that the newer version sent and the older one did not."""
    seen: dict[str, set[str]] = {}
    for found in records:
        if found.request is not None and found.product_version:
            seen.setdefault(found.product_version, set()).update(n for n, _ in found.request.query)
    older, newer = (seen.get(version, set()) for version in plan.VERSIONS)
    return sorted(newer - older)


def _wrong(outcome: DemoOutcome, records: list[CaptureRecord]) -> Iterator[str]:
    """Yields the captures' differences from the plan."""
    if len(records) != plan.CAPTURES:
        yield f"{len(records)} captures arrived, expected {plan.CAPTURES}"
    mocked = [r for r in records if r.action in ANSWERED]
    if len(mocked) != plan.MOCKED:
        yield f"{len(mocked)} requests were answered by the mock, expected {plan.MOCKED}"
    if any(r.response is None or r.answered_by != "app" for r in mocked):
        yield "not every answer came from the app"
    if outcome.added_fields != sorted(plan.ADDED):
        yield f"the newer version added {outcome.added_fields}, expected {sorted(plan.ADDED)}"
    reached = [line for line in outcome.passed if "/telemetry" in line]
    if reached:
        yield f"telemetry reached the real host: {reached[0]}"
    if len(outcome.passed) != plan.PASSED:
        yield f"the real hosts saw {len(outcome.passed)} requests, expected {plan.PASSED}"
    if any(plan.LICENCE in value for r in mocked if r.request for _, value in r.request.query):
        yield "a licence id is in a capture unmasked"


def _show_trace(
    outcome: DemoOutcome, records: list[CaptureRecord], seen: backends.Backends
) -> None:
    """Prints one answered request's trace from Jaeger, and links. Raises DemoError, LocalError."""
    outcome.trace_id = next(r.trace_id for r in reversed(records) if r.answered_by == "app")
    outcome.backends_stop = seen.stop
    if not seen.jaeger:
        return
    spans = backends.trace(seen, outcome.trace_id, plan.SPANS)
    outcome.trace = list(backends.tree(spans))
    outcome.links = {
        "trace": f"{seen.jaeger}/trace/{outcome.trace_id}",
        "as JSON": f"{seen.jaeger}/api/traces/{outcome.trace_id}",
        "metrics": f"{seen.prometheus}/graph?g0.expr=telemock_captures_total",
    }
    if seen.grafana:
        outcome.links["dashboards"] = f"{seen.grafana}/dashboards"
    if len(spans) != plan.SPANS:
        _raise([f"the trace has {len(spans)} spans, expected {plan.SPANS}"])
    if any(plan.LICENCE in str(span) for span in spans):
        _raise(["a licence id is in the trace"])


def _raise(problems: Iterator[str] | list[str]) -> None:
    found = list(problems)
    if found:
        more = "".join(f"\n  {problem}" for problem in found)
        raise DemoError(
            f"the demo did not come out as it must:{more}\n\n"
            "hint: see the log files; telemock report says what was recorded"
        )
