"""Changed files are in use at the next check; bad ones leave the last good rules in use."""

from pathlib import Path

import pytest

from app.profiles import ProfileError, ProfileSet, watch
from tests.unit.app.profiles.conftest import HEAD, RULES


def write(path: Path, text: str) -> None:
    """As editors do it: another file takes the name, so that even equal sizes and times differ."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "acme.yaml", HEAD + RULES)
    return tmp_path / "acme.yaml"


def test_change_is_in_use_at_the_next_check(path: Path) -> None:
    profiles = ProfileSet([path])
    before = profiles.rules
    assert profiles.check() is False
    assert profiles.rules is before
    write(path, HEAD + RULES.replace("observe", "block"))
    assert profiles.check() is True
    assert profiles.rules.profiles[0].rules[0].action == "block"
    assert profiles.check() is False


def test_added_ones_are_known_at_the_next_check_and_decide_nothing(
    path: Path, tmp_path: Path
) -> None:
    added = tmp_path / "profiles"
    profiles = ProfileSet([path], added=added)
    rules = profiles.rules

    def title() -> str | None:
        assert profiles.check() is False and profiles.rules is rules
        found = profiles.known.find("other")
        return found and found.profile.title

    assert title() is None
    added.mkdir()
    for name in ("One", "Two"):
        write(added / "other.yaml", f"id: other\ntitle: {name}\nhosts: [b.test]\n{RULES}")
        assert title() == name
    write(added / "other.yaml", "id: other\n")
    assert title() is None
    (added / "other.yaml").unlink()
    assert title() is None


def test_change_of_classes_alone_is_a_change(path: Path) -> None:
    profiles = ProfileSet([path])
    rules = profiles.rules
    write(path, HEAD + "classes: {query.a: licence}\n" + RULES)
    assert profiles.check() is True
    assert profiles.written[0].classes == {"query.a": "licence"}
    assert profiles.rules is rules and profiles.check() is False


def test_change_without_effect_changes_nothing(path: Path) -> None:
    profiles = ProfileSet([path])
    write(path, "# a comment\n" + HEAD + RULES)
    assert profiles.check() is False


def test_bad_file_keeps_the_last_good_set_and_says_so(path: Path) -> None:
    profiles = ProfileSet([path])
    good = profiles.rules
    write(path, HEAD + RULES.replace("observe", "mok"))
    assert profiles.check() is False
    assert profiles.rules is good
    assert "rules[0].action: 'mok' is not an action" in profiles.error
    assert profiles.check() is False
    write(path, HEAD + RULES)
    assert profiles.check() is False
    assert profiles.error == ""


def test_file_that_goes_away_is_an_error_until_it_is_back(path: Path) -> None:
    profiles = ProfileSet([path])
    path.unlink()
    assert profiles.check() is False
    assert "no built-in profile, file or folder" in profiles.error
    write(path, HEAD + RULES.replace("observe", "block"))
    assert profiles.check() is True
    assert profiles.error == ""


def test_new_files_of_a_folder_and_answer_files_are_seen(tmp_path: Path) -> None:
    write(tmp_path / "acme.yaml", HEAD + "rules: [{id: a, action: mock, answer: {file: a.txt}}]")
    write(tmp_path / "a.txt", "one")
    profiles = ProfileSet([tmp_path])
    write(tmp_path / "a.txt", "two")
    assert profiles.check() is True
    assert profiles.rules.profiles[0].rules[0].answer.body == b"two"
    write(tmp_path / "b.yaml", HEAD.replace("id: acme", "id: other") + RULES)
    assert profiles.check() is True
    assert [p.id for p in profiles.rules.profiles] == ["acme", "other"]
    (tmp_path / "b.yaml").unlink()
    assert profiles.check() is True
    assert profiles.check() is False


def test_answer_file_that_was_missing_is_seen_when_it_comes(tmp_path: Path) -> None:
    write(tmp_path / "acme.yaml", HEAD + RULES)
    profiles = ProfileSet([tmp_path])
    write(tmp_path / "acme.yaml", HEAD + "rules: [{id: a, action: mock, answer: {file: a.txt}}]")
    assert profiles.check() is False
    assert "'a.txt' cannot be read" in profiles.error
    write(tmp_path / "a.txt", "here")
    assert profiles.check() is True


def test_bad_files_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ProfileError):
        ProfileSet([tmp_path / "gone.yaml"])


async def test_every_change_comes_back_and_one_bad_look_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 0.0)
    caplog.set_level("INFO")
    path = tmp_path / "acme.yaml"
    write(path, HEAD + RULES)
    profiles = ProfileSet([path])
    check, looks = profiles.check, iter([ZeroDivisionError("quotes a client")])

    def looked() -> bool:
        for error in looks:
            raise error
        return check()

    monkeypatch.setattr(profiles, "check", looked)
    changes = profiles.changes()
    write(path, HEAD + RULES.replace("observe", "block"))
    await anext(changes)
    assert (profiles.rules.profiles[0].rules[0].action, profiles.error) == ("block", "")
    write(path, "id: [")
    await anext(changes)
    assert "acme.yaml" in profiles.error
    write(path, HEAD + RULES.replace("observe", "block"))
    await anext(changes)
    assert profiles.error == ""
    await changes.aclose()
    for said in ("cannot be looked at: ZeroDivisionError at", "changed and are in use", "refused"):
        assert caplog.text.count(said) == 1
    assert "quotes a client" not in caplog.text
