import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.files import write_whole


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
