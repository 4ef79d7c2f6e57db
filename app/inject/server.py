"""The injector's process: an HTTPS server with the webhook, its health and its metrics.

`telemock injector` runs it (`app.cli.injector`), in any number of replicas without a leader: each
keeps the certificate, the caBundle and the profiles up to date for itself.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.cluster import certificates
from app.cluster.certificates import LEAF_INJECTOR, ServerCertificate
from app.cluster.kube import KubeApi, path
from app.contract.hosts import UNKNOWN, is_ours
from app.contract.masking.masker import Masker
from app.inject.bounds import NamespaceBounds
from app.inject.ca_bundle import trust
from app.inject.census import Census
from app.inject.events import Events
from app.inject.good_profiles import GoodConfigMap
from app.inject.namespaces import Namespaces
from app.inject.process_settings import Environment
from app.inject.settings import InjectSettings
from app.inject.webhook import BODY_CAP, REFUSALS, ReviewError, Webhook
from app.logs.masked import masked_logging
from app.otel.export import Exporter
from app.otel.metrics import CONTENT_TYPE, Metrics
from app.profiles import ProfileSet
from app.version import VERSION

SPREAD_S = 5.0  # time for API servers to learn of a caBundle, before a new CA's leaf is shown
_EXPORT_S = 5.0  # time for the OTLP endpoint at shutdown

log = logging.getLogger(__name__)


class Injector:
    """The injector's parts and routes. `draining` is set before shutdown: callers go elsewhere."""

    def __init__(self, environment: Environment, api: KubeApi) -> None:
        self.environment = environment
        self.certificate = ServerCertificate(LEAF_INJECTOR)
        kept = path(
            "api", "v1", "namespaces", environment.pod_namespace,
            "configmaps", f"{environment.fullname}-profiles-last-good",
        )  # fmt: skip
        self.profiles = ProfileSet(environment.profiles, GoodConfigMap(api, kept))
        self.metrics = Metrics("injector")
        # Start at 0: alerts and dashboards would miss the first increase otherwise.
        self.metrics.add("telemock.injector.pods", ("failed",), 0)
        self.metrics.add("telemock.output.dropped", ("stderr",), 0)
        for reason in REFUSALS:
            self.metrics.add("telemock.injector.reviews_refused", (reason,), 0)
        self._exporter = Exporter(environment.otel, self.metrics)
        self.events = Events(api, self.metrics, environment.pod_name)
        self.webhook = Webhook(
            self.settings, Namespaces(api), NamespaceBounds(api), self.events, self.metrics
        )
        self.census = Census(api, self.metrics, environment.pod_selector)
        self.draining = False
        self._api = api
        self._load = certificates.loader(
            api, environment.pod_namespace, environment.fullname, environment.tls_secret
        )
        self._ca = ""
        self._started = time.monotonic()

    def settings(self) -> InjectSettings:
        """The settings, with the rules and the CA in use now."""
        return dataclasses.replace(
            self.environment.inject, rules=self.profiles.rules, api_ca=self._ca
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/mutate", self._mutate, methods=["POST"]),
                Route("/health", _ours(self._health)),
                Route("/ready", _ours(self._ready)),
                Route("/metrics", _ours(self._metrics)),
            ],
            lifespan=self._running,
        )

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        with masked_logging(
            self.environment.log_level,
            lambda: Masker(self.profiles.rules),
            as_json=self.environment.log_format == "json",
            lost=lambda stream: self.metrics.add("telemock.output.dropped", (stream,)),
        ):
            tasks = [
                asyncio.create_task(t)
                for t in (
                    self.certificate.kept(self.look),
                    self._watching(),
                    self.events.running(),
                    self.census.running(),
                )
            ]
            self._exporter.start()
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.to_thread(self._exporter.close, _EXPORT_S)

    async def look(self) -> None:
        """Renews the certificate and updates the caBundle. Raises KubeError, TlsError."""
        try:
            material = await asyncio.to_thread(self._load)
            name = f"{self.environment.fullname}-injector"
            if await asyncio.to_thread(trust, self._api, name, material.ca):
                log.info("the webhook configuration %s trusts our authority now", name)
                if self.certificate.loaded:
                    await asyncio.sleep(SPREAD_S)
            self._ca = material.ca.decode("ascii", "replace")
            self.certificate.use(material)
        finally:
            self._measure()

    async def _watching(self) -> None:
        async for _ in self.profiles.changes():
            pass  # `settings` reads the rules in use

    async def _mutate(self, request: Request) -> Response:
        started = time.perf_counter()
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_CAP:
                    raise ReviewError("too_large", f"the review is larger than {BODY_CAP} bytes")
            answer = await self.webhook.answer(bytes(body))
        except ReviewError as e:
            self.metrics.add("telemock.injector.reviews_refused", (e.reason,))
            status = 413 if e.reason == "too_large" else 400
            return JSONResponse({"error": str(e), "hint": ""}, status, headers=self._headers(True))
        except ClientDisconnect:
            self.metrics.add("telemock.injector.reviews_refused", ("disconnected",))
            return Response(status_code=400)
        self.metrics.observe("telemock.injector.review.duration", (), time.perf_counter() - started)
        return Response(answer, media_type="application/json", headers=self._headers(self.draining))

    def _headers(self, last: bool) -> dict[str, str]:
        return {"connection": "close"} if last else {}

    async def _health(self, request: Request) -> Response:
        certificate = self.certificate.health()
        well = certificate["ok"] and not self.profiles.error
        return JSONResponse(
            {
                "status": "ok" if well else "degraded",
                "uptime_s": round(time.monotonic() - self._started, 3),
                "version": VERSION,
                "certificate": certificate,
                "profiles": {
                    "ids": [p.id for p in self.profiles.rules.profiles],
                    "error": self.profiles.error,
                },
                "otel": self._exporter.state()
                | {"dropped": int(self.metrics.total("telemock.otlp.dropped"))},
            }
        )

    async def _ready(self, request: Request) -> Response:
        ready = self.certificate.loaded and not self.draining
        content = {"ready": ready, "certificate": self.certificate.health()}
        return JSONResponse(content, 200 if ready else 503)

    async def _metrics(self, request: Request) -> Response:
        self._measure()
        return Response(self.metrics.render(), media_type=CONTENT_TYPE)

    def _measure(self) -> None:
        """Updates the gauges, for a scrape and for export."""
        self.metrics.set("telemock.certificate.days_left", self.certificate.days_left())
        self.metrics.set("telemock.profiles.reload_failed", bool(self.profiles.error))


def _ours(endpoint: Callable[[Request], Awaitable[Response]]) -> Any:
    async def asked(request: Request) -> Response:
        if not all(is_ours(host) for host in request.headers.getlist("host")):
            return PlainTextResponse(UNKNOWN, 421)
        return await endpoint(request)

    return asked
