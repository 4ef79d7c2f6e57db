"""Reads a namespace's LimitRanges and ResourceQuotas, anew for each pod: a quota that was read a
moment ago says nothing about the pod after the next. Used by `app.inject.webhook`.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.cluster.kube import KubeApi, KubeError, Object, path
from app.inject.limits import counted
from app.inject.resources import quantity
from app.inject.settings import NamespaceFacts, WaitingPods
from app.inject.workloads import lacking

_TIMEOUT_S = 2.0  # leaves a review time to answer within the webhook's timeout
# Pods of one workload are made at the same time: until their quota counts those that were just let
# in, we do.
_PENDING_S = 2.0
_PENDING_CAP = 1024  # quotas
_KNOWN_CAP = 1024  # namespaces
_CONTROLLERS = (
    ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs"),
)  # fmt: skip

log = logging.getLogger(__name__)


class NamespaceBounds:
    """Used on one event loop."""

    def __init__(self, api: KubeApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[list[Object], list[Object]]] = {}
        self._pending: dict[tuple[str, str], tuple[float, dict[str, Decimal]]] = {}

    async def added(self, facts: NamespaceFacts) -> NamespaceFacts:
        """Adds the bounds that are in force now. While the API server cannot be asked: the last
        known ones. Where it does not let us read them: why."""
        try:
            ranges, quotas = await asyncio.gather(
                *(
                    asyncio.to_thread(self._list, facts.name, kind)
                    for kind in ("limitranges", "resourcequotas")
                )
            )
            waiting = await asyncio.to_thread(self._waiting, facts.name) if quotas else []
        except KubeError as e:
            log.warning("a namespace's bounds cannot be read: %s", e)
            if e.status in (401, 403):
                return dataclasses.replace(facts, unknown=str(e).partition("\n")[0])
            ranges, quotas = self._known.get(facts.name, ([], []))
            waiting = []
        self._known.pop(facts.name, None)
        self._known[facts.name] = ranges, quotas
        if len(self._known) > _KNOWN_CAP:
            del self._known[next(iter(self._known))]
        quotas = [self._with_pending(facts.name, quota) for quota in quotas]
        return dataclasses.replace(
            facts,
            limit_ranges=tuple(ranges),
            quotas=tuple(quotas),
            waiting=tuple(waiting),
        )

    def let_in(self, facts: NamespaceFacts, spec: Mapping[str, Any]) -> None:
        """Counts a pod that was just injected, until its quotas do."""
        until = self._clock() + _PENDING_S
        for quota in facts.quotas:
            used = (quota.get("status") or {}).get("used") or {}
            key = facts.name, str(quota["metadata"]["name"])
            amounts = counted(quota, spec)
            self._pending.pop(key, None)
            self._pending[key] = (
                until,
                {name: quantity(used.get(name, 0)) + more for name, more in amounts.items()},
            )
        while len(self._pending) > _PENDING_CAP:
            del self._pending[next(iter(self._pending))]

    def _with_pending(self, namespace: str, quota: Object) -> Object:
        until, expected = self._pending.get((namespace, str(quota["metadata"]["name"])), (0.0, {}))
        if self._clock() >= until:
            return quota
        status = quota.get("status") or {}
        used = status.get("used") or {}
        more = {
            name: str(amount)
            for name, amount in expected.items()
            if amount > quantity(used.get(name, 0))
        }
        return {**quota, "status": {**status, "used": {**used, **more}}}

    def _waiting(self, namespace: str) -> list[WaitingPods]:
        found = []
        for group, kind in _CONTROLLERS:
            place = path("apis", group, "v1", "namespaces", namespace, kind)
            for item in self._api.request("GET", place, timeout=_TIMEOUT_S).get("items") or ():
                if count := lacking(item):
                    template = item["spec"]["template"].get("spec") or {}
                    found.append(WaitingPods(str(item["metadata"].get("uid", "")), count, template))
        return found

    def _list(self, namespace: str, kind: str) -> list[Object]:
        place = path("api", "v1", "namespaces", namespace, kind)
        return list(self._api.request("GET", place, timeout=_TIMEOUT_S).get("items") or ())
