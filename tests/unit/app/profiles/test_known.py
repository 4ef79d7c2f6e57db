"""Captures are read by profiles that are not in use, which are found by their ids alone."""

from pathlib import Path

import pytest

from app.profiles import known as module
from app.profiles.compile import load
from app.profiles.known import KnownProfiles, folders
from app.profiles.read import built_in

TEXT = (
    "id: acme\ntitle: Acme\nhosts: [a.test]\n"
    "rules: [{id: a, action: observe, decode: [protobuf]}]\n"
)  # fmt: skip


@pytest.fixture
def added(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "acme.yaml").write_text(TEXT)
    return folder


def test_shipped_and_added_ones_are_found_by_their_ids(added: Path) -> None:
    known = KnownProfiles(load(["cribl"]).good.values(), folders(added))
    assert [one.profile.id for one in known.in_use] == ["cribl"]
    for id in (*built_in(), "acme"):
        found = known.find(id)
        assert found is not None and found.profile.id == found.written.id == id
        assert known.find(id) is found
        for rule in found.profile.rules:
            assert known.decoders(id, rule.id) == rule.decoders
    assert known.decoders("acme", "a") == ("protobuf",)
    assert known.decoders("acme", "b") == known.decoders("other", "a") == ()


def test_one_in_use_is_meant_whatever_is_shipped_or_added(added: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(TEXT.replace("Acme", "In use"))
    known = KnownProfiles(load([file]).good.values(), folders(added))
    found = known.find("acme")
    assert found is not None and found.profile.title == "In use"


def test_an_added_one_is_meant_in_place_of_a_shipped_one(added: Path) -> None:
    (added / "huggingface.yaml").write_text(TEXT.replace("acme", "huggingface"))
    found = KnownProfiles((), folders(added)).find("huggingface")
    assert found is not None and found.profile.title == "Acme"


@pytest.mark.parametrize(
    "id",
    ["", ".", "..", "../own", "profiles/acme", "acme.yaml", "ACME", "acme\0", "*", "a" * 9_000,
     "/etc/passwd", "\ud800"],
)  # fmt: skip
def test_a_hostile_id_finds_nothing(added: Path, tmp_path: Path, id: str) -> None:
    (tmp_path / "own.yaml").write_text(TEXT)
    known = KnownProfiles((), folders(added))
    assert known.find(id) is None and known.decoders(id, id) == ()


@pytest.mark.parametrize("text", ["", "id: [", TEXT.replace("acme", "other"), TEXT + "x: 1\n"])
def test_a_refused_file_or_one_of_another_id_is_none(added: Path, text: str) -> None:
    (added / "acme.yaml").write_text(text)
    known = KnownProfiles((), folders(added))
    assert known.find("acme") is known.find("other") is None


def test_a_file_is_read_when_its_profile_is_asked_for(
    added: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = module.load_each
    monkeypatch.setattr(module, "load_each", lambda s, good: read.extend(s) or real(s, good))
    known = KnownProfiles(load(["cribl"]).good.values(), folders(added))
    for id in ("cribl", "acme", "acme", "huggingface", "unknown", "acme"):
        known.find(id)
    assert [path.stem for path in read] == ["acme", "huggingface"]
