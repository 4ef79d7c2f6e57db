"""A profile that was in use from elsewhere is meant afterwards, too, until its id means another."""

from pathlib import Path

import pytest

from app.profiles import used as module
from app.profiles.known import known
from app.profiles.used import UsedProfiles
from app.profiles.watch import ProfileSet

OWN = (
    "id: grafana\ntitle: {}\nhosts: [a.test]\n"
    "rules: [{{id: a, action: observe, decode: [protobuf]}}]\n"
)  # fmt: skip


@pytest.fixture
def added(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "profiles"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "grafana.yaml"
    file.write_text(OWN.format("Own"))
    return file


def meant(added: Path | None, id: str = "grafana") -> tuple[str, str]:
    """The title of what captures are read by, and where it is from."""
    found = known((), added)
    one = found.find(id)
    assert one is not None and one.profile.title == one.written.title
    return one.profile.title, found.origin(id)


def test_it_is_meant_while_in_use_and_after_and_its_file_may_go(added: Path, own: Path) -> None:
    shipped = meant(added)
    assert shipped == ("Grafana", "shipped")
    profiles = ProfileSet([own], added=added)
    assert profiles.known.origin("grafana") == "in use"
    own.unlink()
    assert meant(added) == ("Own", "kept")
    assert known((), added).decoders("grafana", "a") == ("protobuf",)
    others = ProfileSet(["cribl"], added=added)
    assert others.known.origin("grafana") == "kept"
    assert meant(None) == shipped


def test_the_last_one_is_meant_also_once_its_file_changes(added: Path, own: Path) -> None:
    profiles = ProfileSet([own], added=added)
    own.write_text(OWN.format("Changed since"))
    assert profiles.check()
    assert meant(added) == ("Changed since", "kept")


@pytest.mark.parametrize("by", ["grafana", "an added one"])
def test_an_id_that_is_used_as_shipped_or_added_means_that_again(
    added: Path, own: Path, by: str
) -> None:
    ProfileSet([own], added=added)
    if by == "grafana":
        ProfileSet(["grafana"], added=added)
        assert meant(added) == ("Grafana", "shipped")
    else:
        (added / "grafana.yaml").write_text(OWN.format("Added"))
        assert meant(added) == ("Own", "kept")
        ProfileSet([added / "grafana.yaml"], added=added)
        assert meant(added) == ("Added", "added")


def test_a_relative_path_is_not_taken_for_the_shipped_one(
    added: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own.parent)
    ProfileSet(["./grafana.yaml"], added=added)
    assert meant(added) == ("Own", "kept")


@pytest.mark.parametrize("data", [b"", b"{}", b"\x28\xb5\x2f\xfd", b"[1]"])
def test_what_cannot_be_read_is_none(added: Path, own: Path, data: bytes) -> None:
    file = added.parent / "profiles-used.json"
    file.write_bytes(data)
    assert meant(added) == ("Grafana", "shipped")
    ProfileSet([own], added=added)
    assert meant(added) == ("Own", "kept")


def test_without_a_place_nothing_is_kept_and_nothing_raised(own: Path, tmp_path: Path) -> None:
    ProfileSet([own])
    ProfileSet([own], added=tmp_path / "none" / "profiles")
    assert [path.name for path in tmp_path.iterdir()] == ["grafana.yaml"]


def test_the_last_ones_are_kept_and_an_unchanged_file_is_not_written(
    added: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for id in ("one", "two", "three", "two"):
        file = tmp_path / f"{id}.yaml"
        file.write_text(OWN.format(id).replace("grafana", id))
        ProfileSet([file], added=added)
    assert [*UsedProfiles(added).read()] == ["three", "two"]
    before = (added.parent / "profiles-used.json").stat().st_ino
    ProfileSet([file], added=added)
    ProfileSet(["cribl"], added=added)
    assert (added.parent / "profiles-used.json").stat().st_ino == before
