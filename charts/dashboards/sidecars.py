"""Whether sidecars see, answer and deliver."""

from charts.dashboards.panels import Board, Panel, Query
from charts.dashboards.queries import (
    NAMESPACE,
    OF_POD,
    OF_SIDECAR,
    POD,
    SIDECAR,
    process,
    quantiles,
    rate,
)

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
                    rate("http_server_request_duration_seconds_count", "telemock_action",
                          OF_SIDECAR),
                    "{{telemock_action}}",
                )],
                kind="bars",
            ),
            Panel(
                "Time to answer the application", "From a request's first byte to the answer's "
                "last.", "s", quantiles("http_server_request_duration_seconds", OF_SIDECAR),
                exemplars=True,
            ),
            Panel(
                "Time the other side took", "The mock, or the real host.", "s",
                quantiles("http_client_request_duration_seconds", OF_POD), exemplars=True,
            ),
            Panel(
                "Answers by status and error", "", "reqps",
                [Query(
                    rate("http_server_request_duration_seconds_count",
                          "http_response_status_code, error_type", OF_SIDECAR),
                    "{{http_response_status_code}} {{error_type}}",
                )],
            ),
            Panel(
                "Static answers in the app's place", "Because the app could not be asked.", "reqps",
                [Query(rate("telemock_fallback_answers_total", "telemock_reason", OF_POD),
                       "{{telemock_reason}}")],
            ),
            Panel(
                "Refused certificates", "Connections whose client did not accept the sidecar's.",
                "short",
                [Query(
                    rate("telemock_tls_client_rejected_total", "k8s_pod_name, server_address",
                          OF_POD, of="increase"),
                    "{{k8s_pod_name}} {{server_address}}",
                )],
                kind="bars",
            ),
            Panel(
                "Refused, because no rule can judge it",
                "What a profile's host was sent that is no request that can be judged.", "short",
                [Query(
                    rate("telemock_unjudged_total", "k8s_pod_name, server_address", OF_POD,
                          of="increase"),
                    "{{k8s_pod_name}} {{server_address}}",
                )],
                kind="bars",
            ),
            Panel(
                "Ended by a bound", "Connections and requests, by the bound that they were over.",
                "short",
                [Query(
                    rate("telemock_bounds_exceeded_total", "k8s_pod_name, telemock_bound", OF_POD,
                          of="increase"),
                    "{{k8s_pod_name}} {{telemock_bound}}",
                )],
                kind="bars",
            ),
        )),
        ("Redirect", (
            Panel(
                "Not proven", "Sidecars that no redirected connection has reached yet.", "short",
                [Query(f"count(telemock_redirect_proven{{{OF_POD}}} == 0) or vector(0)")],
                kind="stat",
            ),
            Panel(
                "Connections that it brought", "", "cps",
                [Query(rate("telemock_redirect_connections_total", "k8s_pod_name", OF_POD),
                       "{{k8s_pod_name}}")],
            ),
            Panel(
                "UDP refused", "HTTP/3 to telemetry hosts, and other closed ports of the pod.",
                "short",
                [Query(rate("telemock_redirect_quic_refused_total", "k8s_pod_name", OF_POD),
                       "{{k8s_pod_name}}")],
            ),
        )),
        ("Records on their way", (
            Panel(
                "Lost", "By reason.", "short",
                [Query(
                    rate("telemock_capture_dropped_total", "telemock_reason", OF_SIDECAR,
                          of="increase"),
                    "{{telemock_reason}}",
                )],
                kind="bars",
            ),
            Panel(
                "Waiting", "Records in the spool.", "short",
                [Query(f"sum by (k8s_pod_name) (telemock_spool_records{{{OF_POD}}})",
                       "{{k8s_pod_name}}")],
            ),
            Panel(
                "Spool in use", "Of what it may take; beyond it records are lost.", "percentunit",
                [Query(
                    f"max by (k8s_pod_name) (telemock_spool_size_bytes{{{OF_POD}}} "
                    f"/ telemock_spool_limit_bytes{{{OF_POD}}})",
                    "{{k8s_pod_name}}",
                )],
            ),
            Panel(
                "Batches by outcome", "", "cps",
                [Query(rate("telemock_ship_batches_total", "telemock_outcome", OF_POD),
                       "{{telemock_outcome}}")],
            ),
            Panel(
                "The app takes nothing", "Sidecars, by why.", "short",
                [Query(f"sum by (telemock_outcome) (telemock_app_trouble{{{OF_POD}}})",
                       "{{telemock_outcome}}")],
            ),
            Panel(
                "Time until the app has a batch", "", "s",
                quantiles("telemock_ship_duration_seconds", OF_POD),
            ),
            Panel(
                "Lines of output lost", "By stream; the records are not lost by it.", "short",
                [Query(
                    rate("telemock_output_dropped_total", "telemock_stream", OF_SIDECAR,
                          of="increase"),
                    "{{telemock_stream}}",
                )],
            ),
        )),
        ("Processes", (
            *process(OF_SIDECAR, "k8s_pod_name"),
            Panel(
                "Started again", "Processes that died or hung, which Kubernetes does not see.",
                "short",
                [Query(rate("telemock_sidecar_restarts_total", "k8s_pod_name", OF_POD,
                            of="increase"),
                       "{{k8s_pod_name}}")],
                kind="bars",
            ),
            Panel(
                "Profiles not up to date", "Sidecars that refused the last change.", "short",
                [Query(f"sum(telemock_profiles_reload_failed{{{OF_SIDECAR}}})")],
                kind="stat",
            ),
            Panel(
                "Spans, points and logs not exported", "By signal and reason.", "short",
                [Query(
                    rate("telemock_otlp_dropped_total", "telemock_signal, telemock_reason",
                          OF_SIDECAR, of="increase"),
                    "{{telemock_signal}} {{telemock_reason}}",
                )],
            ),
        )),
    ),
)  # fmt: skip
