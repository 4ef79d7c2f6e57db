from pathlib import Path

import pytest

from addon.options import SETTINGS as SIDECAR
from addon.options import load as sidecar
from app import environment
from app.contract.settings import Setting, SettingError
from app.settings import SETTINGS, env_file, load, markdown

ROOT = Path(__file__).parents[3]


def test_defaults_bind_loopback_and_keep_the_rules() -> None:
    settings = load({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.logs == settings.data / "logs"
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


def test_directories_are_looked_for_when_they_are_asked_for(tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path / "none")}
    settings = load(nowhere)
    with pytest.raises(SettingError, match="TELEMOCK_DATA=DIRECTORY"):
        _ = settings.data
    assert load({**nowhere, "TELEMOCK_DATA": "d"}).logs == Path("d/logs")


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LOG_LEVEL", "warn", "WARNING"),
        ("LOG_LEVEL", " critical", "ERROR"),
        ("LOG_FORMAT", "Json", "json"),
        ("TELEMOCK_MODE", "Observe ", "observe"),
        ("PORT", " 80 ", 80),
        ("TELEMOCK_CLUSTER", "TRUE ", True),
    ],
)
def test_a_value_may_be_written_in_other_ways(name: str, value: str, read: object) -> None:
    """In the app and in the sidecar alike."""
    assert getattr(load({name: value}), name.removeprefix("TELEMOCK_").lower()) == read
    if name in {row.name for row in SIDECAR}:
        assert getattr(sidecar({name: value}), name.removeprefix("TELEMOCK_").lower()) == read


def test_what_app_and_sidecar_both_read_they_read_by_one_row() -> None:
    """But for directories, whose help differs, and the explicit proxy, which a redirect unsets."""
    rows = {row.name: row for row in SIDECAR}
    for row in SETTINGS:
        other = rows.get(row.name)
        if other and row.name not in ("MITM_PORT", "TELEMOCK_DATA"):
            assert parsed(row) == parsed(other), row.name


def parsed(row: Setting) -> list[object]:
    def of(value: str) -> object:
        try:
            return row.parse(value)
        except ValueError:
            return "refused"

    return [row.default, *map(of, ("", "x", "1", "Mock", "debug", "JSON", "a:1=b:2", "64KiB"))]


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
    assert load(environment.server()) == load({})


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


def test_added_profiles_are_found_by_name_and_all_together(tmp_path: Path) -> None:
    environ = {"TELEMOCK_DATA": str(tmp_path), "TELEMOCK_PROFILES": "cribl,acme,added"}
    assert load(environ).profiles == ("cribl", "acme")  # nothing was added yet
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "acme.yaml").touch()
    (folder / "cribl.yaml").touch()
    own = (str(folder / "cribl.yaml"), str(folder / "acme.yaml"), str(folder))
    assert load(environ).profiles == own
    assert load(environ).sources(["grafana", "acme"]) == ("grafana", str(folder / "acme.yaml"))


def test_without_a_directory_nothing_was_added() -> None:
    assert load({"HOME": "/none/such"}).profiles == ("cribl",)
