"""app/run/trial.py: a run leaves nothing behind, and a new home leads nowhere else."""

import os
import tempfile
from pathlib import Path

import pytest

from app.contract.processes import children, name_of
from app.run.trial import Home, Sent, Trial, tried
from app.settings import load


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_new_home_is_empty_private_and_the_only_one(temporary: Path) -> None:
    home = Home()
    variables = home.environ(
        {"A": "1", "HOME": "/home/ada", "XDG_CONFIG_HOME": "/home/ada/.config"}
    )
    assert variables == {"A": "1", "HOME": str(home.home), "TMPDIR": str(home.directory / "tmp")}
    assert list(home.home.iterdir()) == [] and home.directory.stat().st_mode & 0o077 == 0
    home.remove()
    assert list(temporary.iterdir()) == []


def test_a_switchs_files_are_written_into_the_new_home_alone(
    temporary: Path, tmp_path: Path
) -> None:
    like = tmp_path / "like"
    like.mkdir()
    (like / "kept").write_text("k")
    (like / "out").symlink_to(tmp_path)
    home = Home(like)
    home.write({"~/.config/acme/off": "x", "~/kept": "new"})
    assert (home.home / ".config/acme/off").read_text() == "x"
    assert (home.home / "kept").read_text() == "new" and (like / "kept").read_text() == "k"
    before = sorted(tmp_path.iterdir())
    for name in ("~/out/off", "~/out/.config/acme/off"):
        with pytest.raises(OSError, match="leads out of the new home"):
            home.write({name: "x"})
    assert sorted(tmp_path.iterdir()) == before
    home.remove()


def test_a_home_that_cannot_be_copied_leaves_nothing(temporary: Path) -> None:
    with pytest.raises(OSError):
        Home(Path("/no/such/home"))
    assert list(temporary.iterdir()) == []


def test_rows_are_told_apart_by_whether_a_profile_names_the_host() -> None:
    rows = [
        Sent(host=host, method="", endpoint="", action="", kind="", reason="", profile=profile)
        for host, profile in (("a", "p"), ("b", ""))
    ]
    one = Trial(exit_code=0, sent=rows)
    assert [row.host for row in one.told] == ["a"] and [row.host for row in one.others] == ["b"]


def test_a_run_is_told_and_nothing_of_it_is_left(
    temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before, seen = children(os.getpid()), []
    one = tried(
        ["sh", "-c", "curl -sI https://huggingface.co/api/telemetry/x; (sleep 77 &); cat; "
         "echo $A; exit 3"],
        load({}), {**os.environ, "A": "last\x1b[2J"}, profiles=["huggingface"], wait=0.2,
        look=lambda found, output: seen.extend([len(list(found.records())), output]),
    )  # fmt: skip
    assert (one.exit_code, one.said, one.error) == (3, r"last\x1b[2J", "")
    assert [(row.method, row.host, row.count) for row in one.told] == [
        ("HEAD", "huggingface.co", 1)
    ]
    assert one.coverage is not None and not one.coverage.complete  # of the sleep
    assert seen[0] == 1 and "last\x1b[2J\n" in seen[1]
    assert "sleep" not in [name_of(pid) for pid in children(os.getpid()) if pid not in before]
    assert list(temporary.iterdir()) == [] and capfd.readouterr() == ("", "")
