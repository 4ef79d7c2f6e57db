"""What the dashboards' queries have in common: variables, conditions on them, and the usual sums.

Metrics that more than one process has are told apart by `job`, whose values are looked up from
metrics that only one of them has.
"""

from charts.dashboards.panels import Panel, Query, Variable

RATE = "[$__rate_interval]"
RANGE = "[$__range]"
OF_APP = 'job=~"$app"'
OF_SIDECAR = 'job=~"$sidecar",k8s_namespace_name=~"$namespace",k8s_pod_name=~"$pod"'
OF_POD = 'k8s_namespace_name=~"$namespace",k8s_pod_name=~"$pod"'
OF_PROFILE = 'telemock_profile=~"$profile"'

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


def rate(metric: str, by: str, where: str = "", over: str = RATE, of: str = "rate") -> str:
    return f"sum by ({by}) ({of}({metric}{{{where}}}{over}))"


def quantiles(metric: str, where: str = "") -> list[Query]:
    """p50, p95 and p99 of a histogram."""
    buckets = rate(f"{metric}_bucket", "le", where)
    return [
        Query(f"histogram_quantile({q}, {buckets})", f"p{round(q * 100)}")
        for q in (0.5, 0.95, 0.99)
    ]


def in_range(title: str, help: str, metric: str, where: str = "", unit: str = "short") -> Panel:
    expr = f"sum(increase({metric}{{{where}}}{RANGE}))"
    return Panel(title, help, unit, [Query(expr)], kind="stat", width=4)


def now(title: str, help: str, expr: str, unit: str = "short") -> Panel:
    return Panel(title, help, unit, [Query(expr)], kind="stat", width=4)


def process(where: str, by: str) -> list[Panel]:
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
                f"sum by ({by}) (rate(process_cpu_seconds_total{{{where}}}{RATE}) "
                f"or rate(process_cpu_time_seconds_total{{{where}}}{RATE}))",
                f"{{{{{by}}}}}",
            )],
            width=12,
        ),
    ]  # fmt: skip
