"""Access to the API in a cluster: the API server decides, by TokenReview and SubjectAccessReview.

A sidecar shows the token that the kubelet gave its pod for the audience `telemock`: it may send
records and fetch profiles, and speaks for that pod only. People and programs show a token that the
API server itself accepts, and need a verb on the virtual resource `captures.telemock.io`. Made by
`app.runtime`; used through `app.auth.Policy`.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from app.auth import Caller, Denied, Pod, Policy
from app.cluster.kube import KubeApi, KubeError
from app.contract.names import API_GROUP, AUDIENCE, RESOURCE_CAPTURES
from app.escape import plain

KEEP_S = 60.0  # lifetime of a cached answer
KEEP_NO_S = 5.0  # lifetime of a cached refusal: a role that was just granted should soon work
# Answers of 1.6 kB: one for each sidecar in a fleet of 10,000, which asks every half minute. If
# fewer answers than sidecars are kept, nearly every request costs the API server one too.
_CACHE_CAP = 16_384
# Namespaces that one caller is asked about, where it may not read all captures.
_NAMESPACES_CAP = 500
_YES, _NO = "yes", "no"  # a refusal of one among many is kept as long as a grant
_TOKEN_CAP = 16 << 10  # characters
_WAITING_CAP = 256  # reviews running or queued
_THREADS = 4
_TIMEOUT_S = 5.0
_ACCOUNT = "system:serviceaccount:"
_EXTRA_POD = "authentication.kubernetes.io/pod-name"
_EXTRA_UID = "authentication.kubernetes.io/pod-uid"
_REVIEW_TOKEN = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
_REVIEW_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

log = logging.getLogger(__name__)

_AWAY = (
    "the Kubernetes API cannot be asked who this is\n\nhint: try again in a moment; the app's log "
    "says why"
)
_MISSING = (
    "the token is missing\n\nhint: send `Authorization: Bearer TOKEN` with a token that the "
    "Kubernetes API accepts; `telemock` sends the kubeconfig's"
)
_UNKNOWN = (
    "the Kubernetes API does not know this token\n\nhint: it may have ended; kubectl create token "
    "ACCOUNT makes one of a ServiceAccount. A sidecar's token opens only what sidecars need"
)
_NO_SIDECAR = (
    f"only sidecars may do this, and this is no token of the audience {AUDIENCE!r} that is valid "
    "now\n\nhint: the volume telemock-token of an injected pod holds one"
)
_NO_POD = (
    "the token names no pod\n\nhint: it must be one that the kubelet gave to a pod (a projected "
    "volume), because records are bound to that pod"
)


class _User(NamedTuple):
    """A user, as TokenReview names it; `spec` is its part of a SubjectAccessReview."""

    name: str
    spec: dict[str, Any]
    extra: dict[str, list[str]]


class ClusterAuthority:
    """`api` belongs to the caller; `release` is the name of the release's objects, for hints.
    `known`, set once the store is open, returns the namespaces that captures are of."""

    def __init__(self, api: KubeApi, release: str) -> None:
        self._api = api
        self._release = release
        self._answers = _Answers()
        self.known: Callable[[], Awaitable[Sequence[str]]] = _none
        self._away = False

    def close(self) -> None:
        self._answers.close()

    async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
        if not token:
            raise Denied(401, _MISSING)
        if len(token) > _TOKEN_CAP or not (token.isascii() and token.isprintable()):
            raise Denied(401, _UNKNOWN)
        key = hashlib.sha256(token.encode()).hexdigest()
        if policy.sidecar:
            user = await self._ask(f"sidecar {key}", lambda: self._review(token, AUDIENCE))
            if user is not None:
                return Caller(user.name, sidecar=True, pod=_pod(user))
        if policy.verb is None:
            raise Denied(401, _NO_SIDECAR)
        user = await self._ask(f"person {key}", lambda: self._review(token))
        if user is None:
            raise Denied(401, _UNKNOWN)
        return await self._person(key, user, policy.verb, policy.bounded, namespace)

    async def check_user(self, name: str, policy: Policy) -> Caller:
        """Checks somebody whom a login proxy names, as if they had shown a token. Raises Denied."""
        if policy.verb is None:
            raise Denied(401, _NO_SIDECAR)
        spec = {"user": name, "groups": ["system:authenticated"]}
        key = f"named {hashlib.sha256(name.encode()).hexdigest()}"
        return await self._person(key, _User(name, spec, {}), policy.verb, policy.bounded)

    async def _person(
        self, key: str, user: "_User", verb: str, is_bounded: bool, namespace: str = ""
    ) -> Caller:
        spec = user.spec
        if not await self._ask(f"{verb} {key}", lambda: self._allowed(spec, verb)):
            if is_bounded and (bound := await self._bound(key, spec, verb, namespace)):
                return Caller(user.name, sidecar=False, namespaces=bound)
            role = "admin" if verb in ("update", "delete") else "viewer"
            raise Denied(
                403,
                f"{plain(user.name)[:200]} may not {verb} {RESOURCE_CAPTURES}.{API_GROUP}\n\n"
                f"hint: bind the ClusterRole {self._release}-captures-{role} to it, in the cluster "
                "or in the namespace that it asks about",
            )
        return Caller(user.name, sidecar=False)

    async def _bound(
        self, key: str, spec: dict[str, Any], verb: str, namespace: str
    ) -> tuple[str, ...]:
        """The namespaces whose captures these may be: of those with captures, or the one that is
        asked about."""
        asked = [namespace] if namespace else (await self.known())[:_NAMESPACES_CAP]
        found = []
        for name in asked:
            question = partial(self._may_in, spec, verb, name)
            if await self._ask(f"{verb} {name} {key}", question) == _YES:
                found.append(name)
        return tuple(found)

    async def _ask[T](self, key: str, question: Callable[[], T]) -> T:
        try:
            answer = await self._answers.get(key, question)
        except KubeError as e:
            if not self._away:  # log once, not for every request
                log.error("tokens cannot be reviewed, so the API refuses everyone: %s", e)
            self._away = True
            raise Denied(503, _AWAY) from None
        if self._away:
            log.info("tokens are reviewed again")
        self._away = False
        return answer

    def _review(self, token: str, audience: str = "") -> _User | None:
        spec: dict[str, Any] = {"token": token}
        if audience:
            spec["audiences"] = [audience]
        status = self._post(_REVIEW_TOKEN, "authentication.k8s.io/v1", "TokenReview", spec)
        # An authenticator without support for audiences accepts any token and names none.
        if status.get("authenticated") is not True or (
            audience and audience not in (status.get("audiences") or ())
        ):
            return None
        found = status.get("user") or {}
        if not (name := found.get("username")):
            return None
        extra = found.get("extra") or {}
        groups = found.get("groups") or []
        who = {"user": name, "groups": groups, "uid": found.get("uid") or "", "extra": extra}
        return _User(name, who, extra)

    def _may_in(self, who: dict[str, Any], verb: str, namespace: str) -> str:
        return _YES if self._allowed(who, verb, namespace) else _NO

    def _allowed(self, who: dict[str, Any], verb: str, namespace: str = "") -> bool:
        asked = {"group": API_GROUP, "resource": RESOURCE_CAPTURES, "verb": verb}
        if namespace:
            asked["namespace"] = namespace
        spec = {**who, "resourceAttributes": asked}
        kind = "SubjectAccessReview"
        status = self._post(_REVIEW_ACCESS, "authorization.k8s.io/v1", kind, spec)
        return status.get("allowed") is True and not status.get("denied")

    def _post(self, path: str, version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": version, "kind": kind, "spec": spec}
        answer = self._api.request("POST", path, body, timeout=_TIMEOUT_S)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise KubeError(f"a {kind} came back without a status")
        return status


async def _none() -> Sequence[str]:
    return ()


def _pod(user: _User) -> Pod:
    account = user.name.removeprefix(_ACCOUNT)
    pod, uid = (user.extra.get(name) or [""] for name in (_EXTRA_POD, _EXTRA_UID))
    if account == user.name or not pod[0] or not uid[0]:
        raise Denied(403, _NO_POD)
    return Pod(account.partition(":")[0], pod[0], uid[0])


class _Answers:
    """A cache of the API server's answers. Callers that ask the same at the same time share one
    request; a failure is not cached."""

    def __init__(self) -> None:
        # Own threads: a silent API server must not block those of the store.
        self._threads = ThreadPoolExecutor(_THREADS, "telemock-review")
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def get[T](self, key: str, question: Callable[[], T]) -> T:
        """Cached, or asked now. Raises KubeError."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            answer: T = kept[1]
            return answer
        future = self._asked.get(key)
        if future is None:
            if len(self._asked) >= _WAITING_CAP:
                raise KubeError(f"{_WAITING_CAP} tokens wait for their review")
            future = asyncio.get_running_loop().run_in_executor(self._threads, question)
            self._asked[key] = future
            future.add_done_callback(lambda done: self._keep(key, done))
        found: T = await asyncio.shield(future)  # one client leaving must not cancel the others
        return found

    def _keep(self, key: str, done: asyncio.Future[Any]) -> None:
        del self._asked[key]
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        until = time.monotonic() + (KEEP_S if answer else KEEP_NO_S)
        self._kept.pop(key, None)
        self._kept[key] = until, answer
        while len(self._kept) > _CACHE_CAP:
            self._kept.popitem(last=False)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
