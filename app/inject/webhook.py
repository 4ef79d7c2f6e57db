"""The admission webhook: reviews a new pod and answers with a patch.

It admits every pod. One without a sidecar gets the reasons in its annotation, the caller sees them
as warnings, and an Event repeats them. Called by `app.inject.server`.
"""

import base64
import logging
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from app.cluster.kube import Object
from app.contract import names
from app.contract.printable import place
from app.escape import plain
from app.inject import InjectSettings, inject, patch
from app.inject.bounds import NamespaceBounds
from app.inject.events import Event, Events, about
from app.inject.namespaces import Namespaces
from app.otel.metrics import Metrics

BODY_CAP = 3 << 20  # bytes: the largest object that the API server stores, and the review around it
_WARNINGS_CAP = 8
_WARNING_CAP = 250  # characters: the API server cuts after 256

REFUSALS = ("not_a_review", "too_large", "disconnected")

log = logging.getLogger(__name__)


class ReviewError(Exception):
    """The body is no review. `reason`, one of REFUSALS, is for the metric."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class _ObjectKind(msgspec.Struct, frozen=True):
    kind: str = ""


class _ReviewRequest(msgspec.Struct, rename="camel"):
    uid: str
    operation: str = "CREATE"
    kind: _ObjectKind = _ObjectKind()
    namespace: str = ""
    object: dict[str, Any] | None = None
    dry_run: bool | None = False


class _Review(msgspec.Struct, rename="camel"):
    kind: Literal["AdmissionReview"]
    api_version: Literal["admission.k8s.io/v1"]
    request: _ReviewRequest


_decode = msgspec.json.Decoder(_Review).decode


class Webhook:
    """`settings` returns those in use now."""

    def __init__(
        self,
        settings: Callable[[], InjectSettings],
        namespaces: Namespaces,
        bounds: NamespaceBounds,
        events: Events,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._namespaces = namespaces
        self._bounds = bounds
        self._events = events
        self._metrics = metrics

    async def answer(self, body: bytes) -> bytes:
        """Answers an AdmissionReview, in JSON. Raises ReviewError."""
        try:
            request = _decode(body).request
        except (msgspec.DecodeError, RecursionError):
            raise ReviewError(
                "not_a_review", "the body is no AdmissionReview of admission.k8s.io/v1"
            ) from None
        response: Object = {"uid": request.uid, "allowed": True}
        pod = request.object
        if pod is not None and request.kind.kind == "Pod" and request.operation == "CREATE":
            try:
                response |= await self._reviewed(request, pod)
            except Exception as e:  # a fault of ours must not keep a pod from running
                log.error("a pod was admitted as it is: %s", place(e))
                self._metrics.add("telemock.injector.pods", ("failed",))
                response["warnings"] = ["telemock failed and left this pod as it is"]
        answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return msgspec.json.encode({**answer, "response": response})

    async def _reviewed(self, request: _ReviewRequest, pod: Object) -> Object:
        """Injects the pod; returns the answer's patch and warnings."""
        facts = await self._bounds.added(await self._namespaces.facts(request.namespace))
        injection = inject(pod, self._settings(), facts)
        reasons = injection.reasons
        skipped = not injection.injected
        told = [r for r in reasons if not r.quiet]
        if injection.injected and not request.dry_run:
            self._bounds.let_in(facts, injection.pod["spec"])
        for id in [r.id for r in reasons] or ["none"]:
            self._metrics.add("telemock.injector.pods", (id,))
        log.info(
            "%s %s in %s: %s",
            "left" if skipped else "injected", _name(pod), request.namespace,
            ", ".join(r.id for r in reasons) or "nothing to add",
        )  # fmt: skip
        if not request.dry_run and (told or not skipped):
            self._events.tell(_event(pod, request.namespace, skipped, [r.sentence for r in told]))
        response: Object = {}
        if operations := patch(pod, injection.pod):
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(msgspec.json.encode(operations)).decode()
        if told:
            response["warnings"] = [f"telemock: {r.sentence}"[:_WARNING_CAP] for r in told][
                :_WARNINGS_CAP
            ]
        return response


def _event(pod: Object, namespace: str, skipped: bool, sentences: list[str]) -> Event:
    """Leaves out the pod's name, so that the pods of one owner share an Event."""
    what = "pods get no sidecar" if skipped else "pods get the sidecar"
    return Event(
        about(pod, namespace),
        names.EVENT_SKIPPED if skipped else names.EVENT_INJECTED,
        ": ".join(filter(None, (what, "; ".join(sentences)))),
        "Warning" if sentences else "Normal",
    )


def _name(pod: Object) -> str:
    metadata = pod.get("metadata") or {}
    return plain(str(metadata.get("name") or f"{metadata.get('generateName', '')}*"), 100)
