"""Profiles of one's own: added whole or not at all, and found again."""

import stat
from pathlib import Path

import pytest

from app.profiles import ProfileError
from app.profiles.added import add, added, file_of, remove

TEXT = "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "draft.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_what_is_added_is_found_and_removed(file: Path, data: Path) -> None:
    assert added(data).rules.profiles == ()
    profile, place = add(file, data, [])
    assert (profile.id, place) == ("acme", file_of(data, "acme"))
    assert place.read_text() == TEXT
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [p.id for p in added(data).rules.profiles] == ["acme"]
    assert remove("acme", data) == place
    assert added(data).rules.profiles == ()
    assert [*place.parent.iterdir()] == []


def test_an_added_one_is_replaced_by_force_alone(file: Path, data: Path) -> None:
    add(file, data, [])
    file.write_text(TEXT.replace("Acme", "Other"))
    with pytest.raises(ProfileError, match=r"draft.yaml: id: 'acme' is added already") as refused:
        add(file, data, [])
    assert "--force" in refused.value.problems[0].hint
    assert "Acme" in file_of(data, "acme").read_text()
    add(file, data, [], force=True)
    assert "Other" in file_of(data, "acme").read_text()


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "", "holds no profile"),
        (TEXT.replace("observe", "obsrve"), "rules[0].action", "'obsrve' is not an action"),
        (TEXT.replace("acme", "../up", 1), "id", "'../up' is not an id"),
        (TEXT.replace("observe", "mock, answer: {file: /etc/passwd}"), "rules[0].answer.file",
         "'/etc/passwd' is a file"),
        ("a: *b", "line 1, column 4", "alias"),
        ("x" * (1 << 20) + "y", "", "larger than 1 MiB"),
    ],
)  # fmt: skip
def test_a_wrong_one_names_file_place_and_value_and_leaves_nothing(
    file: Path, data: Path, text: str, where: str, message: str
) -> None:
    file.write_text(text)
    with pytest.raises(ProfileError) as refused:
        add(file, data, [])
    (problem,) = [p for p in refused.value.problems if p.where == where]
    assert problem.file == str(file) and message in problem.message and problem.hint
    assert not data.exists()


def test_no_file_is_a_sentence(data: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(ProfileError, match="cannot be read") as refused:
            add(path, data, [])
        assert refused.value.problems[0].hint


def test_an_id_that_another_file_in_use_has_is_refused(file: Path, data: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(TEXT)
    with pytest.raises(ProfileError, match=r"'acme' is the id of .*other.yaml too"):
        add(file, data, [str(other)])
    assert not data.exists()
    add(file, data, ["cribl"])


def test_a_built_in_one_may_be_replaced(file: Path, data: Path) -> None:
    file.write_text(TEXT.replace("acme", "cribl", 1))
    assert add(file, data, ["cribl"])[0].id == "cribl"


@pytest.mark.parametrize("id", ["acme", "../draft", "", "cribl", "\x1b[31m"])
def test_what_was_not_added_is_not_removed(file: Path, data: Path, id: str) -> None:
    with pytest.raises(ProfileError, match="is the id of no added profile"):
        remove(id, data)
    assert file.exists()
