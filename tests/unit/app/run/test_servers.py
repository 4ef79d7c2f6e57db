"""app/run/servers.py: app and sidecar start when they are needed, once, and end with the run."""

import contextlib
import threading

import pytest

from app.run import processes
from app.run.servers import Servers
from app.settings import load


class Child:
    def __init__(self, pid):
        self.pid, self.ended = pid, False

    def stop(self):
        self.ended = True


class Started:
    url, port, health, proxy, boot = "http://127.0.0.1:1", 1, "", "http://127.0.0.1:2", "boot"

    def __init__(self, pid):
        self.child = Child(pid)
        self.stop = self.child.stop


@pytest.fixture
def started(monkeypatch):
    """Counts starts of app and sidecar."""
    found = []

    def start(name, pid):
        def run(*_, **given):
            found.append((name, threading.current_thread(), given))
            return Started(pid)

        return run

    monkeypatch.setattr(processes, "start_app", start("app", 11))
    monkeypatch.setattr(processes, "start_sidecar", start("sidecar", 12))
    return found


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "data").mkdir()
    return load({"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_LOGS": str(tmp_path / "logs")})


def test_before_a_command_both_start_at_once(started, settings):
    with contextlib.ExitStack() as stack:
        servers = Servers(settings, ["cribl"], stack)
        assert servers.start({"A": "b"}, 1) == "http://127.0.0.1:2"
        assert servers.own == [11, 12]
        assert servers.need()
        app, sidecar = servers.app.child, servers.sidecar.child
    assert [name for name, _, _ in started] == ["app", "sidecar"]
    assert started[0][2]["environ"] == {"TELEMOCK_PROFILES": "cribl"}
    assert (app.ended, sidecar.ended) == (True, True)


def test_for_a_gate_neither_starts_until_the_command_needs_them(started, settings):
    with contextlib.ExitStack() as stack:
        servers = Servers(settings, [], stack, lazy=True)
        hosts = servers.hosts()
        assert any(host.name == "cdn.cribl.io" for host in hosts)
        proxy = servers.start_later({"A": "b"}, 1, hosts)
        assert (settings.data / "ca" / "bundle.pem").exists()
        assert (started, servers.started) == ([], False)
        waiting = [threading.Thread(target=servers.need) for _ in range(3)]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(20)
        assert servers.started
        assert servers.own == [11, 12]
    assert [name for name, _, _ in started] == ["app", "sidecar"]
    given = started[1][2]["environ"]
    assert proxy == f"http://127.0.0.1:{given['MITM_PORT']}"
    assert given["A"] == "b"
    # The kernel ends a child with the thread that started it: that one stays to the end.
    assert started[0][1] is not threading.main_thread()
    assert not started[0][1].is_alive()


def test_a_start_that_fails_is_told_and_waits_for_nobody(started, settings, monkeypatch):
    def fail(*_, **__):
        raise processes.LocalError("no")

    monkeypatch.setattr(processes, "start_sidecar", fail)
    with contextlib.ExitStack() as stack:
        servers = Servers(settings, [], stack, lazy=True)
        servers.hosts()
        assert not servers.need()
        assert not servers.need()
        assert str(servers.error) == "no"


def test_profiles_of_ones_own_are_read_without_an_app(started, settings):
    with contextlib.ExitStack() as stack:
        servers = Servers(settings, ["grafana"], stack, lazy=True)
        servers.hosts()
        assert [one.id for one in servers.profiles] == ["grafana"]
    assert started == []
