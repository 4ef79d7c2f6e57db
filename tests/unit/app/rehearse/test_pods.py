"""app/rehearse/pods.py: two pods of a stand-in API server, and a store of what they sent. In a real
cluster: tests/e2e/test_rehearsal.py."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.client.source import StoreSource
from app.cluster.kube import connect
from app.contract.names import FILE_STORE
from app.rehearse.judge import Judgement
from app.rehearse.pods import compare
from app.rehearse.rounds import RehearsedFault
from app.rehearse.show import text
from app.run.child import RunError
from app.store.sqlite.store import SqliteStore
from tests.records import exchange, incoming, log
from tests.unit.app.cluster.test_kube import api_server, kubeconfig

NOW = datetime.now(UTC)
QUIET, LOUD = "started 4711", "started 4712\nERROR telemetry: \x1b[31mtimed out"


def pod(name: str, fault: str = "", restarts: int = 0, **status: Any) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 3}} if restarts else {}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"{NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}",
            "annotations": {"telemock.io/rehearse": fault} if fault else None,
        },
        "spec": {"containers": [{"name": "cribl"}]},
        "status": {
            "containerStatuses": [
                {
                    "name": "cribl", "ready": True, "restartCount": restarts, "lastState": ended,
                    **status,
                },
                {"name": "telemock", "ready": False, "restartCount": 9},
            ]
        },
    }  # fmt: skip


Compare = Callable[..., RehearsedFault]


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compare]:
    store = SqliteStore(tmp_path / FILE_STORE)

    def run(under: dict[str, Any], said: str = QUIET, attempts: int = 1) -> RehearsedFault:
        at = "/api/v1/namespaces/logs/pods"
        answers: dict[str, tuple[int, Any]] = {
            f"{at}/usual": (200, pod("usual")), f"{at}/under": (200, under),
            f"{at}/usual/log": (200, QUIET.encode()), f"{at}/under/log": (200, said.encode()),
        }  # fmt: skip
        sent = [("usual", 1), ("under", attempts)]
        now = time.time_ns()
        store.write(
            incoming(
                *(exchange(pod=who, time_ns=now) for who, number in sent for _ in range(number)),
                *(exchange(pod=who, time_ns=now - 10**12) for who, _ in sent for _ in range(99)),
                log(1_000, "its sidecar's"),
            )
        )
        with api_server(answers) as (url, _):
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
            api = connect()
            try:
                found = compare(api, StoreSource(store), "logs/under", "logs/usual")
            finally:
                api.close()
        (row,) = found.rows
        assert found.usual.attempts == 1 and text(found)
        return row

    yield run
    store.close()


def judged(row: RehearsedFault) -> Judgement:
    assert row.judgement is not None and row.evidence is not None
    return row.judgement


def test_one_that_does_as_the_other_tolerates_it(compared: Compare) -> None:
    row = compared(pod("under", "dropped until 2h"))
    assert judged(row).outcome == "tolerated"
    assert (row.host, row.fault) == ("logs/under", "dropped until 2h")
    assert row.evidence is not None and row.evidence.seconds >= 600


def test_trouble_in_its_log_and_many_attempts_are_worse(compared: Compare) -> None:
    found = judged(compared(pod("under", "500 until 2h"), LOUD, attempts=200))
    assert found.outcome == "degraded"
    often, *more = found.because
    assert often.endswith(" attempts a minute instead of 0")
    assert more == ["prints trouble", "200 attempts instead of 1"]
    assert found.lines[0].startswith("ERROR telemetry") and "\x1b" not in found.lines[0]


@pytest.mark.parametrize(
    ("under", "because"),
    [
        (pod("under", "x", restarts=2), "2 restarts instead of 0, last exit code 3"),
        (pod("under", "x", ready=False), "is not ready"),
    ],
)
def test_one_that_restarts_or_is_not_ready(
    compared: Compare, under: dict[str, Any], because: str
) -> None:
    found = judged(compared(under, LOUD))
    assert (found.outcome, found.because) == ("fatal", [because])
    assert found.lines


def test_pods_that_cannot_be_compared(compared: Compare) -> None:
    with pytest.raises(RunError, match="has no annotation"):
        compared(pod("under"))
