import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.files import is_full, private, tighten, write_to, write_whole


def test_full_is_a_disk_or_a_quota() -> None:
    assert is_full(OSError(errno.ENOSPC, "")) and is_full(OSError(errno.EDQUOT, ""))
    assert not is_full(OSError(errno.EACCES, ""))


def test_a_file_takes_the_place_of_another_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with path.open("rb") as reader:
        write_whole(path, [b"x", b"y"], 0o600)
        assert reader.read() == b"before"
    assert path.read_bytes() == b"xy"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_what_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise OSError("no more")

    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="no more"):
        write_whole(path, pieces(), sync=True)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_link_lets_the_first_one_win(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", [b"first"], put=os.link, sync=True)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", [b"second"], put=os.link)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def modes(*paths: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in paths]


def test_files_are_their_owners_alone_unless_the_writer_says_otherwise(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", [b""])
    write_whole(tmp_path / "b", [b""], 0o644)
    with open(tmp_path / "c", "wb", opener=private):
        pass
    assert modes(tmp_path / "a", tmp_path / "b", tmp_path / "c") == [0o600, 0o644, 0o600]


def left_open(directory: Path, *names: str) -> list[Path]:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_bytes(b"")
        (directory / name).chmod(0o664)
    directory.chmod(0o775)
    return [directory / name for name in names]


def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    a, b = left_open(tmp_path / "logs", "a.log", "a.log.2026.zst")
    tighten(tmp_path / "logs", ["a.log*"])
    assert modes(tmp_path / "logs", a, b) == [0o700, 0o600, 0o600]
    tighten(tmp_path / "none", ["*"])


def test_a_directory_with_other_things_in_it_stays_open_and_they_stay_as_they_are(
    tmp_path: Path,
) -> None:
    a, other = left_open(tmp_path / "shared", "a.log", "others.log")
    tighten(tmp_path / "shared", ["a.log*"])
    assert modes(tmp_path / "shared", a, other) == [0o775, 0o600, 0o664]


def test_no_link_is_followed_and_no_directory_of_everybody_is_closed(tmp_path: Path) -> None:
    (other,) = left_open(tmp_path / "other", "passwd")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").symlink_to(other)
    os.mkfifo(tmp_path / "logs" / "a.log.1", 0o666)
    (tmp_path / "logs").chmod(0o1777)
    tighten(tmp_path / "logs", ["a.log*"])
    assert modes(other) == [0o664]
    assert (tmp_path / "logs").stat().st_mode & 0o7777 == 0o1777


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    link = tmp_path / "stdout"
    link.symlink_to(f"/dev/fd/{writing}")
    write_to(link, [b"on", b"e"])
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"one"
    assert link.is_symlink() and [*tmp_path.iterdir()] == [link]


def test_an_error_names_the_file_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        write_to(tmp_path / "no" / "file", [b"one"])
    assert raised.value.filename == str(tmp_path / "no" / "file")


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    for content in (b"one", b"two"):
        write_to(link, [content], 0o644)
        assert link.is_symlink() and file.read_bytes() == content
    with pytest.raises(IsADirectoryError):
        write_to(tmp_path, [b"one"])
