import os
import time
from pathlib import Path

import pytest

from app.contract.canary import kept
from app.contract.canary.kept import MOST, KeptFiles, KeptWord


@pytest.fixture(autouse=True)
def no_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PERIOD", 0)


def test_new_words_are_told_once_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("0123456789abcdef-old")
    os.utime(tmp_path / "old", (1, 1))
    words = KeptFiles({str(tmp_path): "~"})
    assert list(words.new()) == []
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "x.json").write_text('{"id": "0123456789abcdef", "notified": "words"}')
    assert list(words.new()) == [KeptWord(b"0123456789abcdef", "~/.config/x.json")]
    assert list(words.new()) == []
    (tmp_path / ".config" / "x.json").write_text(
        '{"id": "0123456789abcdef", "salt": "9fac69ddd001"}'
    )
    assert [word.word for word in words.new()] == [b"9fac69ddd001"]


def test_what_is_no_file_of_its_own_is_left_alone(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    words = KeptFiles({str(home): "~"})
    (other / "secret").write_text("0123456789abcdef")
    (home / "link").symlink_to(other / "secret")
    (home / "folder").symlink_to(other)
    os.mkfifo(home / "pipe")
    (home / "large").write_bytes(b"0123456789abcdef" * 5000)
    (home / "node_modules").mkdir()
    (home / "node_modules" / "x").write_text("0123456789abcdef")
    began = time.monotonic()
    assert list(words.new()) == []
    assert time.monotonic() - began < 5


def test_a_name_that_is_no_plain_one_is_not_told(tmp_path: Path) -> None:
    words = KeptFiles({str(tmp_path): "~"})
    (tmp_path / "a b\x1b").write_text("0123456789abcdef")
    assert [word.place for word in words.new()] == ["a file of ~"]


def test_the_number_of_words_is_bounded(tmp_path: Path) -> None:
    words = KeptFiles({str(tmp_path): "~"})
    (tmp_path / "x").write_text(" ".join(f"word-{n:08}" for n in range(500)))
    assert len(list(words.new())) == MOST


def test_an_id_by_its_look() -> None:
    assert KeptWord(b"5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e", "").is_id
    assert not KeptWord(b"short-1", "").is_id
    assert not KeptWord(b"a-sentence-without-one", "").is_id
