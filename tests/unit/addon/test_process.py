"""addon/process.py: what one process is made of, and what mitmproxy is told."""

import json
import os
from pathlib import Path

import pytest
from mitmproxy import options as mitmproxy_options

from addon import options
from addon.process import Process, token_reader, written
from app.contract import presence
from app.contract.names import HEADER_PRESENCE
from app.contract.rules import Bundle, Host, Profile, Rule, RuleSet
from app.contract.settings import SettingError
from tests.peers import App
from tests.sidecar import bundle_of, rule, sidecar
from tests.waiting import wait_for

RULES = bundle_of(rule("index", "/telemetry/index.html"))


def test_mitmproxys_defaults_that_hurt_are_changed(tmp_path: Path) -> None:
    environ = {
        "TELEMOCK_DATA": str(tmp_path / "data"),
        "TELEMOCK_TRANSPARENT": "127.0.0.1:17443,[::1]:17443",
        "MITM_PORT": "3128",
    }
    process = Process(options.load(environ), RULES)
    told = process.mitmproxy_options()
    assert told["mode"] == [
        "gate@127.0.0.1:17443",
        "gate@::1:17443",
        "regular@127.0.0.1:3128",
    ]
    assert told["connection_strategy"] == "lazy"
    assert told["upstream_cert"] is False
    assert told["store_streamed_bodies"] is False
    assert Path(told["ssl_verify_upstream_trusted_ca"]).is_file()
    assert Path(told["confdir"]) / "ca.pem"
    known = mitmproxy_options.Options()
    assert {"mode", "confdir", "upstream_cert", "rawtcp"} <= set(known.keys())
    assert process.ready() == "starting"
    process.stop()


def test_token_is_read_anew_each_time(tmp_path: Path) -> None:
    read = token_reader(tmp_path / "token")
    assert read() == ""
    (tmp_path / "token").write_text("one\n")
    assert read() == "one"
    (tmp_path / "token").write_text("two\n")
    assert read() == "two"
    with pytest.raises(IsADirectoryError):  # which the API's client says, in place of a 401
        token_reader(tmp_path)()


def test_addresses_are_written_with_brackets() -> None:
    assert written([("127.0.0.1", 80), ("::1", 443)]) == ["127.0.0.1:80", "[::1]:443"]


def test_a_running_process_says_where_it_is_and_how_it_does(tmp_path: Path) -> None:
    with sidecar(tmp_path / "one", RULES) as running:
        said = json.loads((running.data / "sidecar.json").read_text())
        assert said == {
            "pid": running.process.pid,
            "proxy": [f"127.0.0.1:{running.proxy}"],
            "health": [f"127.0.0.1:{running.health_port}"],
        }
        health = running.health()
        assert health["status"] == "ok" and health["proxy"] == said["proxy"]
        assert health["in_flight"] == 0 and health["uptime_s"] >= 0
        assert len(health["boot"]) == 32 and health["shipper"]["boot"] == health["boot"]
        running.ask("/telemetry/index.html?lic=s3cret")
        wait_for(running.records)
        running.process.terminate()
        assert running.process.wait(15) == 0
    said_last = running.log.read_text()
    assert "records stay in the spool for the next start" in said_last  # there was no app
    for folder, _, files in os.walk(tmp_path):
        for file in files:
            assert b"s3cret" not in (Path(folder) / file).read_bytes()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_second_signal_waits_no_longer(tmp_path: Path, signals: int) -> None:
    with sidecar(tmp_path / "one", RULES, TELEMOCK_SHUTDOWN_SECONDS="1") as running:
        for _ in range(signals):
            running.process.terminate()
        assert running.process.wait(15) == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("hosts", 41)),
        ({"TELEMOCK_RUN": "7"}, ("run", 0)),  # the counter would be the whole machine's
        ({"TELEMOCK_TRANSPARENT": "", "MITM_PORT": "0"}, ("proxy", 0)),
    ],
)
def test_every_request_to_the_app_says_how_connections_come(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, str],
    expected: tuple[str, int],
) -> None:
    monkeypatch.setattr("addon.process.unreachables_sent", lambda: 41)
    app = App(RULES)
    environ = {
        "TELEMOCK_DATA": str(tmp_path / "data"),
        "TELEMOCK_APP_URL": f"http://127.0.0.1:{app.port}",
        "TELEMOCK_TRANSPARENT": "127.0.0.1:17443",
        "TELEMOCK_HOSTS": "100.64.0.1=cdn.cribl.io",
        "TELEMOCK_MODE": "observe",
    }
    process = Process(options.load(environ | more), RULES)
    process.profiles.try_once()
    process.profiles._api.close()  # as delivery does at its end, which did not begin here
    process.stop()
    app.close()
    said = [presence.decode(value.decode()) for value in app.presence]
    assert {(one.form, one.quic_refused) for one in said} == {expected}
    assert {one.mode for one in said} == {"observe"} and said[0].began_ns > 0


@pytest.mark.parametrize(
    ("more", "unled"),
    [
        ({}, "cdn.cribl.io:4319,cdn.cribl.io:6514"),
        ({"TELEMOCK_PORTS": "cdn.cribl.io:4319"}, "cdn.cribl.io:6514"),
        ({"TELEMOCK_PORTS": "cdn.cribl.io:4319,cdn.cribl.io:6514"}, ""),
        ({"TELEMOCK_HOSTS": "100.64.0.1=other.example"}, ""),
        ({"TELEMOCK_TRANSPARENT": "", "TELEMOCK_HOSTS": "", "MITM_PORT": "0"}, ""),
        ({"TELEMOCK_RUN": "1"}, ""),  # which leads them itself
    ],
)
def test_ports_that_a_profile_names_since_the_start_are_told(
    tmp_path: Path, more: dict[str, str], unled: str
) -> None:
    named = Host("cdn.cribl.io", ports=(6514, 4319))
    rules = Bundle(RuleSet((Profile("p", "", (named,), (Rule("all", "mock"),)),)))
    environ = {
        "TELEMOCK_DATA": str(tmp_path / "data"),
        "TELEMOCK_TRANSPARENT": "127.0.0.1:17443",
        "TELEMOCK_HOSTS": "100.64.0.1=cdn.cribl.io,100::1=cdn.cribl.io",
    }
    process = Process(options.load(environ | more), rules)
    assert presence.decode(process._presence()[HEADER_PRESENCE]).unled == unled
    process.profiles._api.close()
    process.stop()


def test_a_fault_of_connections_needs_a_redirect(tmp_path: Path) -> None:
    environ = {"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_REHEARSE": "dropped until 1h"}
    with pytest.raises(SettingError, match=r"TELEMOCK_REHEARSE is dropped, .*there is none"):
        Process(options.load(environ), RULES)
    redirected = environ | {"TELEMOCK_TRANSPARENT": "127.0.0.1:17443"}
    process = Process(options.load(redirected), RULES)
    assert process.profiles.failure("cdn.cribl.io") and not process.profiles.failure("a.example")
    process.stop()
