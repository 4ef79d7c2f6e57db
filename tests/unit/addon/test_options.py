"""addon/options.py: what the environment may say, and what is said about what it may not."""

from pathlib import Path

import pytest

from addon import options
from app.contract.record import Endpoint
from app.contract.settings import SettingError


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
        ("TELEMOCK_TRANSPARENT", "17443"),
        ("TELEMOCK_TRANSPARENT", "0.0.0.0:17443"),
        ("TELEMOCK_TRANSPARENT", "[::]:17443"),
        ("MITM_PORT", "70000"),
        ("TELEMOCK_HEALTH_PORT", "http"),
        ("TELEMOCK_RESOLVE", "cdn.cribl.io=127.0.0.1"),
        ("TELEMOCK_HOSTS", "192.0.2.1"),
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


def test_the_table_shows_every_setting_with_its_help() -> None:
    shown = options.table()
    for row in options.SETTINGS:
        assert f"  {row.name}" in shown
        assert row.help
    assert max(map(len, shown.splitlines())) < 100
