"""Every metric of app, sidecar and injector, declared once.

Read by `app.otel.metrics`, which makes them, the page of alerts, and the tests that hold the
documentation and the dashboards against the code.
"""

from typing import Literal, NamedTuple

Process = Literal["app", "sidecar", "injector"]
# Labels whose values are names of a cluster's namespaces, workloads and hosts.
PRIVATE_LABELS = frozenset({"server.address", "telemock.workload.namespace", "telemock.workload"})


class Metric(NamedTuple):
    """One row of the metrics table; `of` names the processes that export it. Names and labels are
    OpenTelemetry's: Prometheus shows both with underscores, and appends the unit to the name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str  # s, By, or {things} that are counted, which Prometheus does not show
    labels: tuple[str, ...]
    of: tuple[Process, ...]
    help: str
    buckets: tuple[float, ...] = ()  # upper bounds of a histogram

    @property
    def prometheus(self) -> str:
        """The name on `/metrics`, without the `_total` that counters get."""
        parts = [self.name.replace(".", "_"), {"s": "seconds", "By": "bytes"}.get(self.unit, "")]
        return "_".join(p for p in parts if p)

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        return tuple(label.replace(".", "_") for label in self.labels)


# Of the semantic conventions for HTTP durations, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

_APP: tuple[Process, ...] = ("app",)
_OF_CLASS = ("telemock.profile", "telemock.class")
_SIDECAR: tuple[Process, ...] = ("sidecar",)
_INJECTOR: tuple[Process, ...] = ("injector",)
_BOTH = _APP + _SIDECAR
_ALL = _BOTH + _INJECTOR

METRICS = (
    Metric(
        "http.server.request.duration", "histogram", "s",
        ("http.request.method", "url.scheme", "http.response.status_code", "error.type",
         "telemock.action"), _BOTH,
        "Time from the request's first byte to the answer's last.", _SECONDS,
    ),
    Metric(
        "http.client.request.duration", "histogram", "s",
        ("http.request.method", "server.address", "http.response.status_code", "error.type",
         "telemock.action"), _SIDECAR,
        "Time the mock or the real host took to answer the sidecar; server.address only when a "
        "profile names it.", _SECONDS,
    ),
    Metric(
        "telemock.captures", "counter", "{record}",
        ("telemock.kind", "telemock.action", "telemock.profile", "telemock.rule",
         "telemock.status_class"), _BOTH,
        "Records made (sidecar) or stored (app); the status class is 2xx, 3xx …, empty where there "
        "was no answer.",
    ),
    Metric(
        "telemock.passed", "counter", "{request}", ("telemock.profile",), _SIDECAR,
        "Requests of a profile's host forwarded untouched and only counted.",
    ),
    Metric(
        "telemock.capture.dropped", "counter", "{record}", ("telemock.reason",), _BOTH,
        "Records lost, by reason.",
    ),
    Metric(
        "telemock.bounds.exceeded", "counter", "{event}", ("telemock.bound",), _SIDECAR,
        "Connections, requests and messages that a bound of the sidecar ended or refused.",
    ),
    Metric(
        "telemock.masking.bounds", "counter", "{value}", ("telemock.bound",), _BOTH,
        "Bounds of masking and decoding that records hit, of which then less is kept.",
    ),
    Metric(
        "telemock.masked", "counter", "{record}", ("telemock.masked_by",), _BOTH,
        "Records of which something was masked, by the sensitive name or the detector.",
    ),
    Metric(
        "telemock.withheld", "counter", "{value}", ("telemock.reason",), _BOTH,
        "Bodies, and values in them, of which nothing is kept, by reason.",
    ),
    Metric(
        "telemock.tls.client_rejected", "counter", "{connection}", ("server.address",), _SIDECAR,
        "Clients that refused the sidecar's certificate, or left at the sight of it; host only "
        "when a profile names it.",
    ),
    Metric(
        "telemock.sidecar.restarts", "counter", "{restart}", (), _SIDECAR,
        "Times that the sidecar's process ended unasked, or hung, and was started again in its "
        "container, which Kubernetes does not see.",
    ),
    Metric(
        "telemock.decoding.bounded", "counter", "{message}", ("telemock.bound",), _BOTH,
        "Bodies and values of which not all was decoded, because they hold too much: their texts "
        "stay as they came, and their record says so.",
    ),
    Metric(
        "telemock.unjudged", "counter", "{connection}", ("server.address",), _SIDECAR,
        "Connections and requests of a profile's host that were refused because no rule can judge "
        "what the client sent.",
    ),
    Metric(
        "telemock.fallback.answers", "counter", "{answer}", ("telemock.reason",), _SIDECAR,
        "Answers given from a rule's static answer because the app could not be asked.",
    ),
    Metric(
        "telemock.output.dropped", "counter", "{line}", ("telemock.stream",), _ALL,
        "Lines that standard output, standard error or a log file did not take; records are not "
        "lost by it.",
    ),
    Metric(
        "telemock.otlp.dropped", "counter", "{item}", ("telemock.signal", "telemock.reason"), _ALL,
        "Spans, points and log records that were not exported, by signal and reason.",
    ),
    Metric(
        "telemock.redirect.proven", "gauge", "", (), _SIDECAR,
        "1 once a redirected connection was seen to arrive here, 0 until then; absent where "
        "nothing is redirected.",
    ),
    Metric(
        "telemock.redirect.connections", "counter", "{connection}", (), _SIDECAR,
        "Connections that the redirect brought.",
    ),
    Metric(
        "telemock.redirect.quic_refused", "counter", "{datagram}", (), _SIDECAR,
        "UDP datagrams that the pod's kernel refused as unreachable: HTTP/3 to telemetry hosts is "
        "refused so. Other closed UDP ports of the pod count too.",
    ),
    Metric("telemock.spool.records", "gauge", "{record}", (), _SIDECAR, "Records that wait."),
    Metric("telemock.spool.size", "gauge", "By", (), _SIDECAR, "Disk used by waiting records."),
    Metric("telemock.spool.limit", "gauge", "By", (), _SIDECAR, "Disk they may use at most."),
    Metric(
        "telemock.ship.batches", "counter", "{batch}", ("telemock.outcome",), _SIDECAR,
        "Batches sent to the app, by outcome.",
    ),
    Metric(
        "telemock.app.trouble", "gauge", "", ("telemock.outcome",), _SIDECAR,
        "1 for why the app takes nothing: unreachable, distrusted (its certificate is not of the "
        "authority that the pod was injected with), unauthorized, full or error; else 0.",
    ),
    Metric(
        "telemock.ship.duration", "histogram", "s", (), _SIDECAR,
        "Time from sending a batch to the app's acknowledgement.", _SECONDS,
    ),
    Metric(
        "telemock.mock.duration", "histogram", "s", ("telemock.profile", "telemock.rule"), _APP,
        "Time the mock took to answer, a rule's own delay included.", _SECONDS,
    ),
    Metric(
        "telemock.ingest.records", "counter", "{record}", ("telemock.outcome",), _APP,
        "Records received: stored, duplicate or refused.",
    ),
    Metric(
        "telemock.bodies.ended", "counter", "{request}", ("telemock.reason",), _APP,
        "Requests whose body was not waited for: it came too slowly (slow), or was the slowest of "
        "all when others needed its place (crowded).",
    ),
    Metric(
        "telemock.ingest.rebound", "counter", "{record}", (), _APP,
        "Records that named another pod than the token that sent them; the token's was stored.",
    ),
    Metric(
        "telemock.ingest.batch.size", "histogram", "{record}", (), _APP,
        "Records of one received batch.", _RECORDS,
    ),
    Metric(
        "telemock.ingest.batch.duration", "histogram", "s", (), _APP,
        "Time from a batch's last byte to its commit.", _SECONDS,
    ),
    Metric("telemock.store.records", "gauge", "{record}", (), _APP, "Records in the store."),
    Metric("telemock.store.size", "gauge", "By", (), _APP, "Disk used by the store."),
    Metric(
        "telemock.store.limit", "gauge", "By", (), _APP,
        "Size at which the oldest records go; 0 when there is no limit.",
    ),
    Metric("telemock.store.failing", "gauge", "", (), _APP, "1 while it cannot be written."),
    Metric(
        "telemock.inventory.new_fields", "counter", "{field}", ("telemock.profile",), _APP,
        "Fields seen for the first time.",
    ),
    Metric(
        "telemock.inventory.fields", "gauge", "{field}", _OF_CLASS, _APP,
        "Fields in the inventory, which is bounded, by their class.",
    ),
    Metric(
        "telemock.inventory.new_sensitive", "counter", "{field}", _OF_CLASS, _APP,
        "Fields that are about a person or a secret for the first time: new ones, and known ones.",
    ),
    Metric(
        "telemock.inventory.new_hosts", "counter", "{host}", ("telemock.profile",), _APP,
        "Hosts seen for the first time; the profile is empty where none names the host.",
    ),
    Metric(
        "telemock.inbox.items", "gauge", "{item}", ("telemock.state",), _APP,
        "Items of the inbox: open, accepted, watched or objected (to).",
    ),
    Metric(
        "telemock.inbox.objected", "counter", "{record}", ("telemock.profile",), _APP,
        "Records that carried what somebody had objected to, for each such thing.",
    ),
    Metric(
        "telemock.canary.found", "counter", "{record}", ("telemock.profile", "telemock.source"),
        _APP,
        "Records that carried something that identifies their pod, for each such source, as it is "
        "or as a digest; only of pods that are searched.",
    ),
    Metric(
        "telemock.leaving.size", "counter", "By",
        ("telemock.profile", "server.address", "telemock.action"), _APP,
        "Bytes that applications sent to a host, bodies and queries, or all of a connection that "
        "was not opened.",
    ),
    Metric(
        "telemock.product.captures", "counter", "{record}",
        ("telemock.profile", "telemock.product.version"), _APP,
        "Requests by the product's version, whatever became of them.",
    ),
    Metric(
        "telemock.workload.captures", "counter", "{record}",
        ("telemock.profile", "telemock.workload.namespace", "telemock.workload"), _APP,
        "Requests by workload: the pod's name without the ending that its controller gave it.",
    ),
    Metric(
        "telemock.sidecars", "gauge", "{sidecar}", ("telemock.state",), _APP,
        "Sidecars that asked for profiles or sent records lately (seen), and those that did and "
        "stopped without taking leave (silent), for an hour.",
    ),
    Metric(
        "telemock.records.waiting", "gauge", "{record}", ("telemock.state",), _APP,
        "Records that senders made and the store lacks, by their last account: on their way from "
        "those seen lately, stuck with those silent; once a minute.",
    ),
    Metric(
        "telemock.records.lost", "gauge", "{record}", ("telemock.reason",), _APP,
        "Records that the store lacks for good, of all starts that it knows, by reason; once a "
        "minute.",
    ),
    Metric(
        "telemock.tls.distrusted", "gauge", "{connection}", (), _APP,
        "Connections in the last hour of clients that did not trust the API's certificate, such as "
        "sidecars of pods that were injected while the app had another authority.",
    ),
    Metric(
        "telemock.profiles.reload_failed", "gauge", "", (), _ALL,
        "1 while a profile is refused: its last good version is in use, or it is left out.",
    ),
    Metric(
        "telemock.injector.pods", "counter", "{pod}", ("telemock.reason",), _INJECTOR,
        "Pods answered, by each reason that was given; none when there was nothing to say.",
    ),
    Metric(
        "telemock.injector.not_injected", "gauge", "{pod}", ("telemock.reason",), _INJECTOR,
        "Pods that opted in and run without a sidecar: unseen by any injector, or left alone for a "
        "reason that `telemock status` says. Every replica counts all.",
    ),
    Metric(
        "telemock.injector.review.duration", "histogram", "s", (), _INJECTOR,
        "Time from an admission review's first byte to its answer.", _SECONDS,
    ),
    Metric(
        "telemock.injector.reviews_refused", "counter", "{request}", ("telemock.reason",),
        _INJECTOR,
        "Requests that were no admission review.",
    ),
    Metric(
        "telemock.injector.events_lost", "counter", "{event}", ("telemock.reason",), _INJECTOR,
        "Events that were not written, by reason.",
    ),
    Metric(
        "telemock.certificate.days_left", "gauge", "", (), _INJECTOR,
        "Days until the certificate that is shown ends.",
    ),
)  # fmt: skip
