"""Every header, port, file name, label and metric that two places must agree on, declared once.

Read by the app, the sidecar, the CLI and the tests that hold the documentation against the code.
"""

from typing import Literal, NamedTuple

PORT_APP = 8000
PORT_APP_TLS = 8443
PORT_INJECTOR = 9443
PORT_PROXY = 17443
PORT_SIDECAR_HEALTH = 17490
PORT_EXPLICIT_PROXY = 8080

# Towards the mock only; a forwarded request carries none of these.
HEADER_RECORD = "telemock-record"  # id of the sidecar's record: the mock does not record it again
HEADER_RULE = "telemock-rule"  # profile/rule that the sidecar decided on
HEADER_SCHEME = "telemock-scheme"  # scheme, as the client used it
HEADER_CUT = "telemock-body-size"  # full size of a body of which only the first bytes are sent
HEADER_ERROR = "telemock-error"  # of an answer that is the mock's own failure, not a rule's
HEADERS_INTERNAL = (HEADER_RECORD, HEADER_RULE, HEADER_SCHEME, HEADER_CUT)

# Who may read and send, in a cluster: RBAC's names, and whom a sidecar's token is for.
API_GROUP = "telemock.io"
RESOURCE_CAPTURES = "captures"
AUDIENCE = "telemock"

CONTENT_TYPE_RECORDS = "application/x-ndjson"  # one CaptureRecord a line

PATH_CAPTURES = "/api/v1/captures"
PATH_PROFILES = "/api/v1/profiles"

FILE_TOKEN = "token"  # noqa: S105 - the name of the file, below TELEMOCK_DATA
FILE_STORE = "store.sqlite"
FILE_MASK_KEY = "mask.key"
FILE_SERVER = "server.json"  # where the running app listens: {"url", "pid"}
DIR_CA = "ca"
FILE_CA_CERT = "ca.pem"  # public half, for the client
FILE_BUNDLE = "bundle.pem"  # this machine's trusted certificates and ours
DIR_SPOOL = "spool"

LOG_REQUESTS = "telemetry_requests.log"
LOG_APP = "mock_server.log"
LOG_SIDECARS = "mitmproxy.log"
DIR_ANALYSIS = "analysis"
FILE_SUMMARY = "summary.json"
FILE_REPORT = "final-report.md"

DUMMY_IPV4 = "192.0.2."  # + n: the address that the redirect gives to the n-th telemetry host
DUMMY_IPV6 = "100::"
LOOPBACK_IPV4 = "127.0.0."  # + n + 1: where the sidecar listens for the n-th one without a redirect
LOOPBACK_IPV6 = "::1"  # for all of them: what a look-up of family 6 finds
LOOPBACK_MAPPED = "127.0.0.1"  # what glibc makes of ::1 when it looks for family 4

# What a pod carries, and what is put into it.
LABEL_INJECT = "telemock.io/inject"
INJECT_ENABLED, INJECT_DISABLED = "enabled", "disabled"
ANNOTATION_PROFILES = "telemock.io/profiles"
ANNOTATION_MODE = "telemock.io/mode"
ANNOTATION_REDIRECT = "telemock.io/redirect"
ANNOTATION_TRUST = "telemock.io/trust"
ANNOTATION_ALL_UNTIL = "telemock.io/all-until"
ANNOTATION_STATUS = "telemock.io/status"  # ours: JSON
CONTAINER_SIDECAR = "telemock"
CONTAINER_REDIRECT = "telemock-redirect"
VOLUME_CA = "telemock-ca"  # the authority with its key: the sidecar's only
VOLUME_TRUST = "telemock-trust"  # its public half
VOLUME_SPOOL = "telemock-spool"
VOLUME_TOKEN = "telemock-token"  # noqa: S105 - the name of a volume
SIDECAR_UID = 2931
MOUNT_CA = "/run/telemock/ca"
MOUNT_TRUST = "/etc/telemock/trust"
MOUNT_SPOOL = "/var/lib/telemock"
MOUNT_TOKEN = "/var/run/secrets/telemock"  # noqa: S105 - a directory
EVENT_INJECTED, EVENT_SKIPPED = "TelemockInjected", "TelemockSkipped"


class Metric(NamedTuple):
    """One row of the metrics table; `of` says which process exports it."""

    name: str  # OpenTelemetry name; Prometheus shows it with underscores and the unit
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    of: Literal["app", "sidecar", "both", "injector"]  # both: app and sidecar
    help: str

    @property
    def prometheus(self) -> str:
        """Name as `/metrics` shows it, without the `_total` that counters get."""
        parts = [self.name.replace(".", "_"), {"s": "seconds", "By": "bytes"}.get(self.unit, "")]
        return "_".join(p for p in parts if p)


METRICS = (
    Metric(
        "http.server.request.duration", "histogram", "s",
        ("http_request_method", "http_response_status_code", "telemock_action"), "both",
        "Time from the request's first byte to the answer's last.",
    ),
    Metric(
        "http.client.request.duration", "histogram", "s",
        ("http_response_status_code", "telemock_action"), "sidecar",
        "Time the mock or the real host took to answer the sidecar.",
    ),
    Metric(
        "telemock.captures", "counter", "", ("kind", "action", "profile", "rule"), "both",
        "Records made (sidecar) or stored (app).",
    ),
    Metric(
        "telemock.passed", "counter", "", ("profile",), "sidecar",
        "Requests of a profile's host forwarded untouched and only counted.",
    ),
    Metric(
        "telemock.capture.dropped", "counter", "", ("reason",), "both",
        "Records lost, by reason.",
    ),
    Metric(
        "telemock.tls.client_rejected", "counter", "", ("host",), "sidecar",
        "Clients that refused the sidecar's certificate; host only when a profile names it.",
    ),
    Metric(
        "telemock.fallback.answers", "counter", "", ("reason",), "sidecar",
        "Answers given from a rule's static answer because the app could not be asked.",
    ),
    Metric(
        "telemock.output.dropped", "counter", "", ("stream",), "sidecar",
        "Lines that standard output or standard error did not take; records are not lost by it.",
    ),
    Metric("telemock.spool.records", "gauge", "", (), "sidecar", "Records that wait for the app."),
    Metric("telemock.spool.size", "gauge", "By", (), "sidecar", "Disk used by waiting records."),
    Metric(
        "telemock.ship.batches", "counter", "", ("outcome",), "sidecar",
        "Batches sent to the app, by outcome.",
    ),
    Metric(
        "telemock.ingest.records", "counter", "", ("outcome",), "app",
        "Records received: stored, duplicate or refused.",
    ),
    Metric(
        "telemock.ingest.rebound", "counter", "", (), "app",
        "Records that named another pod than the token that sent them; the token's was stored.",
    ),
    Metric("telemock.store.records", "gauge", "", (), "app", "Records in the store."),
    Metric("telemock.store.size", "gauge", "By", (), "app", "Disk used by the store."),
    Metric(
        "telemock.inventory.new_fields", "counter", "", ("profile",), "app",
        "Fields seen for the first time.",
    ),
    Metric(
        "telemock.profiles.reload_failed", "gauge", "", (), "both",
        "1 while the last change of the profiles was refused and the previous set is in use.",
    ),
    Metric(
        "telemock.injector.pods", "counter", "", ("reason",), "injector",
        "Pods answered, by each reason that was given; none when there was nothing to say.",
    ),
    Metric(
        "telemock.injector.review.duration", "histogram", "s", (), "injector",
        "Time from an admission review's first byte to its answer.",
    ),
    Metric(
        "telemock.injector.reviews_refused", "counter", "", ("reason",), "injector",
        "Requests that were no admission review.",
    ),
    Metric(
        "telemock.injector.events_lost", "counter", "", ("reason",), "injector",
        "Events that were not written, by reason.",
    ),
    Metric(
        "telemock.certificate.days_left", "gauge", "", (), "injector",
        "Days until the certificate that is shown ends.",
    ),
)  # fmt: skip
