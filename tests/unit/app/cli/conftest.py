"""The command line in a directory of its own, with a store or a running app."""

import io
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.cli import main
from app.contract.names import FILE_STORE
from app.run.processes import App, start_app
from app.settings import SETTINGS
from app.store.sqlite.store import SqliteStore


class Done(NamedTuple):
    code: int
    out: str
    err: str


Telemock = Callable[..., Done]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no setting from outside."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".telemock").mkdir()
    return tmp_path


@pytest.fixture
def telemock(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Telemock:
    """Runs `telemock ARGUMENTS…` in this process."""

    def run(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["telemock", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        handler = signal.getsignal(signal.SIGINT)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGINT, handler)
        done = capfd.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else int(bool(code)), done.out, done.err)

    return run


@pytest.fixture
def store(place: Path) -> Iterator[SqliteStore]:
    """The store in the default data directory."""
    store = SqliteStore(place / ".telemock" / FILE_STORE)
    yield store
    store.close()


@pytest.fixture
def app(place: Path) -> Iterator[App]:
    """The app on the default data directory, as `telemock serve`."""
    app = start_app(place / ".telemock", place / "logs")
    yield app
    if app.child is not None:
        app.child.stop()
