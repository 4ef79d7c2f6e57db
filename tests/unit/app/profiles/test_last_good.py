"""The last good version of each file is there after a restart."""

from pathlib import Path

import pytest

from app.contract.names import FILE_LAST_GOOD
from app.profiles import ProfileError, ProfileSet
from app.profiles.last_good import GoodFile, decoded, encoded
from tests.unit.app.profiles.conftest import HEAD, RULES
from tests.unit.app.profiles.test_watch import write

OTHER = HEAD.replace("id: acme", "id: other")
BAD = HEAD + RULES.replace("observe", "mok")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "profiles"
    made.mkdir()
    write(made / "acme.yaml", HEAD + RULES)
    write(made / "other.yaml", OTHER + RULES)
    return made


def started(folder: Path, *more: str | Path) -> ProfileSet:
    return ProfileSet([*more, folder], GoodFile(folder.parent / FILE_LAST_GOOD))


def ids(profiles: ProfileSet) -> list[str]:
    return [p.id for p in profiles.rules.profiles]


def test_a_refused_file_is_used_as_it_was_last_good(folder: Path) -> None:
    before = started(folder).rules
    write(folder / "acme.yaml", BAD)
    again = started(folder)
    assert again.rules == before
    assert "'mok' is not an action" in again.error
    assert again.error.endswith("acme.yaml stays as it was last good")
    # And once more: what was good is not forgotten by a start without it.
    assert started(folder).rules == before


def test_the_others_go_on_changing_meanwhile(folder: Path) -> None:
    started(folder)
    write(folder / "acme.yaml", BAD)
    profiles = started(folder)
    write(folder / "other.yaml", OTHER + RULES.replace("observe", "block"))
    assert profiles.check() is True
    acme, other = profiles.rules.profiles
    assert (acme.rules[0].action, other.rules[0].action) == ("observe", "block")
    assert started(folder).rules == profiles.rules
    write(folder / "acme.yaml", HEAD + RULES.replace("observe", "block"))
    assert profiles.check() is True
    assert profiles.error == ""


def test_one_that_was_never_good_is_left_out(folder: Path) -> None:
    write(folder / "acme.yaml", BAD)
    profiles = started(folder, "cribl")
    assert ids(profiles) == ["cribl", "other"]
    assert profiles.error.endswith("acme.yaml is left out")


def test_nothing_good_at_all_starts_too(folder: Path) -> None:
    for file in folder.iterdir():
        write(file, "id: [")
    profiles = started(folder)
    assert ids(profiles) == [] and "acme.yaml" in profiles.error
    (folder / "acme.yaml").unlink()
    (folder / "other.yaml").unlink()
    assert "holds no profile" in started(folder).error


def test_an_id_that_another_file_has_is_refused_alone(folder: Path) -> None:
    write(folder / "other.yaml", HEAD + RULES)
    profiles = started(folder, "no-such-vendor")
    assert ids(profiles) == ["acme"]
    assert "the id of" in profiles.error and "no-such-vendor is left out" in profiles.error


def test_a_file_that_is_removed_is_forgotten(folder: Path) -> None:
    started(folder)
    (folder / "other.yaml").unlink()
    assert ids(started(folder)) == ["acme"]
    write(folder / "other.yaml", BAD)
    assert ids(started(folder)) == ["acme"]


def test_on_a_laptop_a_refused_file_stops_the_start(folder: Path) -> None:
    started(folder)
    write(folder / "acme.yaml", BAD)
    with pytest.raises(ProfileError):
        ProfileSet([folder])


@pytest.mark.parametrize("held", [b"", b"x", b"\x28\xb5\x2f\xfd", encoded({})[:-1]])
def test_what_another_version_kept_is_as_nothing(folder: Path, held: bytes) -> None:
    (folder.parent / FILE_LAST_GOOD).write_bytes(held)
    assert decoded(held) == {}
    assert ids(started(folder)) == ["acme", "other"]


def test_a_volume_that_takes_nothing_stops_nothing(folder: Path) -> None:
    profiles = ProfileSet([folder], GoodFile(folder / "gone" / "x"))
    assert ids(profiles) == ["acme", "other"]


async def test_a_refusal_at_the_start_is_told_at_once(folder: Path) -> None:
    write(folder / "acme.yaml", BAD)
    changes = started(folder).changes()
    await anext(changes)
    await changes.aclose()


def test_a_profile_is_kept_as_it_was_written(folder: Path) -> None:
    """A report quotes its licence and evidence."""
    profiles = started(folder, "cribl")
    kept = decoded((folder.parent / FILE_LAST_GOOD).read_bytes())
    assert tuple(one.written for one in kept.values()) == profiles.written
    assert tuple(one.profile for one in kept.values()) == profiles.rules.profiles
