"""Counts the pods that opted in and have no sidecar, however that came: an injector that was away
saw none of them. A task of `app.inject.server`.

Asks for metadata only: what a pod runs is none of the injector's business.
"""

import asyncio
import logging
from collections.abc import Iterator

import msgspec

from app.cluster.kube import KubeApi, KubeError, Object, path
from app.contract import names
from app.contract.printable import place
from app.inject.conflicts import MIRROR
from app.inject.settings import InjectionStatus
from app.otel.metrics import Metrics

LOOK_S = 60.0
REASONS = ("unseen", "left")  # no injector saw it; one did, and left it alone for a reason
METRIC = "telemock.injector.not_injected"
_NEVER = "kube-system"  # whose pods no selector opts in
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
_ASKED = f"{names.LABEL_INJECT},{names.LABEL_INJECT}!={names.INJECT_DISABLED}"
_WITHOUT = f"{names.LABEL_INJECTED}!=true"

log = logging.getLogger(__name__)


class Census:
    """Used on one event loop."""

    def __init__(self, api: KubeApi, metrics: Metrics, selector: str = "") -> None:
        """`selector` is that of the pods which opt in by labels of their own, "" for none."""
        self._api = api
        self._selector = selector
        self._metrics = metrics
        for reason in REASONS:
            metrics.set(METRIC, 0, (reason,))
        self._failed = False

    async def running(self) -> None:
        """Counts once a minute, for ever."""
        while True:
            try:
                counts = await asyncio.to_thread(self.count)
            except Exception as e:  # the task must outlive one bad look
                if not self._failed:  # the figures stay; once is enough to say so
                    error = str(e) if isinstance(e, KubeError) else place(e)
                    log.warning("pods without a sidecar cannot be counted: %s", error)
                self._failed = True
            else:
                self._failed = False
                for reason, number in counts.items():
                    self._metrics.set(METRIC, number, (reason,))
            await asyncio.sleep(LOOK_S)

    def count(self) -> dict[str, int]:
        """Raises KubeError."""
        counts = dict.fromkeys(REASONS, 0)
        for pod in self._pods():
            meta = pod["metadata"]
            annotations = meta.get("annotations") or {}
            told = _told(annotations.get(names.ANNOTATION_STATUS, ""))
            if "deletionTimestamp" in meta or MIRROR in annotations or told.injected:
                continue
            counts["left" if told.reasons else "unseen"] += 1
        return counts

    def _pods(self) -> Iterator[Object]:
        """Pods that opted in by their own label, by that of their namespace, or by the selector."""
        own = {"labelSelector": f"{_ASKED},{_WITHOUT}", "fieldSelector": _RUNNING}
        yield from self._api.items("/api/v1/pods", metadata_only=True, **own)
        theirs = {"labelSelector": f"!{names.LABEL_INJECT},{_WITHOUT}", "fieldSelector": _RUNNING}
        spaces = self._api.items("/api/v1/namespaces", metadata_only=True, labelSelector=_ASKED)
        for space in spaces:
            at = path("api", "v1", "namespaces", space["metadata"]["name"], "pods")
            yield from self._api.items(at, metadata_only=True, **theirs)
        if not self._selector:
            return
        labelled = self._api.items(
            "/api/v1/namespaces", metadata_only=True, labelSelector=names.LABEL_INJECT
        )
        say_themselves = {space["metadata"]["name"] for space in labelled} | {_NEVER}
        theirs["labelSelector"] += f",{self._selector}"
        for pod in self._api.items("/api/v1/pods", metadata_only=True, **theirs):
            if pod["metadata"]["namespace"] not in say_themselves:
                yield pod


def _told(text: str) -> InjectionStatus:
    try:
        return msgspec.json.decode(text, type=InjectionStatus)
    except (msgspec.DecodeError, RecursionError):
        return InjectionStatus()
