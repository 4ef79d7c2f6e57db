"""app/contract/state.py: one private place for what is captured, and a sentence where there is
none."""

import errno
import os
import pwd
import stat
from pathlib import Path

import pytest

from app.contract import state
from app.contract.settings import SettingError
from tests.volume import volume

OTHER = pwd.getpwnam("nobody")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def test_the_users_own_state_directory_is_the_default(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert state.directory(home) == tmp_path / ".local/state/telemock"
    assert state.directory({**home, "XDG_STATE_HOME": "/x"}) == Path("/x/telemock")
    assert state.directory({**home, "XDG_STATE_HOME": "x"}) == tmp_path / ".local/state/telemock"
    mine = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert state.directory({}) == mine / ".local/state/telemock"


def test_the_projects_directory_is_used_where_it_is_there(here: Path, tmp_path: Path) -> None:
    (here / ".telemock").touch()  # no directory
    assert state.directory({"HOME": str(tmp_path)}).is_relative_to(tmp_path)
    (here / ".telemock").unlink()
    (here / ".telemock").mkdir()
    assert state.directory({"HOME": str(tmp_path)}) == Path(".telemock")


def test_log_files_lie_with_the_captures_or_beside_the_projects() -> None:
    assert state.logs(Path("/x/telemock")) == Path("/x/telemock/logs")
    assert state.logs(Path(".telemock")) == Path("logs")


def test_it_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    for place in (tmp_path / "a/b/telemock", Path(".telemock")):
        before = os.umask(0)
        try:
            state.make_with_room(place)
        finally:
            os.umask(before)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert [p.name for p in place.iterdir()] == [".gitignore"]
        assert (place / ".gitignore").read_text() == "*\n"
        assert stat.S_IMODE((place / ".gitignore").stat().st_mode) == 0o600


def test_what_was_there_before_is_left_alone(tmp_path: Path) -> None:
    volume = tmp_path / "data"
    volume.mkdir(mode=0o755)
    (volume / "lost+found").mkdir()
    state.make(volume)
    assert [p.name for p in volume.iterdir()] == ["lost+found"]
    assert stat.S_IMODE(volume.stat().st_mode) == 0o755
    Path(".telemock").mkdir()
    (Path(".telemock") / ".gitignore").write_text("mine\n")
    state.make(Path(".telemock"))
    assert (Path(".telemock") / ".gitignore").read_text() == "mine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_directory_is_refused(here: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, OTHER.pw_uid, OTHER.pw_gid)
    with pytest.raises(SettingError, match=r"theirs belongs to the user nobody, and this is the"):
        state.directory({"HOME": str(theirs)})
    (theirs / "telemock").mkdir()
    os.chown(theirs / "telemock", OTHER.pw_uid, OTHER.pw_gid)
    with pytest.raises(SettingError, match=r"theirs/telemock belongs to the user nobody"):
        state.directory({**home, "XDG_STATE_HOME": str(theirs)})
    (here / ".telemock").symlink_to(theirs)
    with pytest.raises(SettingError, match=r"^\.telemock belongs to(.|\n)*hint: .*TELEMOCK_DATA="):
        state.directory(home)


@pytest.mark.parametrize("environ", [{"HOME": "/nowhere/at/all"}, {"HOME": "/dev/null/x"}])
def test_no_home_is_a_sentence(environ: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"^HOME is '/(.|\n)*hint: .*TELEMOCK_DATA="):
        state.directory(environ)


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(SettingError, match=r"^HOME is not set(.|\n)*hint: .*TELEMOCK_DATA="):
        state.directory({})


@pytest.mark.parametrize(
    ("place", "said"),
    [("/proc/none", "No such file"), ("/dev/null/x", "Not a directory"), ("file", "File exists")],
)
def test_a_place_that_cannot_be_made_is_named(place: str, said: str) -> None:
    Path("file").touch()
    with pytest.raises(SettingError, match=rf"^TELEMOCK_DATA is '{place}': {said}(.|\n)*hint: "):
        state.make(Path(place))


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    with volume(tmp_path / "small", 1 << 20) as disk:
        disk.fill()
        with pytest.raises(SettingError, match=r"No space left(.|\n)*hint: free some space, or"):
            state.make_with_room(disk.seen)
        assert {p.name for p in disk.seen.iterdir()} == {"filler"}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_the_hint_fits_the_error(number: int) -> None:
    said = str(state.unusable(Path("d"), OSError(number, os.strerror(number), "d/x")))
    assert "(d/x)\n\nhint: TELEMOCK_DATA=DIRECTORY names another, where this user may write" in said
