from pathlib import Path

import pytest

from app.contract.settings import SettingError
from app.settings import SETTINGS, env_file, load, markdown

ROOT = Path(__file__).parents[3]


def test_defaults_bind_loopback_and_keep_the_rules() -> None:
    settings = load({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.data, settings.logs) == (Path(".telemock"), Path("logs"))
    assert settings.profiles == ("cribl",)
    assert settings.mode is None
    assert settings.max_body == 4 << 30
    assert settings.retention_size == 2 << 30
    assert (settings.logs_days, settings.logs_size) == (30, 1 << 30)
    assert settings.log_format == "text"


def test_values_are_read() -> None:
    settings = load(
        {
            "PORT": "9",
            "LOG_LEVEL": "debug",
            "TELEMOCK_MODE": "block",
            "TELEMOCK_PROFILES": "cribl, more.yaml,",
            "TELEMOCK_RETENTION_SIZE": "1.5MiB",
            "TELEMOCK_RESOLVE": "cdn.cribl.io:443=127.0.0.1:4",
            "TELEMOCK_SERVER": "http://h:1/",
        }
    )
    assert (settings.port, settings.log_level, settings.mode) == (9, "DEBUG", "block")
    assert settings.profiles == ("cribl", "more.yaml")
    assert settings.retention_size == 3 << 19
    assert settings.resolve == {("cdn.cribl.io", 443): ("127.0.0.1", 4)}
    assert settings.server == "http://h:1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "http"),
        ("LOG_LEVEL", "loud"),
        ("TELEMOCK_MODE", "hold"),
        ("TELEMOCK_PROFILES", " , "),
        ("TELEMOCK_MAX_BODY", "-1"),
        ("TELEMOCK_MAX_BODY", "infGiB"),
        ("TELEMOCK_RETENTION_DAYS", "nan"),
        ("TELEMOCK_LOGS_DAYS", "-1"),
        ("TELEMOCK_LOGS_SIZE", "1023KiB"),
        ("LOG_FORMAT", "xml"),
        ("TELEMOCK_SERVER", "localhost:8000"),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name} is {value!r}, expected ")
    assert "\n\nhint: " in text


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=81\nHOST='0.0.0.0'\n# LOG_LEVEL=DEBUG\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "82")
    monkeypatch.delenv("HOST", raising=False)
    settings = load()
    assert (settings.port, settings.host) == (82, "0.0.0.0")


def test_a_file_that_is_no_text_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=r"\.env cannot be read"):
        load()


def test_every_setting_is_documented() -> None:
    table = markdown()
    for row in SETTINGS:
        assert f"| `{row.name}` |" in table
        assert row.help.endswith(".")


def test_env_example_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text() == env_file(), "run: python -m app.settings --env"


def test_env_example_sets_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.removeprefix("#") for line in env_file().splitlines() if line.startswith("#")]
    (tmp_path / ".env").write_text("\n".join(line for line in lines if not line.startswith(" ")))
    monkeypatch.chdir(tmp_path)
    for row in SETTINGS:
        monkeypatch.delenv(row.name, raising=False)
    assert load() == load({})


@pytest.mark.parametrize(
    "url",
    [
        "https://jaeger.test/trace/{trace_id}",
        'http://grafana/explore?panes={"a":{"queries":[{"query":"{trace_id}"}]}}',
        "",
    ],
)
def test_a_link_to_traces(url: str) -> None:
    assert load({"TELEMOCK_TRACE_URL": url}).trace_url == url


@pytest.mark.parametrize(
    "url", ["https://jaeger.test/trace/", "ftp://h/{trace_id}", "{trace_id}", "http:///{trace_id}"]
)
def test_a_link_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"TELEMOCK_TRACE_URL is (.|\n)*hint: "):
        load({"TELEMOCK_TRACE_URL": url})
