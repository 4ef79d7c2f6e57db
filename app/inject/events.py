"""Writes Events on the outcome of an injection: on the pod's owner, as no pod exists yet.

`app.inject.webhook` hands them over without waiting; one task writes them. A repetition within ten
minutes is dropped: an owner whose pods fail creates new ones for ever.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from app.cluster.kube import KubeApi, KubeError, Object
from app.contract.printable import place
from app.otel.metrics import Metrics

AGAIN_S = 600.0
_QUEUE_CAP = 256
_TOLD_CAP = 2048  # Events remembered, to deduplicate
_PAUSE_S = 0.1  # between two Events: any pod of the cluster may cause one, and all share etcd
_FLUSH_S = 3.0  # time to write the queue at shutdown
_LOSSES = ("queue_full", "refused", "api_away", "failed", "stopped")

log = logging.getLogger(__name__)


class Event(NamedTuple):
    about: Object  # an ObjectReference
    reason: str
    message: str
    type: Literal["Normal", "Warning"]


class Events:
    """The queue of Events: call `tell` on the event loop, while `running`."""

    def __init__(
        self,
        api: KubeApi,
        metrics: Metrics,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`instance` is our own pod's name."""
        self._api = api
        self._metrics = metrics
        self._instance = instance
        self._clock = clock
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_QUEUE_CAP)
        self._told: dict[tuple[str, ...], float] = {}
        for reason in _LOSSES:  # start at 0, so that alerts see the first increase
            metrics.add("telemock.injector.events_lost", (reason,), 0)

    def tell(self, event: Event) -> None:
        """Queues an Event without waiting; counts it as lost when the queue is full."""
        about = event.about
        key = (about["namespace"], about["kind"], about["name"], about.get("uid", ""), *event[1:])
        now = self._clock()
        if now - self._told.get(key, -AGAIN_S) < AGAIN_S:
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._lose("queue_full")
            return
        self._told.pop(key, None)
        self._told[key] = now
        if len(self._told) > _TOLD_CAP:
            del self._told[next(iter(self._told))]

    async def running(self) -> None:
        """Writes queued Events until cancelled; then the rest, for at most _FLUSH_S."""
        try:
            while True:
                await self._write(await self._queue.get())
                await asyncio.sleep(_PAUSE_S)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    while not self._queue.empty():
                        await self._write(self._queue.get_nowait())
            self._lose("stopped", self._queue.qsize())

    async def _write(self, event: Event) -> None:
        try:
            await asyncio.to_thread(self._post, event)
        except KubeError as e:
            # The API server refuses Events in a namespace that is being deleted.
            self._lose("refused" if e.status else "api_away")
            log.warning("an Event could not be written: %s", e)
        except Exception as e:  # the task must outlive one bad event
            self._lose("failed")
            log.error("an Event could not be written: %s", place(e))

    def _post(self, event: Event) -> None:
        self._api.event(*event, "telemock-injector", self._instance)

    def _lose(self, reason: str, number: int = 1) -> None:
        if number:
            self._metrics.add("telemock.injector.events_lost", (reason,), number)


def about(pod: Object, namespace: str) -> Object:
    """A reference to the pod's controller, else to its namespace: the pod does not exist yet."""
    for owner in (pod.get("metadata") or {}).get("ownerReferences") or ():
        if owner.get("controller"):
            reference = {k: str(owner.get(k, "")) for k in ("apiVersion", "kind", "name", "uid")}
            return {**reference, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "namespace": namespace}
