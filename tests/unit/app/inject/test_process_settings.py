import pytest

from app.contract.settings import SettingError
from app.inject.process_settings import SETTINGS, load
from app.settings import markdown

GIVEN = {"TELEMOCK_SIDECAR_IMAGE": "telemock-sidecar:1", "POD_NAMESPACE": "telemock"}


def test_defaults_are_those_of_the_release() -> None:
    found = load({**GIVEN, "TELEMOCK_FULLNAME": "tm"})
    assert (found.port, found.log_level, found.profiles) == (9443, "INFO", ("cribl",))
    assert found.log_format == "text"
    assert found.inject.image == "telemock-sidecar:1"
    assert found.inject.app_url == "http://tm.telemock.svc:8000"
    assert found.inject.api_url == "https://tm.telemock.svc:8443"
    assert found.inject.redirect == "auto"
    assert found.inject.resources["limits"] == {"memory": "192Mi"}


def test_every_part_of_inject_can_be_set() -> None:
    found = load(
        {
            **GIVEN,
            "TELEMOCK_MODE": "observe",
            "TELEMOCK_INJECT_REDIRECT": "loopback",
            "TELEMOCK_INJECT_TRUST": "python, CURL_CA_BUNDLE",
            "TELEMOCK_INJECT_DUMMY_RANGES": "10.9.0.0/16, fd09::/64",
            "TELEMOCK_INJECT_EGRESS_PROXY": "http://u:p@proxy:3128",
            "TELEMOCK_INJECT_PULL_POLICY": "Never",
            "TELEMOCK_INJECT_RESOURCES": '{"requests": {"cpu": "1m"}}',
            "TELEMOCK_INJECT_ENV": '{"OTEL_SDK_DISABLED": "true"}',
            "TELEMOCK_INJECT_OTEL_HEADERS": "collector/headers",
            "TELEMOCK_APP_URL": "http://elsewhere:8000/",
        }
    ).inject
    assert (found.mode, found.redirect, found.trust) == (
        "observe",
        "loopback",
        ("python", "CURL_CA_BUNDLE"),
    )
    assert [str(network) for network in found.dummy_ranges] == ["10.9.0.0/16", "fd09::/64"]
    assert found.egress_proxy == "http://u:p@proxy:3128"
    assert (found.pull_policy, found.resources) == ("Never", {"requests": {"cpu": "1m"}})
    assert found.env == {"OTEL_SDK_DISABLED": "true"}
    assert found.otel_headers == ("collector", "headers")
    assert found.app_url == "http://elsewhere:8000"


def test_opentelemetry_gets_the_pods_names() -> None:
    environ = {
        **GIVEN, "POD_NAME": "inj-1", "POD_UID": "u", "NODE_NAME": "n",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
    }  # fmt: skip
    found = load(environ).otel
    assert found.metrics
    assert found.resource["service.name"] == "telemock-injector"
    assert found.resource["service.instance.id"] == "telemock.inj-1.injector"
    assert (found.resource["k8s.pod.uid"], found.resource["k8s.node.name"]) == ("u", "n")


def test_a_wrong_otel_variable_is_named() -> None:
    with pytest.raises(SettingError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        load(
            {
                **GIVEN,
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            }
        )


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_what_is_needed_is_asked_for(name: str) -> None:
    with pytest.raises(SettingError, match=rf"{name} is empty(.|\n)*hint: "):
        load({**GIVEN, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMOCK_INJECTOR_PORT", "x"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("TELEMOCK_MODE", "hold"),
        ("TELEMOCK_PROFILES", ","),
        ("TELEMOCK_APP_URL", "ftp://x"),
        ("TELEMOCK_API_URL", "http://plain"),
        ("TELEMOCK_INJECT_REDIRECT", "none"),
        ("TELEMOCK_INJECT_TRUST", "perl"),
        ("TELEMOCK_INJECT_DUMMY_RANGES", "192.0.2.0/24"),
        ("TELEMOCK_INJECT_PULL_POLICY", "Sometimes"),
        ("TELEMOCK_INJECT_RESOURCES", "[1]"),
        ("TELEMOCK_INJECT_RESOURCES", "{"),
        ("TELEMOCK_INJECT_ENV", '{"A": 1}'),
        ("TELEMOCK_INJECT_OTEL_HEADERS", "collector"),
    ],
)
def test_wrong_values_name_setting_value_and_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=rf"(?s)^{name} is .*expected .*\n\nhint: ") as e:
        load({**GIVEN, name: value})
    assert repr(value) in str(e.value)


@pytest.mark.parametrize("value", ["proxy:3128", "http://u:secret@", "https://u:secret@h:1"])
def test_a_wrong_proxy_is_not_shown(value: str) -> None:
    with pytest.raises(SettingError, match="no proxy's URL") as e:
        load({**GIVEN, "TELEMOCK_INJECT_EGRESS_PROXY": value})
    assert "secret" not in str(e.value)


def test_every_setting_is_in_the_table() -> None:
    assert all(f"| `{row.name}` |" in markdown(SETTINGS) for row in SETTINGS)
