import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from app.cli import open as opening
from app.cli import server
from app.client import page_link
from app.client.page_link import PageRelay
from app.run.processes import App
from tests.unit.app.cli.conftest import Telemock
from tests.waiting import wait_for


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_the_link_of_a_running_app_is_printed_and_opened(
    telemock: Telemock, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(opening.webbrowser, "open", opened.append)
    monkeypatch.setattr(opening, "_has_screen", lambda: True)
    done = telemock("open")
    assert done.code == 0
    link = done.out.strip()
    assert link.startswith(f"{app.url}/login?code=")
    assert opened == [link]
    assert telemock("open", "--no-browser").out.strip() != link
    assert len(opened) == 1


def test_no_browser_takes_a_terminal_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    assert not opening._has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert opening._has_screen()
    monkeypatch.setenv("SSH_CONNECTION", "a b")
    assert not opening._has_screen()


def test_without_an_app_it_says_how_to_start_one(telemock: Telemock) -> None:
    done = telemock("open")
    assert done.code == 3
    assert "no app runs on" in done.err
    assert "hint: start one with `telemock serve`" in done.err


def test_a_cluster_is_reached_by_an_address_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tunnel itself has its own tests; here it is an address where nobody answers."""
    asked: list[tuple[str, str]] = []

    @contextmanager
    def page_in_cluster(context: str, name: str) -> Iterator[tuple[PageRelay, str]]:
        asked.append((context, name))
        away = httpx.AsyncHTTPTransport(trust_env=False)
        yield PageRelay(away, httpx.URL("http://127.0.0.1:9"), lambda: "away"), "/login?code=x"

    running: list[server.Server] = []

    class Stopping(server.Server):
        def run(self, sockets: list[socket.socket] | None = None) -> None:
            running.append(self)
            assert sockets is not None
            url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"

            def ask() -> None:
                wait_for(lambda: self.started)
                answers.append(httpx.get(url, trust_env=False).status_code)
                self.should_exit = True

            threading.Thread(target=ask).start()
            super().run(sockets)

    answers: list[int] = []
    monkeypatch.setattr(page_link, "page_in_cluster", page_in_cluster)
    monkeypatch.setattr(server, "Server", Stopping)
    opening._through_tunnel("staging", "telemock", browser=False)
    assert asked == [("staging", "telemock")]
    assert answers == [502]
    assert "/login?code=x" in capsys.readouterr().out
