"""What applications send to vendors, and what of it is new."""

from charts.dashboards.panels import Board, Panel, Query
from charts.dashboards.queries import APP, OF_APP, OF_PROFILE, PROFILE, RANGE, in_range, rate

LEAVING = Board(
    "telemock-leaving",
    "telemock: what leaves",
    "What applications send to vendors' telemetry hosts: how much, from which workload and product "
    "version, and what is new.",
    (APP, PROFILE),
    (
        ("In this time", (
            in_range(
                "Exchanges", "Requests with their answers that were stored.",
                "telemock_captures_total", f'{OF_APP},{OF_PROFILE},telemock_kind="exchange"',
            ),
            in_range(
                "Bytes sent", "Bodies and queries that applications sent, whatever was done with "
                "them.", "telemock_leaving_size_bytes_total", OF_PROFILE, "bytes",
            ),
            in_range(
                "New fields", "Fields seen for the first time: `telemock fields` lists them.",
                "telemock_inventory_new_fields_total", OF_PROFILE,
            ),
            in_range(
                "New hosts", "Hosts seen for the first time.",
                "telemock_inventory_new_hosts_total",
            ),
            in_range(
                "Objected", "Records with what somebody had objected to: `telemock changes list "
                "--state objected`.", "telemock_inbox_objected_total", OF_PROFILE,
            ),
            in_range(
                "Refused certificates", "Connections whose client did not accept the sidecar's "
                "certificate: what they send is not seen.", "telemock_tls_client_rejected_total",
            ),
            in_range(
                "Records lost", "By sidecars and app, for any reason.",
                "telemock_capture_dropped_total",
            ),
        )),
        ("What, and from where", (
            Panel(
                "Records by action", "What was done with them.", "reqps",
                [Query(
                    rate("telemock_captures_total", "telemock_action", f"{OF_APP},{OF_PROFILE}"),
                    "{{telemock_action}}",
                )],
                kind="bars",
            ),
            Panel(
                "Bytes by host", "Sent by applications.", "Bps",
                [Query(
                    rate("telemock_leaving_size_bytes_total", "server_address", OF_PROFILE),
                    "{{server_address}}",
                )],
                kind="bars",
            ),
            Panel(
                "Requests by product version", "As the profile reads it from the request.",
                "reqps",
                [Query(
                    rate(
                        "telemock_product_captures_total",
                        "telemock_profile, telemock_product_version", OF_PROFILE,
                    ),
                    "{{telemock_profile}} {{telemock_product_version}}",
                )],
                kind="bars",
            ),
            Panel(
                "Requests by workload", "The twenty that send most.", "reqps",
                [Query(
                    "topk(20, " + rate(
                        "telemock_workload_captures_total",
                        "telemock_workload_namespace, telemock_workload", OF_PROFILE,
                    ) + ")",
                    "{{telemock_workload_namespace}}/{{telemock_workload}}",
                )],
                kind="bars", width=12,
            ),
            Panel(
                "Bytes by host and action", "In the time that is shown.", "bytes",
                [Query(
                    rate(
                        "telemock_leaving_size_bytes_total",
                        "telemock_profile, server_address, telemock_action", OF_PROFILE, RANGE,
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
                    rate(
                        "telemock_inventory_new_fields_total", "telemock_profile", OF_PROFILE,
                        of="increase",
                    ),
                    "{{telemock_profile}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Fields by class", "All of the inventory.", "short",
                [Query(
                    f"sum by (telemock_class) (telemock_inventory_fields{{{OF_PROFILE}}})",
                    "{{telemock_class}}",
                )],
                width=6,
            ),
            Panel(
                "New fields about persons or secrets", "By profile and class.", "short",
                [Query(
                    rate(
                        "telemock_inventory_new_sensitive_total",
                        "telemock_profile, telemock_class", OF_PROFILE, of="increase",
                    ),
                    "{{telemock_profile}} {{telemock_class}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Sent values that identify a pod", "By source; of pods that are searched "
                "(`telemock.io/canary`).", "short",
                [Query(
                    rate(
                        "telemock_canary_found_total", "telemock_profile, telemock_source",
                        OF_PROFILE, of="increase",
                    ),
                    "{{telemock_profile}} {{telemock_source}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "New hosts", "By profile; without one, no profile names the host.", "short",
                [Query(
                    rate("telemock_inventory_new_hosts_total", "telemock_profile", of="increase"),
                    "{{telemock_profile}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Inbox", "Items by state; open ones were not reviewed.", "short",
                [Query(
                    "max by (telemock_state) (telemock_inbox_items)", "{{telemock_state}}",
                )],
                width=6,
            ),
            Panel(
                "Refused certificates", "By host.", "short",
                [Query(
                    rate("telemock_tls_client_rejected_total", "server_address", of="increase"),
                    "{{server_address}}",
                )],
                kind="bars", width=6,
            ),
            Panel(
                "Passed untouched", "Requests of a profile's hosts that are only counted.", "reqps",
                [Query(rate("telemock_passed_total", "telemock_profile", OF_PROFILE),
                       "{{telemock_profile}}")],
                width=6,
            ),
        )),
    ),
)  # fmt: skip
