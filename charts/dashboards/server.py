"""Whether the app takes in what sidecars send, and what the injector decides."""

from charts.dashboards.panels import Board, Panel, Query
from charts.dashboards.queries import APP, INJECTOR, OF_APP, RATE, now, process, quantiles, rate

SERVER = Board(
    "telemock-app",
    "telemock: app and injector",
    "Whether the app takes in what sidecars send, how full its store is, how fast the mock "
    "answers, and what the injector decides.",
    (APP, INJECTOR),
    (
        ("Now", (
            now("Sidecars seen", "That asked for profiles or sent records lately.",
                 'sum(telemock_sidecars{telemock_state="seen"})'),
            now("Sidecars silent", "That did so, and stopped without taking leave.",
                 'sum(telemock_sidecars{telemock_state="silent"})'),
            now("Records", "In the store.", "sum(telemock_store_records)"),
            now(
                "Store in use", "Of its limit; there the oldest captures go.",
                "max(telemock_store_size_bytes / (telemock_store_limit_bytes > 0)) or vector(0)",
                "percentunit",
            ),
            now("Store failing", "1 while it cannot be written.", "max(telemock_store_failing)"),
            now("Certificate", "Days until the webhook's ends.",
                 "min(telemock_certificate_days_left)", "d"),
        )),
        ("Ingest and store", (
            Panel(
                "Records received", "By outcome.", "short",
                [Query(rate("telemock_ingest_records_total", "telemock_outcome"),
                       "{{telemock_outcome}}")],
                kind="bars",
            ),
            Panel(
                "Time from a batch's last byte to its commit", "", "s",
                quantiles("telemock_ingest_batch_duration_seconds"),
            ),
            Panel(
                "Records of a batch", "", "short", quantiles("telemock_ingest_batch_size"),
            ),
            Panel(
                "Size of the store", "", "bytes",
                [Query("sum(telemock_store_size_bytes)", "in use"),
                 Query("sum(telemock_store_limit_bytes)", "limit")],
            ),
            Panel(
                "Records lost", "By reason.", "short",
                [Query(
                    rate("telemock_capture_dropped_total", "telemock_reason", OF_APP,
                          of="increase"),
                    "{{telemock_reason}}",
                )],
                kind="bars",
            ),
            Panel(
                "Records that are not stored",
                "On their way (`seen`), stuck with senders that fell silent (`silent`), and lost "
                "for good, by reason.", "short",
                [Query("sum by (telemock_state) (telemock_records_waiting)", "{{telemock_state}}"),
                 Query("sum by (telemock_reason) (telemock_records_lost)",
                       "lost: {{telemock_reason}}")],
            ),
            Panel(
                "Clients that distrust the app", "Connections in the last hour.", "short",
                [Query("sum(telemock_tls_distrusted)")],
            ),
            Panel(
                "Bounds of decoding and masking",
                "Bodies and values that held too much, or of which nothing is kept.", "short",
                [Query(rate("telemock_decoding_bounded_total", "telemock_bound", of="increase"),
                       "decoding {{telemock_bound}}"),
                 Query(rate("telemock_masking_bounds_total", "telemock_bound", of="increase"),
                       "masking {{telemock_bound}}"),
                 Query(rate("telemock_withheld_total", "telemock_reason", of="increase"),
                       "withheld {{telemock_reason}}")],
                kind="bars",
            ),
            Panel(
                "What was masked", "Records, by the sensitive name or the detector.", "short",
                [Query(rate("telemock_masked_total", "telemock_masked_by", of="increase"),
                       "{{telemock_masked_by}}")],
                kind="bars",
            ),
            Panel(
                "Bodies that were ended",
                "Batches and requests to the mock that came too slowly, or were the slowest of too "
                "many.", "short",
                [Query(rate("telemock_bodies_ended_total", "telemock_reason", OF_APP,
                            of="increase"),
                       "{{telemock_reason}}")],
                kind="bars",
            ),
            Panel(
                "Records under another pod's name", "The name in the sender's token was stored.",
                "short",
                [Query(f"sum(increase(telemock_ingest_rebound_total{RATE}))", "records")],
                kind="bars",
            ),
        )),
        ("Mock", (
            Panel(
                "Time to answer", "A rule's own delay included.", "s",
                quantiles("telemock_mock_duration_seconds"), exemplars=True,
            ),
            Panel(
                "Slowest rules", "p95 of each.", "s",
                [Query(
                    "topk(10, histogram_quantile(0.95, " + rate(
                        "telemock_mock_duration_seconds_bucket",
                        "le, telemock_profile, telemock_rule",
                    ) + "))",
                    "{{telemock_profile}}/{{telemock_rule}}",
                )],
            ),
            Panel(
                "Answers by status and error", "Of the mock, the API and the page.", "reqps",
                [Query(
                    rate("http_server_request_duration_seconds_count",
                          "http_response_status_code, error_type", OF_APP),
                    "{{http_response_status_code}} {{error_type}}",
                )],
            ),
        )),
        ("Injector", (
            Panel(
                "Pods by reason", "`none` is a pod that got its sidecar with nothing to be said.",
                "short",
                [Query(rate("telemock_injector_pods_total", "telemock_reason", of="increase"),
                       "{{telemock_reason}}")],
                kind="bars",
            ),
            Panel(
                "Opted in, not injected",
                "`unseen` by any injector, or `left` alone for a reason: `telemock status -A`.",
                "short",
                [Query("max by (telemock_reason) (telemock_injector_not_injected)",
                       "{{telemock_reason}}")],
            ),
            Panel(
                "Time to review a pod", "", "s",
                quantiles("telemock_injector_review_duration_seconds"),
            ),
            Panel(
                "Not reviewed, not told", "Requests that were no review, and Events not written.",
                "short",
                [Query(rate("telemock_injector_reviews_refused_total", "telemock_reason",
                             of="increase"), "review {{telemock_reason}}"),
                 Query(rate("telemock_injector_events_lost_total", "telemock_reason",
                             of="increase"), "event {{telemock_reason}}")],
                kind="bars",
            ),
        )),
        ("Processes", (
            *process('job=~"$app|$injector"', "job"),
            Panel(
                "Profiles not up to date", "1 while one is refused.", "short",
                [Query(f"max(telemock_profiles_reload_failed{{{OF_APP}}})")],
                kind="stat",
            ),
            Panel(
                "Spans, points and logs not exported", "By process, signal and reason.", "short",
                [Query(
                    rate("telemock_otlp_dropped_total", "job, telemock_signal, telemock_reason",
                          'job=~"$app|$injector"', of="increase"),
                    "{{job}} {{telemock_signal}} {{telemock_reason}}",
                )],
            ),
            Panel(
                "Lines of output lost", "By process and stream; no record is lost by it.", "short",
                [Query(
                    rate("telemock_output_dropped_total", "job, telemock_stream",
                         'job=~"$app|$injector"', of="increase"),
                    "{{job}} {{telemock_stream}}",
                )],
                kind="bars",
            ),
        )),
    ),
)  # fmt: skip
