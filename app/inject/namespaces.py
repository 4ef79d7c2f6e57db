"""Caches namespaces' labels for the injector: reads them when a pod is reviewed, and keeps them a
few seconds. Used by `app.inject.webhook`.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from app.cluster.kube import KubeApi, KubeError, path
from app.inject.settings import NamespaceFacts

KEEP_S = 10.0  # lifetime of cached labels
RETRY_S = 2.0  # before another attempt after a failure
_TIMEOUT_S = 2.0  # leaves a review time to answer within the webhook's timeout
_NAMESPACES_CAP = 1024
_ASKING_CAP = 64  # namespaces being read at the same time
_ENFORCED = "pod-security.kubernetes.io/enforce"
_UNKNOWN_LEVEL = "restricted"  # every level allows what this one allows

log = logging.getLogger(__name__)


class Namespaces:
    """A cache of facts by name. Used on one event loop."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._held: dict[str, tuple[float, NamespaceFacts]] = {}  # name -> expiry, facts
        self._asking: dict[str, asyncio.Task[NamespaceFacts]] = {}

    async def facts(self, name: str) -> NamespaceFacts:
        """Returns facts at most KEEP_S old. If the API server cannot be asked: the last known ones;
        without any, no labels and the strictest level of Pod Security."""
        held = self._held.get(name)
        if held is not None and time.monotonic() < held[0]:
            return held[1]
        task = self._asking.get(name)
        if task is None:
            if len(self._asking) >= _ASKING_CAP:
                return held[1] if held else _unknown(name)
            task = self._asking[name] = asyncio.create_task(self._ask(name))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)  # a caller that gives up must not cancel the others

    async def _ask(self, name: str) -> NamespaceFacts:
        try:
            found = await asyncio.to_thread(
                self._api.request, "GET", path("api", "v1", "namespaces", name), timeout=_TIMEOUT_S
            )
            facts, keep = _facts(name, (found.get("metadata") or {}).get("labels") or {}), KEEP_S
        except KubeError as e:
            held = self._held.get(name)
            facts, keep = (held[1] if held else _unknown(name)), RETRY_S
            log.warning(
                "the labels of a namespace cannot be read, going by %s: %s",
                "the last known ones" if held else "none", e,
            )  # fmt: skip
        self._held.pop(name, None)
        self._held[name] = time.monotonic() + keep, facts
        if len(self._held) > _NAMESPACES_CAP:
            del self._held[next(iter(self._held))]
        return facts


def _facts(name: str, labels: Mapping[str, str]) -> NamespaceFacts:
    return NamespaceFacts(name, dict(labels), labels.get(_ENFORCED, ""))


def _unknown(name: str) -> NamespaceFacts:
    return NamespaceFacts(name, {}, _UNKNOWN_LEVEL)
