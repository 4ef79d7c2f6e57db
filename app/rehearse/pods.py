"""Judges a pod under the annotation `telemock.io/rehearse` by one like it without: restarts, lines
that its containers print, and how often it asks. Called by the CLI.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from app.client.source import Source, captures
from app.cluster.kube import KubeApi, KubeError, path
from app.contract.names import ANNOTATION_REHEARSE, OUR_CONTAINERS
from app.escape import plain
from app.rehearse.judge import LINE, Judgement, RunEvidence, judge
from app.rehearse.rounds import Rehearsal, RehearsedFault
from app.report.coverage import count
from app.run.child import RunError
from app.store import CaptureQuery

_BYTES = 1 << 20  # of the log of one container
_RECORDS = 10_000  # that are counted, of one pod


class _Kind(msgspec.Struct):
    kind: str = ""


class _Pod(NamedTuple):
    name: str  # namespace/pod
    fault: str
    began: datetime
    containers: list[str]
    statuses: list[Mapping[str, Any]]

    @property
    def restarts(self) -> int:
        return sum(int(one.get("restartCount") or 0) for one in self.statuses)

    @property
    def code(self) -> int:
        """Exit code of a container that ended, of the last one."""
        ended = [
            (one.get(state) or {}).get("terminated")
            for one in self.statuses
            for state in ("lastState", "state")
        ]
        return next((int(one["exitCode"]) for one in reversed(ended) if one), 0)

    @property
    def ready(self) -> bool:
        return all(one.get("ready") for one in self.statuses)


def compare(api: KubeApi, source: Source, pod: str, usual: str) -> Rehearsal:
    """`pod` and `usual` are NAMESPACE/POD. Both are looked at over the time that both have.

    Raises RunError, KubeError, and what the source raises.
    """
    found, like = _pod(api, pod), _pod(api, usual)
    if not found.fault or like.fault:
        has = "has no" if not found.fault else "is fine, and --usual has the"
        raise RunError(
            f"--pod {pod} {has} annotation {ANNOTATION_REHEARSE}\n\n"
            "hint: name a pod that has it, and with --usual one like it that has not"
        )
    seconds = time.time() - max(found.began, like.began).timestamp()
    before, under = (_evidence(api, source, one, seconds) for one in (like, found))
    judgement = judge(before, under, lasts=True)
    if worse := _fatal(like, found):
        judgement = Judgement(outcome="fatal", because=worse, lines=judgement.lines)
    row = RehearsedFault(
        endpoint="(all)", host=pod, fault=found.fault, judgement=judgement, evidence=under
    )
    return Rehearsal(profile="", usual=before, rows=[row], unruled=0)


def _pod(api: KubeApi, name: str) -> _Pod:
    namespace, _, pod = name.partition("/")
    if not namespace or not pod:
        raise RunError(f"{name!r} names no pod\n\nhint: write NAMESPACE/POD")
    read = api.get(path("api", "v1", "namespaces", namespace, "pods", pod))
    meta, status = read.get("metadata") or {}, read.get("status") or {}
    return _Pod(
        name,
        str((meta.get("annotations") or {}).get(ANNOTATION_REHEARSE, "")),
        datetime.fromisoformat(str(meta.get("creationTimestamp"))).astimezone(UTC),
        [str(c["name"]) for c in (read.get("spec") or {}).get("containers") or ()],
        [s for s in status.get("containerStatuses") or () if s.get("name") not in OUR_CONTAINERS],
    )


def _fatal(usual: _Pod, found: _Pod) -> list[str]:
    if found.restarts > usual.restarts:
        times = count(found.restarts, "restart", "restarts")
        return [f"{times} instead of {usual.restarts}, last exit code {found.code}"]
    return ["is not ready"] if usual.ready and not found.ready else []


def _evidence(api: KubeApi, source: Source, pod: _Pod, seconds: float) -> RunEvidence:
    query = CaptureQuery(workload=pod.name, since_ns=time.time_ns() - int(seconds * 1e9))
    kinds = (msgspec.json.decode(line, type=_Kind) for line in captures(source, query, _RECORDS))
    return RunEvidence(
        code=pod.code,
        seconds=seconds,
        stopped=True,
        attempts=sum(one.kind != "log" for one in kinds),
        lines=list(chain.from_iterable(_lines(api, pod, seconds))),
    )


def _lines(api: KubeApi, pod: _Pod, seconds: float) -> Iterator[list[str]]:
    namespace, _, name = pod.name.partition("/")
    at = path("api", "v1", "namespaces", namespace, "pods", name, "log")
    for container in pod.containers:
        for more in ({}, {"previous": "true"}) if pod.restarts else ({},):
            asked = {"container": container, "sinceSeconds": max(1, int(seconds)),
                     "limitBytes": _BYTES, **more}  # fmt: skip
            try:
                text = api.text(f"{at}?{urlencode(asked)}")
            except KubeError:
                if not more:
                    raise
                continue  # that container has not ended before
            yield [plain(line, LINE) for line in text.splitlines()]
