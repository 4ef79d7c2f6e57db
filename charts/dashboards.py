"""What the dashboards show, in PromQL; `charts/generate.py` writes them to the chart.

A test runs every query against a Prometheus that scrapes the real processes. Metrics that more
than one process has are told apart by `job`, whose values are looked up from metrics that only one
of them has.
"""

from collections.abc import Mapping

from charts.panels import Board, Panel, Query, Variable, as_json

_RATE = "[$__rate_interval]"
_RANGE = "[$__range]"
_APP = 'job=~"$app"'
_SIDECAR = 'job=~"$sidecar",k8s_namespace_name=~"$namespace",k8s_pod_name=~"$pod"'
_POD = 'k8s_namespace_name=~"$namespace",k8s_pod_name=~"$pod"'
_PROFILE = 'telemock_profile=~"$profile"'

APP = Variable("app", "App (job)", "telemock_store_records", "job")
SIDECAR = Variable("sidecar", "Sidecars (job)", "telemock_spool_records", "job")
INJECTOR = Variable("injector", "Injector (job)", "telemock_certificate_days_left", "job")
NAMESPACE = Variable(
    "namespace", "Namespace", "telemock_spool_records", "k8s_namespace_name", all=".*"
)
POD = Variable("pod", "Pod", "telemock_spool_records", "k8s_pod_name", all=".*")
PROFILE = Variable(
    "profile", "Profile", "telemock_inventory_new_fields_total", "telemock_profile", all=".*"
)


def _rate(metric: str, by: str, where: str = "", over: str = _RATE, of: str = "rate") -> str:
    return f"sum by ({by}) ({of}({metric}{{{where}}}{over}))"


def _quantiles(metric: str, where: str = "") -> list[Query]:
    """p50, p95 and p99 of a histogram."""
    buckets = _rate(f"{metric}_bucket", "le", where)
    return [
        Query(f"histogram_quantile({q}, {buckets})", f"p{round(q * 100)}")
        for q in (0.5, 0.95, 0.99)
    ]


def _in_range(title: str, help: str, metric: str, where: str = "", unit: str = "short") -> Panel:
    expr = f"sum(increase({metric}{{{where}}}{_RANGE}))"
    return Panel(title, help, unit, [Query(expr)], kind="stat", width=4)


def _now(title: str, help: str, expr: str, unit: str = "short") -> Panel:
    return Panel(title, help, unit, [Query(expr)], kind="stat", width=4)


def _process(where: str, by: str) -> list[Panel]:
    """Scraped they have prometheus_client's names, over OTLP those of the semantic conventions."""
    return [
        Panel(
            "Memory", "Resident memory.", "bytes",
            [Query(
                f"sum by ({by}) (process_resident_memory_bytes{{{where}}} "
                f"or process_memory_usage_bytes{{{where}}})",
                f"{{{{{by}}}}}",
            )],
            width=12,
        ),
        Panel(
            "CPU", "Cores in use.", "short",
            [Query(
                f"sum by ({by}) (rate(process_cpu_seconds_total{{{where}}}{_RATE}) "
                f"or rate(process_cpu_time_seconds_total{{{where}}}{_RATE}))",
                f"{{{{{by}}}}}",
            )],
            width=12,
        ),
    ]  # fmt: skip


LEAVING = Board(
    "telemock-leaving",
    "telemock: what leaves",
    "What applications send to vendors' telemetry hosts: how much, from which workload and product "
    "version, and what is new.",
    (APP, PROFILE),
    (
        ("In this time", (
            _in_range(
                "Exchanges", "Requests with their answers that were stored.",
                "telemock_captures_total", f'{_APP},{_PROFILE},telemock_kind="exchange"',
            ),
            _in_range(
                "Bytes sent", "Bodies and queries that applications sent, whatever was done with "
                "them.", "telemock_leaving_size_bytes_total", _PROFILE, "bytes",
            ),
            _in_range(
                "New fields", "Fields seen for the first time: `telemock fields` lists them.",
                "telemock_inventory_new_fields_total", _PROFILE,
            ),
            _in_range(
                "New hosts", "Hosts seen for the first time.",
                "telemock_inventory_new_hosts_total",
            ),
            _in_range(
                "Refused certificates", "Connections whose client did not accept the sidecar's "
                "certificate: what they send is not seen.", "telemock_tls_client_rejected_total",
            ),
            _in_range(
                "Records lost", "By sidecars and app, for any reason.",
                "telemock_capture_dropped_total",
            ),
        )),
        ("What, and from where", (
            Panel(
                "Records by action", "What was done with them.", "reqps",
                [Query(
                    _rate("telemock_captures_total", "telemock_action", f"{_APP},{_PROFILE}"),
                    "{{telemock_action}}",
                )],
                kind="bars",
            ),
            Panel(
                "Bytes by host", "Sent by applications.", "Bps",
                [Query(
                    _rate("telemock_leaving_size_bytes_total", "server_address", _PROFILE),
                    "{{server_address}}",
                )],
                kind="bars",
            ),
            Panel(
                "Exchanges by product version", "As the profile reads it from the request.",
                "reqps",
                [Query(
                    _rate(
                        "telemock_product_captures_total",
                        "telemock_profile, telemock_product_version", _PROFILE,
                    ),
                    "{{telemock_profile}} {{telemock_product_version}}",
                )],
                kind="bars",
            ),
            Panel(
                "Exchanges by workload", "The twenty that send most.", "reqps",
                [Query(
                    "topk(20, " + _rate(
                        "telemock_workload_captures_total",
                        "telemock_workload_namespace, telemock_workload", _PROFILE,
                    ) + ")",
                    "{{telemock_workload_namespace}}/{{telemock_workload}}",
                )],
                kind="bars", width=12,
            ),
            Panel(
                "Bytes by host and action", "In the time that is shown.", "bytes",
                [Query(
                    _rate(
                        "telemock_leaving_size_bytes_total",
                        "telemock_profile, server_address, telemock_action", _PROFILE, _RANGE,
                        "increase",
                    ),
                )],
                kind="table", width=12,
            ),
        )),
        ("New, refused, not seen", (
            Panel(
                "New fields", "By profile.", "short",
                [Query(
                    _rate(
                        "telemock_inventory_new_fields_total", "telemock_profile", _PROFILE,
                        of="increase",
                    ),
                    "{{telemock_profile}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "New hosts", "By profile; without one, no profile names the host.", "short",
                [Query(
                    _rate("telemock_inventory_new_hosts_total", "telemock_profile", of="increase"),
                    "{{telemock_profile}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Refused certificates", "By host.", "short",
                [Query(
                    _rate("telemock_tls_client_rejected_total", "server_address", of="increase"),
                    "{{server_address}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Passed untouched", "Requests of a profile's hosts that are only counted.", "reqps",
                [Query(_rate("telemock_passed_total", "telemock_profile", _PROFILE),
                       "{{telemock_profile}}")],
                width=6,
            ),
        )),
    ),
)  # fmt: skip

SIDECARS = Board(
    "telemock-sidecars",
    "telemock: sidecars",
    "Whether sidecars see their pods' telemetry, how fast they answer it, and whether their "
    "records arrive.",
    (SIDECAR, NAMESPACE, POD),
    (
        ("Requests", (
            Panel(
                "Requests by action", "", "reqps",
                [Query(
                    _rate("http_server_request_duration_seconds_count", "telemock_action",
                          _SIDECAR),
                    "{{telemock_action}}",
                )],
                kind="bars",
            ),
            Panel(
                "Time to answer the application", "From a request's first byte to the answer's "
                "last.", "s", _quantiles("http_server_request_duration_seconds", _SIDECAR),
                exemplars=True,
            ),
            Panel(
                "Time the other side took", "The mock, or the real host.", "s",
                _quantiles("http_client_request_duration_seconds", _POD), exemplars=True,
            ),
            Panel(
                "Answers by status and error", "", "reqps",
                [Query(
                    _rate("http_server_request_duration_seconds_count",
                          "http_response_status_code, error_type", _SIDECAR),
                    "{{http_response_status_code}} {{error_type}}",
                )],
            ),
            Panel(
                "Static answers in the app's place", "Because the app could not be asked.", "reqps",
                [Query(_rate("telemock_fallback_answers_total", "telemock_reason", _POD),
                       "{{telemock_reason}}")],
            ),
            Panel(
                "Refused certificates", "Connections whose client did not accept the sidecar's.",
                "short",
                [Query(
                    _rate("telemock_tls_client_rejected_total", "k8s_pod_name, server_address",
                          _POD, of="increase"),
                    "{{k8s_pod_name}} {{server_address}}",
                )],
                kind="bars",
            ),
        )),
        ("Redirect", (
            Panel(
                "Not proven", "Sidecars that no redirected connection has reached yet.", "short",
                [Query(f"count(telemock_redirect_proven{{{_POD}}} == 0) or vector(0)")],
                kind="stat",
            ),
            Panel(
                "Connections that it brought", "", "cps",
                [Query(_rate("telemock_redirect_connections_total", "k8s_pod_name", _POD),
                       "{{k8s_pod_name}}")],
            ),
            Panel(
                "UDP refused", "HTTP/3 to telemetry hosts, and other closed ports of the pod.",
                "short",
                [Query(_rate("telemock_redirect_quic_refused_total", "k8s_pod_name", _POD),
                       "{{k8s_pod_name}}")],
            ),
        )),
        ("Records on their way", (
            Panel(
                "Lost", "By reason.", "short",
                [Query(
                    _rate("telemock_capture_dropped_total", "telemock_reason", _SIDECAR,
                          of="increase"),
                    "{{telemock_reason}}",
                )],
                kind="bars",
            ),
            Panel(
                "Waiting", "Records in the spool.", "short",
                [Query(f"sum by (k8s_pod_name) (telemock_spool_records{{{_POD}}})",
                       "{{k8s_pod_name}}")],
            ),
            Panel(
                "Spool in use", "Of what it may take; beyond it records are lost.", "percentunit",
                [Query(
                    f"max by (k8s_pod_name) (telemock_spool_size_bytes{{{_POD}}} "
                    f"/ telemock_spool_limit_bytes{{{_POD}}})",
                    "{{k8s_pod_name}}",
                )],
            ),
            Panel(
                "Batches by outcome", "", "cps",
                [Query(_rate("telemock_ship_batches_total", "telemock_outcome", _POD),
                       "{{telemock_outcome}}")],
            ),
            Panel(
                "Time until the app has a batch", "", "s",
                _quantiles("telemock_ship_duration_seconds", _POD),
            ),
            Panel(
                "Lines of output lost", "By stream; the records are not lost by it.", "short",
                [Query(
                    _rate("telemock_output_dropped_total", "telemock_stream", _SIDECAR,
                          of="increase"),
                    "{{telemock_stream}}",
                )],
            ),
        )),
        ("Processes", (
            *_process(_SIDECAR, "k8s_pod_name"),
            Panel(
                "Profiles not up to date", "Sidecars that refused the last change.", "short",
                [Query(f"sum(telemock_profiles_reload_failed{{{_SIDECAR}}})")],
                kind="stat",
            ),
            Panel(
                "Spans, points and logs not exported", "By signal and reason.", "short",
                [Query(
                    _rate("telemock_otlp_dropped_total", "telemock_signal, telemock_reason",
                          _SIDECAR, of="increase"),
                    "{{telemock_signal}} {{telemock_reason}}",
                )],
                width=16,
            ),
        )),
    ),
)  # fmt: skip

SERVER = Board(
    "telemock-app",
    "telemock: app and injector",
    "Whether the app takes in what sidecars send, how full its store is, how fast the mock "
    "answers, and what the injector decides.",
    (APP, INJECTOR),
    (
        ("Now", (
            _now("Sidecars seen", "That asked for profiles or sent records lately.",
                 'sum(telemock_sidecars{telemock_state="seen"})'),
            _now("Sidecars silent", "That did so, and stopped without taking leave.",
                 'sum(telemock_sidecars{telemock_state="silent"})'),
            _now("Records", "In the store.", "sum(telemock_store_records)"),
            _now(
                "Store in use", "Of its limit; there the oldest captures go.",
                "max(telemock_store_size_bytes / (telemock_store_limit_bytes > 0)) or vector(0)",
                "percentunit",
            ),
            _now("Store failing", "1 while it cannot be written.", "max(telemock_store_failing)"),
            _now("Certificate", "Days until the webhook's ends.",
                 "min(telemock_certificate_days_left)", "d"),
        )),
        ("Ingest and store", (
            Panel(
                "Records received", "By outcome.", "short",
                [Query(_rate("telemock_ingest_records_total", "telemock_outcome"),
                       "{{telemock_outcome}}")],
                kind="bars",
            ),
            Panel(
                "Time from a batch's last byte to its commit", "", "s",
                _quantiles("telemock_ingest_batch_duration_seconds"),
            ),
            Panel(
                "Records of a batch", "", "short", _quantiles("telemock_ingest_batch_size"),
            ),
            Panel(
                "Size of the store", "", "bytes",
                [Query("sum(telemock_store_size_bytes)", "in use"),
                 Query("sum(telemock_store_limit_bytes)", "limit")],
            ),
            Panel(
                "Records lost", "By reason.", "short",
                [Query(
                    _rate("telemock_capture_dropped_total", "telemock_reason", _APP,
                          of="increase"),
                    "{{telemock_reason}}",
                )],
                kind="bars",
            ),
            Panel(
                "Records under another pod's name", "The name in the sender's token was stored.",
                "short",
                [Query(f"sum(increase(telemock_ingest_rebound_total{_RATE}))", "records")],
                kind="bars",
            ),
        )),
        ("Mock", (
            Panel(
                "Time to answer", "A rule's own delay included.", "s",
                _quantiles("telemock_mock_duration_seconds"), exemplars=True,
            ),
            Panel(
                "Slowest rules", "p95 of each.", "s",
                [Query(
                    "topk(10, histogram_quantile(0.95, " + _rate(
                        "telemock_mock_duration_seconds_bucket",
                        "le, telemock_profile, telemock_rule",
                    ) + "))",
                    "{{telemock_profile}}/{{telemock_rule}}",
                )],
            ),
            Panel(
                "Answers by status and error", "Of the mock, the API and the page.", "reqps",
                [Query(
                    _rate("http_server_request_duration_seconds_count",
                          "http_response_status_code, error_type", _APP),
                    "{{http_response_status_code}} {{error_type}}",
                )],
            ),
        )),
        ("Injector", (
            Panel(
                "Pods by reason", "`none` is a pod that got its sidecar with nothing to be said.",
                "short",
                [Query(_rate("telemock_injector_pods_total", "telemock_reason", of="increase"),
                       "{{telemock_reason}}")],
                kind="bars",
            ),
            Panel(
                "Time to review a pod", "", "s",
                _quantiles("telemock_injector_review_duration_seconds"),
            ),
            Panel(
                "Not reviewed, not told", "Requests that were no review, and Events not written.",
                "short",
                [Query(_rate("telemock_injector_reviews_refused_total", "telemock_reason",
                             of="increase"), "review {{telemock_reason}}"),
                 Query(_rate("telemock_injector_events_lost_total", "telemock_reason",
                             of="increase"), "event {{telemock_reason}}")],
                kind="bars",
            ),
        )),
        ("Processes", (
            *_process('job=~"$app|$injector"', "job"),
            Panel(
                "Profiles not up to date", "1 while the last change was refused.", "short",
                [Query(f"max(telemock_profiles_reload_failed{{{_APP}}})")],
                kind="stat",
            ),
            Panel(
                "Spans, points and logs not exported", "By process, signal and reason.", "short",
                [Query(
                    _rate("telemock_otlp_dropped_total", "job, telemock_signal, telemock_reason",
                          'job=~"$app|$injector"', of="increase"),
                    "{{job}} {{telemock_signal}} {{telemock_reason}}",
                )],
                width=16,
            ),
        )),
    ),
)  # fmt: skip

BOARDS = (LEAVING, SIDECARS, SERVER)


def documents() -> Mapping[str, str]:
    """File name -> JSON; the same every time."""
    return {f"{board.uid.removeprefix('telemock-')}.json": as_json(board) for board in BOARDS}
