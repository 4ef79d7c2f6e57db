import os
import stat
from pathlib import Path

import pytest

from app.contract import presence
from app.contract.names import HEADER_LEAVING, HEADER_PRESENCE, HEADER_SIDECAR
from app.contract.presence import Presence
from app.contract.settings import SettingError
from app.main import create_app
from app.profiles import watch
from app.runtime import Runtime
from app.settings import load
from app.store import StoreError
from tests.serving import Served, environment, serving
from tests.waiting import wait_for

PROFILE = Path(__file__).parents[2] / "profile.yaml"


def test_what_is_written_and_by_whom_it_is_read(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.bare.get("/telemetry/?v=1")
        served.captures()
        data = served.runtime.settings.data
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        for name in ("token", "mask.key"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        boot = served.runtime.boot
    logs = tmp_path / "logs"
    assert (logs / "telemetry_requests.log").stat().st_size
    private = (data, logs, data / "store.sqlite", logs / "telemetry_requests.log")
    for path in private:  # as an older version left them
        path.chmod(0o755)
    with serving(tmp_path) as again:
        assert [stat.S_IMODE(path.stat().st_mode) for path in private[:2]] == [0o700, 0o700]
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private} == {0}
        assert again.runtime.boot != boot
        assert again.runtime.token == served.runtime.token
        assert again.runtime.mask_key_id == served.runtime.mask_key_id
        assert [r["boot"] for r in again.captures()] == [boot]


def test_who_was_heard_of_is_noted_and_the_app_itself(tmp_path: Path) -> None:
    sidecar, said = "ab" * 16, presence.encode(Presence(form="hosts", mode="observe"))
    with serving(tmp_path) as served:
        asked = {HEADER_SIDECAR: sidecar, HEADER_PRESENCE: said}
        served.client.get("/api/v1/profiles", headers=asked)
        # A report knows it at once, and asking for one writes nothing.
        modes = served.client.get("/api/v1/report").json()["modes"]
        assert [(m["form"], m["mode"], m["sidecars"]) for m in modes] == [("hosts", "observe", 1)]
        assert sidecar not in {row.boot for row in served.runtime.store.boots()}
        found = {row.boot: row for row in served.runtime.rows().boots()}
        assert (found[sidecar].said.form, found[sidecar].left) == ("hosts", False)
        own = served.runtime.boot
        assert (found[own].said.form, found[own].left) == ("app", False)
        assert found[own].heard_ns >= found[own].said.began_ns > 0
        served.client.get("/api/v1/profiles", headers=asked | {HEADER_LEAVING: "1"})
    with serving(tmp_path) as again:
        found = {row.boot: row for row in again.runtime.store.boots()}
        assert found[sidecar].left and found[own].left


def test_records_that_wait_are_written_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for n in range(200):
            served.bare.get(f"/telemetry/?n={n}")
    with serving(tmp_path) as again:
        assert len(again.captures(200, limit=1000)) == 200


def test_profiles_are_reloaded_and_a_bad_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 0.05)
    profile = tmp_path / "acme.yaml"
    profile.write_text(PROFILE.read_text())
    with serving(tmp_path, TELEMOCK_PROFILES=str(profile)) as served:
        etag = served.client.get("/api/v1/profiles").headers["etag"]
        masker = served.runtime.masker()

        def page() -> str:
            return served.bare.get("/page", headers={"host": "t.acme.test"}).text

        assert page() == "page\n"
        profile.write_text(PROFILE.read_text().replace('body: "page\\n"', "body: changed"))
        wait_for(lambda: page() == "changed")
        assert served.client.get("/api/v1/profiles").headers["etag"] != etag
        assert served.runtime.masker() is not masker

        profile.write_text("id: [")
        wait_for(lambda: served.bare.get("/health").json()["status"] == "degraded")
        assert "acme.yaml" in served.bare.get("/health").json()["profiles"]["error"]
        assert page() == "changed"
        wait_for(lambda: "telemock_profiles_reload_failed 1.0" in served.bare.get("/metrics").text)
        profile.write_text(PROFILE.read_text())
        wait_for(lambda: served.bare.get("/health").json()["status"] == "ok")
    log = (tmp_path / "logs" / "mock_server.log").read_text()
    assert "the profiles changed and are in use" in log
    assert "the change of the profiles is refused" in log


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AssertionError) as caught, serving(tmp_path):
        pass
    assert "did not start" in str(caught.value)
    tmp_path.chmod(0o700)


async def test_what_stops_the_start_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "mask.key").write_bytes(b"x")
    (tmp_path / "nonsense").mkdir()
    (tmp_path / "nonsense" / "store.sqlite").write_bytes(b"x" * 5000)
    for name, error in (
        ("file", SettingError), ("short", SettingError), ("nonsense", StoreError),
    ):  # fmt: skip
        settings = load(environment(tmp_path, TELEMOCK_DATA=str(tmp_path / name)))
        runtime: Runtime = create_app(settings).state.runtime
        with pytest.raises(error) as caught:
            async with runtime.running():
                pass
        assert name in str(caught.value)
        assert "\n\nhint: " in str(caught.value)


def test_what_is_new_is_counted_once_over_restarts_and_from_0_in_each_profile(
    tmp_path: Path,
) -> None:
    profile = tmp_path / "acme.yaml"
    profile.write_text(PROFILE.read_text())

    def new(served: Served, of: str, profile: str) -> float | None:
        name = f"telemock_inventory_new_{of}_total"
        registry = served.runtime.metrics.registry
        return registry.get_sample_value(name, {"telemock_profile": profile})

    with serving(tmp_path, TELEMOCK_PROFILES=str(profile)) as served:
        assert (new(served, "fields", "acme"), new(served, "hosts", "acme")) == (0, 0)
        served.bare.get("/page?v=1&a=1", headers={"host": "t.acme.test"})
        served.captures(1)
        wait_for(lambda: new(served, "hosts", "acme") == 1)
        assert (new(served, "fields", "acme") or 0) >= 2
        profile.write_text(PROFILE.read_text().replace("id: acme\n", "id: other\n"))
        wait_for(lambda: new(served, "hosts", "other") == 0)
    profile.write_text(PROFILE.read_text())
    with serving(tmp_path, TELEMOCK_PROFILES=str(profile)) as again:
        again.bare.get("/page?v=1&a=1", headers={"host": "t.acme.test"})
        again.captures(2)
        wait_for(lambda: "telemock_captures_total{" in again.bare.get("/metrics").text)
        assert (new(again, "fields", "acme"), new(again, "hosts", "acme")) == (0, 0)
