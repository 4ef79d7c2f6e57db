"""The clients: whose, where they send, and what of it must be found again."""

from pathlib import Path
from typing import NamedTuple

from app.profiles.read import BUILT_IN, built_in

HERE = Path(__file__).parent
OWN = HERE / "profiles"  # for which the product's own host is made up
PROFILES = (*built_in(), str(OWN))
INSTALLED = HERE.parents[1] / ".venv/clients"
OTLP = "otlp.acme.test"  # a host of the product's own vendor, as these two mostly are
SNOWPLOW = "collector.acme.test"
MLFLOW = "api.mlflow-telemetry.io"  # mlflow's first answer names it, and so do we


ALL = frozenset({"password", "key", "email", "own_key"})
THREE = ALL - {"own_key"}  # they need none
ONE = frozenset({"key"})


class Client(NamedTuple):
    """`id` is the path of its program without the ending. `package` is what is installed, `hosts`
    where it sends. `version` is "package" where it is the package's own, "" where the program gives
    one. `secrets` are those of the program's that it sends, in as many `requests` and `events`."""

    id: str
    package: str
    hosts: tuple[str, ...]
    version: str = ""
    secrets: frozenset[str] = ALL
    requests: int = 1
    events: int = 3

    @property
    def profile(self) -> str:
        return self.id.partition("/")[2]

    @property
    def profile_file(self) -> Path:
        own = OWN / f"{self.profile}.yaml"
        return own if own.exists() else BUILT_IN / own.name

    @property
    def program(self) -> Path:
        return HERE / f"{self.id}.{'py' if self.id.startswith('python') else 'cjs'}"


CLIENTS = (
    Client("python/amplitude", "amplitude-analytics", ("api2.amplitude.com",)),
    Client("python/dbt", "dbt-core", ("fishtownanalytics.sinter-collect.com",), "package", ONE),
    Client("python/ga4", "ga4mp", ("www.google-analytics.com",)),
    Client(
        "python/huggingface",
        "huggingface-hub",
        ("huggingface.co",),
        "package",
        secrets=THREE,
        requests=4,
        events=0,
    ),
    Client("python/mixpanel", "mixpanel", ("api.mixpanel.com",)),
    Client(
        "python/mlflow",
        "mlflow-skinny",
        ("config.mlflow-telemetry.io", MLFLOW),
        "package",
        THREE,
        2,
    ),
    Client("python/opentelemetry", "opentelemetry-exporter-otlp-proto-http", (OTLP,)),
    Client("python/posthog", "posthog", ("us.i.posthog.com",)),
    Client("python/rudderstack", "rudder-sdk-python", ("api.rudderstack.com",)),
    Client("python/segment", "segment-analytics-python", ("api.segment.io",)),
    Client("python/sentry", "sentry-sdk", ("o1.ingest.sentry.io",), requests=3),
    Client("python/snowplow", "snowplow-tracker", (SNOWPLOW,), secrets=THREE),
    Client("node/amplitude", "@amplitude/analytics-node", ("api2.amplitude.com",)),
    Client("node/mixpanel", "mixpanel", ("api.mixpanel.com",)),
    Client("node/next", "next", ("telemetry.nextjs.org",), "package", THREE),
    Client("node/opentelemetry", "@opentelemetry/exporter-logs-otlp-http", (OTLP,)),
    Client("node/posthog", "posthog-node", ("us.i.posthog.com",)),
    Client(
        "node/rudderstack",
        "@rudderstack/rudder-sdk-node",
        ("acme.dataplane.rudderstack.com",),
        requests=2,
    ),
    Client("node/segment", "@segment/analytics-node", ("api.segment.io",)),
    Client("node/sentry", "@sentry/node", ("o1.ingest.sentry.io",), requests=4, events=4),
    Client("node/snowplow", "@snowplow/node-tracker", (SNOWPLOW,), secrets=THREE),
)
HOSTS = tuple(dict.fromkeys(host for client in CLIENTS for host in client.hosts))
