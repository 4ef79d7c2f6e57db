"""addon/options.py: what the environment may say, and what is said about what it may not."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from addon import options
from app.contract.presence import FORMS
from app.contract.record import Endpoint
from app.contract.settings import SettingError
from tests.sidecar import ROOT


def test_defaults_are_an_explicit_proxy_on_loopback() -> None:
    chosen = options.load({})
    assert chosen.explicit == Endpoint("127.0.0.1", 8080)
    assert chosen.transparent == ()
    assert chosen.health == Endpoint("127.0.0.1", 17490)
    assert chosen.token_file == Path(".telemock/token")
    assert chosen.mode is None
    assert chosen.workload.node


def test_transparent_alone_starts_no_explicit_proxy() -> None:
    chosen = options.load({"TELEMOCK_TRANSPARENT": "127.0.0.1:17443, [::1]:17443"})
    assert chosen.transparent == (Endpoint("127.0.0.1", 17443), Endpoint("::1", 17443))
    assert chosen.explicit is None
    both = options.load({"TELEMOCK_TRANSPARENT": "127.0.0.1:1", "MITM_PORT": "3128"})
    assert both.explicit == Endpoint("127.0.0.1", 3128)


def test_every_value_that_is_read() -> None:
    chosen = options.load(
        {
            "TELEMOCK_HOSTS": "192.0.2.1=CDN.cribl.io,[100::1]=cdn.cribl.io.",
            "TELEMOCK_RESOLVE": "cdn.cribl.io:443=[::1]:8443",
            "TELEMOCK_SPOOL_SIZE": "1MiB",
            "TELEMOCK_BODY_CAP": "64KiB",
            "TELEMOCK_MODE": "observe",
            "POD_NAME": "worker-0",
            "TELEMOCK_WORKLOAD_CONTAINER": "cribl",
        }
    )
    assert chosen.hosts == {"192.0.2.1": "cdn.cribl.io", "100::1": "cdn.cribl.io"}
    assert chosen.resolve == {("cdn.cribl.io", 443): ("::1", 8443)}
    assert (chosen.spool_size, chosen.body_cap) == (1024 * 1024, 64 * 1024)
    assert chosen.mode == "observe"
    assert (chosen.workload.pod, chosen.workload.container) == ("worker-0", "cribl")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMOCK_APP_URL", "127.0.0.1:8000"),
        ("TELEMOCK_APP_URL", "https://app:8443"),
        ("TELEMOCK_APP_URL", "http://app/path"),
        ("TELEMOCK_MODE", "hold"),
        ("TELEMOCK_MODE", "mok"),
        ("TELEMOCK_API_URL", "app:8443"),
        ("TELEMOCK_API_URL", "https://app:8443/path"),
        ("TELEMOCK_API_URL", "ftp://app"),
        ("TELEMOCK_ALL_UNTIL", "2026-01-31T12:00:00"),
        ("TELEMOCK_ALL_UNTIL", "soon"),
        ("TELEMOCK_ALL_UNTIL", "-2h"),
        ("TELEMOCK_ALL_UNTIL", "2 h"),
        ("MITM_PORT", "70000"),
        ("TELEMOCK_HEALTH_PORT", "http"),
        ("TELEMOCK_RESOLVE", "cdn.cribl.io=127.0.0.1"),
        ("TELEMOCK_BODY_CAP", "2MiB"),
        ("TELEMOCK_SPOOL_SIZE", "lots"),
        ("TELEMOCK_SHUTDOWN_SECONDS", "-1"),
        ("TELEMOCK_SHUTDOWN_SECONDS", "nan"),
        ("TELEMOCK_UPSTREAM_CA", "no/such/file.pem"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingError) as e:
        options.load({name: value})
    assert name in str(e.value) and repr(value) in str(e.value)
    assert "\n\nhint: " in str(e.value)


def test_the_api_is_the_app_unless_it_is_named() -> None:
    chosen = options.load({"TELEMOCK_APP_URL": "http://app:8000"})
    assert (chosen.api_url, chosen.api_tls) == ("http://app:8000", None)
    ca = trustme.CA().cert_pem.bytes().decode()
    chosen = options.load({"TELEMOCK_API_URL": "https://app:8443/", "TELEMOCK_API_CA_PEM": ca})
    assert chosen.api_url == "https://app:8443"
    assert chosen.api_tls is not None and len(chosen.api_tls.get_ca_certs()) == 1


def test_the_authority_and_its_public_half_may_lie_elsewhere() -> None:
    chosen = options.load({"TELEMOCK_DATA": "/data"})
    assert chosen.ca_dir == chosen.trust_dir == Path("/data/ca")
    chosen = options.load({"TELEMOCK_DATA": "/data", "TELEMOCK_CA_DIR": "/ca"})
    assert chosen.ca_dir == chosen.trust_dir == Path("/ca")
    chosen = options.load({"TELEMOCK_CA_DIR": "/ca", "TELEMOCK_TRUST_DIR": "/trust"})
    assert (chosen.ca_dir, chosen.trust_dir) == (Path("/ca"), Path("/trust"))


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({}, "proxy"),
        ({"TELEMOCK_LOOPBACK": "127.0.0.2=a.example"}, "loopback"),
        ({"TELEMOCK_TRANSPARENT": "127.0.0.1:17443"}, "all"),
        ({"TELEMOCK_TRANSPARENT": "127.0.0.1:17443", "TELEMOCK_RUN": "7"}, "run"),
        ({"TELEMOCK_RUN": "7"}, "proxy"),
        (
            {"TELEMOCK_TRANSPARENT": "127.0.0.1:17443", "TELEMOCK_HOSTS": "100.64.0.1=a.example"},
            "hosts",
        ),
    ],
)
def test_the_form_in_which_connections_come(settings: dict[str, str], form: str) -> None:
    assert options.load(settings).form == form
    assert form in FORMS


def test_loopback_starts_no_explicit_proxy_and_names_what_its_addresses_stand_for() -> None:
    one = options.load({"TELEMOCK_LOOPBACK": "127.0.0.2=a.example"})
    assert one.explicit is None
    assert one.stands_for == dict.fromkeys(("127.0.0.2", "127.0.0.1", "::1"), "a.example")
    two = options.load({"TELEMOCK_LOOPBACK": "127.0.0.2=a.example,127.0.0.3=b.example"})
    assert two.stands_for == {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}


@pytest.mark.parametrize(
    ("value", "over"),
    [
        ("", False),
        ("2020-01-01T00:00:00Z", True),
        ("2020-01-01T00:00:00+02:00", True),
        ("2999-01-01T00:00:00Z", False),
        ("59m", True),
        ("3599s", True),
        ("61m", False),
        ("2h", False),
        ("1d", False),
    ],
)
def test_all_is_over_at_a_time_or_so_long_after_the_start(value: str, over: bool) -> None:
    chosen = options.load({"TELEMOCK_ALL_UNTIL": value})
    assert chosen.counted_from(datetime.now(UTC) - timedelta(hours=1)).all_is_over is over


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMOCK_EGRESS_PROXY", "https://user:hunter2@proxy:3128"),
        ("TELEMOCK_API_CA_PEM", "/etc/ca.pem"),
    ],
)
def test_a_wrong_value_that_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name) as e:
        options.load({name: value})
    assert value not in str(e.value) and "hunter2" not in str(e.value)
    assert "\n\nhint: " in str(e.value)


def test_the_settings_are_judged_before_mitmproxy_is_imported() -> None:
    code = "import sys, addon.options; print('mitmproxy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_the_table_shows_every_setting_with_its_help() -> None:
    shown = options.table()
    for row in options.SETTINGS:
        assert f"  {row.name}" in shown
        assert row.help
    assert max(map(len, shown.splitlines())) < 100


def test_the_process_is_named_by_its_pod_or_by_its_start() -> None:
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    pod = {"POD_NAMESPACE": "shop", "POD_NAME": "cribl-0", "POD_UID": "1", "NODE_NAME": "n"}
    found = options.load(exporting | pod).otel.resource
    assert (
        found.items()
        >= {
            "service.name": "telemock-sidecar",
            "service.instance.id": "shop.cribl-0.telemock",
            "k8s.namespace.name": "shop",
            "k8s.pod.name": "cribl-0",
            "k8s.pod.uid": "1",
            "k8s.node.name": "n",
            "k8s.container.name": "telemock",
        }.items()
    )
    alone = options.load(exporting)
    assert alone.otel.resource["service.instance.id"] == alone.boot
    assert not [x for x in alone.otel.resource if x.startswith("k8s.")]
    assert alone.boot != options.load({}).boot


def test_a_wrong_variable_of_opentelemetry_is_refused() -> None:
    with pytest.raises(SettingError, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"):
        options.load(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        )
