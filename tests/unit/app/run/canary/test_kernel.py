import errno
import os
import socket
from pathlib import Path

import pytest

from app.run import transparent
from app.run.canary import kernel
from app.run.canary.kernel import Override, tried

root = pytest.mark.skipif(os.geteuid() != 0, reason="it needs root")


def step(do, holds=lambda: True) -> Override:
    return Override("x", do, holds)


@root
def test_what_works_is_left_and_this_process_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("copy")
    (tmp_path / "target").write_text("target")
    (tmp_path / "root").mkdir()
    host, cwd = socket.gethostname(), Path.cwd()
    steps = [
        kernel.host_name("another"),
        kernel.file("file", str(tmp_path / "copy"), str(tmp_path / "target")),
        kernel.directory("directory", str(tmp_path), str(tmp_path / "root")),
        kernel.working(str(tmp_path / "root"), str(tmp_path)),
    ]
    assert tried(steps) == {}
    assert (socket.gethostname(), Path.cwd()) == (host, cwd)
    assert (tmp_path / "target").read_text() == "target"
    assert not list((tmp_path / "root").iterdir())


@root
def test_what_does_not_work_is_said_and_does_not_hinder_the_rest(tmp_path: Path) -> None:
    assert tried([kernel.file("it", str(tmp_path / "none"), "/etc/hostname")]) == {
        "it": os.strerror(errno.ENOENT)
    }
    assert tried([step(lambda: None, lambda: False)]) == {
        "x": "programs here do not ask what was changed"
    }
    assert tried([step(lambda: os._exit(1))]) == {"x": "the trial of it ended early"}


def test_without_namespaces_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(kernel, "enter", refuse)
    assert "no namespaces here" in tried([step(lambda: None)])["x"]
    monkeypatch.setattr("sys.platform", "darwin")
    assert tried([step(lambda: None)]) == {"x": "it needs Linux"}


def test_nothing_to_do_enters_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "enter", lambda: 1 / 0)
    kernel.become([])


def test_a_file_that_is_gone_since_it_was_tried_hinders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a container's network interface."""
    done = []

    def bind(copy: str, target: str) -> None:
        done.append(copy)
        if not (Path(target).exists() and Path(copy).exists()):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target)

    monkeypatch.setattr(kernel, "enter", lambda: None)
    monkeypatch.setattr(transparent, "bind", bind)
    there, gone = tmp_path / "there", str(tmp_path / "gone")
    there.touch()
    kernel.become([kernel.file("it", str(there), gone), kernel.file("it", str(there), str(there))])
    assert done == [str(there), str(there)]
    with pytest.raises(FileNotFoundError):
        kernel.become([kernel.file("it", gone, str(there))])
